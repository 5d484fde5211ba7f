import { expect, it } from 'vitest'
import { buildAttempt } from '@/testing/builders'
import { barsOf, runOf, stepsOf, workSeconds } from './phases'

const T = Date.parse('2026-11-24T10:00:11.000Z')
const at = (second: number) => new Date(Date.parse('2026-11-24T10:00:00.000Z') + second * 1000).toISOString()
const span = (
  phase: 'planning' | 'execution' | 'quality_assurance' | 'monitoring',
  from: number,
  to: number | null,
  round = 1,
) => ({
  phase,
  round,
  run: 1,
  startedAt: at(from),
  endedAt: to === null ? null : at(to),
})

it('shows what is done, what runs now and for how long', () => {
  const steps = stepsOf(buildAttempt(), T)
  expect(steps.map((step) => step.state)).toEqual(['done', 'current', 'todo', 'todo', 'todo'])
  expect(steps.map((step) => step.seconds)).toEqual([1, 10, null, null, null])
})

it('marks the phase in which an attempt failed', () => {
  const steps = stepsOf(buildAttempt({ phase: 'quality_assurance', outcome: 'failed' }), T)
  expect(steps.map((step) => step.state)).toEqual(['done', 'done', 'failed', 'todo', 'todo'])
})

it('is not done while the base branch is watched', () => {
  const state = (monitoring: 'watching' | 'passed' | 'regressed' | 'skipped') =>
    stepsOf(buildAttempt({ phase: 'monitoring', outcome: 'succeeded', monitoring }), T).at(-1)?.state
  expect([state('watching'), state('passed'), state('regressed'), state('skipped')]).toEqual([
    'current',
    'done',
    'failed',
    'done',
  ])
})

it('adds up rounds', () => {
  const attempt = buildAttempt({
    phase: 'execution',
    phases: [
      span('planning', 0, 1),
      span('execution', 1, 3),
      span('quality_assurance', 3, 4),
      span('execution', 4, 8, 2),
    ],
  })
  expect(stepsOf(attempt, T)[1]).toMatchObject({ seconds: 6, rounds: 2 })
})

it('draws work to scale and leaves monitoring out', () => {
  const attempt = buildAttempt({
    phases: [span('planning', 0, 2), span('execution', 2, 8), span('monitoring', 8, 500)],
  })
  expect(workSeconds(attempt, T)).toBe(8)
  expect(barsOf(attempt, 16, T).map(({ start, width }) => [start, width])).toEqual([
    [0, 0.125],
    [0.125, 0.375],
  ])
})

it('counts runs of the work, not of the watching afterwards', () => {
  const watched = { ...span('monitoring', 8, null), run: 2 }
  expect(runOf(buildAttempt({ run: 2, phases: [span('execution', 0, 8), watched] }))).toBe(1)
  expect(
    runOf(buildAttempt({ phases: [span('execution', 0, 4), { ...span('execution', 4, 8), run: 2 }] })),
  ).toBe(2)
})
