import { expect, it } from 'vitest'
import { buildTask } from '@/testing/builders'
import { countBy, isCompletable, moveTo, shownTasks } from './queue'

const queue = [
  buildTask({ id: 'done', status: 'completed', finishedAt: '2026-11-24T09:00:00Z' }),
  buildTask({ id: 'failed', status: 'failed', finishedAt: '2026-11-24T09:30:00Z' }),
  buildTask({ id: 'a' }),
  buildTask({ id: 'running', status: 'in_progress' }),
  buildTask({ id: 'b', status: 'blocked' }),
  buildTask({ id: 'c' }),
]

it('shows what runs, then what waits in queue order, then what failed, then what is done', () => {
  expect(shownTasks(queue, 'all').map((task) => task.id)).toEqual([
    'running',
    'a',
    'b',
    'c',
    'failed',
    'done',
  ])
  expect(shownTasks(queue, 'needs_you').map((task) => task.id)).toEqual(['b', 'failed'])
  expect(countBy(queue)).toEqual({ all: 6, open: 4, needs_you: 2, finished: 2 })
})

it.each([
  ['c', 0, { before: 'a', position: 1, of: 3 }],
  ['a', 1, { before: 'c', position: 2, of: 3 }],
  ['a', 2, { before: null, position: 3, of: 3 }],
  ['a', 99, { before: null, position: 3, of: 3 }],
  ['a', -1, null],
  ['running', 0, null],
] as const)('moving %s to place %i asks for %o', (id, index, move) => {
  expect(moveTo(queue, id, index)).toEqual(move)
})

it('lets people complete only what people do', () => {
  expect(isCompletable(buildTask({ mode: 'manual' }))).toBe(true)
  expect(isCompletable(buildTask({ mode: 'autonomous' }))).toBe(false)
  expect(isCompletable(buildTask({ mode: 'autonomous', assignee: 'Ann' }))).toBe(true)
  expect(isCompletable(buildTask({ mode: 'manual', status: 'completed' }))).toBe(false)
})
