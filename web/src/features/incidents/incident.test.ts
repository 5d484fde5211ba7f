import { expect, it } from 'vitest'
import { buildIncident } from '@/testing/builders'
import { canAcknowledge, ordered, statesOf } from './incident'

it('puts the worst of what is not settled first, and what is settled last', () => {
  const sorted = ordered([
    buildIncident({ id: 'settled', class: 'CRITICAL', status: 'resolved' }),
    buildIncident({ id: 'mild', class: 'RECOVERABLE' }),
    buildIncident({ id: 'old', class: 'CRITICAL', lastAt: '2026-11-24T01:00:00.000Z' }),
    buildIncident({ id: 'new', class: 'CRITICAL', lastAt: '2026-11-24T02:00:00.000Z' }),
  ])
  expect(sorted.map(({ id }) => id)).toEqual(['new', 'old', 'mild', 'settled'])
})

it('asks for the states that a filter means', () => {
  expect(statesOf('all')).toEqual([])
  expect(statesOf('unresolved')).not.toContain('resolved')
  expect(statesOf('resolved')).toEqual(['resolved'])
})

it('lets nobody acknowledge what recovers by itself or is settled', () => {
  expect(canAcknowledge({ status: 'open' })).toBe(true)
  expect(canAcknowledge({ status: 'recovering' })).toBe(false)
  expect(canAcknowledge({ status: 'resolved' })).toBe(false)
})
