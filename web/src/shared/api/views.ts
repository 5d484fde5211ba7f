/**
 * The wire views under the names the app uses. They are the contract's (generated); where the contract says only
 * "string" for one of its own words, the word's type stands here.
 */
import type * as wire from './generated/endpoints'

export type {
  ActivityPage,
  ApprovalKind,
  ApprovalStatus,
  ApprovalView,
  AttemptComparison,
  AttemptView,
  CallView,
  CustomerInput,
  CustomerPatch,
  DeliveryMode,
  DiffView,
  EventView,
  ExecutionStatus,
  ExecutionView,
  ExecutorKind,
  ExecutorView,
  FencePart,
  FenceView,
  GateProposal,
  GateResult,
  GateStage,
  GuidanceView,
  HealthPart,
  IncidentClass,
  IncidentStatus,
  IncidentView,
  OutputPage,
  PauseMode,
  PhaseSpan,
  PriceInput,
  PriceView,
  PriorityClass,
  ProjectInput,
  ProjectPatch,
  ProjectView,
  ProviderKind,
  ProviderView,
  Reason,
  Role,
  RouteRule,
  RunAgainInput,
  SessionEntry,
  SessionPage,
  SystemTotals,
  TaskDetail,
  TaskInput,
  TaskMode,
  TaskPatch,
  TaskSize,
  TaskStatus,
  TaskView,
  TimeRemaining,
  Used,
} from './generated/endpoints'

export type Gate = NonNullable<wire.ProjectInput['gates']>[number]
export type AttemptPhase = wire.Phase
export type AttemptOutcome = wire.Outcome
export type MonitoringState = wire.Monitoring
export type GateResultStage = wire.GateResult['stage']
export type AcceptanceCriterion = wire.TaskDetail['acceptanceCriteria'][number]
export type TaskCommand = wire.TaskCommand
export type WorkerView = wire.WorkerView
export type SessionView = wire.Session
export type HealthTrend = NonNullable<wire.CustomerCard['healthTrend']>
export type Confidence = wire.TimeRemaining['confidence']

/** A sequence number's home: numbers of different epochs cannot be compared. */
export type Epoch = string

export type ExecutionActivity =
  | 'initializing'
  | 'selecting'
  | 'task_executing'
  | 'error_solving'
  | 'blocked'
  | 'awaiting_approval'
  | 'stopping'

export type CurrentTask = Omit<wire.CurrentTask, 'phase'> & { phase: AttemptPhase }

export type CustomerCard = Omit<
  wire.CustomerCard,
  'executionStatus' | 'executionStatusDetail' | 'activity' | 'pauseRequested' | 'currentTask'
> & {
  executionStatus: wire.ExecutionStatus | null
  executionStatusDetail: wire.ExecutionStatus | null
  activity: ExecutionActivity | null
  pauseRequested: wire.PauseMode | null
  currentTask: CurrentTask | null
}

export type OverviewSnapshot = Omit<wire.Overview, 'customers'> & { customers: CustomerCard[] }
export type CustomerSnapshot = Omit<wire.CustomerSnapshot, 'customer'> & { customer: CustomerCard }

export type EntityView =
  | CustomerCard
  | wire.ProjectView
  | wire.TaskView
  | wire.ExecutionView
  | wire.AttemptView
  | wire.ApprovalView
  | wire.IncidentView
  | wire.WorkerView
  | wire.SystemTotals
export type EntityKind = EntityView['kind']

/** RFC 9457 problem details; what never reached the engine has no code and status 0. */
export type Problem = Omit<wire.Problem, 'code' | 'detail'> & {
  code?: string | null
  detail?: string | null
}
