import { Link } from '@tanstack/react-router'
import {
  ArrowDown,
  ArrowDownToLine,
  ArrowUp,
  ArrowUpToLine,
  Ban,
  Check,
  EllipsisVertical,
  GripVertical,
  Pencil,
  RotateCcw,
  User,
} from 'lucide-react'
import { type KeyboardEvent, memo, useState } from 'react'
import styled from 'styled-components'
import { type TaskView, useCompleteTaskMutation, useRetryTaskMutation } from '@/shared/api'
import { duration, plural } from '@/shared/lib/format'
import { newKey } from '@/shared/lib/ids'
import { useWhyNot } from '@/shared/lib/permissions'
import { runCommand } from '@/shared/lib/runCommand'
import { FINAL_TASK } from '@/shared/lib/words'
import { Button, Menu, MenuItem, MenuSeparator, Muted, TaskStatusBadge, t } from '@/shared/ui'
import { CancelTask } from './CancelTask'
import { EditTask } from './EditTask'
import { isCancellable, isCompletable, isEditable, isRetryable } from './queue'

const Root = styled.li`
  display: grid;
  grid-template-columns: 24px minmax(0, 1fr) auto auto;
  gap: 2px ${t.space.s};
  align-items: center;
  min-height: 44px;
  padding: 7px ${t.space.m} 7px 6px;
  & + & { border-top: 1px solid ${t.color.line}; }
  &:hover { background: ${t.color.surface}; }
  &[data-over='before'] { box-shadow: inset 0 2px 0 ${t.color.accent}; }
  &[data-over='after'] { box-shadow: inset 0 -2px 0 ${t.color.accent}; }
  &[data-dragged] { opacity: 0.5; }
  ${t.narrow} { grid-template-columns: 24px minmax(0, 1fr) auto; [data-badge] { grid-column: 2; grid-row: 2; justify-self: start; } }
`
const Handle = styled.button`
  display: grid;
  place-items: center;
  width: 24px;
  height: 28px;
  padding: 0;
  border: 0;
  border-radius: ${t.radius.s};
  background: none;
  color: ${t.color.muted};
  cursor: grab;
  svg { width: 15px; height: 15px; }
  &:hover { background: ${t.color.sunken}; }
`
const Title = styled.div`
  min-width: 0;
  a { display: block; color: inherit; font-weight: 500; text-decoration: none; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  a:hover { text-decoration: underline; }
  &[data-final] a { color: ${t.color.muted}; font-weight: 400; }
`
const Facts = styled.div`
  display: flex;
  flex-wrap: wrap;
  gap: 0 ${t.space.m};
  overflow-wrap: anywhere;
  svg { width: 12px; height: 12px; vertical-align: -1px; }
  [data-reason] { color: ${t.color.fg}; font-size: ${t.text.s}; }
`

interface Props {
  task: TaskView
  titles: ReadonlyMap<string, TaskView>
  /** Place among the movable tasks from zero; null: cannot be moved. */
  place: number | null
  last: number
  dragged: boolean
  onMove: (id: string, index: number) => void
  onDrag: (id: string | null) => void
  onDrop: (target: TaskView, after: boolean) => void
}

export const TaskRow = memo(function TaskRow(props: Props) {
  const { task, titles, place, last, dragged, onMove, onDrag, onDrop } = props
  const [over, setOver] = useState<'before' | 'after' | null>(null)
  const notPermitted = useWhyNot('command')
  const onKey = (event: KeyboardEvent) => {
    if (!event.altKey || place === null) return
    if (event.key !== 'ArrowUp' && event.key !== 'ArrowDown') return
    event.preventDefault()
    onMove(task.id, place + (event.key === 'ArrowUp' ? -1 : 1))
  }
  const waitsFor = task.dependsOn
    .map((id) => titles.get(id))
    .filter((other): other is TaskView => other !== undefined && other.status !== 'completed')
  return (
    <Root
      data-over={over ?? undefined}
      data-dragged={dragged || undefined}
      onDragOver={(event) => {
        if (place === null) return
        event.preventDefault()
        const box = event.currentTarget.getBoundingClientRect()
        setOver(event.clientY > box.top + box.height / 2 ? 'after' : 'before')
      }}
      onDragLeave={() => setOver(null)}
      onDrop={(event) => {
        event.preventDefault()
        if (over) onDrop(task, over === 'after')
        setOver(null)
      }}
    >
      {place !== null && !notPermitted ? (
        <Handle
          type="button"
          draggable
          data-handle={task.id}
          aria-label={`Reorder ${task.title}`}
          title="Drag, or Alt with the up and down arrows"
          aria-keyshortcuts="Alt+ArrowUp Alt+ArrowDown"
          onKeyDown={onKey}
          onDragStart={(event) => {
            event.dataTransfer.effectAllowed = 'move'
            event.dataTransfer.setData('text/plain', task.title)
            const row = event.currentTarget.closest('li')
            if (row) event.dataTransfer.setDragImage(row, 12, 12)
            onDrag(task.id)
          }}
          onDragEnd={() => onDrag(null)}
        >
          <GripVertical aria-hidden />
        </Handle>
      ) : (
        <span />
      )}
      <Title data-final={task.finishedAt && task.status !== 'failed' ? true : undefined}>
        <Link to="/tasks/$id" params={{ id: task.id }} title={task.title}>
          {task.title}
        </Link>
        <Facts>
          {task.statusReason && <span data-reason>{task.statusReason.text}</span>}
          {waitsFor.length > 0 && (
            <Muted>after {waitsFor.map((other) => `“${other.title}”`).join(', ')}</Muted>
          )}
          {task.attempts > 1 && <Muted>{plural(task.attempts, 'attempt')}</Muted>}
          {task.estimateSeconds !== null && <Muted>estimate {duration(task.estimateSeconds)}</Muted>}
          {task.mode === 'manual' && <Muted>manual</Muted>}
          {task.assignee && (
            <Muted>
              <User aria-hidden /> {task.assignee}
            </Muted>
          )}
        </Facts>
      </Title>
      <span data-badge>
        <TaskStatusBadge status={task.status} />
      </span>
      <TaskMenu task={task} place={place} last={last} onMove={onMove} />
    </Root>
  )
})

function TaskMenu({ task, place, last, onMove }: Pick<Props, 'task' | 'place' | 'last' | 'onMove'>) {
  const [retry] = useRetryTaskMutation()
  const [complete] = useCompleteTaskMutation()
  const [cancelling, setCancelling] = useState(false)
  const [editing, setEditing] = useState(false)
  const mayNotRetry = useWhyNot('retry_task')
  const mayNotSteer = useWhyNot('command')
  const retryable = isRetryable(task)
  const cancellable = isCancellable(task)
  const moves: [string, number, typeof ArrowUp][] =
    place === null
      ? []
      : [
          ['Move to the top', 0, ArrowUpToLine],
          ['Move up', place - 1, ArrowUp],
          ['Move down', place + 1, ArrowDown],
          ['Move to the end', last, ArrowDownToLine],
        ]
  if (!retryable && !cancellable && moves.length === 0) return <span style={{ width: 26 }} />
  return (
    <>
      <Menu
        trigger={
          <Button
            look="quiet"
            size="s"
            iconOnly
            aria-label={`Actions for ${task.title}`}
            icon={<EllipsisVertical aria-hidden />}
          />
        }
      >
        {retryable && (
          <MenuItem
            icon={<RotateCcw aria-hidden />}
            disabledBecause={mayNotRetry}
            onSelect={() =>
              void runCommand(retry({ taskId: task.id, 'idempotency-key': newKey() }).unwrap(), {
                done: 'Put back into the queue',
              })
            }
          >
            Retry
          </MenuItem>
        )}
        {isCompletable(task) && (
          <MenuItem
            icon={<Check aria-hidden />}
            disabledBecause={mayNotSteer}
            onSelect={() =>
              void runCommand(complete({ taskId: task.id, 'idempotency-key': newKey() }).unwrap(), {
                done: 'Task completed',
              })
            }
          >
            Mark as completed
          </MenuItem>
        )}
        {isEditable(task) && !FINAL_TASK.has(task.status) && (
          <MenuItem
            icon={<Pencil aria-hidden />}
            disabledBecause={mayNotSteer}
            onSelect={() => setEditing(true)}
          >
            Edit
          </MenuItem>
        )}
        {moves.map(([name, index, Icon]) => (
          <MenuItem
            key={name}
            icon={<Icon aria-hidden />}
            disabledBecause={mayNotSteer}
            onSelect={() => onMove(task.id, index)}
          >
            {name}
          </MenuItem>
        ))}
        {cancellable && (
          <>
            <MenuSeparator />
            <MenuItem
              icon={<Ban aria-hidden />}
              disabledBecause={mayNotSteer}
              onSelect={() => setCancelling(true)}
            >
              Cancel task
            </MenuItem>
          </>
        )}
      </Menu>
      {editing && (
        <EditTask taskId={task.id} customerId={task.customerId} onClose={() => setEditing(false)} />
      )}
      <CancelTask task={task} open={cancelling} onOpenChange={setCancelling} />
    </>
  )
}
