import { createSlice } from '@reduxjs/toolkit'
import type {
  CustomerCard,
  EventView,
  ExecutionActivity,
  ExecutionStatus,
  PauseMode,
  Reason,
  SystemTotals,
} from '@/shared/api'
import { applyChange } from '@/shared/live/applyDelta'
import type { EntityChange } from '@/shared/live/frames'
import type { ConnectionStatus } from '@/shared/live/realtimeClient'
import {
  connectionChanged,
  heartbeatReceived,
  topicFailed,
  topicSnapshotReceived,
  topicsFlushed,
} from './actions'

export const OVERVIEW = 'overview'

/** The four values for hosts that know no others; the true value stands in `statusDetail`. */
export type HostStatus = 'active' | 'paused' | 'error' | 'completed'

export interface ExecutionSummary {
  executionId: string
  status: HostStatus
  statusDetail: ExecutionStatus
  activity: ExecutionActivity | null
  pauseRequested: PauseMode | null
}

export interface ActiveError {
  customerId: string
  reason: Reason | null
  since: string
}

/** The branch names are a contract with host applications: do not rename. */
export interface DevTeamState {
  customers: {
    byId: Record<string, CustomerCard>
    allIds: string[]
    /** Ids of customers whose execution is open. */
    activeExecutions: string[]
    loadingStates: Record<string, 'loading' | 'ready' | 'denied'>
    errors: Record<string, string>
  }
  executions: {
    byCustomerId: Record<string, ExecutionSummary>
    realTimeUpdates: {
      /** When anything last came from the engine, in milliseconds of the browser's clock; null: never. */
      lastUpdate: number | null
      connectionStatus: ConnectionStatus
      /** The engine's heartbeat interval in milliseconds. */
      updateFrequency: number
    }
  }
  taskInjection: {
    pendingInjections: unknown[]
    injectionHistory: unknown[]
    approvalQueue: unknown[]
  }
  errorResolution: {
    activeErrors: ActiveError[]
    resolutionHistory: EventView[]
    escalationQueue: unknown[]
  }
  systemMetrics: {
    totals: SystemTotals | null
    link: Record<string, unknown>
  }
}

const initialState: DevTeamState = {
  customers: { byId: {}, allIds: [], activeExecutions: [], loadingStates: {}, errors: {} },
  executions: {
    byCustomerId: {},
    realTimeUpdates: { lastUpdate: null, connectionStatus: 'connecting', updateFrequency: 5000 },
  },
  taskInjection: { pendingInjections: [], injectionHistory: [], approvalQueue: [] },
  errorResolution: { activeErrors: [], resolutionHistory: [], escalationQueue: [] },
  systemMetrics: { totals: null, link: {} },
}

const HISTORY = 200

export function isOpen(status: ExecutionStatus | null): boolean {
  return status !== null && status !== 'completed' && status !== 'aborted'
}

export function hostStatus(status: ExecutionStatus): HostStatus {
  if (status === 'queued') return 'paused'
  return status === 'aborted' ? 'completed' : status
}

function summaryOf(card: CustomerCard): ExecutionSummary | null {
  if (card.executionId === null || card.executionStatus === null) return null
  return {
    executionId: card.executionId,
    status: hostStatus(card.executionStatus),
    statusDetail: card.executionStatus,
    activity: card.activity,
    pauseRequested: card.pauseRequested,
  }
}

/** Keeps what is derived from a card in step with it. */
function settle(state: DevTeamState, id: string, before: CustomerCard | undefined): void {
  const card = state.customers.byId[id]
  const summary = card ? summaryOf(card) : null
  if (summary) state.executions.byCustomerId[id] = summary
  else delete state.executions.byCustomerId[id]

  const wasOpen = isOpen(before?.executionStatus ?? null)
  const open = isOpen(card?.executionStatus ?? null)
  if (open && !wasOpen) state.customers.activeExecutions.push(id)
  if (!open && wasOpen) {
    state.customers.activeExecutions = state.customers.activeExecutions.filter((other) => other !== id)
  }
  const failing = card?.executionStatus === 'error'
  if (failing || before?.executionStatus === 'error') {
    const others = state.errorResolution.activeErrors.filter((error) => error.customerId !== id)
    if (failing) others.push({ customerId: id, reason: card.statusReason, since: card.lastUpdate })
    state.errorResolution.activeErrors = others
  }
}

function changeCustomer(state: DevTeamState, change: EntityChange): void {
  const { byId } = state.customers
  const before = byId[change.id]
  const after = applyChange<CustomerCard>(before ?? null, change)
  if (after === null) {
    if (!before) return
    delete byId[change.id]
    delete state.customers.loadingStates[change.id]
    delete state.customers.errors[change.id]
    state.customers.allIds = state.customers.allIds.filter((id) => id !== change.id)
  } else {
    byId[change.id] = after
    if (!before) {
      state.customers.allIds.push(change.id)
      state.customers.loadingStates[change.id] = 'ready'
    }
  }
  settle(state, change.id, before)
}

export const devTeamSlice = createSlice({
  name: 'devTeam',
  initialState,
  reducers: {},
  extraReducers: (builder) =>
    builder
      .addCase(topicSnapshotReceived, (state, { payload }) => {
        state.executions.realTimeUpdates.lastUpdate = payload.at
        if (payload.topic !== OVERVIEW) return
        state.customers = { ...initialState.customers, byId: {}, allIds: [], activeExecutions: [] }
        state.customers.loadingStates = {}
        state.customers.errors = {}
        state.executions.byCustomerId = {}
        state.errorResolution.activeErrors = []
        for (const entity of payload.entities) {
          if (entity.kind === 'system') state.systemMetrics.totals = entity
          if (entity.kind !== 'customer') continue
          state.customers.byId[entity.id] = entity
          state.customers.allIds.push(entity.id)
          state.customers.loadingStates[entity.id] = 'ready'
          settle(state, entity.id, undefined)
        }
      })
      .addCase(topicsFlushed, (state, { payload }) => {
        state.executions.realTimeUpdates.lastUpdate = payload.at
        for (const batch of payload.batches) {
          if (batch.topic !== OVERVIEW) continue
          for (const change of batch.changes) {
            if (change.kind === 'customer') changeCustomer(state, change)
            if (change.kind === 'system') {
              state.systemMetrics.totals = applyChange(state.systemMetrics.totals, change)
            }
          }
          const { resolutionHistory } = state.errorResolution
          // A resumed connection may repeat an event.
          const known = new Set(resolutionHistory.map((event) => event.id))
          resolutionHistory.push(...batch.events.filter((event) => !known.has(event.id)))
          if (resolutionHistory.length > HISTORY)
            resolutionHistory.splice(0, resolutionHistory.length - HISTORY)
        }
      })
      .addCase(connectionChanged, (state, { payload }) => {
        state.executions.realTimeUpdates.connectionStatus = payload.status
      })
      .addCase(heartbeatReceived, (state, { payload }) => {
        state.executions.realTimeUpdates.lastUpdate = payload.at
        const { system, ...link } = payload.metrics
        state.systemMetrics.link = link
        const totals = system as SystemTotals | undefined
        const known = state.systemMetrics.totals
        if (totals && known && totals.version > known.version) state.systemMetrics.totals = totals
      })
      .addCase(topicFailed, (state, { payload }) => {
        if (!payload.topic.startsWith('customer:')) return
        const id = payload.topic.slice('customer:'.length)
        state.customers.loadingStates[id] = 'denied'
        state.customers.errors[id] = payload.text
      }),
})
