import { createSelector } from '@reduxjs/toolkit'
import type {
  ApprovalView,
  AttemptView,
  CustomerCard,
  ExecutionView,
  IncidentView,
  ProjectView,
  SystemTotals,
  TaskView,
} from '@/shared/api'
import type { DevTeamState } from './devTeamSlice'
import type { TopicsState } from './topicsSlice'

/** The part of the app's state that shared code and features read. */
export interface LiveRoot {
  devTeam: DevTeamState
  topics: TopicsState
}

export const selectCustomerIds = (state: LiveRoot) => state.devTeam.customers.allIds
export const selectCard = (state: LiveRoot, id: string): CustomerCard | undefined =>
  state.devTeam.customers.byId[id]
export const selectTotals = (state: LiveRoot): SystemTotals | null => state.devTeam.systemMetrics.totals
export const selectConnection = (state: LiveRoot) => state.devTeam.executions.realTimeUpdates.connectionStatus
export const selectLastUpdate = (state: LiveRoot) => state.devTeam.executions.realTimeUpdates.lastUpdate
/** Whether the overview has arrived at least once. */
export const selectOverviewReady = (state: LiveRoot) => state.devTeam.systemMetrics.totals !== null

const topicOf = (state: LiveRoot, customerId: string) => state.topics[`customer:${customerId}`]
const NONE: Record<string, never> = {}

export const selectCustomerTopicReady = (state: LiveRoot, id: string) =>
  topicOf(state, id)?.entities.customer?.[id] !== undefined
export const selectCustomerError = (state: LiveRoot, id: string) => topicOf(state, id)?.error ?? null

/** The customer's card from its own topic, else from the overview: the page paints before its snapshot is here. */
export const selectCustomer = (state: LiveRoot, id: string): CustomerCard | undefined =>
  (topicOf(state, id)?.entities.customer?.[id] as CustomerCard | undefined) ?? selectCard(state, id)

const rows =
  <T>(kind: 'task' | 'project' | 'attempt' | 'execution' | 'approval' | 'incident') =>
  (state: LiveRoot, customerId: string): Record<string, T> =>
    (topicOf(state, customerId)?.entities[kind] as Record<string, T> | undefined) ?? NONE

export const selectTaskTable = rows<TaskView>('task')
export const selectProjectTable = rows<ProjectView>('project')
export const selectAttemptTable = rows<AttemptView>('attempt')
export const selectExecutionTable = rows<ExecutionView>('execution')
const selectApprovalTable = rows<ApprovalView>('approval')
const selectIncidentTable = rows<IncidentView>('incident')

export const selectApprovals = createSelector([selectApprovalTable], (table) => Object.values(table))
export const selectIncidents = createSelector([selectIncidentTable], (table) => Object.values(table))

/** What waits for a person, and what went wrong and is not settled, over all customers in sight. */
export const selectWaiting = createSelector(
  [(state: LiveRoot) => state.devTeam.customers.byId],
  (customers) => {
    let approvals = 0
    let incidents = 0
    for (const card of Object.values(customers)) {
      approvals += card.approvalsPending
      incidents += card.incidentsOpen
    }
    return { approvals, incidents }
  },
)

/** The queue in its order. */
export const selectTasks = createSelector([selectTaskTable], (table) =>
  Object.values(table).sort((a, b) => a.position - b.position || (a.id < b.id ? -1 : 1)),
)
export const selectProjects = createSelector([selectProjectTable], (table) =>
  Object.values(table)
    .filter((project) => !project.archived)
    .sort((a, b) => a.name.localeCompare(b.name)),
)
/** Newest first. */
export const selectAttempts = createSelector([selectAttemptTable], (table) =>
  Object.values(table).sort((a, b) => (a.startedAt < b.startedAt ? 1 : a.startedAt > b.startedAt ? -1 : 0)),
)

/** False while the engine behind the socket has lost its database: what is shown may be old. */
export const selectEngineConnected = (state: LiveRoot) => state.devTeam.systemMetrics.link.connected !== false

/** How many executions an emergency stop holds. */
export const selectStoppedCount = (state: LiveRoot): number =>
  Object.values(state.devTeam.customers.byId).filter(
    (card) => card.executionStatus === 'paused' && card.statusReason?.code === 'emergency_stop',
  ).length
