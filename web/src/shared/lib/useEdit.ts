import { useMemo, useState } from 'react'
import { type Form, useForm } from './useForm'

interface Versioned {
  version: number
}

interface Options<T extends Versioned, D extends object> {
  /** The thing as it is known now; newer ones may come while the form is open. */
  latest: T
  draftOf: (view: T) => D
  check?: (draft: D, base: T) => Record<string, string>
  /** Sends the fields that were changed, based on the version they were changed from. */
  send: (draft: D, changed: (keyof D)[], base: T) => Promise<unknown>
  done: (draft: D) => string
  onDone: () => void
}

export interface Edit<D extends object> {
  form: Form<D>
  /** Fields that somebody else changed since the form was opened. */
  theirs: (keyof D)[]
  /** Those of them that were changed here too: what is sent wins over theirs. */
  clashes: (keyof D)[]
  /** Go on from the newest version: with what was typed here, or without. */
  rebase: (keepMine: boolean) => void
}

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)

/** Names of the fields whose values differ. */
export function changedFields<D extends object>(a: D, b: D): (keyof D)[] {
  return (Object.keys(a) as (keyof D)[]).filter((field) => !same(a[field], b[field]))
}

/**
 * A form of something that exists and that others may change meanwhile. Only what was changed here is sent, with the
 * version it is based on; when that has moved on, nothing typed is lost and it is said what else changed.
 */
export function useEdit<T extends Versioned, D extends object>(options: Options<T, D>): Edit<D> {
  const { latest, draftOf, check, send, done, onDone } = options
  const [base, setBase] = useState(latest)
  const began = useMemo(() => draftOf(base), [base, draftOf])
  const newest = useMemo(() => draftOf(latest), [latest, draftOf])
  const form = useForm<D>({
    initial: began,
    check: (draft) => check?.(draft, base) ?? {},
    send: async (draft) => {
      const changed = changedFields(draft, began)
      if (changed.length > 0) await send(draft, changed, base)
    },
    done,
    onDone,
  })
  const moved = latest.version > base.version
  const mine = changedFields(form.values, began)
  const theirs = moved ? changedFields(newest, began) : []
  return {
    form,
    theirs,
    clashes: theirs.filter((field) => mine.includes(field)),
    rebase: (keepMine) => {
      const kept = keepMine ? Object.fromEntries(mine.map((field) => [field, form.values[field]])) : {}
      setBase(latest)
      form.replace({ ...newest, ...kept })
    },
  }
}
