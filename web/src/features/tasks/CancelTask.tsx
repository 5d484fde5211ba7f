import { useState } from 'react'
import { type Problem, type TaskView, useCancelTaskMutation } from '@/shared/api'
import { newKey } from '@/shared/lib/ids'
import { runCommand } from '@/shared/lib/runCommand'
import { Button, ConfirmDialog, Field, ProblemNotice } from '@/shared/ui'

interface Props {
  task: TaskView
  open: boolean
  onOpenChange: (open: boolean) => void
}

export function CancelTask({ task, open, onOpenChange }: Props) {
  const [cancel, { isLoading }] = useCancelTaskMutation()
  const [reason, setReason] = useState('')
  const [problem, setProblem] = useState<Problem | null>(null)
  const running = task.startedAt !== null && task.finishedAt === null && task.status !== 'blocked'

  const submit = async () => {
    const refusal = await runCommand(
      cancel({
        taskId: task.id,
        wanted: { reason: reason.trim() || null },
        'idempotency-key': newKey(),
      }).unwrap(),
      { done: 'Task cancelled', quiet: true },
    )
    setProblem(refusal)
    if (!refusal) onOpenChange(false)
  }
  return (
    <ConfirmDialog
      open={open}
      onOpenChange={onOpenChange}
      title={`Cancel “${task.title}”?`}
      description={
        running
          ? 'Its processes are ended now and nothing of this attempt is delivered. Tasks that depend on it will be blocked.'
          : 'It will not be worked on. Tasks that depend on it will be blocked. It can be put back later.'
      }
      action={
        <Button look="danger-solid" pending={isLoading} onClick={() => void submit()}>
          Cancel the task
        </Button>
      }
    >
      <Field label="Reason">
        {(control) => (
          <input {...control} value={reason} onChange={(event) => setReason(event.target.value)} />
        )}
      </Field>
      <ProblemNotice problem={problem} />
    </ConfirmDialog>
  )
}
