import { Ban, Hourglass, Pause, Play, StepForward } from 'lucide-react'
import { useState } from 'react'
import styled from 'styled-components'
import {
  type CustomerCard,
  type PauseMode,
  usePauseExecutionMutation,
  useResumeExecutionMutation,
  useStartExecutionMutation,
} from '@/shared/api'
import { newKey } from '@/shared/lib/ids'
import { controlsFor, useWhyNot } from '@/shared/lib/permissions'
import { runCommand } from '@/shared/lib/runCommand'
import { Button, t } from '@/shared/ui'
import { AbortDialog } from './AbortDialog'

const Row = styled.div`
  display: flex;
  flex-wrap: wrap;
  gap: ${t.space.s};
`

interface Props {
  card: CustomerCard
  /** On a card: only what makes sense now. On the customer's page: everything, with the reason where it is off. */
  compact?: boolean
}

export function ExecutionControls({ card, compact = false }: Props) {
  const notPermitted = useWhyNot('command')
  const [start, starting] = useStartExecutionMutation()
  const [pause, pausing] = usePauseExecutionMutation()
  const [resume, resuming] = useResumeExecutionMutation()
  const [aborting, setAborting] = useState(false)
  const sensible = controlsFor(card, null)
  const { start: s, pause: p, resume: r, abort: a } = controlsFor(card, notPermitted)
  const open = sensible.start.disabledBecause !== null && !card.archived
  const size = compact ? 's' : 'm'
  const executionId = card.executionId ?? ''
  const doPause = (mode: PauseMode) =>
    void runCommand(pause({ executionId, pauseInput: { mode }, 'idempotency-key': newKey() }).unwrap())
  const shown = (state: { disabledBecause: string | null }) => !compact || state.disabledBecause === null

  return (
    <Row>
      {!open && (
        <Button
          look={card.tasksPending > 0 ? 'primary' : 'normal'}
          size={size}
          icon={<Play aria-hidden />}
          pending={starting.isLoading}
          disabledBecause={s.disabledBecause}
          onClick={() =>
            void runCommand(
              start({ startInput: { customerId: card.id }, 'idempotency-key': newKey() }).unwrap(),
            )
          }
        >
          Start
        </Button>
      )}
      {open && shown(sensible.pause) && (
        <Button
          size={size}
          icon={<Pause aria-hidden />}
          pending={pausing.isLoading && pausing.originalArgs?.pauseInput.mode === 'now'}
          disabledBecause={
            p.disabledBecause ?? (card.pauseRequested === 'now' ? 'A pause is on its way.' : null)
          }
          onClick={() => doPause('now')}
        >
          Pause
        </Button>
      )}
      {open && !compact && (
        <Button
          icon={<Hourglass aria-hidden />}
          pending={pausing.isLoading && pausing.originalArgs?.pauseInput.mode === 'after_current_task'}
          disabledBecause={
            p.disabledBecause ?? (card.pauseRequested ? 'A pause is requested already.' : null)
          }
          onClick={() => doPause('after_current_task')}
        >
          Pause after current task
        </Button>
      )}
      {open && shown(sensible.resume) && (
        <Button
          size={size}
          look={card.executionStatus === 'paused' || card.executionStatus === 'error' ? 'primary' : 'normal'}
          icon={<StepForward aria-hidden />}
          pending={resuming.isLoading}
          disabledBecause={r.disabledBecause}
          onClick={() => void runCommand(resume({ executionId, 'idempotency-key': newKey() }).unwrap())}
        >
          Resume
        </Button>
      )}
      {open && (
        <Button
          size={size}
          look={compact ? 'quiet' : 'danger'}
          icon={<Ban aria-hidden />}
          disabledBecause={a.disabledBecause}
          onClick={() => setAborting(true)}
        >
          Abort
        </Button>
      )}
      {card.executionId && (
        <AbortDialog card={card} executionId={card.executionId} open={aborting} onOpenChange={setAborting} />
      )}
    </Row>
  )
}
