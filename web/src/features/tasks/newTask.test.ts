import { expect, it } from 'vitest'
import { checkDraft, EMPTY_DRAFT, errorUnder, toNewTask } from './newTask'

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
