import { useSelector } from 'react-redux'
import styled from 'styled-components'
import { Totals } from '@/features/overview'
import { AddProvider, ExecutorTable, PriceList, ProviderList, SetPrice } from '@/features/providers'
import { toProblem, useListWorkersQuery, type WorkerView } from '@/shared/api'
import { ago, fullTime } from '@/shared/lib/format'
import { useNow } from '@/shared/lib/useNow'
import { usePageTitle } from '@/shared/lib/usePageTitle'
import { type LiveRoot, selectConnection } from '@/shared/state/selectors'
import { Button, Empty, Mono, Panel, ProblemNotice, Progress, SkeletonLines, t } from '@/shared/ui'
import { Padded, PageTitle, Stack } from './parts'

const Table = styled.table`
  width: 100%;
  border-collapse: collapse;
  font-size: ${t.text.m};
  th { padding: 6px ${t.space.l}; color: ${t.color.muted}; font-size: ${t.text.s}; font-weight: 400; text-align: left; }
  td { padding: 9px ${t.space.l}; border-top: 1px solid ${t.color.line}; font-variant-numeric: tabular-nums; white-space: nowrap; }
  [data-state='alive'] { color: ${t.color.completed}; font-weight: 600; }
  [data-state='draining'] { color: ${t.color.paused}; font-weight: 600; }
  [data-state='dead'] { color: ${t.color.error}; font-weight: 600; }
`
const Scroll = styled.div`
  position: relative;
  overflow-x: auto;
`
const STATE: Record<WorkerView['state'], string> = {
  alive: '● Alive',
  draining: '◐ Draining',
  dead: '✕ Dead',
}

export function SystemPage() {
  usePageTitle('System')
  const { data, error, refetch } = useListWorkersQuery(undefined, { pollingInterval: 5000 })
  const connection = useSelector(selectConnection)
  const link = useSelector((state: LiveRoot) => state.devTeam.systemMetrics.link)
  return (
    <>
      <PageTitle>
        <h1>System</h1>
      </PageTitle>
      <Stack>
        <Panel title="Engine">
          <Padded>
            <Totals />
          </Padded>
        </Panel>
        <Panel title="Workers">
          {error && !data ? (
            <ProblemNotice
              problem={toProblem(error)}
              action={<Button onClick={() => void refetch()}>Try again</Button>}
            />
          ) : data ? (
            <Workers workers={data.workers} />
          ) : (
            <SkeletonLines count={2} />
          )}
        </Panel>
        <Panel title="Model providers" actions={<AddProvider />}>
          <ProviderList />
        </Panel>
        <Panel title="Executors" hint="measured on finished attempts">
          <ExecutorTable />
        </Panel>
        <Panel title="Model prices" hint="US dollars per million tokens" actions={<SetPrice />}>
          <PriceList />
        </Panel>
        <Panel title="Live connection" hint={connection}>
          <Padded>
            <Metrics metrics={link} />
          </Padded>
        </Panel>
      </Stack>
    </>
  )
}

function Workers({ workers }: { workers: WorkerView[] }) {
  const now = useNow()
  if (workers.length === 0) {
    return <Empty title="No worker is registered">Start one with: devteam worker</Empty>
  }
  return (
    <Scroll tabIndex={0}>
      <Table>
        <thead>
          <tr>
            <th scope="col">Worker</th>
            <th scope="col">State</th>
            <th scope="col">Slots</th>
            <th scope="col">Isolation</th>
            <th scope="col">Heartbeat</th>
            <th scope="col">Started</th>
          </tr>
        </thead>
        <tbody>
          {workers.map((worker) => (
            <tr key={worker.id}>
              <td>
                <span title={worker.host}>{worker.host.split(':')[0]}</span> <Mono>{worker.pid}</Mono>
              </td>
              <td data-state={worker.state}>{STATE[worker.state]}</td>
              <td>
                {worker.slotsUsed} of {worker.slots}
                <Progress
                  value={worker.slots > 0 ? worker.slotsUsed / worker.slots : 0}
                  label={`Slots of worker ${worker.pid}`}
                  text={`${worker.slotsUsed} of ${worker.slots}`}
                />
              </td>
              <td>{worker.isolation?.replaceAll('_', ' ') ?? '–'}</td>
              <td>{ago(worker.heartbeatAt, now)}</td>
              <td>{fullTime(worker.startedAt)}</td>
            </tr>
          ))}
        </tbody>
      </Table>
    </Scroll>
  )
}

function Metrics({ metrics }: { metrics: Record<string, unknown> }) {
  const entries = Object.entries(metrics).filter(([, value]) => typeof value !== 'object')
  if (entries.length === 0)
    return <Empty title="No metrics yet">They come with the engine's heartbeat.</Empty>
  return (
    <Table>
      <tbody>
        {entries.map(([name, value]) => (
          <tr key={name}>
            <td>{name}</td>
            <td>{String(value)}</td>
          </tr>
        ))}
      </tbody>
    </Table>
  )
}
