import { Ban, Check, Pencil, RotateCcw } from 'lucide-react'
import { useState } from 'react'
import { type TaskView, useCompleteTaskMutation, useRetryTaskMutation } from '@/shared/api'
import { newKey } from '@/shared/lib/ids'
import { useWhyNot } from '@/shared/lib/permissions'
import { runCommand } from '@/shared/lib/runCommand'
import { Button } from '@/shared/ui'
import { CancelTask } from './CancelTask'
import { EditTask } from './EditTask'
import { isCancellable, isCompletable, isEditable, isRetryable } from './queue'

export function TaskActions({ task }: { task: TaskView }) {
  const [retry, { isLoading }] = useRetryTaskMutation()
  const [complete, completing] = useCompleteTaskMutation()
  const [cancelling, setCancelling] = useState(false)
  const [editing, setEditing] = useState(false)
  const mayNotRetry = useWhyNot('retry_task')
  const mayNotSteer = useWhyNot('command')
  return (
    <>
      <Button
        icon={<Pencil aria-hidden />}
        disabledBecause={
          mayNotSteer ??
          (isEditable(task) ? null : 'The engine is working on this task; pause or cancel it first.')
        }
        onClick={() => setEditing(true)}
      >
        Edit
      </Button>
      {editing && (
        <EditTask taskId={task.id} customerId={task.customerId} onClose={() => setEditing(false)} />
      )}
      {isRetryable(task) && (
        <Button
          icon={<RotateCcw aria-hidden />}
          pending={isLoading}
          disabledBecause={mayNotRetry}
          onClick={() =>
            void runCommand(retry({ taskId: task.id, 'idempotency-key': newKey() }).unwrap(), {
              done: 'Put back into the queue',
            })
          }
        >
          Retry
        </Button>
      )}
      {isCompletable(task) && (
        <Button
          look="primary"
          icon={<Check aria-hidden />}
          pending={completing.isLoading}
          disabledBecause={mayNotSteer}
          onClick={() =>
            void runCommand(complete({ taskId: task.id, 'idempotency-key': newKey() }).unwrap(), {
              done: 'Task completed',
            })
          }
        >
          Mark as completed
        </Button>
      )}
      {isCancellable(task) && (
        <Button
          look="danger"
          icon={<Ban aria-hidden />}
          disabledBecause={mayNotSteer}
          onClick={() => setCancelling(true)}
        >
          Cancel task
        </Button>
      )}
      <CancelTask task={task} open={cancelling} onOpenChange={setCancelling} />
    </>
  )
}
