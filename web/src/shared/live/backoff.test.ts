import { expect, it } from 'vitest'
import { backoffDelay, closeDecision } from './backoff'

it('doubles from half a second up to thirty', () => {
  expect([0, 1, 2, 5, 6, 50].map((attempt) => backoffDelay(attempt, 1))).toEqual([
    500, 1000, 2000, 16_000, 30_000, 30_000,
  ])
})

it('spreads over the whole span, but never hammers', () => {
  expect(backoffDelay(4, 0.5)).toBe(4000)
  expect(backoffDelay(4, 0)).toBe(100)
})

it.each([
  [4401, 'signed_out'],
  [4403, 'refused'],
  [4408, 'retry_soon'],
  [1012, 'retry_soon'],
  [1006, 'retry'],
  [4400, 'retry'],
] as const)('close code %i means %s', (code, decision) => expect(closeDecision(code)).toBe(decision))
