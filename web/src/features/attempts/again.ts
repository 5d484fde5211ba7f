/** What may be done with an attempt that ended; the engine's rules say the same and have the last word. Pure. */
import type { AttemptView } from '@/shared/api'

type Ended = Pick<AttemptView, 'outcome' | 'takenOverBy' | 'commit' | 'mergedCommit' | 'monitoring'>

const stillHeld = ({ outcome, takenOverBy }: Ended): string | null => {
  if (outcome === null) return 'The attempt still runs.'
  return takenOverBy ? `${takenOverBy} has taken the task over.` : null
}

/** Null: it can be run again; else the sentence why not. */
export function whyNotAgain(attempt: Ended): string | null {
  const held = stillHeld(attempt)
  if (held) return held
  return attempt.outcome === 'succeeded'
    ? 'It succeeded; send it back to have something done differently.'
    : null
}

/** Null: its work can be sent back with remarks; else the sentence why not. */
export function whyNotBack(attempt: Ended): string | null {
  const held = stillHeld(attempt)
  if (held || attempt.outcome !== 'succeeded') return held
  if (attempt.commit === null) return 'It delivered nothing; add a task for what is missing.'
  const merged =
    attempt.mergedCommit !== null || attempt.monitoring === 'passed' || attempt.monitoring === 'regressed'
  return merged ? 'The delivery is merged; add a task for what is missing.' : null
}

export const checkoutCommand = (id: string) => `devteam attempt checkout ${id}`
export const handBackCommand = (id: string) =>
  `devteam attempt hand-back ${id} --from attempt-${id.slice(-8)}`
