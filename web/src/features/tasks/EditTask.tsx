import { useEffect } from 'react'
import { useSelector } from 'react-redux'
import { type TaskDetail, toProblem, useEditTaskMutation, useGetTaskQuery } from '@/shared/api'
import { useEdit } from '@/shared/lib/useEdit'
import { type LiveRoot, selectProjects, selectTaskTable } from '@/shared/state/selectors'
import { Button, Dialog, EditDialog, ProblemNotice, SkeletonLines } from '@/shared/ui'
import { isByAgent, TaskFields } from './TaskFields'
import { checkDraft, TASK_NAMES, taskDraftOf, taskPatch } from './taskDraft'

interface Props {
  taskId: string
  customerId: string
  onClose: () => void
}

/** Changes a task that is not being worked on; always from its newest state. */
export function EditTask({ taskId, customerId, onClose }: Props) {
  const { currentData: task, error, refetch } = useGetTaskQuery({ taskId }, { refetchOnMountOrArgChange: 5 })
  const live = useSelector((state: LiveRoot) => selectTaskTable(state, customerId)[taskId])
  const stale = task !== undefined && live !== undefined && live.version > task.version
  useEffect(() => {
    if (stale) void refetch()
  }, [stale, refetch])

  if (task) return <EditTaskForm task={task} onClose={onClose} />
  return (
    <Dialog open onOpenChange={onClose} title="Edit task">
      {error ? (
        <ProblemNotice
          problem={toProblem(error)}
          action={<Button onClick={() => void refetch()}>Try again</Button>}
        />
      ) : (
        <SkeletonLines count={4} />
      )}
    </Dialog>
  )
}

function EditTaskForm({ task, onClose }: { task: TaskDetail; onClose: () => void }) {
  const [change] = useEditTaskMutation()
  const projects = useSelector((state: LiveRoot) => selectProjects(state, task.customerId))
  const edit = useEdit({
    latest: task,
    draftOf: taskDraftOf,
    check: (draft) => checkDraft(draft, isByAgent(draft, projects)),
    send: (draft, changed, base) =>
      change({
        taskId: task.id,
        'if-match': `"${base.version}"`,
        taskPatch: taskPatch(draft, changed, base),
      }).unwrap(),
    done: () => 'Task changed',
    onDone: onClose,
  })
  return (
    <EditDialog title={`Edit “${task.title}”`} edit={edit} names={TASK_NAMES} onClose={onClose}>
      <TaskFields customerId={task.customerId} projects={projects} form={edit.form} existing={task.id} />
    </EditDialog>
  )
}
