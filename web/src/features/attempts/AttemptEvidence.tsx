import { Tabs } from 'radix-ui'
import styled from 'styled-components'
import type { AttemptView } from '@/shared/api'
import { t } from '@/shared/ui'
import { Commits } from './Commits'
import { DiffPanel } from './DiffPanel'
import { GateResults } from './GateResults'
import { LogView } from './LogView'
import { PhaseStepper } from './PhaseStepper'

const TabList = styled(Tabs.List)`
  display: flex;
  flex-wrap: wrap;
  gap: ${t.space.s};
  margin: ${t.space.m} 0;
  border-bottom: 1px solid ${t.color.line};
`
const Tab = styled(Tabs.Trigger)`
  min-height: 34px;
  padding: 0 6px;
  border: 0;
  border-bottom: 2px solid transparent;
  background: none;
  color: ${t.color.muted};
  font-size: ${t.text.m};
  font-weight: 600;
  cursor: pointer;
  &[data-state='active'] { color: ${t.color.fg}; border-bottom-color: ${t.color.accent}; }
`
const LogFrame = styled.div`
  border: 1px solid ${t.color.line};
  border-radius: ${t.radius.l};
  background: ${t.color.bg};
`

interface Props {
  attempt: AttemptView
  /** The lines of the output to show, as in `#L120`. */
  hash?: string
}

/** What an attempt did and what it stands on: gates, diff, output, commits. */
export function AttemptEvidence({ attempt, hash = '' }: Props) {
  const delivered = attempt.commit !== null
  const first = hash || (attempt.outcome === null && attempt.gates.length === 0) ? 'output' : 'gates'
  return (
    <>
      <div style={{ paddingTop: 12 }}>
        <PhaseStepper attempt={attempt} />
      </div>
      <Tabs.Root defaultValue={first}>
        <TabList aria-label="Evidence">
          <Tab value="gates">Gates {attempt.gates.length}</Tab>
          <Tab value="diff" disabled={!delivered && attempt.filesChanged === null}>
            Diff
          </Tab>
          <Tab value="output">Output</Tab>
          <Tab value="commits">Commits</Tab>
        </TabList>
        <Tabs.Content value="gates">
          <GateResults gates={attempt.gates} />
        </Tabs.Content>
        <Tabs.Content value="diff">
          <DiffPanel attemptId={attempt.id} />
        </Tabs.Content>
        <Tabs.Content value="output">
          <LogFrame>
            <LogView
              attemptId={attempt.id}
              hash={hash}
              height="min(560px, 60dvh)"
              fileName={`${attempt.id}.log`}
            />
          </LogFrame>
        </Tabs.Content>
        <Tabs.Content value="commits">
          <Commits attempt={attempt} />
        </Tabs.Content>
      </Tabs.Root>
    </>
  )
}
