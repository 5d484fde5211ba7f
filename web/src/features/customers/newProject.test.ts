import { expect, it } from 'vitest'
import { checkProject, NEW_PROJECT, projectInput, wordsOf } from './newProject'

const values = { ...NEW_PROJECT, name: ' site ', repository: '/srv/site.git' }

it('sends nothing about agents for a project whose tasks bring commands', () => {
  expect(projectInput({ ...values, model: 'left over', budget: '3' })).toEqual({
    name: 'site',
    repository: '/srv/site.git',
    deliveryMode: 'branch',
    executor: 'command',
  })
})

it('sends the agent, its model and its budget', () => {
  const wanted = {
    ...values,
    executor: 'native' as const,
    model: ' large ',
    budget: '2,50',
    gateScript: 'pytest',
  }
  expect(projectInput(wanted)).toMatchObject({
    executor: 'native',
    model: 'large',
    budgetUsd: 2.5,
    gates: [{ name: 'tests', script: 'pytest' }],
  })
  expect(
    projectInput({ ...values, executor: 'acp', agentCommand: "agent --name 'two words'" }).agentCommand,
  ).toEqual(['agent', '--name', 'two words'])
})

it.each([
  [{ name: ' ' }, 'name'],
  [{ repository: '' }, 'repository'],
  [{ executor: 'acp' as const }, 'agentCommand'],
  [{ executor: 'acp' as const, agentCommand: "agent 'open" }, 'agentCommand'],
  [{ executor: 'native' as const, budget: '0' }, 'budgetUsd'],
  [{ executor: 'native' as const, budget: 'much' }, 'budgetUsd'],
])('sees that %o is wrong', (part, field) => {
  expect(Object.keys(checkProject({ ...values, ...part }))).toEqual([field])
})

it('takes a sound form', () => {
  expect(checkProject(values)).toEqual({})
  expect(checkProject({ ...values, budget: 'ignored' })).toEqual({})
})

it('takes a command line apart', () => {
  expect(wordsOf(`  a  'b c' d"e f"g "" `)).toEqual(['a', 'b c', 'de fg', ''])
  expect(wordsOf('')).toEqual([])
  expect(wordsOf('a "b')).toBeNull()
})
