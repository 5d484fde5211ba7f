import {
  Ban,
  Circle,
  CircleAlert,
  CircleCheck,
  CircleDashed,
  CircleSlash,
  CircleX,
  Hand,
  LoaderCircle,
  Pause,
  Play,
  SearchCheck,
  TriangleAlert,
  Wrench,
} from 'lucide-react'
import type { ComponentType } from 'react'
import styled from 'styled-components'
import type { AttemptOutcome, TaskStatus } from '@/shared/api'
import { OUTCOME_NAME, SHOWN_STATUS_NAME, type ShownStatus, TASK_STATUS_NAME } from '@/shared/lib/words'
import { t } from './tokens'

type Tone = 'active' | 'paused' | 'error' | 'completed' | 'needs_you' | 'quiet'

const Badge = styled.span`
  display: inline-flex;
  align-items: center;
  gap: 5px;
  padding: 1px 8px 1px 6px;
  border-radius: 99px;
  background: ${t.color.sunken};
  color: ${t.color.muted};
  font-size: ${t.text.s};
  font-weight: 600;
  line-height: 20px;
  white-space: nowrap;
  svg { width: 13px; height: 13px; flex: none; stroke-width: 2.4; }
  &[data-tone='active'] { background: ${t.color.activeSoft}; color: ${t.color.active}; }
  &[data-tone='active'] svg[data-fill] { fill: currentcolor; }
  &[data-tone='paused'] { background: ${t.color.pausedSoft}; color: ${t.color.paused}; }
  &[data-tone='error'] { background: ${t.color.errorSoft}; color: ${t.color.error}; }
  &[data-tone='completed'] { background: ${t.color.completedSoft}; color: ${t.color.completed}; }
  &[data-tone='needs_you'] { background: ${t.color.needsYouSoft}; color: ${t.color.needsYou}; }
  @media (forced-colors: active) { border: 1px solid; }
`

type Icon = ComponentType<{ 'aria-hidden'?: boolean; 'data-fill'?: boolean }>

const SHOWN: Record<ShownStatus, [Icon, Tone]> = {
  needs_you: [Hand, 'needs_you'],
  error: [TriangleAlert, 'error'],
  active: [Play, 'active'],
  queued: [Circle, 'quiet'],
  paused: [Pause, 'paused'],
  completed: [CircleCheck, 'completed'],
  completed_with_failures: [CircleAlert, 'paused'],
  aborted: [Ban, 'quiet'],
  idle: [CircleDashed, 'quiet'],
}

const TASK: Record<TaskStatus, [Icon, Tone]> = {
  pending: [Circle, 'quiet'],
  in_progress: [Play, 'active'],
  verifying: [SearchCheck, 'active'],
  completed: [CircleCheck, 'completed'],
  error_solving: [Wrench, 'paused'],
  blocked: [Hand, 'needs_you'],
  failed: [CircleX, 'error'],
  skipped: [CircleSlash, 'quiet'],
  cancelled: [Ban, 'quiet'],
}

const OUTCOME: Record<AttemptOutcome, [Icon, Tone]> = {
  succeeded: [CircleCheck, 'completed'],
  failed: [CircleX, 'error'],
  cancelled: [Ban, 'quiet'],
  superseded: [CircleSlash, 'quiet'],
  lost: [TriangleAlert, 'paused'],
}

function Plate({ icon, word, status }: { icon: [Icon, Tone]; word: string; status: string }) {
  const [Shape, tone] = icon
  return (
    <Badge data-tone={tone} data-status={status}>
      <Shape aria-hidden data-fill={Shape === Play || undefined} />
      {word}
    </Badge>
  )
}

/** A customer's state: icon, word and colour together, never colour alone. */
export function StatusBadge({ status, suffix = '' }: { status: ShownStatus; suffix?: string }) {
  return <Plate icon={SHOWN[status]} word={SHOWN_STATUS_NAME[status] + suffix} status={status} />
}

export function TaskStatusBadge({ status }: { status: TaskStatus }) {
  return <Plate icon={TASK[status]} word={TASK_STATUS_NAME[status]} status={status} />
}

export function OutcomeBadge({ outcome }: { outcome: AttemptOutcome | null }) {
  if (outcome === null) return <Plate icon={[LoaderCircle, 'active']} word="Running" status="running" />
  return <Plate icon={OUTCOME[outcome]} word={OUTCOME_NAME[outcome]} status={outcome} />
}
