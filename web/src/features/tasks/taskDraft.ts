/** A task's form: what is typed, what can be seen to be wrong on the page, and what is sent. Pure. */
import type {
  AcceptanceCriterion,
  ExecutorKind,
  TaskCommand,
  TaskDetail,
  TaskInput,
  TaskMode,
  TaskPatch,
} from '@/shared/api'
import { linesOf, shellLine } from '@/shared/lib/text'

export interface CriterionDraft {
  type: AcceptanceCriterion['type']
  /** Script, path, or path of the file a pattern is looked for in. */
  text: string
  pattern: string
  /** File: must exist. Pattern: must be present. */
  positive: boolean
  /** The criterion as it is stored, for as long as nobody changes it. */
  stored?: AcceptanceCriterion
}

export interface TaskDraft {
  projectId: string
  title: string
  description: string
  script: string
  timeLimitMinutes: string
  criteria: CriterionDraft[]
  dependsOn: string[]
  estimateMinutes: string
  assignee: string
  mode: TaskMode
  position: 'head' | 'tail'
  /** 1 to 5; 1 is the most urgent. */
  priority: string
  taskKind: string
  /** One a line. */
  labels: string
  /** Empty: the project's rules choose. */
  executor: ExecutorKind | ''
  model: string
}

export const EMPTY_DRAFT: TaskDraft = {
  projectId: '',
  title: '',
  description: '',
  script: '',
  timeLimitMinutes: '',
  criteria: [],
  dependsOn: [],
  estimateMinutes: '',
  assignee: '',
  mode: 'autonomous',
  position: 'tail',
  priority: '3',
  taskKind: '',
  labels: '',
  executor: '',
  model: '',
}

/** What fields are called on screen. */
export const TASK_NAMES: Record<keyof TaskDraft, string> = {
  projectId: 'Project',
  title: 'Title',
  description: 'Description',
  script: 'Script to run',
  timeLimitMinutes: 'Time limit',
  criteria: 'Acceptance criteria',
  dependsOn: 'Depends on',
  estimateMinutes: 'Estimate',
  assignee: 'Assignee',
  mode: 'Mode',
  position: 'Place in the queue',
  priority: 'Priority',
  taskKind: 'Kind of work',
  labels: 'Labels',
  executor: 'Executor',
  model: 'Model',
}

export const EMPTY_CRITERION: CriterionDraft = { type: 'command', text: '', pattern: '', positive: true }

const minutesOf = (seconds: number | null | undefined) => (seconds == null ? '' : String(seconds / 60))

export function taskDraftOf(task: TaskDetail): TaskDraft {
  const { command } = task
  return {
    ...EMPTY_DRAFT,
    projectId: task.projectId,
    title: task.title,
    description: task.description,
    script: command?.argv ? shellLine(command.argv) : (command?.script ?? ''),
    timeLimitMinutes: minutesOf(command?.timeLimitSeconds),
    criteria: task.acceptanceCriteria.map(criterionDraftOf),
    dependsOn: task.dependsOn,
    estimateMinutes: minutesOf(task.estimateSeconds),
    assignee: task.assignee ?? '',
    mode: task.mode,
    priority: String(task.priority),
    taskKind: task.taskKind,
    labels: task.labels.join('\n'),
    executor: task.executor ?? '',
    model: task.model ?? '',
  }
}

function criterionDraftOf(stored: AcceptanceCriterion): CriterionDraft {
  const { type } = stored
  if (type === 'command') {
    const text = stored.argv ? shellLine(stored.argv) : (stored.script ?? '')
    return { ...EMPTY_CRITERION, type, text, stored }
  }
  if (type === 'file')
    return { ...EMPTY_CRITERION, type, text: stored.path, positive: stored.exists !== false, stored }
  return { type, text: stored.path, pattern: stored.pattern, positive: stored.present !== false, stored }
}

function badMinutes(text: string): boolean {
  return text.trim() !== '' && !(Number(text) > 0)
}

/** What the page can see by itself; the engine checks everything again. `byAgent`: an agent needs no script. */
export function checkDraft(draft: TaskDraft, byAgent = false): Record<string, string> {
  const wrong: Record<string, string> = {}
  if (!draft.projectId) wrong.projectId = 'Choose the project to work in.'
  if (!draft.title.trim()) wrong.title = 'A task needs a title.'
  if (draft.mode === 'autonomous' && !byAgent && !draft.script.trim()) {
    wrong.command = 'An autonomous task needs a script to run.'
  }
  if (badMinutes(draft.timeLimitMinutes))
    wrong['command.timeLimitSeconds'] = 'A number of minutes above zero.'
  if (badMinutes(draft.estimateMinutes)) wrong.estimateSeconds = 'A number of minutes above zero.'
  if (draft.criteria.some((each) => !each.text.trim() || (each.type === 'regex' && !each.pattern))) {
    wrong.acceptanceCriteria = 'Fill in each criterion or remove it.'
  }
  return wrong
}

function criterion({ type, text, pattern, positive, stored }: CriterionDraft): AcceptanceCriterion {
  if (stored) return stored
  if (type === 'command') return { type, script: text }
  if (type === 'file') return { type, path: text.trim(), exists: positive }
  return { type, path: text.trim(), pattern, present: positive }
}

function commandOf(draft: TaskDraft): TaskCommand | null {
  if (!draft.script.trim()) return null
  const limit = draft.timeLimitMinutes.trim()
  return { script: draft.script, ...(limit ? { timeLimitSeconds: Number(limit) * 60 } : {}) }
}

/** The request for a draft: what was left empty is left out. */
export function toNewTask(draft: TaskDraft): TaskInput {
  const task: TaskInput = {
    projectId: draft.projectId,
    title: draft.title.trim(),
    mode: draft.mode,
    position: draft.position,
  }
  const command = commandOf(draft)
  if (draft.description.trim()) task.description = draft.description
  if (command) task.command = command
  if (draft.criteria.length > 0) task.acceptanceCriteria = draft.criteria.map(criterion)
  if (draft.dependsOn.length > 0) task.dependsOn = draft.dependsOn
  if (draft.estimateMinutes.trim()) task.estimateSeconds = Number(draft.estimateMinutes) * 60
  if (draft.assignee.trim()) task.assignee = draft.assignee.trim()
  if (draft.priority !== EMPTY_DRAFT.priority) task.priority = Number(draft.priority)
  if (draft.taskKind.trim()) task.taskKind = draft.taskKind.trim()
  if (draft.labels.trim()) task.labels = linesOf(draft.labels)
  if (draft.executor) task.executor = draft.executor
  if (draft.model.trim()) task.model = draft.model.trim()
  return task
}

/** The request that makes a task what the draft says, in the fields named. */
export function taskPatch(
  draft: TaskDraft,
  changed: readonly (keyof TaskDraft)[],
  stored: TaskDetail,
): TaskPatch {
  const has = (field: keyof TaskDraft) => changed.includes(field)
  const patch: TaskPatch = {}
  if (has('title')) patch.title = draft.title.trim()
  if (has('description')) patch.description = draft.description
  if (has('script')) patch.command = commandOf(draft)
  else if (has('timeLimitMinutes') && stored.command) patch.command = withLimit(stored.command, draft)
  if (has('criteria')) patch.acceptanceCriteria = draft.criteria.map(criterion)
  if (has('dependsOn')) patch.dependsOn = draft.dependsOn
  if (has('estimateMinutes'))
    patch.estimateSeconds = draft.estimateMinutes.trim() ? Number(draft.estimateMinutes) * 60 : null
  if (has('assignee')) patch.assignee = draft.assignee.trim() || null
  if (has('mode')) patch.mode = draft.mode
  if (has('priority')) patch.priority = Number(draft.priority)
  if (has('taskKind')) patch.taskKind = draft.taskKind.trim() || 'other'
  if (has('labels')) patch.labels = linesOf(draft.labels)
  if (has('executor')) patch.executor = draft.executor || null
  if (has('model')) patch.model = draft.model.trim() || null
  return patch
}

/** The stored command as it is, a program with arguments included, with another limit. */
function withLimit({ argv, script }: TaskCommand, { timeLimitMinutes }: TaskDraft): TaskCommand {
  const limit = timeLimitMinutes.trim()
  return {
    ...(argv ? { argv } : { script: script ?? null }),
    ...(limit ? { timeLimitSeconds: Number(limit) * 60 } : {}),
  }
}
