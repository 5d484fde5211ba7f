import { expect, it } from 'vitest'
import type { RouteRule } from '@/shared/api'
import { buildProject } from '@/testing/builders'
import { gateDraftOf, gateOf, gateTrouble, NEW_GATE, withProposals } from './gateDraft'
import { checkProject, NEW_PROJECT, projectDraftOf, projectInput, projectPatch } from './projectDraft'
import { moved, NEW_CHOICE, NEW_ROUTE, routeOf } from './routeDraft'

const values = { ...NEW_PROJECT, name: ' site ', repository: '/srv/site.git' }
const tests = { ...NEW_GATE, name: 'tests', script: 'pytest' }

it('sends nothing about agents for a project whose tasks bring commands', () => {
  expect(projectInput({ ...values, model: 'left over', budgetUsd: '3' })).toEqual({
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
    budgetUsd: '2,50',
    monitoringWindowSeconds: '12',
    gates: [tests],
  }
  expect(projectInput(wanted)).toMatchObject({
    executor: 'native',
    model: 'large',
    budgetUsd: 2.5,
    monitoringWindowSeconds: 43_200,
    gates: [{ type: 'command', name: 'tests', script: 'pytest' }],
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
  [{ executor: 'native' as const, budgetUsd: '0' }, 'budgetUsd'],
  [{ executor: 'native' as const, budgetUsd: 'much' }, 'budgetUsd'],
  [{ monitoringWindowSeconds: 'a day' }, 'monitoringWindowSeconds'],
  [{ gates: [tests, { ...NEW_GATE, type: 'file' as const, name: 'readme' }] }, 'gates.1'],
])('sees that %o is wrong', (part, field) => {
  expect(Object.keys(checkProject({ ...values, ...part }))).toEqual([field])
})

it('takes a sound form', () => {
  expect(checkProject(values)).toEqual({})
  expect(checkProject({ ...values, budgetUsd: 'ignored' })).toEqual({})
})

it('sends of an edit only what was changed, and can take a limit away', () => {
  const project = buildProject({
    executor: 'native',
    model: 'large',
    budgetUsd: 2,
    monitoringWindowSeconds: 3600,
  })
  const draft = projectDraftOf(project)
  expect(draft).toMatchObject({ model: 'large', budgetUsd: '2', monitoringWindowSeconds: '1' })
  expect(projectPatch({ ...draft, budgetUsd: '', name: 'new ' }, ['budgetUsd', 'name'])).toEqual({
    budgetUsd: null,
    name: 'new',
  })
})

it('takes a command of an agent through the form word by word, and can take it away', () => {
  const agentCommand = ['agent', '--greet', "it's me", 'a\\b']
  const draft = projectDraftOf(buildProject({ executor: 'acp', agentCommand }))
  expect(projectPatch(draft, ['agentCommand'])).toEqual({ agentCommand })
  expect(projectPatch({ ...draft, agentCommand: ' ' }, ['agentCommand'])).toEqual({ agentCommand: null })
})

it('asks for the command of an agent of one’s own when a rule names it, and sends both', () => {
  const routes = [{ ...NEW_ROUTE, choices: [{ executor: 'acp' as const, model: '' }] }]
  expect(Object.keys(checkProject({ ...values, routes }))).toEqual(['agentCommand'])
  expect(projectInput({ ...values, routes, agentCommand: 'agent --acp' })).toMatchObject({
    agentCommand: ['agent', '--acp'],
    routes: [{ when: {}, choices: [{ executor: 'acp' }] }],
  })
})

it('says which rule cannot be sent', () => {
  const command = { ...NEW_CHOICE, executor: 'command' as const, model: 'large' }
  const routes = [
    NEW_ROUTE,
    { ...NEW_ROUTE, choices: [] },
    { ...NEW_ROUTE, labels: 'x'.repeat(41) },
    { ...NEW_ROUTE, choices: [NEW_CHOICE, { ...NEW_CHOICE, model: ' ' }] },
    { ...NEW_ROUTE, choices: [command] },
  ]
  expect(checkProject({ ...values, routes })).toEqual({
    'routes.1': 'A rule needs a choice.',
    'routes.2': 'A word of “Labels” has at most 40 characters.',
    'routes.3': 'The same choice stands there twice.',
    'routes.4': 'Tasks that run their own command use no model.',
  })
})

it('brings rules through the form unchanged, and takes all of them away', () => {
  const routes: RouteRule[] = [
    {
      when: {
        kinds: ['bug', 'chore'],
        labels: ['two words'],
        languages: ['python'],
        sizes: ['small', 'large'],
      },
      choices: [{ executor: 'native', model: 'small-model' }, { executor: 'opencode' }],
    },
    { when: {}, choices: [{ executor: 'command' }] },
  ]
  const draft = projectDraftOf(buildProject({ routes }))
  expect(projectPatch(draft, ['routes'])).toEqual({ routes })
  expect(projectPatch({ ...draft, routes: [] }, ['routes'])).toEqual({ routes: [] })
})

it('reads words between commas once, and moves an entry within the list only', () => {
  const route = { ...NEW_ROUTE, kinds: ' bug,, bug , chore ' }
  expect(routeOf(route).when).toEqual({ kinds: ['bug', 'chore'] })
  expect(moved(['a', 'b', 'c'], 2, -1)).toEqual(['a', 'c', 'b'])
  expect(moved(['a', 'b'], 0, -1)).toEqual(['a', 'b'])
  expect(moved(['a', 'b'], 1, 1)).toEqual(['a', 'b'])
})

it('puts proposed gates behind those that are there, none twice, and drops what was never filled in', () => {
  const proposal = (name: string) => ({
    gate: { type: 'command' as const, name, argv: ['make', name] },
    why: 'A target.',
    file: 'Makefile',
  })
  const gates = withProposals([NEW_GATE, tests], [proposal('tests'), proposal('lint')])
  expect(gates.map(({ name, script }) => [name, script])).toEqual([
    ['tests', 'pytest'],
    ['lint', 'make lint'],
  ])
})

const common = { stage: 'post_task' as const, required: true, timeoutSeconds: 60 }
it.each([
  { type: 'command' as const, name: 'tests', argv: ['pytest', '-k', 'a b'], ...common },
  { type: 'command' as const, name: 'lint', script: 'ruff check .', ...common },
  { type: 'file' as const, name: 'licence', path: 'LICENSE', exists: true, ...common },
  { type: 'regex' as const, name: 'todo', path: 'src/**/*.py', pattern: 'TODO', present: false, ...common },
  {
    type: 'http' as const,
    name: 'up',
    url: 'http://up.test/',
    expectedStatus: 204,
    contains: 'ok',
    ...common,
  },
  {
    type: 'builtin' as const,
    name: 'size',
    check: 'diff_size' as const,
    options: { maxFiles: 10, maxLines: 500 },
    ...common,
  },
  {
    type: 'builtin' as const,
    name: 'secrets',
    check: 'secret_scan' as const,
    options: { allowPaths: ['tests/**', 'docs/'] },
    ...common,
  },
])('brings the gate $name through the form unchanged', (gate) => {
  const draft = gateDraftOf(gate)
  expect(gateTrouble(draft)).toBeNull()
  expect(gateOf(draft)).toEqual(gate)
})

it('keeps the options of a check that it does not know', () => {
  const gate = { type: 'builtin', name: 'new', check: 'from_the_future', options: { depth: 3 }, ...common }
  const draft = gateDraftOf(gate as never)
  expect(gateOf(draft)).toEqual(gate)
  expect(gateTrouble({ ...draft, options: { json: '{' } })).toBe('The options are no JSON object.')
})
