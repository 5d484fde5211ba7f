/** The wire views: what the engine says over HTTP and over the socket. Names and units are the contract's. */

export type PriorityClass = 'priority_customer' | 'standard_customer' | 'low_priority_customer'
export type ExecutionStatus = 'queued' | 'active' | 'paused' | 'error' | 'completed' | 'aborted'
export type ExecutionActivity =
  | 'initializing'
  | 'selecting'
  | 'task_executing'
  | 'error_solving'
  | 'blocked'
  | 'awaiting_approval'
  | 'stopping'
export type TaskStatus =
  | 'pending'
  | 'in_progress'
  | 'verifying'
  | 'completed'
  | 'error_solving'
  | 'blocked'
  | 'failed'
  | 'skipped'
  | 'cancelled'
export type TaskMode = 'autonomous' | 'manual'
export type AttemptPhase = 'planning' | 'execution' | 'quality_assurance' | 'delivery' | 'monitoring'
export type AttemptOutcome = 'succeeded' | 'failed' | 'cancelled' | 'superseded' | 'lost'
export type MonitoringState = 'watching' | 'passed' | 'regressed' | 'not_merged' | 'skipped'
export type DeliveryMode = 'branch' | 'fast_forward' | 'merge_commit'
export type GateStage = 'pre_execution' | 'post_task'
export type GateResultStage = GateStage | 'acceptance' | 'post_merge' | 'baseline'
export type Role = 'admin' | 'project_manager' | 'developer' | 'viewer'
export type PauseMode = 'now' | 'after_current_task'
export type HealthTrend = 'up' | 'down' | 'steady'
export type Confidence = 'unknown' | 'low' | 'medium' | 'high'

/** A machine-readable code with the sentence people read. */
export interface Reason {
  code: string
  text: string
}

export interface HealthPart {
  name: string
  weight: number
  value: number
  text: string
}

export interface CurrentTask {
  taskId: string
  title: string
  attemptId: string
  phase: AttemptPhase
  phaseStartedAt: string
  attemptNumber: number
  frozen: boolean
}

export interface TimeRemaining {
  seconds: number | null
  /** How many finished attempts the estimate stands on. */
  basis: number
  confidence: Confidence
  lowSeconds: number | null
  highSeconds: number | null
  computedAt: string
}

export interface CustomerCard {
  kind: 'customer'
  id: string
  version: number
  name: string
  priorityClass: PriorityClass
  timeZone: string
  archived: boolean
  createdAt: string
  executionId: string | null
  executionStatus: ExecutionStatus | null
  executionStatusDetail: ExecutionStatus | null
  activity: ExecutionActivity | null
  statusReason: Reason | null
  pauseRequested: PauseMode | null
  progress: number
  tasksTotal: number
  tasksCompleted: number
  tasksFailed: number
  tasksBlocked: number
  tasksPending: number
  needsYou: number
  healthScore: number | null
  healthTrend: HealthTrend | null
  healthParts: HealthPart[]
  currentTask: CurrentTask | null
  timeRemaining: TimeRemaining
  waitReason: Reason | null
  lastUpdate: string
}

export interface Gate {
  name: string
  stage: GateStage
  argv?: string[] | null
  script?: string | null
  required: boolean
  timeoutSeconds: number
}

export interface ProjectView {
  kind: 'project'
  id: string
  version: number
  customerId: string
  name: string
  repository: string
  baseBranch: string
  executor: string
  deliveryMode: DeliveryMode
  gates: Gate[]
  monitoringWindowSeconds: number
  createdAt: string
  archived: boolean
}

export interface TaskView {
  kind: 'task'
  id: string
  version: number
  customerId: string
  projectId: string
  title: string
  status: TaskStatus
  statusReason: Reason | null
  mode: TaskMode
  priority: number
  position: number
  estimateSeconds: number | null
  assignee: string | null
  dependsOn: string[]
  attempts: number
  lastAttemptId: string | null
  createdAt: string
  startedAt: string | null
  finishedAt: string | null
}

export type AcceptanceCriterion =
  | { type: 'command'; argv?: string[] | null; script?: string | null; timeoutSeconds?: number | null }
  | { type: 'file'; path: string; exists?: boolean }
  | { type: 'regex'; path: string; pattern: string; present?: boolean }

export interface TaskCommand {
  argv?: string[] | null
  script?: string | null
  timeLimitSeconds?: number | null
}

export interface TaskDetail extends TaskView {
  description: string
  acceptanceCriteria: AcceptanceCriterion[]
  command: TaskCommand | null
}

export interface ExecutionView {
  kind: 'execution'
  id: string
  version: number
  customerId: string
  status: ExecutionStatus
  activity: ExecutionActivity | null
  statusReason: Reason | null
  pauseRequested: PauseMode | null
  autoContinue: boolean
  createdAt: string
  startedAt: string | null
  finishedAt: string | null
}

export interface PhaseSpan {
  phase: AttemptPhase
  round: number
  startedAt: string
  endedAt: string | null
}

export interface TestCounts {
  passed: number
  failed: number
  broken: string[]
}

export interface GateResult {
  name: string
  stage: GateResultStage
  required: boolean
  passed: boolean | null
  baseRed: boolean | null
  exitCode: number | null
  seconds: number | null
  tests: TestCounts | null
  text: string
  outputTail: string
  commit: string | null
}

export interface AttemptView {
  kind: 'attempt'
  id: string
  version: number
  customerId: string
  taskId: string
  taskTitle: string
  projectId: string
  executionId: string
  number: number
  run: number
  phase: AttemptPhase
  outcome: AttemptOutcome | null
  monitoring: MonitoringState | null
  reason: Reason | null
  executor: string
  isolation: string | null
  frozen: boolean
  workerId: string | null
  branch: string | null
  baseCommit: string | null
  commit: string | null
  mergedCommit: string | null
  revertCommit: string | null
  filesChanged: number | null
  linesAdded: number | null
  linesDeleted: number | null
  startedAt: string
  finishedAt: string | null
  phases: PhaseSpan[]
  gates: GateResult[]
  workspaceKept: boolean
  workspacePath: string | null
}

export interface WorkerView {
  kind: 'worker'
  id: string
  version: number
  host: string
  pid: number
  slots: number
  slotsUsed: number
  state: 'alive' | 'draining' | 'dead'
  isolation: string | null
  startedAt: string
  heartbeatAt: string
}

export interface SystemTotals {
  kind: 'system'
  id: 'system'
  version: number
  customers: number
  activeExecutions: number
  runningAttempts: number
  slots: number
  slotsUsed: number
  tasksPending: number
  tasksCompletedToday: number
  needsYou: number
  workersAlive: number
  emergencyStop: boolean
}

export interface EventView {
  id: string
  /** Version in the customer's stream. */
  seq: number
  type: string
  actor: string
  reason: string | null
  subject: { kind: string; id: string | null }
  text: string
  at: string
}

export type EntityView =
  | CustomerCard
  | ProjectView
  | TaskView
  | ExecutionView
  | AttemptView
  | WorkerView
  | SystemTotals
export type EntityKind = EntityView['kind']

export interface SessionView {
  user: { id: string; name: string; role: Role }
  customers: 'all' | string[]
}

/** The instance or stream a `seq` belongs to; numbers of different epochs cannot be compared. */
export type Epoch = string | number

export interface OverviewSnapshot {
  epoch: Epoch
  seq: number
  customers: CustomerCard[]
  system: SystemTotals
}

export interface CustomerSnapshot {
  epoch: Epoch
  seq: number
  customer: CustomerCard
  execution: ExecutionView | null
  projects: ProjectView[]
  tasks: TaskView[]
  attempts: AttemptView[]
}

export interface OutputPage {
  offset: number
  nextOffset: number
  text: string
  complete: boolean
}

export interface AttemptDiff {
  diff: string
  truncated: boolean
  files: { path: string; added: number; deleted: number }[]
}

export interface ActivityPage {
  items: EventView[]
  nextCursor: string | null
}

/** RFC 9457 problem details, as the engine answers every refusal. */
export interface Problem {
  type: string
  title: string
  status: number
  detail?: string | null
  code?: string | null
  errors?: { field: string; message: string }[] | null
}
