import { OctagonX } from 'lucide-react'
import { useRef, useState } from 'react'
import { useSelector } from 'react-redux'
import { type Problem, useEmergencyResumeMutation, useEmergencyStopMutation } from '@/shared/api'
import { plural } from '@/shared/lib/format'
import { newKey } from '@/shared/lib/ids'
import { useWhyNot } from '@/shared/lib/permissions'
import { runCommand } from '@/shared/lib/runCommand'
import { selectStoppedCount, selectTotals } from '@/shared/state/selectors'
import { Button, ConfirmDialog, Field, Notice, ProblemNotice } from '@/shared/ui'

const WORD = 'STOP'

/** Stops every execution at once; two steps, the second with a typed word. */
export function EmergencyStop() {
  const [open, setOpen] = useState(false)
  const [word, setWord] = useState('')
  const [reason, setReason] = useState('')
  const [problem, setProblem] = useState<Problem | null>(null)
  const [stop, { isLoading }] = useEmergencyStopMutation()
  const totals = useSelector(selectTotals)
  const notPermitted = useWhyNot('command')
  const key = useRef(newKey())

  const change = (next: boolean) => {
    setOpen(next)
    setWord('')
    setProblem(null)
  }
  const submit = async () => {
    const text = reason.trim() || 'Emergency stop on the page'
    const refusal = await runCommand(
      stop({ reasonInput: { reason: text }, 'idempotency-key': key.current }).unwrap(),
      {
        done: 'Everything is stopped',
        quiet: true,
      },
    )
    key.current = newKey()
    if (refusal) setProblem(refusal)
    else change(false)
  }

  return (
    <>
      <Button
        look="danger"
        icon={<OctagonX aria-hidden />}
        disabledBecause={notPermitted}
        onClick={() => change(true)}
      >
        Emergency stop
      </Button>
      <ConfirmDialog
        open={open}
        onOpenChange={change}
        title="Stop everything now?"
        description={
          `Every running attempt is killed at once and every open execution is paused` +
          `${totals ? ` (${plural(totals.activeExecutions, 'active execution')}, ${plural(totals.runningAttempts, 'running attempt')})` : ''}. ` +
          'Their tasks go back to the queue and what was delivered stays. “Resume all” lets the executions go on.'
        }
        action={
          <Button
            look="danger-solid"
            icon={<OctagonX aria-hidden />}
            pending={isLoading}
            disabledBecause={word.trim() === WORD ? null : `Type ${WORD} first.`}
            onClick={() => void submit()}
          >
            Stop everything
          </Button>
        }
      >
        <Field label="Reason">
          {(control) => (
            <input {...control} value={reason} onChange={(event) => setReason(event.target.value)} />
          )}
        </Field>
        <Field label={`Type ${WORD} to confirm`}>
          {(control) => (
            <input
              {...control}
              autoComplete="off"
              data-mono
              value={word}
              onChange={(event) => setWord(event.target.value)}
            />
          )}
        </Field>
        <ProblemNotice problem={problem} />
      </ConfirmDialog>
    </>
  )
}

/** Says that everything is stopped, and offers to go on. */
export function EmergencyBanner() {
  const stopped = useSelector(selectStoppedCount)
  const notPermitted = useWhyNot('command')
  const [resume, { isLoading }] = useEmergencyResumeMutation()
  if (stopped === 0) return null
  return (
    <Notice
      tone="error"
      title="Emergency stop is in force"
      action={
        <Button
          pending={isLoading}
          disabledBecause={notPermitted}
          onClick={() =>
            void runCommand(resume({ 'idempotency-key': newKey() }).unwrap(), {
              done: 'All executions go on',
            })
          }
        >
          Resume all
        </Button>
      }
    >
      {plural(stopped, 'execution')} {stopped === 1 ? 'is' : 'are'} paused by it until somebody resumes.
    </Notice>
  )
}
