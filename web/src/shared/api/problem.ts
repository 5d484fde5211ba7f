import type { Problem } from './views'

interface QueryError {
  status?: number | string
  data?: unknown
  error?: string
}

function isProblem(value: unknown): value is Problem {
  return typeof value === 'object' && value !== null && 'title' in value && 'status' in value
}

/** Whatever a call failed with, as one problem that can be shown to a person. */
export function toProblem(error: unknown): Problem {
  const { status, data, error: text } = (error ?? {}) as QueryError
  if (isProblem(data)) return data
  if (status === 'FETCH_ERROR') {
    return {
      type: 'about:blank',
      title: 'The engine cannot be reached',
      status: 0,
      detail: 'Nothing was changed. Check that `devteam up` is running, then try again.',
      code: 'unreachable',
    }
  }
  const code = typeof status === 'number' ? status : 0
  return {
    type: 'about:blank',
    title: code === 0 ? 'Something went wrong' : `The engine answered ${code}`,
    status: code,
    detail: text ?? null,
    code: null,
  }
}

/** The sentence of a problem: its detail, else its title. */
export function problemText(problem: Problem): string {
  return problem.detail || problem.title
}

/** Field errors by field name; nested names keep their dots. */
export function fieldErrors(problem: Problem | null): Record<string, string> {
  const out: Record<string, string> = {}
  for (const { field, message } of problem?.errors ?? []) out[field] ??= message
  return out
}

/** The error of a field or of anything inside it. */
export function errorUnder(errors: Record<string, string>, field: string): string | undefined {
  if (errors[field]) return errors[field]
  const inside = Object.keys(errors).find(
    (each) => each.startsWith(`${field}.`) || each.startsWith(`${field}[`),
  )
  return inside === undefined ? undefined : errors[inside]
}
