import type { AttemptPhase, AttemptView } from '@/shared/api'
import { secondsBetween } from '@/shared/lib/format'
import { PHASES } from '@/shared/lib/words'

/** An attempt's phases as they are drawn: pure. */

export type StepState = 'done' | 'current' | 'failed' | 'todo'

export interface Step {
  phase: AttemptPhase
  state: StepState
  /** Seconds spent over all rounds; null: not begun. */
  seconds: number | null
  rounds: number
}

type Phased = Pick<AttemptView, 'phases' | 'phase' | 'outcome' | 'monitoring'>

export function stepsOf(attempt: Phased, now: number): Step[] {
  const reached = PHASES.indexOf(attempt.phase)
  return PHASES.map((phase, index) => {
    const spans = attempt.phases.filter((span) => span.phase === phase)
    const seconds = spans.reduce((sum, span) => sum + secondsBetween(span.startedAt, span.endedAt ?? now), 0)
    return {
      phase,
      state: stateOf(attempt, index, reached, spans.length > 0),
      seconds: spans.length > 0 ? seconds : null,
      rounds: spans.length,
    }
  })
}

function stateOf({ outcome, monitoring }: Phased, index: number, reached: number, begun: boolean): StepState {
  if (index < reached) return 'done'
  if (index > reached) return 'todo'
  if (outcome === null || monitoring === 'watching') return 'current'
  if (monitoring === 'regressed') return 'failed'
  if (outcome === 'succeeded') return begun || monitoring !== null ? 'done' : 'todo'
  return 'failed'
}

export interface Bar {
  phase: AttemptPhase
  round: number
  /** Shares of the whole width, 0 to 1. */
  start: number
  width: number
  seconds: number
}

/** The work of an attempt on a time line; `scale` is the whole width in seconds. Monitoring is waiting, not work. */
export function barsOf({ phases }: Pick<AttemptView, 'phases'>, scale: number, now: number): Bar[] {
  const work = phases.filter((span) => span.phase !== 'monitoring')
  const zero = work[0]?.startedAt
  if (zero === undefined || scale <= 0) return []
  return work.map((span) => {
    const seconds = secondsBetween(span.startedAt, span.endedAt ?? now)
    const start = Math.min(1, secondsBetween(zero, span.startedAt) / scale)
    return {
      phase: span.phase,
      round: span.round,
      seconds,
      start,
      width: Math.min(1 - start, seconds / scale),
    }
  })
}

/** How often the work was begun: watching the base branch afterwards, by whichever worker, begins nothing anew. */
export function runOf({ phases }: Pick<AttemptView, 'phases'>): number {
  return Math.max(1, ...phases.filter((span) => span.phase !== 'monitoring').map((span) => span.run))
}

/** Seconds from the first phase's start to the last work phase's end. */
export function workSeconds({ phases }: Pick<AttemptView, 'phases'>, now: number): number {
  const work = phases.filter((span) => span.phase !== 'monitoring')
  const first = work[0]
  const last = work.at(-1)
  return first && last ? secondsBetween(first.startedAt, last.endedAt ?? now) : 0
}
