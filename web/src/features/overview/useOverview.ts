import { useCallback, useEffect, useRef, useState } from 'react'
import { useStore } from 'react-redux'
import type { CustomerCard } from '@/shared/api'
import type { LiveRoot } from '@/shared/state/selectors'
import {
  type AttentionCounts,
  attentionCounts,
  type OverviewFilter,
  type OverviewSort,
  orderedIds,
} from './order'

const EVERY_MS = 1000

const sameList = (a: readonly string[], b: readonly string[]) =>
  a.length === b.length && a.every((id, index) => id === b[index])

/** A value computed from all customers, at most once a second however fast they change. */
function useThrottled<T>(compute: (cards: CustomerCard[]) => T, same: (a: T, b: T) => boolean): T {
  const store = useStore<LiveRoot>()
  const read = useCallback(
    () => compute(Object.values(store.getState().devTeam.customers.byId)),
    [store, compute],
  )
  const [value, setValue] = useState(read)
  useEffect(() => {
    let timer: number | undefined
    let last = store.getState().devTeam.customers.byId
    const update = () => {
      timer = undefined
      setValue((before) => {
        const after = read()
        return same(before, after) ? before : after
      })
    }
    update()
    const off = store.subscribe(() => {
      const now = store.getState().devTeam.customers.byId
      if (now === last) return
      // The first customers, and new or gone ones, show at once.
      const soon = Object.keys(now).length !== Object.keys(last).length
      last = now
      if (soon) update()
      else timer ??= window.setTimeout(update, EVERY_MS)
    })
    return () => {
      off()
      window.clearTimeout(timer)
    }
  }, [store, read, same])
  return value
}

const sameCounts = (a: AttentionCounts, b: AttentionCounts) =>
  Object.entries(a).every(([name, count]) => b[name as OverviewFilter] === count)

export function useAttentionCounts(): AttentionCounts {
  return useThrottled(attentionCounts, sameCounts)
}

export interface OverviewOrder {
  ids: string[]
  /** How many customers would stand elsewhere: the order rests while pointer or focus is in the list. */
  waiting: number
  apply: () => void
}

export function useOrder(
  filter: OverviewFilter,
  sort: OverviewSort,
  text: string,
  resting: boolean,
): OverviewOrder {
  const compute = useCallback(
    (cards: CustomerCard[]) => orderedIds(cards, { filter, sort, text }),
    [filter, sort, text],
  )
  const wanted = useThrottled(compute, sameList)
  const [shown, setShown] = useState(wanted)
  const asked = useRef(compute)
  // A changed question is answered at once; only moves by themselves wait for the reader.
  const members = sameList([...shown].sort(), [...wanted].sort())
  const rests = resting && asked.current === compute && members
  useEffect(() => {
    asked.current = compute
    if (!rests) setShown(wanted)
  }, [compute, rests, wanted])
  const ids = rests ? shown : wanted
  const waiting = rests ? wanted.filter((id, index) => shown[index] !== id).length : 0
  return { ids, waiting, apply: () => setShown(wanted) }
}
