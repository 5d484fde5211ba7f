/** A finished attempt as a film: what there was at each moment of it. Pure. */
import type { AttemptView, CallView, SessionEntry, Used } from '@/shared/api'
import { EMPTY_SESSION, foldEntries, type Session } from './session'

export type MarkKind = 'tool' | 'gate' | 'permission'

/** A moment worth jumping to; milliseconds since the epoch. */
export interface Mark {
  kind: MarkKind
  at: number
  text: string
}

export interface Film {
  start: number
  end: number
  marks: Mark[]
}

type Told = Pick<AttemptView, 'startedAt' | 'finishedAt' | 'phases' | 'gates'>

const time = (at: string) => Date.parse(at)

export function filmOf(attempt: Told, entries: readonly SessionEntry[], calls: readonly CallView[]): Film {
  const work = attempt.phases.filter(({ phase }) => phase !== 'monitoring')
  const times = [
    ...work.flatMap(({ startedAt, endedAt }) => [startedAt, ...(endedAt ? [endedAt] : [])]),
    ...entries.map(({ at }) => at),
    ...calls.map(({ at }) => at),
  ].map(time)
  const start = times.reduce((least, each) => Math.min(least, each), time(attempt.startedAt))
  const end = times.reduce((most, each) => Math.max(most, each), start)
  const marks = [...entries.flatMap(entryMark), ...gateMarks(attempt)].sort((a, b) => a.at - b.at)
  return { start, end, marks }
}

function entryMark({ kind, at, data }: SessionEntry): Mark[] {
  if (kind === 'tool_call') return [{ kind: 'tool', at: time(at), text: String(data.title ?? 'Tool call') }]
  if (kind !== 'permission') return []
  const call = data.toolCall as { title?: unknown } | undefined
  return [{ kind: 'permission', at: time(at), text: `Asked: ${String(call?.title ?? 'a tool')}` }]
}

/** A gate's own time is not recorded; its round of quality assurance is, at whose end the verdict stands. */
function gateMarks({ gates, phases }: Told): Mark[] {
  const marks = new Map<number, string[]>()
  for (const gate of gates) {
    if (gate.passed !== false || gate.stage === 'post_merge' || gate.stage === 'post_execution') continue
    const before = gate.stage === 'pre_execution' || gate.stage === 'baseline'
    const span = phases.findLast(({ phase, round }) =>
      before ? phase === 'planning' : phase === 'quality_assurance' && round === gate.round,
    )
    if (!span) continue
    const at = time(span.endedAt ?? span.startedAt)
    marks.set(at, [...(marks.get(at) ?? []), gate.name])
  }
  return [...marks].map(([at, names]) => ({ kind: 'gate', at, text: `Failed: ${names.join(', ')}` }))
}

/** How many entries had been told by then; they are in the order of their times. */
export function entriesAt(entries: readonly SessionEntry[], at: number): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >> 1
    const entry = entries[middle]
    if (entry && time(entry.at) <= at) low = middle + 1
    else high = middle
  }
  return low
}

/** The next mark of a kind after a moment, or the one before it. */
export function markFrom(film: Film, kind: MarkKind, at: number, step: 1 | -1): Mark | undefined {
  return step === 1
    ? film.marks.find((mark) => mark.kind === kind && mark.at > at)
    : film.marks.findLast((mark) => mark.kind === kind && mark.at < at)
}

/** `costUsd` null: the price of a call is unknown. */
export type Spent = Omit<Used, 'overshootUsd'>

export const NOTHING: Spent = { calls: 0, inputTokens: 0, cachedTokens: 0, outputTokens: 0, costUsd: 0 }

/** Whether a call was answered; one that was refused costs nothing, so its price does not matter. */
export const answered = ({ status }: CallView) => (status >= 200 && status < 300) || status === 499

/** What had been spent after each call. */
export function spending(calls: readonly CallView[]): { at: number; spent: Spent }[] {
  let spent = NOTHING
  return calls.filter(answered).map((call) => {
    spent = {
      calls: spent.calls + 1,
      inputTokens: spent.inputTokens + call.inputTokens,
      cachedTokens: spent.cachedTokens + call.cachedTokens,
      outputTokens: spent.outputTokens + call.outputTokens,
      costUsd: spent.costUsd === null || call.costUsd === null ? null : spent.costUsd + call.costUsd,
    }
    return { at: time(call.at), spent }
  })
}

export function spentAt(steps: readonly { at: number; spent: Spent }[], at: number): Spent {
  return steps.findLast((step) => step.at <= at)?.spent ?? NOTHING
}

/** Points of a line that goes up in steps to `top`, in thousandths of the width and hundredths of the height. */
export function stairs(
  steps: readonly { at: number; value: number }[],
  { start, end }: Film,
  top = 4,
): string {
  const most = steps.at(-1)?.value ?? 0
  if (most <= 0 || end <= start) return ''
  const x = (at: number) => ((at - start) / (end - start)) * 1000
  const y = (value: number) => 100 - (value / most) * (100 - top)
  const points: string[] = [`0,${y(0)}`]
  let before = 0
  for (const { at, value } of steps) {
    points.push(`${x(at).toFixed(1)},${y(before).toFixed(1)}`, `${x(at).toFixed(1)},${y(value).toFixed(1)}`)
    before = value
  }
  points.push(`1000,${y(before).toFixed(1)}`)
  return points.join(' ')
}

const EVERY = 200

/** The session after any number of entries, quick in both directions: what was folded is kept at intervals. */
export class Folder {
  private readonly kept = new Map<number, Session>([[0, EMPTY_SESSION]])

  constructor(private readonly entries: readonly SessionEntry[]) {}

  at(count: number): Session {
    const wanted = Math.min(count, this.entries.length)
    let from = wanted - (wanted % EVERY)
    while (!this.kept.has(from)) from -= EVERY
    let session = this.kept.get(from) ?? EMPTY_SESSION
    for (let next = from + EVERY; next <= wanted; next += EVERY) {
      session = foldEntries(session, this.entries.slice(next - EVERY, next))
      this.kept.set(next, session)
      from = next
    }
    return foldEntries(session, this.entries.slice(from, wanted))
  }
}
