import { Link } from '@tanstack/react-router'
import styled from 'styled-components'
import type { AttemptView } from '@/shared/api'
import { clockTime } from '@/shared/lib/format'
import { Muted, t } from '@/shared/ui'
import { AgentWork } from './AgentWork'
import { GateResults } from './GateResults'
import { LogView } from './LogView'
import { PhaseStepper } from './PhaseStepper'
import { runOf } from './phases'
import { byAgent } from './used'

const Head = styled.div`
  display: grid;
  gap: ${t.space.m};
  padding: ${t.space.m} ${t.space.l} ${t.space.l};
  border-bottom: 1px solid ${t.color.line};
  h3 { font-size: ${t.text.base}; font-weight: 600; overflow-wrap: anywhere; }
  h3 a { color: inherit; }
`
const Gates = styled.details`
  padding: 6px ${t.space.l};
  border-bottom: 1px solid ${t.color.line};
  summary { cursor: pointer; min-height: 26px; font-size: ${t.text.m}; font-weight: 600; }
`

/** The attempt that runs now: where it stands and what it says. */
export function CurrentAttempt({ attempt }: { attempt: AttemptView }) {
  const run = runOf(attempt)
  return (
    <>
      <Head>
        <div>
          <h3>
            <Link to="/tasks/$id" params={{ id: attempt.taskId }}>
              {attempt.taskTitle}
            </Link>
          </h3>
          <Muted>
            <Link to="/attempts/$id" params={{ id: attempt.id }}>
              attempt {attempt.number}
            </Link>
            {run > 1 && `, run ${run}`} · since {clockTime(attempt.startedAt)} · {attempt.executor}
            {attempt.frozen && ' · frozen'}
            {attempt.awaitingApprovalId && ' · waits for approval'}
          </Muted>
        </div>
        <PhaseStepper attempt={attempt} />
      </Head>
      {attempt.gates.length > 0 && (
        <Gates>
          <summary>Gates so far: {attempt.gates.length}</summary>
          <GateResults gates={attempt.gates} />
        </Gates>
      )}
      {byAgent(attempt) ? (
        <AgentWork attempt={attempt} />
      ) : (
        <LogView attemptId={attempt.id} fileName={`${attempt.id}.log`} />
      )}
    </>
  )
}
