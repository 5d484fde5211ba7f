import type {
  ApprovalView,
  AttemptView,
  CustomerCard,
  ExecutorView,
  GateResult,
  IncidentView,
  ProjectView,
  ProviderView,
  SessionView,
  SystemTotals,
  TaskView,
} from '@/shared/api'

/** Whole views for tests and the workshop: give only what matters. */

const AT = '2026-11-24T10:00:00.000Z'

export function buildCard(part: Partial<CustomerCard> = {}): CustomerCard {
  return {
    kind: 'customer',
    id: 'customer-1',
    version: 1,
    name: 'Acme',
    priorityClass: 'standard_customer',
    timeZone: 'UTC',
    archived: false,
    createdAt: AT,
    executionId: 'execution-1',
    executionStatus: 'active',
    executionStatusDetail: 'active',
    activity: 'task_executing',
    statusReason: null,
    pauseRequested: null,
    progress: 0.67,
    tasksTotal: 18,
    tasksCompleted: 12,
    tasksFailed: 0,
    tasksBlocked: 0,
    tasksPending: 5,
    needsYou: 0,
    healthScore: 0.92,
    healthTrend: 'up',
    healthParts: [
      { name: 'Success', weight: 0.5, value: 0.95, text: '19 of the last 20 attempts succeeded.' },
    ],
    currentTask: {
      taskId: 'task-1',
      title: 'Sort the imports',
      attemptId: 'attempt-1',
      phase: 'quality_assurance',
      phaseStartedAt: AT,
      attemptNumber: 1,
      frozen: false,
    },
    timeRemaining: {
      seconds: 720,
      basis: 12,
      confidence: 'medium',
      lowSeconds: 540,
      highSeconds: 1020,
      computedAt: AT,
    },
    waitReason: null,
    approvalsPending: 0,
    incidentsOpen: 0,
    lastUpdate: AT,
    ...part,
  }
}

export function buildTotals(part: Partial<SystemTotals> = {}): SystemTotals {
  return {
    kind: 'system',
    id: 'system',
    version: 1,
    customers: 1,
    activeExecutions: 1,
    runningAttempts: 1,
    slots: 2,
    slotsUsed: 1,
    tasksPending: 5,
    tasksCompletedToday: 12,
    needsYou: 0,
    workersAlive: 1,
    ...part,
  }
}

export function buildProject(part: Partial<ProjectView> = {}): ProjectView {
  return {
    kind: 'project',
    id: 'project-1',
    version: 1,
    customerId: 'customer-1',
    name: 'website',
    repository: '/srv/git/website.git',
    baseBranch: 'main',
    executor: 'command',
    agentCommand: null,
    model: null,
    budgetUsd: null,
    deliveryMode: 'branch',
    gates: [],
    monitoringWindowSeconds: 0,
    routes: [],
    protectedPaths: [],
    refusedCommands: [],
    egressAllow: [],
    authorName: null,
    authorEmail: null,
    createdAt: AT,
    archived: false,
    ...part,
  }
}

export function buildTask(part: Partial<TaskView> = {}): TaskView {
  return {
    kind: 'task',
    id: 'task-1',
    version: 1,
    customerId: 'customer-1',
    projectId: 'project-1',
    title: 'Sort the imports',
    status: 'pending',
    statusReason: null,
    mode: 'autonomous',
    priority: 3,
    position: 1,
    estimateSeconds: null,
    assignee: null,
    dependsOn: [],
    taskKind: 'other',
    labels: [],
    size: 'unknown',
    executor: null,
    model: null,
    attempts: 0,
    lastAttemptId: null,
    createdAt: AT,
    startedAt: null,
    finishedAt: null,
    ...part,
  }
}

export function buildGate(part: Partial<GateResult> = {}): GateResult {
  return {
    name: 'tests',
    stage: 'post_task',
    round: 1,
    required: true,
    passed: true,
    baseRed: false,
    exitCode: 0,
    seconds: 4.2,
    tests: { passed: 455, failed: 0, skipped: 0, broken: [], flaky: [] },
    text: 'All tests that passed before pass now.',
    outputTail: '455 passed in 4.1s',
    commit: null,
    measures: [],
    ...part,
  }
}

export function buildAttempt(part: Partial<AttemptView> = {}): AttemptView {
  return {
    kind: 'attempt',
    id: 'attempt-1',
    version: 1,
    customerId: 'customer-1',
    taskId: 'task-1',
    taskTitle: 'Sort the imports',
    projectId: 'project-1',
    executionId: 'execution-1',
    number: 1,
    run: 1,
    round: 1,
    phase: 'execution',
    outcome: null,
    monitoring: null,
    reason: null,
    executor: 'command',
    promptVersion: null,
    calls: 0,
    inputTokens: 0,
    cachedTokens: 0,
    outputTokens: 0,
    costUsd: 0,
    overshootUsd: null,
    model: null,
    route: null,
    fence: null,
    isolation: 'process group',
    frozen: false,
    awaitingApprovalId: null,
    request: null,
    rounds: [],
    takenOverBy: null,
    workerId: 'worker-1',
    branch: 'task/task-1-sort-the-imports',
    baseCommit: 'a'.repeat(40),
    commit: null,
    mergedCommit: null,
    revertCommit: null,
    filesChanged: null,
    linesAdded: null,
    linesDeleted: null,
    startedAt: AT,
    finishedAt: null,
    phases: [
      { phase: 'planning', round: 1, run: 1, startedAt: AT, endedAt: '2026-11-24T10:00:01.000Z' },
      { phase: 'execution', round: 1, run: 1, startedAt: '2026-11-24T10:00:01.000Z', endedAt: null },
    ],
    gates: [],
    workspaceKept: false,
    workspacePath: null,
    ...part,
  }
}

export function buildApproval(part: Partial<ApprovalView> = {}): ApprovalView {
  return {
    kind: 'approval',
    id: 'approval-1',
    version: 1,
    customerId: 'customer-1',
    projectId: 'project-1',
    taskId: 'task-1',
    taskTitle: 'Sort the imports',
    attemptId: 'attempt-1',
    asks: 'agent_permission',
    status: 'pending',
    title: 'May the agent change ci.yml?',
    detail: 'The project protects this file: ci.yml.',
    data: { paths: ['ci.yml'] },
    answer: null,
    answeredBy: null,
    requestedAt: AT,
    expiresAt: '2036-11-25T10:00:00.000Z',
    answeredAt: null,
    ...part,
  }
}

export function buildIncident(part: Partial<IncidentView> = {}): IncidentView {
  return {
    kind: 'incident',
    id: 'incident-1',
    version: 1,
    customerId: 'customer-1',
    projectId: 'project-1',
    taskId: 'task-1',
    taskTitle: 'Sort the imports',
    attemptId: 'attempt-1',
    class: 'INTERVENTION_REQUIRED',
    code: 'host_refused',
    status: 'open',
    title: 'An agent wanted to reach a host that is not allowed',
    evidence: { hosts: ['evil.test:443'] },
    count: 1,
    openedAt: AT,
    lastAt: AT,
    resolvedAt: null,
    resolvedBy: null,
    resolution: null,
    ...part,
  }
}

export function buildProvider(part: Partial<ProviderView> = {}): ProviderView {
  return {
    kind: 'provider',
    id: 'provider-1',
    version: 1,
    name: 'Main',
    protocol: 'openai',
    baseUrl: 'https://models.test/v1',
    hasSecret: true,
    models: ['large'],
    position: 1,
    parkedUntil: null,
    parkedReason: null,
    createdAt: AT,
    ...part,
  }
}

export function buildExecutor(part: Partial<ExecutorView> = {}): ExecutorView {
  return {
    kind: 'executor',
    name: 'native',
    title: 'Built-in agent',
    package: null,
    installed: true,
    installedVersion: null,
    usage: 'tokens of the whole prompt',
    loadsSessions: true,
    takesGuidance: true,
    attempts: 0,
    succeeded: 0,
    medianSeconds: null,
    meanCostUsd: null,
    byKind: [],
    ...part,
  }
}

export function buildSession(part: Partial<SessionView> = {}): SessionView {
  return { user: { id: 'user-1', name: 'Ada', role: 'project_manager' }, customers: 'all', ...part }
}
