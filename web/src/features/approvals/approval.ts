/** What an approval is about and how it ended, as it is read. Pure. */
import type { ApprovalKind, ApprovalView } from '@/shared/api'
import type { Change } from '@/shared/ui'

/** Kinds that come later are called by their own name. */
const ASKS_NAME: Partial<Record<ApprovalKind, string>> = {
  agent_permission: 'Permission',
  agent_question: 'Question',
  protected_paths: 'Protected files changed',
  weakened_tests: 'Tests weakened',
  dependency_change: 'Dependencies changed',
  follow_up_task: 'Follow-up task',
  escape: 'Escape from the fence',
  review: 'Review',
}

export const asksName = (asks: string): string => ASKS_NAME[asks as ApprovalKind] ?? asks.replaceAll('_', ' ')

export interface Evidence {
  paths: string[]
  /** The tool call that waits: what it would do. */
  tool: string | null
  changes: Change[]
  /** The rest, as it is. */
  other: Record<string, unknown>
}

type Json = Record<string, unknown>
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const textOf = (value: unknown) => (typeof value === 'string' ? value : '')
const SHOWN_ELSEWHERE = new Set(['paths', 'toolCall', 'wait', 'told', 'title', 'description', 'reason'])

/** A path inside the attempt's workspace, as the repository knows it. */
const shownPath = (path: string) => /\/workspaces\/[^/]+\/tree\/(.+)$/.exec(path)?.[1] ?? path

export function evidenceOf({ data }: Pick<ApprovalView, 'data'>): Evidence {
  const call = isObject(data.toolCall) ? data.toolCall : {}
  const content = Array.isArray(call.content) ? call.content.filter(isObject) : []
  return {
    paths: Array.isArray(data.paths) ? data.paths.map(String) : [],
    tool: textOf(call.title) || null,
    changes: content
      .filter(({ type }) => type === 'diff')
      .map((item) => ({
        path: shownPath(textOf(item.path)),
        before: textOf(item.oldText),
        after: textOf(item.newText),
      })),
    other: Object.fromEntries(
      Object.entries(data).filter(([key, value]) => !SHOWN_ELSEWHERE.has(key) && value !== null),
    ),
  }
}

/** How it ended, as a sentence without its time; null while it waits. */
export function endOf({ status, answer, answeredBy, asks }: ApprovalView): string | null {
  if (status === 'pending') return null
  if (status === 'expired') return answer ?? 'Expired: nobody answered in time, which counts as no.'
  const verb = asks === 'agent_question' && status === 'approved' ? 'Answered' : VERB[status]
  return `${verb} by ${answeredBy ?? 'a person'}${answer ? `: ${answer}` : '.'}`
}

const VERB = { approved: 'Approved', rejected: 'Rejected' }

/** What saying yes and no is called, and what happens then. */
export function actsOf({ asks, data }: Pick<ApprovalView, 'asks' | 'data'>) {
  switch (asks) {
    case 'agent_question':
      return {
        yes: 'Answer',
        no: 'Decline',
        field: 'Your answer',
        hint:
          data.wait === false
            ? 'The agent works on meanwhile; the answer reaches it as a message.'
            : 'The agent waits for it.',
      }
    case 'follow_up_task':
      return {
        yes: 'Approve',
        no: 'Reject',
        field: 'Remark',
        hint: 'Approved, it joins the end of the queue.',
      }
    default:
      return {
        yes: 'Approve',
        no: 'Reject',
        field: 'Remark',
        hint: 'The agent or the gate waits; it hears what you write.',
      }
  }
}

/** Those that wait first, the longest-waiting foremost; then the settled ones, newest first. */
export function ordered(approvals: readonly ApprovalView[]): ApprovalView[] {
  const waits = (approval: ApprovalView) => approval.status === 'pending'
  return [...approvals].sort((a, b) =>
    waits(a) !== waits(b)
      ? waits(a)
        ? -1
        : 1
      : waits(a)
        ? a.requestedAt.localeCompare(b.requestedAt)
        : (b.answeredAt ?? b.requestedAt).localeCompare(a.answeredAt ?? a.requestedAt),
  )
}
