/** A project's form: what is typed, what can be seen to be wrong on the page, and what is sent. Pure. */
import type { DeliveryMode, ExecutorKind, ProjectInput, ProjectPatch, ProjectView } from '@/shared/api'
import { amountOf } from '@/shared/lib/format'
import { linesOf, shellLine, textOfLines, wordsOf } from '@/shared/lib/text'
import { type GateDraft, gateDraftOf, gateOf, gateTrouble, isBlank, NEW_GATE } from './gateDraft'
import { type RouteDraft, routeDraftOf, routeOf, routeTrouble } from './routeDraft'

export interface ProjectField {
  key: keyof ProjectPatch & keyof ProjectView
  label: string
  hint: string
  /** One line of text, one value a line, an amount above zero, or hours that are sent as seconds. */
  kind: 'line' | 'lines' | 'amount' | 'hours'
  section: 'work' | 'delivery' | 'limits'
  mono?: boolean
  /** Means nothing to tasks that run their own commands. */
  agentsOnly?: boolean
}

/** Settings that are typed as text. A new one is a line here. */
export const PROJECT_FIELDS = [
  {
    key: 'model',
    label: 'Model',
    hint: 'Empty: the first that a provider offers.',
    kind: 'line',
    section: 'work',
    mono: true,
    agentsOnly: true,
  },
  {
    key: 'budgetUsd',
    label: 'Budget per attempt, US dollars',
    hint: 'Empty: no limit.',
    kind: 'amount',
    section: 'work',
    agentsOnly: true,
  },
  {
    key: 'monitoringWindowSeconds',
    label: 'Monitoring, hours',
    hint: 'How long a merge is watched, and reverted when it broke the base branch.',
    kind: 'hours',
    section: 'delivery',
  },
  {
    key: 'authorName',
    label: "Author's name of commits",
    hint: "Empty: the engine's own.",
    kind: 'line',
    section: 'delivery',
  },
  {
    key: 'authorEmail',
    label: "Author's e-mail",
    hint: 'Goes with the name.',
    kind: 'line',
    section: 'delivery',
  },
  {
    key: 'protectedPaths',
    label: 'Protected paths',
    hint: 'A person is asked before one is changed. One pattern a line; empty in a new project: the usual ones.',
    kind: 'lines',
    section: 'limits',
  },
  {
    key: 'refusedCommands',
    label: 'Refused commands',
    hint: 'First words, or /a regular expression/, one a line; empty in a new project: the usual ones.',
    kind: 'lines',
    section: 'limits',
    agentsOnly: true,
  },
  {
    key: 'egressAllow',
    label: 'Hosts that may be reached',
    hint: 'host, *.host or host:port, one a line; empty: none.',
    kind: 'lines',
    section: 'limits',
  },
] as const satisfies readonly ProjectField[]

type TextKey = (typeof PROJECT_FIELDS)[number]['key']

export type ProjectDraft = Record<TextKey, string> & {
  name: string
  repository: string
  baseBranch: string
  deliveryMode: DeliveryMode
  executor: ExecutorKind
  agentCommand: string
  routes: RouteDraft[]
  gates: GateDraft[]
}

const EMPTY_TEXTS = Object.fromEntries(PROJECT_FIELDS.map(({ key }) => [key, ''])) as Record<TextKey, string>

export const NEW_PROJECT: ProjectDraft = {
  ...EMPTY_TEXTS,
  name: '',
  repository: '',
  baseBranch: '',
  deliveryMode: 'branch',
  executor: 'command',
  agentCommand: '',
  routes: [],
  gates: [{ ...NEW_GATE, name: 'tests' }],
}

/** What fields are called on screen. */
export const PROJECT_NAMES: Partial<Record<keyof ProjectDraft, string>> = {
  ...Object.fromEntries(PROJECT_FIELDS.map(({ key, label }) => [key, label])),
  name: 'Name',
  deliveryMode: 'Delivery',
  gates: 'Gates',
  routes: 'Rules',
  agentCommand: 'Agent command',
}

export function projectDraftOf(project: ProjectView): ProjectDraft {
  const texts = { ...EMPTY_TEXTS }
  for (const field of PROJECT_FIELDS as readonly ProjectField[])
    texts[field.key as TextKey] = textOf(field, project[field.key])
  return {
    ...texts,
    name: project.name,
    repository: project.repository,
    baseBranch: project.baseBranch,
    deliveryMode: project.deliveryMode,
    executor: project.executor,
    agentCommand: shellLine(project.agentCommand ?? []),
    routes: project.routes.map(routeDraftOf),
    gates: project.gates.map(gateDraftOf),
  }
}

function textOf({ kind }: ProjectField, value: unknown): string {
  if (value === null || value === undefined) return ''
  if (kind === 'lines') return textOfLines(value as string[])
  return kind === 'hours' ? String(Number(value) / 3600) : String(value)
}

function fieldValue({ kind }: ProjectField, text: string): unknown {
  const trimmed = text.trim()
  if (kind === 'lines') return linesOf(text)
  if (trimmed === '') return null
  if (kind === 'line') return trimmed
  return kind === 'hours' ? amountOf(trimmed) * 3600 : amountOf(trimmed)
}

/** The text fields that mean something for the executor. */
export const fieldsFor = (executor: ExecutorKind): readonly ProjectField[] =>
  (PROJECT_FIELDS as readonly ProjectField[]).filter(
    ({ agentsOnly }) => !agentsOnly || executor !== 'command',
  )

function fieldTrouble(field: ProjectField, text: string): string | null {
  const value = fieldValue(field, text)
  if (field.kind === 'amount' && value !== null && !((value as number) > 0))
    return 'Give an amount above zero, or leave it empty.'
  if (field.kind === 'hours' && value !== null && !((value as number) >= 0))
    return 'Give a number of hours; zero: not at all.'
  return null
}

/** Whether an agent of one's own does tasks here, and its command is needed. */
export const usesOwnAgent = ({ executor, routes }: ProjectDraft): boolean =>
  executor === 'acp' || routes.some(({ choices }) => choices.some((choice) => choice.executor === 'acp'))

function agentTrouble(draft: ProjectDraft): string | null {
  const words = wordsOf(draft.agentCommand)
  const fine = words !== null && (words.length > 0 || !usesOwnAgent(draft))
  return fine ? null : 'Give the command that starts the agent, with its quotes closed.'
}

export function checkProject(draft: ProjectDraft): Record<string, string> {
  const wrong: Record<string, string> = {}
  if (!draft.name.trim()) wrong.name = 'A project needs a name.'
  if (!draft.repository.trim()) wrong.repository = 'Give the path or the address of a git repository.'
  const agent = agentTrouble(draft)
  if (agent) wrong.agentCommand = agent
  for (const [index, route] of draft.routes.entries()) {
    const trouble = routeTrouble(route)
    if (trouble) wrong[`routes.${index}`] = trouble
  }
  for (const field of fieldsFor(draft.executor)) {
    const trouble = fieldTrouble(field, draft[field.key as TextKey])
    if (trouble) wrong[field.key] = trouble
  }
  for (const [index, gate] of draft.gates.entries()) {
    const trouble = isBlank(gate) ? null : gateTrouble(gate)
    if (trouble) wrong[`gates.${index}`] = trouble
  }
  return wrong
}

const gatesOf = (draft: ProjectDraft) => draft.gates.filter((gate) => !isBlank(gate)).map(gateOf)

/** The request for a new project: what was left empty is left out. */
export function projectInput(draft: ProjectDraft): ProjectInput {
  const { executor, deliveryMode } = draft
  const gates = gatesOf(draft)
  const baseBranch = draft.baseBranch.trim()
  const texts = fieldsFor(executor)
    .map((field) => [field.key, fieldValue(field, draft[field.key as TextKey])] as const)
    .filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0))
  return {
    name: draft.name.trim(),
    repository: draft.repository.trim(),
    deliveryMode,
    executor,
    ...(baseBranch ? { baseBranch } : {}),
    ...(gates.length > 0 ? { gates } : {}),
    ...(usesOwnAgent(draft) ? { agentCommand: wordsOf(draft.agentCommand) ?? [] } : {}),
    ...(draft.routes.length > 0 ? { routes: draft.routes.map(routeOf) } : {}),
    ...Object.fromEntries(texts),
  }
}

/** The request that makes a project what the draft says, in the fields named. */
export function projectPatch(draft: ProjectDraft, changed: readonly (keyof ProjectDraft)[]): ProjectPatch {
  const patch: Record<string, unknown> = {}
  if (changed.includes('name')) patch.name = draft.name.trim()
  if (changed.includes('deliveryMode')) patch.deliveryMode = draft.deliveryMode
  if (changed.includes('gates')) patch.gates = gatesOf(draft)
  if (changed.includes('routes')) patch.routes = draft.routes.map(routeOf)
  if (changed.includes('agentCommand')) {
    const words = wordsOf(draft.agentCommand) ?? []
    patch.agentCommand = words.length > 0 ? words : null
  }
  for (const field of fieldsFor(draft.executor)) {
    if (changed.includes(field.key as TextKey))
      patch[field.key] = fieldValue(field, draft[field.key as TextKey])
  }
  return patch
}
