import type {
  AttemptOutcome,
  AttemptPhase,
  CustomerCard,
  ExecutionActivity,
  GateResultStage,
  GateStage,
  MonitoringState,
  PriorityClass,
  TaskStatus,
} from '@/shared/api'

/** The words on screen; one place, so that a state is called the same everywhere. */

export const PHASES: readonly AttemptPhase[] = [
  'planning',
  'execution',
  'quality_assurance',
  'delivery',
  'monitoring',
]

export const PHASE_NAME: Record<AttemptPhase, string> = {
  planning: 'Planning',
  execution: 'Execution',
  quality_assurance: 'Quality assurance',
  delivery: 'Delivery',
  monitoring: 'Monitoring',
}

export const PRIORITY_NAME: Record<PriorityClass, string> = {
  priority_customer: 'Priority',
  standard_customer: 'Standard',
  low_priority_customer: 'Low priority',
}

export const PRIORITY_WEIGHT: Record<PriorityClass, number> = {
  priority_customer: 1.5,
  standard_customer: 1,
  low_priority_customer: 0.7,
}

export const TASK_STATUS_NAME: Record<TaskStatus, string> = {
  pending: 'Pending',
  in_progress: 'In progress',
  verifying: 'Verifying',
  completed: 'Completed',
  error_solving: 'Solving an error',
  blocked: 'Blocked',
  failed: 'Failed',
  skipped: 'Skipped',
  cancelled: 'Cancelled',
}

export const OUTCOME_NAME: Record<AttemptOutcome, string> = {
  succeeded: 'Succeeded',
  failed: 'Failed',
  cancelled: 'Cancelled',
  superseded: 'Superseded',
  lost: 'Lost',
}

export const MONITORING_NAME: Record<MonitoringState, string> = {
  watching: 'Watching the base branch',
  passed: 'Base branch still passes',
  regressed: 'Regressed and reverted',
  not_merged: 'Not merged',
  skipped: 'Not monitored',
}

export const ACTIVITY_NAME: Record<ExecutionActivity, string> = {
  initializing: 'Initializing',
  selecting: 'Choosing the next task',
  task_executing: 'Working on a task',
  error_solving: 'Solving an error',
  blocked: 'Blocked',
  awaiting_approval: 'Awaiting approval',
  stopping: 'Stopping',
}

export const STAGE_NAME: Record<GateResultStage | GateStage, string> = {
  pre_execution: 'Before the work',
  post_task: 'After the work',
  post_execution: 'After the execution',
  acceptance: 'Acceptance',
  post_merge: 'After the merge',
  baseline: 'Baseline',
}

export const FINAL_TASK: ReadonlySet<TaskStatus> = new Set(['completed', 'failed', 'skipped', 'cancelled'])

export type HealthWord = 'Good' | 'Watch' | 'Poor'

export function healthWord(score: number): HealthWord {
  if (score >= 0.8) return 'Good'
  return score >= 0.5 ? 'Watch' : 'Poor'
}

/** How a customer is shown: the execution's status, or that it waits for a person. */
export type ShownStatus =
  | 'needs_you'
  | 'error'
  | 'active'
  | 'queued'
  | 'paused'
  | 'completed'
  | 'completed_with_failures'
  | 'aborted'
  | 'idle'

export const SHOWN_STATUS_NAME: Record<ShownStatus, string> = {
  needs_you: 'Needs you',
  error: 'Error',
  active: 'Active',
  queued: 'Queued',
  paused: 'Paused',
  completed: 'Completed',
  completed_with_failures: 'Completed',
  aborted: 'Aborted',
  idle: 'Not started',
}

/** An execution that worked through its queue is not done well for that: what failed shows. */
export function shownStatus(card: Pick<CustomerCard, 'executionStatus' | 'tasksFailed'>): ShownStatus {
  if (card.executionStatus === 'completed' && card.tasksFailed > 0) return 'completed_with_failures'
  return card.executionStatus ?? 'idle'
}
