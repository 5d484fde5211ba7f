import { expect, it } from 'vitest'
import { buildCard, buildSession } from '@/testing/builders'
import { controlsFor, whyNotPermitted } from './permissions'

const usable = (part: Parameters<typeof buildCard>[0]) => {
  const controls = controlsFor(buildCard(part), null)
  return Object.entries(controls)
    .filter(([, state]) => state.disabledBecause === null)
    .map(([name]) => name)
}

it.each([
  [null, ['start']],
  ['queued', ['pause', 'abort']],
  ['active', ['pause', 'abort']],
  ['paused', ['resume', 'abort']],
  ['error', ['resume', 'abort']],
  ['completed', ['start']],
  ['aborted', ['start']],
] as const)('in state %s one can %o', (executionStatus, controls) => {
  expect(usable({ executionStatus })).toEqual(controls)
})

it('a requested pause can be taken back', () => {
  expect(usable({ executionStatus: 'active', pauseRequested: 'after_current_task' })).toContain('resume')
})

it('an archived customer is not started', () => {
  expect(usable({ executionStatus: null, archived: true })).toEqual([])
})

it.each([
  ['admin', 'command', true],
  ['project_manager', 'command', true],
  ['developer', 'command', false],
  ['viewer', 'command', false],
  ['developer', 'retry_task', true],
  ['viewer', 'retry_task', false],
  ['project_manager', 'manage_users', false],
] as const)('%s, %s: %s', (role, permission, allowed) => {
  const session = buildSession({ user: { id: 'u', name: 'U', role } })
  expect(whyNotPermitted(session, permission) === null).toBe(allowed)
})

it('says which role is needed', () => {
  const session = buildSession({ user: { id: 'u', name: 'U', role: 'viewer' } })
  expect(whyNotPermitted(session, 'command')).toBe(
    'You are signed in as viewer; only administrator or project manager may steer executions and queues.',
  )
})

it('leaves new customers to people with all customers', () => {
  expect(whyNotPermitted(buildSession({ customers: [] }), 'create_customer')).toContain(
    'limited to certain customers',
  )
  expect(whyNotPermitted(buildSession({ customers: ['c-1'] }), 'command')).toBeNull()
})
