/**
 * An agent's session as blocks to read, folded from its entries one after the other. Entries hold the protocol's own
 * JSON, written by whichever agent ran: nothing in them is taken for granted.
 */
import type { SessionEntry } from '@/shared/api'

export type StepState = 'pending' | 'in_progress' | 'completed'

export interface PlanStep {
  text: string
  state: StepState
}

export interface FileChange {
  path: string
  before: string
  after: string
}

export type ToolState = 'pending' | 'running' | 'completed' | 'failed'

interface Told {
  ordinal: number
  at: string
  /** By an agent that reviews the work, not by the one that does it. */
  reviewer: boolean
}

export interface TextBlock extends Told {
  type: 'prompt' | 'message' | 'thought' | 'note' | 'steer'
  text: string
}

export interface ToolBlock extends Told {
  type: 'tool'
  endedAt: string | null
  callId: string
  title: string
  kind: string
  state: ToolState
  output: string
  changes: FileChange[]
}

export interface PermissionBlock extends Told {
  type: 'permission'
  title: string
  allowed: boolean
  by: string
}

export type Block = TextBlock | ToolBlock | PermissionBlock

export interface Session {
  blocks: Block[]
  /** The newest plan of the agent that does the work; a plan is always told whole. */
  plan: PlanStep[]
  /** How much of the model's context is filled, as the agent says: tokens. */
  context: { used: number; size: number } | null
  /** The last ordinal that was folded in. */
  last: number
}

export const EMPTY_SESSION: Session = { blocks: [], plan: [], context: null, last: 0 }

/** The session with more entries; those that were folded in before are left out. */
export function foldEntries(session: Session, entries: readonly SessionEntry[]): Session {
  const fresh = entries.filter(({ ordinal }) => ordinal > session.last)
  if (fresh.length === 0) return session
  const next = { ...session, blocks: [...session.blocks] }
  for (const entry of fresh) {
    fold(next, entry)
    next.last = entry.ordinal
  }
  return next
}

function fold(session: Session, { kind, data, ordinal, at }: SessionEntry): void {
  const { blocks } = session
  const told: Told = { ordinal, at, reviewer: data.reviewer === true }
  switch (kind) {
    case 'prompt':
    case 'message':
    case 'thought':
    case 'note':
    case 'steer':
      blocks.push({ ...told, type: kind, text: textOf(data.text) })
      return
    case 'plan':
      if (told.reviewer) return
      session.plan = listOf(data.entries).map((step) => ({
        text: textOf(step.content),
        state: stateOf(step.status),
      }))
      return
    case 'tool_call':
    case 'tool_update':
      foldTool(blocks, data, told)
      return
    case 'permission': {
      const call = objectOf(data.toolCall)
      const title = textOf(call.title) || 'A tool'
      blocks.push({
        ...told,
        type: 'permission',
        title,
        allowed: data.allowed === true,
        by: textOf(data.by) || 'policy',
      })
      return
    }
    case 'usage':
      if (told.reviewer) return
      if (typeof data.used === 'number' && typeof data.size === 'number' && data.size > 0)
        session.context = { used: data.used, size: data.size }
      return
    default:
      kind satisfies never
  }
}

/**
 * Updates change their call, wherever it stands; one whose call was never told stands for itself. Agents number their
 * own calls: the reviewer's first is not the worker's.
 */
function foldTool(blocks: Block[], data: Json, told: Told): void {
  const callId = textOf(data.toolCallId)
  const index = blocks.findLastIndex(
    (block) => block.type === 'tool' && block.callId === callId && block.reviewer === told.reviewer,
  )
  const found = blocks[index]
  const before: ToolBlock =
    found?.type === 'tool'
      ? found
      : {
          ...told,
          type: 'tool',
          endedAt: null,
          callId,
          title: textOf(data.kind) || 'Tool',
          kind: textOf(data.kind) || 'other',
          state: 'pending',
          output: '',
          changes: [],
        }
  const state = toolState(data.status) ?? before.state
  const content = data.content === undefined ? null : listOf(data.content)
  const changes = content?.filter(({ type }) => type === 'diff').map(changeOf) ?? []
  const output = content?.map((item) => textOf(objectOf(item.content).text)).join('') ?? ''
  const after: ToolBlock = {
    ...before,
    title: textOf(data.title) || before.title,
    kind: textOf(data.kind) || before.kind,
    state,
    output: output || before.output,
    changes: changes.length > 0 ? changes : before.changes,
    endedAt: state === 'completed' || state === 'failed' ? (before.endedAt ?? told.at) : null,
  }
  if (index === -1) blocks.push(after)
  else blocks[index] = after
}

function toolState(status: unknown): ToolState | null {
  if (status === 'in_progress') return 'running'
  return status === 'completed' || status === 'failed' || status === 'pending' ? status : null
}

function stateOf(status: unknown): StepState {
  return status === 'completed' || status === 'in_progress' ? status : 'pending'
}

function changeOf(item: Json): FileChange {
  return { path: shownPath(textOf(item.path)), before: textOf(item.oldText), after: textOf(item.newText) }
}

/** A path inside the attempt's workspace, as the repository knows it. */
export function shownPath(path: string): string {
  return /\/workspaces\/[^/]+\/tree\/(.+)$/.exec(path)?.[1] ?? path
}

type Json = Record<string, unknown>

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const objectOf = (value: unknown): Json => (isObject(value) ? value : {})
const listOf = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : [])
