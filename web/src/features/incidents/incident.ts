/** Incidents as they are read. Pure. */
import type { IncidentClass, IncidentStatus, IncidentView } from '@/shared/api'

export const CLASS_NAME: Record<IncidentClass, string> = {
  CRITICAL: 'Critical',
  INTERVENTION_REQUIRED: 'Needs a person',
  TASK_FAILURE: 'Task failure',
  RECOVERABLE: 'Recoverable',
}
export const CLASSES = Object.keys(CLASS_NAME) as IncidentClass[]

export const STATUS_NAME: Record<IncidentStatus, string> = {
  open: 'Open',
  recovering: 'Recovering',
  escalated: 'Escalated',
  acknowledged: 'Acknowledged',
  resolved: 'Resolved',
}
export const UNRESOLVED: readonly IncidentStatus[] = ['open', 'recovering', 'escalated', 'acknowledged']

export type StatusFilter = 'unresolved' | IncidentStatus | 'all'
export const STATUS_FILTERS: readonly StatusFilter[] = [
  'unresolved',
  'open',
  'recovering',
  'escalated',
  'acknowledged',
  'resolved',
  'all',
]

export const FILTER_NAME: Record<StatusFilter, string> = {
  unresolved: 'Unresolved',
  ...STATUS_NAME,
  all: 'All',
}

/** The states to ask for; none: every one. */
export const statesOf = (filter: StatusFilter): IncidentStatus[] =>
  filter === 'all' ? [] : filter === 'unresolved' ? [...UNRESOLVED] : [filter]

export const canAcknowledge = ({ status }: Pick<IncidentView, 'status'>) =>
  status === 'open' || status === 'escalated'

const RANK: Record<IncidentClass, number> = {
  CRITICAL: 0,
  INTERVENTION_REQUIRED: 1,
  TASK_FAILURE: 2,
  RECOVERABLE: 3,
}

/** What is not settled first, the worst foremost, then the newest. */
export function ordered(incidents: readonly IncidentView[]): IncidentView[] {
  const settled = (incident: IncidentView) => (incident.status === 'resolved' ? 1 : 0)
  return [...incidents].sort(
    (a, b) =>
      settled(a) - settled(b) ||
      (settled(a) ? 0 : RANK[a.class] - RANK[b.class]) ||
      b.lastAt.localeCompare(a.lastAt),
  )
}
