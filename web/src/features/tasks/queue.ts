import type { TaskStatus, TaskView } from '@/shared/api'
import { FINAL_TASK } from '@/shared/lib/words'

/** The queue's rules: which tasks stand where, and what a move says to the engine. Pure. */

const RUNNING: ReadonlySet<TaskStatus> = new Set(['in_progress', 'verifying', 'error_solving'])

export const isMovable = (task: TaskView) => task.status === 'pending' || task.status === 'blocked'
export const isRetryable = (task: TaskView) =>
  task.status === 'failed' ||
  task.status === 'blocked' ||
  task.status === 'cancelled' ||
  task.status === 'skipped'
/** What is being worked on is not changed under the worker's hands. */
export const isEditable = (task: TaskView) => !RUNNING.has(task.status)
export const isCancellable = (task: TaskView) => !FINAL_TASK.has(task.status)
/** A task held by a person is completed by a person. */
export const isCompletable = (task: TaskView) =>
  (task.mode === 'manual' || task.assignee !== null) && isCancellable(task)
export const needsAnswer = (task: TaskView) => task.status === 'failed' || task.status === 'blocked'

export type QueueFilter = 'all' | 'open' | 'needs_you' | 'finished'

export const QUEUE_FILTERS: readonly QueueFilter[] = ['all', 'open', 'needs_you', 'finished']

const KEEPS: Record<QueueFilter, (task: TaskView) => boolean> = {
  all: () => true,
  open: (task) => !FINAL_TASK.has(task.status),
  needs_you: needsAnswer,
  finished: (task) => FINAL_TASK.has(task.status),
}

function rank(task: TaskView): number {
  if (RUNNING.has(task.status)) return 0
  if (!FINAL_TASK.has(task.status)) return 1
  return task.status === 'failed' ? 2 : 3
}

/** Running, then waiting in queue order, then failed, then the other finished ones, newest first. */
export function shownTasks(queue: readonly TaskView[], filter: QueueFilter): TaskView[] {
  const place = new Map(queue.map((task, index) => [task.id, index]))
  return queue
    .filter(KEEPS[filter])
    .sort(
      (a, b) =>
        rank(a) - rank(b) ||
        (rank(a) >= 2 ? (b.finishedAt ?? '').localeCompare(a.finishedAt ?? '') : 0) ||
        (place.get(a.id) ?? 0) - (place.get(b.id) ?? 0),
    )
}

export function countBy(queue: readonly TaskView[]): Record<QueueFilter, number> {
  const count = (filter: QueueFilter) => queue.filter(KEEPS[filter]).length
  return {
    all: queue.length,
    open: count('open'),
    needs_you: count('needs_you'),
    finished: count('finished'),
  }
}

export interface Move {
  /** The task to stand before; null: the end of the queue. */
  before: string | null
  /** The place afterwards among the movable tasks, from one. */
  position: number
  of: number
}

/** What to ask for so that the task stands at `index` (from zero) among the movable tasks; null: it stands there. */
export function moveTo(queue: readonly TaskView[], id: string, index: number): Move | null {
  const movable = queue.filter(isMovable)
  const at = movable.findIndex((task) => task.id === id)
  const target = Math.min(movable.length - 1, Math.max(0, index))
  if (at === -1 || target === at) return null
  const others = movable.filter((task) => task.id !== id)
  return { before: others[target]?.id ?? null, position: target + 1, of: movable.length }
}

export function indexOf(queue: readonly TaskView[], id: string): number {
  return queue.filter(isMovable).findIndex((task) => task.id === id)
}
