import { beforeEach, expect, it } from 'vitest'
import {
  connectionChanged,
  heartbeatReceived,
  topicFailed,
  topicSnapshotReceived,
  topicsFlushed,
} from '@/shared/state/actions'
import { hostStatus } from '@/shared/state/devTeamSlice'
import {
  selectCard,
  selectConnection,
  selectCustomer,
  selectLastUpdate,
  selectStoppedCount,
  selectTasks,
  selectTotals,
} from '@/shared/state/selectors'
import { buildCard, buildTask, buildTotals } from '@/testing/builders'
import { type AppStore, createStore } from './store'

let store: AppStore
beforeEach(() => {
  store = createStore()
})

const show = (...entities: Parameters<typeof topicSnapshotReceived>[0]['entities']) =>
  store.dispatch(topicSnapshotReceived({ topic: 'overview', epoch: 'e', seq: 1, entities, at: 1000 }))
const change = (id: string, version: number, set: object, removed?: true) =>
  store.dispatch(
    topicsFlushed({
      at: 2000,
      batches: [
        {
          topic: 'overview',
          epoch: 'e',
          seq: version,
          changes: [{ kind: 'customer', id, version, set: set as Record<string, unknown>, removed }],
          events: [],
        },
      ],
    }),
  )

it('has the branches that host applications know', () => {
  expect(store.getState().devTeam).toEqual({
    customers: { byId: {}, allIds: [], activeExecutions: [], loadingStates: {}, errors: {} },
    executions: {
      byCustomerId: {},
      realTimeUpdates: { lastUpdate: null, connectionStatus: 'connecting', updateFrequency: 5000 },
    },
    taskInjection: { pendingInjections: [], injectionHistory: [], approvalQueue: [] },
    errorResolution: { activeErrors: [], resolutionHistory: [], escalationQueue: [] },
    systemMetrics: { totals: null, link: {} },
  })
})

it('is filled from a snapshot of the overview', () => {
  show(buildCard(), buildCard({ id: 'c2', executionStatus: null, executionId: null }), buildTotals())
  const { customers, executions } = store.getState().devTeam
  expect(customers.allIds).toEqual(['customer-1', 'c2'])
  expect(customers.activeExecutions).toEqual(['customer-1'])
  expect(executions.byCustomerId).toEqual({
    'customer-1': {
      executionId: 'execution-1',
      status: 'active',
      statusDetail: 'active',
      activity: 'task_executing',
      pauseRequested: null,
    },
  })
  expect(selectTotals(store.getState())?.customers).toBe(1)
  expect(selectLastUpdate(store.getState())).toBe(1000)
})

it('a second snapshot replaces the first', () => {
  show(buildCard(), buildTotals())
  show(buildCard({ id: 'c2', executionStatus: 'error' }), buildTotals())
  const { customers, errorResolution } = store.getState().devTeam
  expect(Object.keys(customers.byId)).toEqual(['c2'])
  expect(errorResolution.activeErrors.map((error) => error.customerId)).toEqual(['c2'])
})

it('follows an execution into error, out of it and to its end', () => {
  show(buildCard(), buildTotals())
  change('customer-1', 2, { executionStatus: 'error', statusReason: { code: 'x', text: 'Broken.' } })
  expect(store.getState().devTeam.errorResolution.activeErrors).toMatchObject([
    { reason: { text: 'Broken.' } },
  ])
  change('customer-1', 3, { executionStatus: 'active', statusReason: null })
  expect(store.getState().devTeam.errorResolution.activeErrors).toEqual([])
  change('customer-1', 4, { executionStatus: 'completed' })
  expect(store.getState().devTeam.customers.activeExecutions).toEqual([])
  expect(selectCard(store.getState(), 'customer-1')?.name).toBe('Acme')
})

it('never lets an older version overwrite a newer', () => {
  show(buildCard({ version: 5, progress: 0.9 }), buildTotals())
  change('customer-1', 4, { progress: 0.1 })
  expect(selectCard(store.getState(), 'customer-1')?.progress).toBe(0.9)
})

it('takes new customers in and removed ones out', () => {
  show(buildTotals())
  change('c2', 1, buildCard({ id: 'c2' }))
  expect(store.getState().devTeam.customers.allIds).toEqual(['c2'])
  change('c2', 2, {}, true)
  const { customers, executions } = store.getState().devTeam
  expect(customers).toMatchObject({ byId: {}, allIds: [], activeExecutions: [], loadingStates: {} })
  expect(executions.byCustomerId).toEqual({})
})

it('does not throw on a change of a customer it does not know', () => {
  show(buildTotals())
  change('nobody', 3, { progress: 0.4 })
  expect(selectCard(store.getState(), 'nobody')).toBeUndefined()
})

it('tells hosts the four values they know', () => {
  expect((['queued', 'active', 'paused', 'error', 'completed', 'aborted'] as const).map(hostStatus)).toEqual([
    'paused',
    'active',
    'paused',
    'error',
    'completed',
    'completed',
  ])
})

it('counts what an emergency stop holds', () => {
  const reason = { code: 'emergency_stop', text: 'Fire.' }
  show(
    buildCard({ executionStatus: 'paused', statusReason: reason }),
    buildCard({ id: 'c2', executionStatus: 'paused', statusReason: { code: 'paused_by_person', text: '' } }),
    buildTotals(),
  )
  expect(selectStoppedCount(store.getState())).toBe(1)
})

it('keeps the link state, the metrics and the newer totals of the heartbeat', () => {
  show(buildTotals())
  store.dispatch(connectionChanged({ status: 'connected', at: 1 }))
  store.dispatch(heartbeatReceived({ metrics: { clients: 2, system: buildTotals({ version: 9 }) }, at: 7 }))
  expect(selectConnection(store.getState())).toBe('connected')
  expect(selectLastUpdate(store.getState())).toBe(7)
  expect(store.getState().devTeam.systemMetrics.link).toEqual({ clients: 2 })
  expect(selectTotals(store.getState())?.version).toBe(9)
})

it('keeps a customer topic apart, and the queue in its order', () => {
  show(buildCard(), buildTotals())
  const second = buildTask({ id: 't2', position: 2 })
  const first = buildTask({ id: 't1', position: 1 })
  store.dispatch(
    topicSnapshotReceived({
      topic: 'customer:customer-1',
      epoch: 'x',
      seq: 4,
      entities: [buildCard({ name: 'From its own topic' }), second, first],
      at: 1,
    }),
  )
  const state = store.getState()
  expect(selectTasks(state, 'customer-1').map((task) => task.id)).toEqual(['t1', 't2'])
  expect(selectCustomer(state, 'customer-1')?.name).toBe('From its own topic')
  expect(selectCard(state, 'customer-1')?.name).toBe('Acme')
})

it('marks a customer that may not be seen', () => {
  store.dispatch(topicFailed({ topic: 'customer:c9', code: 'not_found', text: 'There is no such customer.' }))
  expect(store.getState().devTeam.customers.loadingStates.c9).toBe('denied')
})
