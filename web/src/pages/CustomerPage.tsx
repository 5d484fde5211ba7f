import { getRouteApi } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useSelector } from 'react-redux'
import styled from 'styled-components'
import { CustomerApprovals } from '@/features/approvals'
import { AttemptList, CurrentAttempt } from '@/features/attempts'
import { Activity, AddProject, CustomerCrumbs, CustomerHeader, ProjectList } from '@/features/customers'
import { ExecutionControls } from '@/features/executions'
import { CustomerIncidents } from '@/features/incidents'
import { AddTask, Queue } from '@/features/tasks'
import type { AttemptView } from '@/shared/api'
import { idleText } from '@/shared/essentials'
import { plural } from '@/shared/lib/format'
import { usePageTitle } from '@/shared/lib/usePageTitle'
import { useTopic } from '@/shared/live/LiveContext'
import {
  type LiveRoot,
  selectApprovals,
  selectAttempts,
  selectConnection,
  selectCustomer,
  selectCustomerError,
  selectCustomerTopicReady,
  selectIncidents,
} from '@/shared/state/selectors'
import { Empty, Notice, Panel, SkeletonLines, t } from '@/shared/ui'
import { PageTitle } from './parts'

const route = getRouteApi('/shell/customers/$id')

const Columns = styled.div`
  display: grid;
  grid-template-columns: minmax(0, 5fr) minmax(0, 7fr);
  gap: ${t.space.l};
  align-items: start;
  & > div { display: grid; gap: ${t.space.l}; min-width: 0; }
  @media (max-width: 1100px) { grid-template-columns: minmax(0, 1fr); [data-first] { order: -1; } }
`

export function CustomerPage() {
  const { id } = route.useParams()
  useTopic(`customer:${id}`)
  const card = useSelector((state: LiveRoot) => selectCustomer(state, id))
  const ready = useSelector((state: LiveRoot) => selectCustomerTopicReady(state, id))
  const refused = useSelector((state: LiveRoot) => selectCustomerError(state, id))
  const connection = useSelector(selectConnection)
  usePageTitle(card?.name)

  if (refused) {
    return (
      <>
        <CustomerCrumbs id={id} name="Customer" />
        <PageTitle>
          <h1>This customer cannot be shown</h1>
        </PageTitle>
        <Notice tone="denied" title={refused} />
      </>
    )
  }
  if (!card) {
    return (
      <>
        <CustomerCrumbs id={id} name="Customer" />
        {connection === 'disconnected' ? (
          <Notice tone="error" title="The engine cannot be reached" />
        ) : (
          <SkeletonLines count={4} height={72} />
        )}
      </>
    )
  }
  return (
    <>
      <CustomerCrumbs id={id} name={card.name} />
      <CustomerHeader card={card} controls={<ExecutionControls card={card} />} />
      {ready ? <Work customerId={id} idle={idleText(card)} /> : <SkeletonLines count={4} height={96} />}
    </>
  )
}

const isRunning = (attempt: AttemptView) => attempt.outcome === null

function Work({ customerId, idle }: { customerId: string; idle: string }) {
  const attempts = useSelector((state: LiveRoot) => selectAttempts(state, customerId))
  const running = useMemo(() => attempts.filter(isRunning), [attempts])
  const finished = useMemo(() => attempts.filter((attempt) => !isRunning(attempt)), [attempts])
  const approvals = useSelector((state: LiveRoot) => selectApprovals(state, customerId))
  const incidents = useSelector((state: LiveRoot) => selectIncidents(state, customerId))
  const waiting = approvals.filter(({ status }) => status === 'pending').length
  const open = incidents.filter(({ status }) => status !== 'resolved').length
  const current = running[0]
  return (
    <Columns>
      <div>
        <Panel title="Queue" actions={<AddTask customerId={customerId} />}>
          <Queue customerId={customerId} />
        </Panel>
        <Panel title="Projects" actions={<AddProject customerId={customerId} />}>
          <ProjectList customerId={customerId} />
        </Panel>
        <Panel title="Activity">
          <Activity customerId={customerId} />
        </Panel>
      </div>
      <div data-first>
        {approvals.length > 0 && (
          <Panel title="Approvals" hint={waiting > 0 ? `${waiting} waiting` : undefined}>
            <CustomerApprovals customerId={customerId} />
          </Panel>
        )}
        {incidents.length > 0 && (
          <Panel title="Incidents" hint={open > 0 ? `${open} open` : undefined}>
            <CustomerIncidents customerId={customerId} />
          </Panel>
        )}
        <Panel title="Current attempt">
          {current ? (
            <CurrentAttempt key={current.id} attempt={current} />
          ) : (
            <Empty title="No task is being worked on">{idle}</Empty>
          )}
        </Panel>
        <Panel
          title="Finished attempts"
          hint={finished.length > 0 ? plural(finished.length, 'attempt') : undefined}
        >
          <AttemptList attempts={finished} empty="No attempt has finished yet" />
        </Panel>
      </div>
    </Columns>
  )
}
