import { Tabs } from 'radix-ui'
import { lazy, Suspense, useState } from 'react'
import styled from 'styled-components'
import type { AttemptView } from '@/shared/api'
import { useWhyNot } from '@/shared/lib/permissions'
import { Muted, SkeletonLines, t } from '@/shared/ui'
import { Artifacts } from './Artifacts'
import { whyNotAgain } from './again'
import { BudgetUse } from './BudgetUse'
import { Commits } from './Commits'
import { DiffPanel } from './DiffPanel'
import { FenceParts } from './FenceParts'
import { GateResults } from './GateResults'
import { Guidance } from './Guidance'
import { LogView } from './LogView'
import { ModelCalls } from './ModelCalls'
import { PhaseStepper } from './PhaseStepper'
import { RunAgain } from './RunAgain'
import { SessionView } from './SessionView'
import { Tab, TabList } from './tabs'
import { hasSession, takesGuidance, usedText } from './used'
import { useSession } from './useSession'

const Replay = lazy(() => import('./Replay').then((module) => ({ default: module.Replay })))

const Meter = styled.p`
  margin-top: ${t.space.m};
  font-variant-numeric: tabular-nums;
`
const Frame = styled.div`
  overflow: hidden;
  border: 1px solid ${t.color.line};
  border-radius: ${t.radius.l};
  background: ${t.color.bg};
`

interface Props {
  attempt: AttemptView
  /** The lines of the output to show, as in `#L120`. */
  hash?: string
}

/** What an attempt did and what it stands on: session, gates, diff, output, commits. */
export function AttemptEvidence({ attempt, hash = '' }: Props) {
  const delivered = attempt.commit !== null
  const running = attempt.outcome === null
  const agent = hasSession(attempt)
  const [tab, setTab] = useState(firstTab(attempt, hash))
  const [from, setFrom] = useState<number | null>(null)
  const mayNotRetry = useWhyNot('retry_task')
  const state = useSession(attempt.id, agent && (running || tab === 'session' || tab === 'replay'))
  return (
    <>
      <div style={{ paddingTop: 12 }}>
        <PhaseStepper attempt={attempt} />
      </div>
      {attempt.route && (
        <Meter>
          <Muted>Executor and model: {attempt.route}</Muted>
        </Meter>
      )}
      {agent && (
        <Meter>
          <Muted>
            {usedText(state.used ?? attempt)}
            {attempt.promptVersion !== null && ` · prompt version ${attempt.promptVersion}`}
          </Muted>
        </Meter>
      )}
      {agent && <BudgetUse attempt={attempt} costUsd={state.used ? state.used.costUsd : attempt.costUsd} />}
      {attempt.fence && <FenceParts fence={attempt.fence} />}
      <Tabs.Root value={tab} onValueChange={setTab}>
        <TabList aria-label="Evidence">
          {agent && <Tab value="session">Session</Tab>}
          {agent && !running && <Tab value="replay">Replay</Tab>}
          <Tab value="gates">Gates {attempt.gates.length}</Tab>
          <Tab value="diff" disabled={!delivered && attempt.filesChanged === null}>
            Diff
          </Tab>
          <Tab value="output">Output</Tab>
          {agent && <Tab value="calls">Model calls</Tab>}
          <Tab value="commits">Commits</Tab>
          <Tab value="artifacts">Artifacts</Tab>
        </TabList>
        <Tabs.Content value="session">
          <Frame>
            <SessionView
              state={state}
              height="min(640px, 66dvh)"
              onFrom={mayNotRetry === null && whyNotAgain(attempt) === null ? setFrom : undefined}
            />
            {takesGuidance(attempt) && <Guidance attemptId={attempt.id} waiting={state.waiting} />}
          </Frame>
        </Tabs.Content>
        <Tabs.Content value="replay">
          <Suspense fallback={<SkeletonLines count={4} height={48} />}>
            <Replay attempt={attempt} state={state} />
          </Suspense>
        </Tabs.Content>
        <Tabs.Content value="gates">
          <GateResults gates={attempt.gates} />
        </Tabs.Content>
        <Tabs.Content value="diff">
          <DiffPanel attemptId={attempt.id} />
        </Tabs.Content>
        <Tabs.Content value="output">
          <Frame>
            <LogView
              attemptId={attempt.id}
              hash={hash}
              height="min(560px, 60dvh)"
              fileName={`${attempt.id}.log`}
            />
          </Frame>
        </Tabs.Content>
        <Tabs.Content value="calls">
          <ModelCalls attemptId={attempt.id} running={running} />
        </Tabs.Content>
        <Tabs.Content value="commits">
          <Commits attempt={attempt} />
        </Tabs.Content>
        <Tabs.Content value="artifacts">
          <Artifacts attemptId={attempt.id} />
        </Tabs.Content>
      </Tabs.Root>
      {from !== null && <RunAgain attempt={attempt} entry={from} onClose={() => setFrom(null)} />}
    </>
  )
}

/** A link to a line leads to the output; what runs is shown running. */
function firstTab(attempt: AttemptView, hash: string): string {
  if (hash) return 'output'
  if (attempt.outcome !== null) return 'gates'
  if (hasSession(attempt)) return 'session'
  return attempt.gates.length === 0 ? 'output' : 'gates'
}
