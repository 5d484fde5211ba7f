import { expect, it } from 'vitest'
import type { CallView, SessionEntry } from '@/shared/api'
import { buildAttempt, buildGate } from '@/testing/builders'
import { entriesAt, Folder, filmOf, markFrom, spending, spentAt, stairs } from './replay'
import { EMPTY_SESSION, foldEntries } from './session'

const at = (second: number) => new Date(Date.UTC(2026, 10, 24, 10, 0, second)).toISOString()
const entry = (ordinal: number, kind: SessionEntry['kind'], data: Record<string, unknown>): SessionEntry => ({
  ordinal,
  kind,
  data,
  at: at(ordinal),
})
const call = (second: number, costUsd: number | null, status = 200): CallView => ({
  at: at(second),
  provider: 'Main',
  model: 'large',
  status,
  inputTokens: 100,
  cachedTokens: 50,
  outputTokens: 10,
  costUsd,
  seconds: 1,
})
const attempt = buildAttempt({
  startedAt: at(0),
  outcome: 'succeeded',
  phases: [
    { phase: 'execution', round: 1, run: 1, startedAt: at(0), endedAt: at(4) },
    { phase: 'quality_assurance', round: 1, run: 1, startedAt: at(4), endedAt: at(5) },
    { phase: 'execution', round: 2, run: 1, startedAt: at(5), endedAt: at(8) },
    { phase: 'quality_assurance', round: 2, run: 1, startedAt: at(8), endedAt: at(9) },
    { phase: 'monitoring', round: 2, run: 1, startedAt: at(9), endedAt: at(3000) },
  ],
  gates: [
    buildGate({ name: 'tests', round: 1, passed: false }),
    buildGate({ name: 'lint', round: 1, passed: false }),
    buildGate({ name: 'tests', round: 2, passed: true }),
  ],
})
const entries = [
  entry(1, 'message', { text: 'Hello' }),
  entry(2, 'tool_call', { toolCallId: 'a', title: 'ls', status: 'pending' }),
  entry(3, 'permission', { toolCall: { title: 'git push' }, allowed: false }),
  entry(6, 'tool_call', { toolCallId: 'b', title: 'pytest', status: 'pending' }),
]

it('runs from the first to the last moment of work, without the watch afterwards', () => {
  const film = filmOf(attempt, entries, [])
  expect([film.start, film.end]).toEqual([Date.parse(at(0)), Date.parse(at(9))])
})

it('finds the next tool call, gate failure and permission, and the ones before', () => {
  const film = filmOf(attempt, entries, [])
  const from = (kind: 'tool' | 'gate' | 'permission', second: number, step: 1 | -1) =>
    markFrom(film, kind, Date.parse(at(second)), step)?.text
  expect(from('tool', 0, 1)).toBe('ls')
  expect(from('tool', 2, 1)).toBe('pytest')
  expect(from('tool', 6, 1)).toBeUndefined()
  expect(from('tool', 6, -1)).toBe('ls')
  expect(from('gate', 0, 1)).toBe('Failed: tests, lint')
  expect(from('permission', 0, 1)).toBe('Asked: git push')
})

it('shows what had been told and spent by a moment', () => {
  expect(entriesAt(entries, Date.parse(at(0)))).toBe(0)
  expect(entriesAt(entries, Date.parse(at(3)))).toBe(3)
  const steps = spending([call(1, 0.5), call(2, null, 429), call(4, 0.25), call(6, null)])
  expect(spentAt(steps, Date.parse(at(0))).calls).toBe(0)
  expect(spentAt(steps, Date.parse(at(5)))).toMatchObject({ calls: 2, inputTokens: 200, costUsd: 0.75 })
  expect(spentAt(steps, Date.parse(at(7)))).toMatchObject({ calls: 3, costUsd: null })
})

it('draws a line in steps up to the whole height', () => {
  const film = { start: 0, end: 10, marks: [] }
  expect(stairs([{ at: 5, value: 2 }], film)).toBe('0,100 500.0,100.0 500.0,4.0 1000,4.0')
  expect(stairs([], film)).toBe('')
})

it('folds to any moment, forwards and back, as if from the beginning', () => {
  const many = Array.from({ length: 950 }, (_, index) =>
    entry(index + 1, index % 3 === 0 ? 'plan' : 'message', {
      text: `m${index}`,
      entries: [{ content: `step ${index}`, status: 'completed' }],
    }),
  )
  const folder = new Folder(many)
  for (const count of [0, 1, 399, 400, 950, 401, 7, 2000]) {
    expect(folder.at(count)).toEqual(foldEntries(EMPTY_SESSION, many.slice(0, count)))
  }
})
