import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { useSelector } from 'react-redux'
import styled from 'styled-components'
import { type TaskView, useMoveTaskMutation } from '@/shared/api'
import { newKey } from '@/shared/lib/ids'
import { runCommand } from '@/shared/lib/runCommand'
import { type LiveRoot, selectTasks } from '@/shared/state/selectors'
import { Button, Empty, t, VisuallyHidden } from '@/shared/ui'
import { countBy, indexOf, isMovable, moveTo, QUEUE_FILTERS, type QueueFilter, shownTasks } from './queue'
import { TaskRow } from './TaskRow'

const PAGE = 100

const Filters = styled.div`
  display: flex;
  flex-wrap: wrap;
  gap: 6px;
  padding: ${t.space.s} ${t.space.l};
  border-bottom: 1px solid ${t.color.line};
`
const List = styled.ol`
  max-height: min(640px, 70dvh);
  overflow-y: auto;
`
const FILTER_NAME: Record<QueueFilter, string> = {
  all: 'All',
  open: 'Open',
  needs_you: 'Needs you',
  finished: 'Finished',
}

export function Queue({ customerId }: { customerId: string }) {
  const queue = useSelector((state: LiveRoot) => selectTasks(state, customerId))
  const [filter, setFilter] = useState<QueueFilter>('all')
  const [limit, setLimit] = useState(PAGE)
  const shown = useMemo(() => shownTasks(queue, filter), [queue, filter])
  const counts = useMemo(() => countBy(queue), [queue])
  const titles = useMemo(() => new Map(queue.map((task) => [task.id, task])), [queue])
  const { move, said, dragged, setDragged } = useMoves(queue)

  if (queue.length === 0) {
    return (
      <Empty title="The queue is empty">Add a task; the engine takes it up when an execution is open.</Empty>
    )
  }
  const drop = (target: TaskView, after: boolean) => {
    if (!dragged || dragged === target.id) return
    const from = indexOf(queue, dragged)
    const over = indexOf(queue, target.id)
    const gap = after ? over + 1 : over
    move(dragged, gap > from ? gap - 1 : gap)
  }
  return (
    <>
      <Filters role="group" aria-label="Filter tasks">
        {QUEUE_FILTERS.map((each) => (
          <Button key={each} size="s" aria-pressed={filter === each} onClick={() => setFilter(each)}>
            {FILTER_NAME[each]} {counts[each]}
          </Button>
        ))}
      </Filters>
      {shown.length === 0 ? (
        <Empty title={`No task under “${FILTER_NAME[filter]}”`} />
      ) : (
        <List aria-label="Tasks">
          {shown.slice(0, limit).map((task) => (
            <TaskRow
              key={task.id}
              task={task}
              titles={titles}
              place={isMovable(task) ? indexOf(queue, task.id) : null}
              last={counts.open - 1}
              dragged={dragged === task.id}
              onMove={move}
              onDrag={setDragged}
              onDrop={drop}
            />
          ))}
        </List>
      )}
      {shown.length > limit && (
        <Filters>
          <Button size="s" onClick={() => setLimit(limit + PAGE)}>
            Show {Math.min(PAGE, shown.length - limit)} more of {shown.length}
          </Button>
        </Filters>
      )}
      <VisuallyHidden role="status">{said}</VisuallyHidden>
    </>
  )
}

/** Moves by keys, menu or drag: asks the engine, says what happened, and keeps the focus on the moved task. */
function useMoves(queue: readonly TaskView[]) {
  const [ask] = useMoveTaskMutation()
  const [said, setSaid] = useState('')
  const [dragged, setDragged] = useState<string | null>(null)
  const moved = useRef<string | null>(null)

  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when the order has changed
  useEffect(() => {
    if (!moved.current || document.activeElement !== document.body) return
    document.querySelector<HTMLElement>(`[data-handle="${moved.current}"]`)?.focus()
  }, [queue])

  const move = useCallback(
    (id: string, index: number) => {
      const wanted = moveTo(queue, id, index)
      if (!wanted) return
      moved.current = id
      void runCommand(
        ask({ taskId: id, taskMove: { before: wanted.before }, 'idempotency-key': newKey() }).unwrap(),
      ).then((refusal) => {
        const title = queue.find((task) => task.id === id)?.title ?? 'The task'
        setSaid(
          refusal
            ? `${title} was not moved`
            : `${title} moved to position ${wanted.position} of ${wanted.of}`,
        )
      })
    },
    [queue, ask],
  )
  return { move, said, dragged, setDragged }
}
