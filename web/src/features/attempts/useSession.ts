import { useEffect, useState } from 'react'
import type { GuidanceView, SessionEntry, SessionPage, Used } from '@/shared/api'
import { EMPTY_SESSION, foldEntries, type Session } from './session'

export interface SessionState {
  session: Session
  /** What the session was folded from, in its order. */
  entries: SessionEntry[]
  used: Used | null
  /** Guidance that the agent has not taken yet. */
  waiting: GuidanceView[]
  complete: boolean
  /** The first page has arrived. */
  loaded: boolean
  error: string | null
}

const EMPTY: SessionState = {
  session: EMPTY_SESSION,
  entries: [],
  used: null,
  waiting: [],
  complete: false,
  loaded: false,
  error: null,
}
const ASK_EVERY_MS = 1000
const ASK_AFTER_ERROR_MS = 4000
const PAGE = 500

/** An agent's session from its beginning, asked for every second while it grows and somebody looks. */
export function useSession(attemptId: string, enabled: boolean): SessionState {
  const [state, setState] = useState(EMPTY)

  useEffect(() => {
    if (!enabled) return
    const abort = new AbortController()
    let current = EMPTY
    let timer = 0

    const ask = async () => {
      let wait = ASK_EVERY_MS
      try {
        for (let more = !document.hidden; more; ) {
          const page = await sessionPage(attemptId, current.session.last, abort.signal)
          more = page.entries.length === PAGE
          current = {
            session: foldEntries(current.session, page.entries),
            entries: page.entries.length === 0 ? current.entries : [...current.entries, ...page.entries],
            used: page.used,
            waiting: page.waiting,
            complete: page.complete,
            loaded: true,
            error: null,
          }
        }
      } catch (cause) {
        if (abort.signal.aborted) return
        current = { ...current, loaded: true, error: cause instanceof Error ? cause.message : String(cause) }
        wait = ASK_AFTER_ERROR_MS
      }
      setState(current)
      if (!current.complete) timer = window.setTimeout(ask, wait)
    }

    setState(EMPTY)
    void ask()
    return () => {
      abort.abort()
      window.clearTimeout(timer)
    }
  }, [attemptId, enabled])

  return state
}

async function sessionPage(attemptId: string, after: number, signal: AbortSignal): Promise<SessionPage> {
  const answer = await fetch(
    `${window.location.origin}/api/devteam/attempts/${attemptId}/session?after=${after}&limit=${PAGE}`,
    { credentials: 'same-origin', signal },
  )
  if (!answer.ok) throw new Error(`The session cannot be read (${answer.status}).`)
  return (await answer.json()) as SessionPage
}
