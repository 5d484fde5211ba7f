import { OctagonX } from 'lucide-react'
import { useRef, useState } from 'react'
import { useSelector } from 'react-redux'
import type { Problem } from '@/shared/api'
import { plural } from '@/shared/lib/format'
import { newKey } from '@/shared/lib/ids'
import { useWhyNot } from '@/shared/lib/permissions'
import { runCommand } from '@/shared/lib/runCommand'
import { selectTotals } from '@/shared/state/selectors'
import { Button, ConfirmDialog, Field, Notice, ProblemNotice } from '@/shared/ui'
import { useEmergencyResumeMutation, useEmergencyStopMutation } from './executionsApi'

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
    const refusal = await runCommand(stop({ reason: text, key: key.current }).unwrap(), {
      done: 'Everything is stopped',
      quiet: true,
    })
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
          `Every open execution is paused and its running processes are frozen at once` +
          `${totals ? ` (${plural(totals.activeExecutions, 'active execution')}, ${plural(totals.runningAttempts, 'running attempt')})` : ''}. ` +
          'Nothing is lost: “Resume all” lets them go on where they were.'
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
  const totals = useSelector(selectTotals)
  const notPermitted = useWhyNot('command')
  const [resume, { isLoading }] = useEmergencyResumeMutation()
  if (!totals?.emergencyStop) return null
  return (
    <Notice
      tone="error"
      title="Emergency stop is in force"
      action={
        <Button
          pending={isLoading}
          disabledBecause={notPermitted}
          onClick={() =>
            void runCommand(resume({ key: newKey() }).unwrap(), { done: 'All executions go on' })
          }
        >
          Resume all
        </Button>
      }
    >
      No execution goes on until somebody resumes them.
    </Notice>
  )
}
