import { useCallback, useRef, useState } from 'react'
import { fieldErrors, type Problem } from '@/shared/api'
import { newKey } from './ids'
import { runCommand } from './runCommand'

export interface Form<T> {
  values: T
  set: <K extends keyof T>(field: K, value: T[K]) => void
  errors: Record<string, string>
  problem: Problem | null
  sending: boolean
  /** Sends the values, with those given instead of what stands in the form. */
  submit: (part?: Partial<T>) => Promise<void>
  reset: () => void
  /** Other values, with nothing said against them. */
  replace: (values: T) => void
}

interface Options<T> {
  initial: T
  /** Errors by field that the page can see by itself; empty when it may be sent. */
  check?: (values: T) => Record<string, string>
  send: (values: T, key: string) => Promise<unknown>
  done?: (values: T) => string
  onDone?: () => void
}

/**
 * A small form: values, field errors of the page and of the engine's problem details, and one idempotency key per
 * content, so that sending the same once more after a lost answer makes nothing twice.
 */
export function useForm<T extends object>({ initial, check, send, done, onDone }: Options<T>): Form<T> {
  const [values, setValues] = useState(initial)
  const [own, setOwn] = useState<Record<string, string>>({})
  const [problem, setProblem] = useState<Problem | null>(null)
  const [sending, setSending] = useState(false)
  const key = useRef(newKey())

  const set = useCallback(<K extends keyof T>(field: K, value: T[K]) => {
    key.current = newKey()
    setValues((before) => ({ ...before, [field]: value }))
    setOwn(({ [field as string]: _gone, ...rest }) => rest)
  }, [])

  const replace = (next: T) => {
    key.current = newKey()
    setValues(next)
    setOwn({})
    setProblem(null)
  }
  const reset = () => replace(initial)

  const submit = async (part?: Partial<T>) => {
    const sent = { ...values, ...part }
    const wrong = check?.(sent) ?? {}
    setOwn(wrong)
    if (Object.keys(wrong).length > 0 || sending) return
    setSending(true)
    const refusal = await runCommand(send(sent, key.current), { done: done?.(sent), quiet: true })
    setSending(false)
    setProblem(refusal)
    if (refusal) {
      // An answer was given to this key; only a lost one may be asked for again.
      if (refusal.status > 0) key.current = newKey()
      return
    }
    reset()
    onDone?.()
  }

  return {
    values,
    set,
    errors: { ...fieldErrors(problem), ...own },
    problem,
    sending,
    submit,
    reset,
    replace,
  }
}
