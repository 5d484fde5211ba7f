import { expect, it } from 'vitest'
import type { SessionEntry } from '@/shared/api'
import { buildAttempt } from '@/testing/builders'
import { EMPTY_SESSION, foldEntries, shownPath } from './session'
import { hasSession, takesGuidance, usedText } from './used'

const at = (second: number) => new Date(Date.parse('2026-11-24T10:00:00.000Z') + second * 1000).toISOString()
const entries = (...parts: [SessionEntry['kind'], Record<string, unknown>][]): SessionEntry[] =>
  parts.map(([kind, data], index) => ({ ordinal: index + 1, kind, data, at: at(index) }))
const folded = (...parts: [SessionEntry['kind'], Record<string, unknown>][]) =>
  foldEntries(EMPTY_SESSION, entries(...parts))
const text = (said: string) => ({ type: 'content', content: { type: 'text', text: said } })
const call = (toolCallId: string, more: object) => ({ toolCallId, ...more })

it('makes one block of a tool call and all its updates', () => {
  const { blocks } = folded(
    ['tool_call', call('1', { title: 'Run tests', kind: 'execute', status: 'pending' })],
    ['tool_call', call('2', { title: 'Edit a.py', kind: 'edit', status: 'pending' })],
    ['tool_update', call('1', { status: 'in_progress', content: [text('F')] })],
    ['tool_update', call('1', { status: 'in_progress' })],
    ['tool_update', call('1', { status: 'failed', content: [text('F\n1 failed')] })],
    [
      'tool_update',
      call('2', {
        status: 'completed',
        content: [{ type: 'diff', path: '/srv/data/workspaces/1/tree/src/a.py', oldText: 'a', newText: 'b' }],
      }),
    ],
  )
  expect(blocks).toMatchObject([
    { type: 'tool', title: 'Run tests', state: 'failed', output: 'F\n1 failed', endedAt: at(4) },
    {
      type: 'tool',
      kind: 'edit',
      state: 'completed',
      changes: [{ path: 'src/a.py', before: 'a', after: 'b' }],
    },
  ])
})

it('shows the newest plan, and how full the context is', () => {
  const session = folded(
    ['plan', { entries: [{ content: 'look', status: 'in_progress' }] }],
    ['usage', { used: 1283, size: 120000 }],
    [
      'plan',
      {
        entries: [
          { content: 'look', status: 'completed' },
          { content: 'mend', status: 'odd' },
        ],
      },
    ],
  )
  expect(session.plan).toEqual([
    { text: 'look', state: 'completed' },
    { text: 'mend', state: 'pending' },
  ])
  expect(session.context).toEqual({ used: 1283, size: 120000 })
  expect(session.blocks).toEqual([])
})

it('goes on where it was, and takes nothing twice', () => {
  const all = entries(['message', { text: 'one' }], ['message', { text: 'two' }], ['note', { text: 'three' }])
  const first = foldEntries(EMPTY_SESSION, all.slice(0, 2))
  const second = foldEntries(first, all.slice(1))
  expect(second.blocks.map(({ ordinal }) => ordinal)).toEqual([1, 2, 3])
  expect(first.blocks).toHaveLength(2)
  expect(foldEntries(second, all)).toBe(second)
})

it('survives whatever an agent writes', () => {
  const { blocks, plan, context } = folded(
    ['message', {}],
    ['plan', { entries: 'none' }],
    ['usage', { used: 'much' }],
    ['tool_update', { content: [null, 7, { type: 'content', content: [] }], status: {} }],
    ['permission', { toolCall: null }],
  )
  expect(blocks.map(({ type }) => type)).toEqual(['message', 'tool', 'permission'])
  expect(blocks[2]).toMatchObject({ title: 'A tool', allowed: false, by: 'policy' })
  expect([plan, context]).toEqual([[], null])
})

it('names files as the repository does', () => {
  expect(shownPath('/var/lib/devteam/workspaces/01a2/tree/src/tree/a.py')).toBe('src/tree/a.py')
  expect(shownPath('src/a.py')).toBe('src/a.py')
})

it('says what the calls came to, and when that is not known', () => {
  const used = { calls: 12, inputTokens: 48_200, cachedTokens: 40_000, outputTokens: 950, costUsd: 0.1312 }
  expect(usedText(used)).toBe('12 calls · 48.2K tokens in, 40K cached · 950 out · $0.1312')
  expect(usedText({ ...used, cachedTokens: 0, costUsd: null })).toBe(
    '12 calls · 48.2K tokens in · 950 out · cost unknown: a price is missing',
  )
  expect(usedText({ ...used, calls: 0 })).toBe('No metered model call')
})

it.each([
  [{}, true],
  [{ executor: 'command' }, false],
  [{ phase: 'quality_assurance' as const }, false],
  [{ outcome: 'failed' as const }, false],
])('takes guidance with %o: %s', (part, taken) => {
  expect(takesGuidance(buildAttempt({ executor: 'native', ...part }))).toBe(taken)
})

it('tells what a reviewer did apart from the work, also where both number their calls alike', () => {
  const session = folded(
    ['plan', { entries: [{ content: 'mend', status: 'completed' }] }],
    ['tool_call', call('1', { title: 'Edit a.py', kind: 'edit', status: 'completed' })],
    ['usage', { used: 100, size: 1000 }],
    ['plan', { entries: [{ content: 'read', status: 'pending' }], reviewer: true }],
    ['tool_call', call('1', { title: 'Read the task', kind: 'read', status: 'pending', reviewer: true })],
    ['tool_update', call('1', { status: 'failed', reviewer: true })],
    ['usage', { used: 900, size: 1000, reviewer: true }],
    ['message', { text: 'It does what was asked.', reviewer: true }],
  )
  expect(session.blocks).toMatchObject([
    { type: 'tool', title: 'Edit a.py', state: 'completed', reviewer: false },
    { type: 'tool', title: 'Read the task', state: 'failed', reviewer: true },
    { type: 'message', reviewer: true },
  ])
  expect(session.plan).toEqual([{ text: 'mend', state: 'completed' }])
  expect(session.context).toEqual({ used: 100, size: 1000 })
})

it('has a session to read where an agent worked or reviewed', () => {
  expect(hasSession({ executor: 'codex', calls: 0 })).toBe(true)
  expect(hasSession({ executor: 'command', calls: 0 })).toBe(false)
  expect(hasSession({ executor: 'person', calls: 0 })).toBe(false)
  expect(hasSession({ executor: 'person', calls: 3 })).toBe(true)
})
