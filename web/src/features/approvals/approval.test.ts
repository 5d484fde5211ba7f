import { expect, it } from 'vitest'
import { buildApproval } from '@/testing/builders'
import { asksName, endOf, evidenceOf, ordered } from './approval'

it('reads paths, tool call and diff out of what an agent sent', () => {
  const { paths, tool, changes, other } = evidenceOf(
    buildApproval({
      data: {
        paths: ['ci.yml'],
        round: 2,
        commit: null,
        toolCall: {
          title: 'Edit ci.yml',
          content: [{ type: 'diff', path: '/data/workspaces/a/tree/ci.yml', oldText: 'a', newText: 'b' }, 7],
        },
      },
    }),
  )
  expect({ paths, tool, changes, other }).toEqual({
    paths: ['ci.yml'],
    tool: 'Edit ci.yml',
    changes: [{ path: 'ci.yml', before: 'a', after: 'b' }],
    other: { round: 2 },
  })
  expect(evidenceOf(buildApproval({ data: { toolCall: 'odd', paths: 'odd' } })).paths).toEqual([])
})

it('explains how one ended', () => {
  expect(endOf(buildApproval())).toBeNull()
  const answered = { answeredBy: 'Ann', answer: 'Fine', answeredAt: '2026-11-24T11:00:00.000Z' }
  expect(endOf(buildApproval({ status: 'approved', ...answered }))).toBe('Approved by Ann: Fine')
  expect(endOf(buildApproval({ status: 'rejected', ...answered, answer: null }))).toBe('Rejected by Ann.')
  expect(endOf(buildApproval({ status: 'expired' }))).toContain('nobody answered in time')
})

it('puts first what waits longest, then what was settled last', () => {
  const one = (id: string, requestedAt: string, status: 'pending' | 'approved', answeredAt: string | null) =>
    buildApproval({ id, requestedAt, status, answeredAt })
  const sorted = ordered([
    one('done early', '2026-11-24T01', 'approved', '2026-11-24T02'),
    one('waits short', '2026-11-24T05', 'pending', null),
    one('done late', '2026-11-24T01', 'approved', '2026-11-24T03'),
    one('waits long', '2026-11-24T04', 'pending', null),
  ])
  expect(sorted.map(({ id }) => id)).toEqual(['waits long', 'waits short', 'done late', 'done early'])
})

it('has a word for kinds that come later', () => {
  expect(asksName('prompt_injection')).toBe('prompt injection')
})
