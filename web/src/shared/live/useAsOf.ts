import { useCallback, useSyncExternalStore } from 'react'
import { useStore } from 'react-redux'
import { clockTime } from '@/shared/lib/format'
import { type LiveRoot, selectLastUpdate } from '@/shared/state/selectors'

/** How old data may be before it is marked, in seconds: live state, figures, estimates. */
export type AgeClass = 5 | 30 | 60

/** One heartbeat may be on its way. */
const GRACE_SECONDS = 7

export function asOf(lastUpdate: number | null, now: number, age: AgeClass): string | null {
  if (lastUpdate === null) return null
  return now - lastUpdate > (age + GRACE_SECONDS) * 1000 ? clockTime(lastUpdate) : null
}

/** The time stale data is from, or null while it is fresh. Redraws only when that changes. */
export function useAsOf(age: AgeClass): string | null {
  const store = useStore<LiveRoot>()
  const subscribe = useCallback(
    (listener: () => void) => {
      const timer = window.setInterval(listener, 1000)
      const off = store.subscribe(listener)
      return () => {
        window.clearInterval(timer)
        off()
      }
    },
    [store],
  )
  return useSyncExternalStore(subscribe, () => asOf(selectLastUpdate(store.getState()), Date.now(), age))
}
