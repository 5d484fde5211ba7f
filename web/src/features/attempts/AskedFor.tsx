import { Link } from '@tanstack/react-router'
import type { AttemptView } from '@/shared/api'
import { Notice } from '@/shared/ui'

const WANTED: Record<NonNullable<AttemptView['request']>['wanted'], string> = {
  run_again: 'Run again',
  send_back: 'Sent back',
  hand_back: 'Handed back',
}

/** What an attempt was begun for, or the task's next one will be. */
export function AskedFor({ request }: { request: NonNullable<AttemptView['request']> }) {
  const from =
    request.fromRound !== null
      ? `, after round ${request.fromRound}`
      : request.fromOrdinal !== null
        ? `, from entry ${request.fromOrdinal} of the session`
        : ''
  return (
    <Notice
      tone="info"
      title={`${WANTED[request.wanted]} by ${request.author}${from}`}
      action={
        <Link to="/attempts/$id" params={{ id: request.baseAttemptId }}>
          The attempt before
        </Link>
      }
    >
      {request.instructions}
    </Notice>
  )
}
