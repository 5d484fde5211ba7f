import type { AttemptView, Used } from '@/shared/api'
import { money, plural } from '@/shared/lib/format'

const tokens = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

/** "12 calls · 48K tokens in, 40K cached · 2K out · $0.13" */
export function usedText({
  calls,
  inputTokens,
  cachedTokens,
  outputTokens,
  costUsd,
}: Omit<Used, 'overshootUsd'>): string {
  if (calls === 0) return 'No metered model call'
  const cached = cachedTokens > 0 ? `, ${tokens.format(cachedTokens)} cached` : ''
  return [
    plural(calls, 'call'),
    `${tokens.format(inputTokens)} tokens in${cached}`,
    `${tokens.format(outputTokens)} out`,
    costUsd === null ? 'cost unknown: a price is missing' : money(costUsd),
  ].join(' · ')
}

/** Whether an agent does the work: neither a task's own command nor a person. */
export const byAgent = ({ executor }: Pick<AttemptView, 'executor'>) =>
  executor !== 'command' && executor !== 'person'

/** Whether there is a session to read: also one that only reviewers took part in. */
export const hasSession = (attempt: Pick<AttemptView, 'executor' | 'calls'>) =>
  byAgent(attempt) || attempt.calls > 0

/** Whether guidance would be taken: while the agent works, or is about to. */
export const takesGuidance = (attempt: Pick<AttemptView, 'executor' | 'outcome' | 'phase'>) =>
  byAgent(attempt) &&
  attempt.outcome === null &&
  (attempt.phase === 'planning' || attempt.phase === 'execution')
