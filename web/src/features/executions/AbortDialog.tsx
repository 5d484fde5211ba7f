import { Ban } from 'lucide-react'
import { useRef, useState } from 'react'
import { type CustomerCard, fieldErrors, type Problem, useAbortExecutionMutation } from '@/shared/api'
import { plural } from '@/shared/lib/format'
import { newKey } from '@/shared/lib/ids'
import { runCommand } from '@/shared/lib/runCommand'
import { Button, ConfirmDialog, Field, ProblemNotice } from '@/shared/ui'

interface Props {
  card: CustomerCard
  executionId: string
  open: boolean
  onOpenChange: (open: boolean) => void
}

function consequence(card: CustomerCard): string {
  const running = card.currentTask
    ? `The task “${card.currentTask.title}” is stopped now, its processes are ended and it goes back to the queue. `
    : ''
  return (
    `${running}What was delivered stays: commits and branches are kept. ` +
    `${plural(card.tasksPending, 'pending task')} stay${card.tasksPending === 1 ? 's' : ''} in the queue for a new execution. ` +
    'An aborted execution cannot be resumed.'
  )
}

export function AbortDialog({ card, executionId, open, onOpenChange }: Props) {
  const [reason, setReason] = useState('')
  const [problem, setProblem] = useState<Problem | null>(null)
  const [abort, { isLoading }] = useAbortExecutionMutation()
  const key = useRef(newKey())

  const submit = async () => {
    const text = reason.trim() || 'Aborted on the page'
    const refusal = await runCommand(
      abort({ executionId, reasonInput: { reason: text }, 'idempotency-key': key.current }).unwrap(),
      {
        done: `Execution of ${card.name} aborted`,
        quiet: true,
      },
    )
    setProblem(refusal)
    if (refusal) {
      if (refusal.status > 0) key.current = newKey()
      return
    }
    setReason('')
    key.current = newKey()
    onOpenChange(false)
  }

  return (
    <ConfirmDialog
      open={open}
      onOpenChange={onOpenChange}
      title={`Abort the execution of ${card.name}?`}
      description={consequence(card)}
      action={
        <Button
          look="danger-solid"
          icon={<Ban aria-hidden />}
          pending={isLoading}
          onClick={() => void submit()}
        >
          Abort execution
        </Button>
      }
    >
      <Field label="Reason" hint="Stands in the activity list." error={fieldErrors(problem).reason}>
        {(control) => (
          <textarea
            {...control}
            rows={2}
            value={reason}
            onChange={(event) => setReason(event.target.value)}
          />
        )}
      </Field>
      <ProblemNotice problem={problem} />
    </ConfirmDialog>
  )
}
