import { useNavigate } from '@tanstack/react-router'
import { GitCompareArrows, Hand, RotateCcw, Undo2 } from 'lucide-react'
import { useState } from 'react'
import {
  type AttemptView,
  useListAttemptsOfTaskQuery,
  useReleaseAttemptMutation,
  useSendAttemptBackMutation,
  useTakeAttemptOverMutation,
} from '@/shared/api'
import { newKey } from '@/shared/lib/ids'
import { useWhyNot } from '@/shared/lib/permissions'
import { runCommand } from '@/shared/lib/runCommand'
import { useForm } from '@/shared/lib/useForm'
import { OUTCOME_NAME } from '@/shared/lib/words'
import { Button, CopyLine, Field, FormDialog, Menu, MenuItem, Notice } from '@/shared/ui'
import { checkoutCommand, handBackCommand, whyNotAgain, whyNotBack } from './again'
import { RunAgain } from './RunAgain'
import { useQueuedAgain } from './useQueuedAgain'

/** What a developer does with an attempt: again, back, by hand, beside another one. */
export function AttemptActions({ attempt }: { attempt: AttemptView }) {
  const [open, setOpen] = useState<'again' | 'back' | 'over' | null>(null)
  const mayNotRetry = useWhyNot('retry_task')
  const mayNotTake = useWhyNot('take_over')
  const close = () => setOpen(null)
  return (
    <>
      <Button
        icon={<RotateCcw aria-hidden />}
        disabledBecause={mayNotRetry ?? whyNotAgain(attempt)}
        onClick={() => setOpen('again')}
      >
        Run again
      </Button>
      <Button
        icon={<Undo2 aria-hidden />}
        disabledBecause={mayNotRetry ?? whyNotBack(attempt)}
        onClick={() => setOpen('back')}
      >
        Send back
      </Button>
      {!attempt.takenOverBy && (
        <Button icon={<Hand aria-hidden />} disabledBecause={mayNotTake} onClick={() => setOpen('over')}>
          Take over
        </Button>
      )}
      <Compare attempt={attempt} />
      {open === 'again' && <RunAgain attempt={attempt} onClose={close} />}
      {open === 'back' && <SendBack attempt={attempt} onClose={close} />}
      {open === 'over' && <TakeOver attempt={attempt} onClose={close} />}
    </>
  )
}

interface Props {
  attempt: AttemptView
  onClose: () => void
}

function SendBack({ attempt, onClose }: Props) {
  const [send] = useSendAttemptBackMutation()
  const form = useForm({
    initial: { remarks: '' },
    check: ({ remarks }): Record<string, string> =>
      remarks.trim() ? {} : { remarks: 'Say what is to be done differently.' },
    send: ({ remarks }, key) =>
      send({
        attemptId: attempt.id,
        'idempotency-key': key,
        sendBackInput: { remarks: remarks.trim() },
      }).unwrap(),
    onDone: useQueuedAgain(attempt.taskId, 'Sent back; the task is in the queue again', onClose),
  })
  return (
    <FormDialog
      open
      onOpenChange={onClose}
      title="Send back with remarks"
      description="The next attempt goes on from this one's work and hears your remarks first."
      form={form}
      action="Send back"
    >
      <Field label="Remarks" error={form.errors.remarks}>
        {(control) => (
          <textarea
            {...control}
            rows={6}
            value={form.values.remarks}
            onChange={(event) => form.set('remarks', event.target.value)}
          />
        )}
      </Field>
    </FormDialog>
  )
}

function TakeOver({ attempt, onClose }: Props) {
  const [take] = useTakeAttemptOverMutation()
  const form = useForm({
    initial: {},
    send: (_values, key) => take({ attemptId: attempt.id, 'idempotency-key': key }).unwrap(),
    done: () => 'The task is held for you',
    onDone: onClose,
  })
  return (
    <FormDialog
      open
      onOpenChange={onClose}
      title="Take over"
      description={
        attempt.outcome === null
          ? 'The agent is stopped, what it has done is saved, and the task is held for you.'
          : 'The task is held for you until you hand it back.'
      }
      form={form}
      action="Take over"
    >
      <p>To get the work into a clone of your own, run this where you work; it takes over by itself too:</p>
      <CopyLine text={checkoutCommand(attempt.id)} label="Command to check out" />
    </FormDialog>
  )
}

/** Who holds the task, how to get at the work, and how to give it back. */
export function TakenOver({ attempt }: { attempt: AttemptView }) {
  const [release, { isLoading }] = useReleaseAttemptMutation()
  const mayNot = useWhyNot('take_over')
  if (!attempt.takenOverBy) return null
  return (
    <Notice
      tone="needs_you"
      title={`${attempt.takenOverBy} has taken this over`}
      action={
        <Button
          pending={isLoading}
          disabledBecause={mayNot}
          onClick={() =>
            void runCommand(release({ attemptId: attempt.id, 'idempotency-key': newKey() }).unwrap(), {
              done: 'Released: the engine may go on with the task',
            })
          }
        >
          Release
        </Button>
      }
    >
      Check the work out, commit, and hand it back; gates and delivery follow as for an agent's work.
      <CopyLine text={checkoutCommand(attempt.id)} label="Command to check out" />
      <CopyLine text={handBackCommand(attempt.id)} label="Command to hand back" />
    </Notice>
  )
}

function Compare({ attempt }: { attempt: AttemptView }) {
  const { data } = useListAttemptsOfTaskQuery({ taskId: attempt.taskId }, { refetchOnMountOrArgChange: true })
  const navigate = useNavigate()
  const others = (data?.attempts ?? []).filter(({ id }) => id !== attempt.id)
  const because = others.length === 0 ? 'It is the only attempt at its task.' : null
  const button = (
    <Button icon={<GitCompareArrows aria-hidden />} disabledBecause={because}>
      Compare
    </Button>
  )
  if (because) return button
  return (
    <Menu trigger={button}>
      {others.map((other) => (
        <MenuItem
          key={other.id}
          onSelect={() =>
            void navigate({ to: '/attempts/$id/compare/$other', params: { id: attempt.id, other: other.id } })
          }
        >
          Attempt {other.number}, {other.outcome ? OUTCOME_NAME[other.outcome].toLowerCase() : 'running'}
        </MenuItem>
      ))}
    </Menu>
  )
}
