import type { CustomerCard } from '@/shared/api'
import { PRIORITY_WEIGHT, type ShownStatus, shownStatus } from '@/shared/lib/words'

export type OverviewFilter =
  | 'all'
  | 'needs_you'
  | 'approvals'
  | 'incidents'
  | 'error'
  | 'active'
  | 'paused'
  | 'queued'
export type OverviewSort = 'attention' | 'name' | 'progress' | 'health' | 'remaining'

export const FILTERS: readonly OverviewFilter[] = [
  'all',
  'needs_you',
  'approvals',
  'incidents',
  'error',
  'active',
  'paused',
  'queued',
]
export const SORTS: readonly OverviewSort[] = ['attention', 'name', 'progress', 'health', 'remaining']

export const SORT_NAME: Record<OverviewSort, string> = {
  attention: 'Attention first',
  name: 'Name',
  progress: 'Least progress first',
  health: 'Worst health first',
  remaining: 'Longest remaining first',
}

const RANK: Record<ShownStatus, number> = {
  needs_you: 0,
  error: 1,
  active: 2,
  queued: 3,
  paused: 4,
  idle: 5,
  completed_with_failures: 6,
  completed: 7,
  aborted: 8,
}

function rank(card: CustomerCard): number {
  return card.needsYou > 0 ? RANK.needs_you : RANK[shownStatus(card)]
}

type Compare = (a: CustomerCard, b: CustomerCard) => number

const byAttention: Compare = (a, b) =>
  rank(a) - rank(b) || PRIORITY_WEIGHT[b.priorityClass] - PRIORITY_WEIGHT[a.priorityClass]

const COMPARE: Record<OverviewSort, Compare> = {
  attention: byAttention,
  name: () => 0,
  progress: (a, b) => a.progress - b.progress,
  health: (a, b) => (a.healthScore ?? 2) - (b.healthScore ?? 2),
  remaining: (a, b) => (b.timeRemaining.seconds ?? -1) - (a.timeRemaining.seconds ?? -1),
}

export function matches(card: CustomerCard, filter: OverviewFilter, text: string): boolean {
  if (card.archived) return false
  if (text !== '' && !card.name.toLowerCase().includes(text.toLowerCase())) return false
  if (filter === 'all') return true
  if (filter === 'needs_you') return card.needsYou > 0
  if (filter === 'approvals') return card.approvalsPending > 0
  if (filter === 'incidents') return card.incidentsOpen > 0
  return card.executionStatus === filter
}

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' })

/** Ids of the customers to show, in their order. Pure; equal cards keep their order by name. */
export function orderedIds(
  cards: Iterable<CustomerCard>,
  { filter, sort, text }: { filter: OverviewFilter; sort: OverviewSort; text: string },
): string[] {
  const compare = COMPARE[sort]
  return [...cards]
    .filter((card) => matches(card, filter, text))
    .sort((a, b) => compare(a, b) || collator.compare(a.name, b.name) || (a.id < b.id ? -1 : 1))
    .map((card) => card.id)
}

export type AttentionCounts = Record<OverviewFilter, number>

export function attentionCounts(cards: Iterable<CustomerCard>): AttentionCounts {
  const counts: AttentionCounts = {
    all: 0,
    needs_you: 0,
    approvals: 0,
    incidents: 0,
    error: 0,
    active: 0,
    paused: 0,
    queued: 0,
  }
  for (const card of cards) {
    for (const filter of FILTERS) if (matches(card, filter, '')) counts[filter] += 1
  }
  return counts
}
