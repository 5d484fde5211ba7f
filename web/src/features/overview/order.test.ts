import { expect, it } from 'vitest'
import { buildCard } from '@/testing/builders'
import { attentionCounts, orderedIds } from './order'

const cards = [
  buildCard({ id: 'done', name: 'a', executionStatus: 'completed', progress: 1 }),
  buildCard({ id: 'active-low', name: 'b', priorityClass: 'low_priority_customer' }),
  buildCard({ id: 'active-high', name: 'c', priorityClass: 'priority_customer', progress: 0.1 }),
  buildCard({ id: 'error', name: 'd', executionStatus: 'error' }),
  buildCard({ id: 'needs', name: 'e', needsYou: 2, executionStatus: 'completed' }),
  buildCard({ id: 'paused', name: 'f', executionStatus: 'paused', healthScore: 0.2 }),
  buildCard({ id: 'gone', name: 'g', archived: true }),
]
const all = { filter: 'all', sort: 'attention', text: '' } as const

it('shows first who needs somebody, then errors, then work, then rest; by priority inside', () => {
  expect(orderedIds(cards, all)).toEqual(['needs', 'error', 'active-high', 'active-low', 'paused', 'done'])
})

it('sorts by name, progress and health; equal ones by name', () => {
  expect(orderedIds(cards, { ...all, sort: 'name' })[0]).toBe('done')
  expect(orderedIds(cards, { ...all, sort: 'progress' })[0]).toBe('active-high')
  expect(orderedIds(cards, { ...all, sort: 'health' })[0]).toBe('paused')
})

it('filters by state and by text', () => {
  expect(orderedIds(cards, { ...all, filter: 'active' })).toEqual(['active-high', 'active-low'])
  expect(orderedIds(cards, { ...all, filter: 'needs_you' })).toEqual(['needs'])
  expect(orderedIds(cards, { ...all, text: 'D' })).toEqual(['error'])
})

it('counts each filter without the archived', () => {
  expect(attentionCounts(cards)).toEqual({
    all: 6,
    needs_you: 1,
    approvals: 0,
    incidents: 0,
    error: 1,
    active: 2,
    paused: 1,
    queued: 0,
  })
})
