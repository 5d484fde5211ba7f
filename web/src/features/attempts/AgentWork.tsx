import { Tabs } from 'radix-ui'
import styled from 'styled-components'
import type { AttemptView } from '@/shared/api'
import { Muted, t } from '@/shared/ui'
import { Guidance } from './Guidance'
import { LogView } from './LogView'
import { SessionView } from './SessionView'
import { Tab, TabList } from './tabs'
import { takesGuidance, usedText } from './used'
import { useSession } from './useSession'

const Meter = styled.p`
  padding: 6px ${t.space.l};
  border-bottom: 1px solid ${t.color.line};
  font-variant-numeric: tabular-nums;
`

/** An agent at work: what its calls came to, its session or raw output, and a place for guidance. */
export function AgentWork({ attempt }: { attempt: AttemptView }) {
  const state = useSession(attempt.id, true)
  return (
    <>
      <Meter>
        <Muted>{usedText(state.used ?? attempt)}</Muted>
      </Meter>
      <Tabs.Root defaultValue="session">
        <TabList aria-label="Work" data-flush>
          <Tab value="session">Session</Tab>
          <Tab value="output">Output</Tab>
        </TabList>
        <Tabs.Content value="session">
          <SessionView state={state} />
        </Tabs.Content>
        <Tabs.Content value="output">
          <LogView attemptId={attempt.id} fileName={`${attempt.id}.log`} />
        </Tabs.Content>
      </Tabs.Root>
      {takesGuidance(attempt) && <Guidance attemptId={attempt.id} waiting={state.waiting} />}
    </>
  )
}
