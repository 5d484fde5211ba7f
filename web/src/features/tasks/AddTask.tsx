import { Plus } from 'lucide-react'
import { useState } from 'react'
import { useSelector } from 'react-redux'
import { type ProjectView, useAddTaskMutation } from '@/shared/api'
import { useWhyNot } from '@/shared/lib/permissions'
import { useForm } from '@/shared/lib/useForm'
import { type LiveRoot, selectProjects } from '@/shared/state/selectors'
import { Button, FormDialog } from '@/shared/ui'
import { isByAgent, TaskFields } from './TaskFields'
import { checkDraft, EMPTY_DRAFT, type TaskDraft, toNewTask } from './taskDraft'

export function AddTask({ customerId }: { customerId: string }) {
  const [open, setOpen] = useState(false)
  const projects = useSelector((state: LiveRoot) => selectProjects(state, customerId))
  const notPermitted = useWhyNot('command')
  const because = notPermitted ?? (projects.length === 0 ? 'Add a project first.' : null)
  const [add] = useAddTaskMutation()
  const placed = (draft: TaskDraft) => ({ ...draft, projectId: draft.projectId || onlyOne(projects) })
  const form = useForm<TaskDraft>({
    initial: EMPTY_DRAFT,
    check: (draft) => checkDraft(placed(draft), isByAgent(draft, projects)),
    send: (draft, key) =>
      add({ customerId, 'idempotency-key': key, taskInput: toNewTask(placed(draft)) }).unwrap(),
    done: () => 'Task added',
    onDone: () => setOpen(false),
  })
  return (
    <>
      <Button
        look="primary"
        size="s"
        icon={<Plus aria-hidden />}
        disabledBecause={because}
        onClick={() => setOpen(true)}
      >
        Add task
      </Button>
      <FormDialog
        open={open}
        onOpenChange={setOpen}
        title="Add a task"
        form={form}
        action="Add to the queue"
        wide
      >
        <TaskFields customerId={customerId} projects={projects} form={form} />
      </FormDialog>
    </>
  )
}

/** Where there is but one project, nobody is asked which. */
const onlyOne = (projects: ProjectView[]) => (projects.length === 1 ? (projects[0]?.id ?? '') : '')
