import { expect, it } from 'vitest'
import { errorUnder } from '@/shared/api'
import { buildTask } from '@/testing/builders'
import { checkDraft, EMPTY_DRAFT, taskDraftOf, taskPatch, toNewTask } from './taskDraft'

const draft = { ...EMPTY_DRAFT, projectId: 'p', title: ' Sort ', script: 'ruff check --fix .' }

it('leaves out what was left empty', () => {
  expect(toNewTask(draft)).toEqual({
    projectId: 'p',
    title: 'Sort',
    mode: 'autonomous',
    position: 'tail',
    command: { script: 'ruff check --fix .' },
  })
})

it('turns minutes into seconds and drafts into criteria', () => {
  const task = toNewTask({
    ...draft,
    timeLimitMinutes: '2',
    estimateMinutes: '1.5',
    criteria: [
      { type: 'command', text: 'pytest', pattern: '', positive: true },
      { type: 'file', text: 'a.txt', pattern: '', positive: false },
      { type: 'regex', text: 'b.txt', pattern: 'x+', positive: true },
    ],
  })
  expect(task.command).toEqual({ script: 'ruff check --fix .', timeLimitSeconds: 120 })
  expect(task.estimateSeconds).toBe(90)
  expect(task.acceptanceCriteria).toEqual([
    { type: 'command', script: 'pytest' },
    { type: 'file', path: 'a.txt', exists: false },
    { type: 'regex', path: 'b.txt', pattern: 'x+', present: true },
  ])
})

it('says per field what is missing', () => {
  expect(Object.keys(checkDraft({ ...EMPTY_DRAFT, timeLimitMinutes: '-1' }))).toEqual([
    'projectId',
    'title',
    'command',
    'command.timeLimitSeconds',
  ])
  expect(checkDraft(draft)).toEqual({})
  expect(checkDraft({ ...draft, script: '', mode: 'manual' })).toEqual({})
})

it('finds an error inside a field', () => {
  expect(errorUnder({ 'command.script': 'Too long.' }, 'command')).toBe('Too long.')
  expect(errorUnder({ commander: 'no' }, 'command')).toBeUndefined()
})

const stored = {
  ...buildTask({ title: 'Sort', estimateSeconds: 90, labels: ['ui'] }),
  description: '',
  command: { argv: ['ruff', 'check', 'a b'], timeLimitSeconds: 60 },
  acceptanceCriteria: [{ type: 'command' as const, argv: ['pytest', '-q'], timeoutSeconds: 30 }],
}

it('sends of an edit only what was changed, and leaves the rest as it is stored', () => {
  const before = taskDraftOf(stored)
  expect(before).toMatchObject({ script: "ruff check 'a b'", timeLimitMinutes: '1', estimateMinutes: '1.5' })
  const after = {
    ...before,
    title: ' Sort it ',
    timeLimitMinutes: '2',
    estimateMinutes: '',
    criteria: [...before.criteria, { type: 'file' as const, text: 'a.txt', pattern: '', positive: true }],
  }
  expect(taskPatch(after, ['title', 'timeLimitMinutes', 'estimateMinutes', 'criteria'], stored)).toEqual({
    title: 'Sort it',
    command: { argv: ['ruff', 'check', 'a b'], timeLimitSeconds: 120 },
    estimateSeconds: null,
    acceptanceCriteria: [stored.acceptanceCriteria[0], { type: 'file', path: 'a.txt', exists: true }],
  })
})

it('needs no script where an agent works', () => {
  expect(checkDraft({ ...draft, script: '' }, true)).toEqual({})
})
