import { useEffect, useState } from 'react'
import type { OutputPage } from '@/shared/api'
import { useLiveClient } from '@/shared/live/LiveContext'
import { LogBuffer } from './logBuffer'

export interface LogState {
  lines: string[]
  dropped: number
  complete: boolean
  /** The first page has arrived. */
  loaded: boolean
  error: string | null
}

const EMPTY: LogState = { lines: [], dropped: 0, complete: false, loaded: false, error: null }
/** Without frames from the socket the output is asked for this often. */
const ASK_EVERY_MS = 4000

/**
 * An attempt's output: what is there over HTTP, what comes over the socket. A frame counts only when it begins
 * exactly where we are; after anything else the missing part is fetched.
 */
export function useLog(attemptId: string): LogState {
  const client = useLiveClient()
  const [state, setState] = useState(EMPTY)

  useEffect(() => {
    const buffer = new LogBuffer()
    const abort = new AbortController()
    let next = 0
    let complete = false
    let loaded = false
    let error: string | null = null
    let fetching = false
    let lastNews = Date.now()
    let frame = 0

    const show = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0
        setState({ lines: buffer.snapshot(), dropped: buffer.dropped, complete, loaded, error })
      })
    }
    const catchUp = async () => {
      if (fetching) return
      fetching = true
      try {
        for (let more = true; more; ) {
          const page = await outputPage(attemptId, next, abort.signal)
          if (page.nextOffset > next) buffer.append(page.text)
          more = page.nextOffset > next && !page.complete
          next = Math.max(next, page.nextOffset)
          complete = page.complete
          lastNews = Date.now()
          error = null
          loaded = true
          show()
        }
      } catch (cause) {
        if (abort.signal.aborted) return
        error = cause instanceof Error ? cause.message : String(cause)
        loaded = true
        show()
      } finally {
        fetching = false
      }
    }

    setState(EMPTY)
    void catchUp()
    const off = client.followLog(attemptId, (news) => {
      if (news.type === 'log' && !fetching && news.offset === next) {
        buffer.append(news.text)
        next = news.nextOffset
        complete = news.complete
        lastNews = Date.now()
        show()
      } else if (news.type === 'log_gap' || news.nextOffset > next || news.complete !== complete) {
        void catchUp()
      }
    })
    const timer = window.setInterval(() => {
      if (!complete && Date.now() - lastNews >= ASK_EVERY_MS) void catchUp()
    }, ASK_EVERY_MS)
    return () => {
      abort.abort()
      off()
      window.clearInterval(timer)
      cancelAnimationFrame(frame)
    }
  }, [attemptId, client])

  return state
}

async function outputPage(attemptId: string, offset: number, signal: AbortSignal): Promise<OutputPage> {
  const answer = await fetch(
    `${window.location.origin}/api/devteam/attempts/${attemptId}/output?offset=${offset}`,
    {
      credentials: 'same-origin',
      signal,
    },
  )
  if (!answer.ok) throw new Error(`The output cannot be read (${answer.status}).`)
  return (await answer.json()) as OutputPage
}
