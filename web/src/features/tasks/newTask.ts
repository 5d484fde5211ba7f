import type { AcceptanceCriterion, TaskInput, TaskMode } from '@/shared/api'

export interface CriterionDraft {
  type: AcceptanceCriterion['type']
  /** Script, path, or path of the file a pattern is looked for in. */
  text: string
  pattern: string
  /** File: must exist. Pattern: must be present. */
  positive: boolean
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
}

export const EMPTY_CRITERION: CriterionDraft = { type: 'command', text: '', pattern: '', positive: true }

function badMinutes(text: string): boolean {
  return text.trim() !== '' && !(Number(text) > 0)
}

/** What the page can see by itself; the engine checks everything again. */
export function checkDraft(draft: TaskDraft): Record<string, string> {
  const wrong: Record<string, string> = {}
  if (!draft.projectId) wrong.projectId = 'Choose the project to work in.'
  if (!draft.title.trim()) wrong.title = 'A task needs a title.'
  if (draft.mode === 'autonomous' && !draft.script.trim()) {
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

function criterion({ type, text, pattern, positive }: CriterionDraft): AcceptanceCriterion {
  if (type === 'command') return { type, script: text }
  if (type === 'file') return { type, path: text.trim(), exists: positive }
  return { type, path: text.trim(), pattern, present: positive }
}

/** The request for a draft: what was left empty is left out. */
export function toNewTask(draft: TaskDraft): TaskInput {
  const task: TaskInput = {
    projectId: draft.projectId,
    title: draft.title.trim(),
    mode: draft.mode,
    position: draft.position,
  }
  if (draft.description.trim()) task.description = draft.description
  if (draft.script.trim()) {
    task.command = { script: draft.script }
    if (draft.timeLimitMinutes.trim()) task.command.timeLimitSeconds = Number(draft.timeLimitMinutes) * 60
  }
  if (draft.criteria.length > 0) task.acceptanceCriteria = draft.criteria.map(criterion)
  if (draft.dependsOn.length > 0) task.dependsOn = draft.dependsOn
  if (draft.estimateMinutes.trim()) task.estimateSeconds = Number(draft.estimateMinutes) * 60
  if (draft.assignee.trim()) task.assignee = draft.assignee.trim()
  return task
}

/** The error of a field or of anything inside it. */
export function errorUnder(errors: Record<string, string>, field: string): string | undefined {
  if (errors[field]) return errors[field]
  const inside = Object.keys(errors).find(
    (each) => each.startsWith(`${field}.`) || each.startsWith(`${field}[`),
  )
  return inside === undefined ? undefined : errors[inside]
}
