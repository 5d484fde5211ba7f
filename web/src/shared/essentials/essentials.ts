import type { CustomerCard, HealthTrend, TimeRemaining } from '@/shared/api'
import { duration, plural } from '@/shared/lib/format'
import { healthWord } from '@/shared/lib/words'

/** The texts of the five essentials: pure, so that cards, rows and headers say the same. */

export function countText(card: Pick<CustomerCard, 'tasksCompleted' | 'tasksTotal'>): string {
  return `${card.tasksCompleted} of ${card.tasksTotal}`
}

/** What stands behind the status's word. */
export function statusSuffix(
  card: Pick<CustomerCard, 'executionStatus' | 'pauseRequested' | 'tasksFailed'>,
): string {
  if (card.executionStatus === 'completed') return card.tasksFailed > 0 ? `, ${card.tasksFailed} failed` : ''
  if (card.executionStatus !== 'active' || !card.pauseRequested) return ''
  return card.pauseRequested === 'now' ? ', pausing…' : ', pausing after this task'
}

export interface RemainingText {
  main: string
  detail: string
  hint: string
}

export function remainingText(time: TimeRemaining): RemainingText {
  if (time.seconds === null || time.confidence === 'unknown') {
    return {
      main: 'Unknown',
      detail: `${time.basis} of 3 attempts`,
      hint: `An estimate needs three finished attempts; there ${time.basis === 1 ? 'is' : 'are'} ${time.basis}.`,
    }
  }
  if (time.seconds === 0) return { main: 'Nothing left', detail: '', hint: 'No task is left in the queue.' }
  const range =
    time.lowSeconds !== null && time.highSeconds !== null
      ? `${duration(time.lowSeconds)} to ${duration(time.highSeconds)}`
      : ''
  return {
    main: `≈ ${duration(time.seconds)}`,
    detail: `${time.confidence} confidence`,
    hint: [
      range && `Likely ${range}.`,
      `Stands on ${time.basis} finished attempts: ${time.confidence} confidence.`,
    ]
      .filter(Boolean)
      .join(' '),
  }
}

export function healthText(score: number | null): { number: string; word: string } {
  if (score === null) return { number: '–', word: 'No data' }
  return { number: String(Math.round(score * 100)), word: healthWord(score) }
}

export const TREND_WORD: Record<HealthTrend, string> = { up: 'rising', down: 'falling', steady: 'steady' }

/** The sentence when no task is being worked on. */
export function idleText(card: CustomerCard): string {
  if (card.waitReason) return card.waitReason.text
  if (card.executionStatus === null) return card.tasksTotal === 0 ? 'The queue is empty' : 'Not started'
  if (card.executionStatus === 'completed')
    return card.tasksFailed > 0
      ? `The queue was worked through; ${plural(card.tasksFailed, 'task')} failed`
      : 'All work is done'
  if (card.executionStatus === 'aborted') return card.statusReason?.text ?? 'The execution was aborted'
  return card.statusReason?.text ?? 'No task is running'
}
