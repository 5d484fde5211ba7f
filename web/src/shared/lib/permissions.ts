import { type CustomerCard, type Role, type SessionView, useGetSessionQuery } from '@/shared/api'

/** What a person may ask for; the engine's table says the same and has the last word. */
export type Permission =
  | 'command'
  | 'retry_task'
  | 'guide_attempt'
  | 'answer_approval'
  | 'take_over'
  | 'create_customer'
  | 'manage_users'
  | 'manage_providers'

const ROLES: Record<Permission, readonly Role[]> = {
  command: ['admin', 'project_manager'],
  retry_task: ['admin', 'project_manager', 'developer'],
  guide_attempt: ['admin', 'project_manager', 'developer'],
  answer_approval: ['admin', 'project_manager'],
  take_over: ['admin', 'project_manager', 'developer'],
  create_customer: ['admin', 'project_manager'],
  manage_users: ['admin'],
  manage_providers: ['admin'],
}

const DOES: Record<Permission, string> = {
  command: 'steer executions and queues',
  retry_task: 'retry tasks',
  guide_attempt: 'give guidance to agents',
  answer_approval: 'answer what waits for approval',
  take_over: 'take tasks over',
  create_customer: 'create customers',
  manage_users: 'manage users',
  manage_providers: 'manage model providers',
}

const ROLE_NAME: Record<Role, string> = {
  admin: 'administrator',
  project_manager: 'project manager',
  developer: 'developer',
  viewer: 'viewer',
}

/** Null when allowed, else the sentence why not. */
export function whyNotPermitted(session: SessionView | undefined, permission: Permission): string | null {
  if (!session) return 'Sign in first.'
  const { role } = session.user
  if (ROLES[permission].includes(role)) {
    const limited = permission === 'create_customer' && session.customers !== 'all'
    return limited
      ? 'You are limited to certain customers; only people with all customers may add one.'
      : null
  }
  const needed = ROLES[permission].map((each) => ROLE_NAME[each]).join(' or ')
  return `You are signed in as ${ROLE_NAME[role]}; only ${needed} may ${DOES[permission]}.`
}

export function useWhyNot(permission: Permission): string | null {
  const { data } = useGetSessionQuery()
  return whyNotPermitted(data, permission)
}

export interface ControlState {
  /** Null: the control can be used. */
  disabledBecause: string | null
}

export interface Controls {
  start: ControlState
  pause: ControlState
  resume: ControlState
  abort: ControlState
}

type Steered = Pick<CustomerCard, 'executionStatus' | 'pauseRequested' | 'activity' | 'archived'>

const can: ControlState = { disabledBecause: null }
const cannot = (disabledBecause: string): ControlState => ({ disabledBecause })

/** Which controls make sense in the customer's state, and for the others why they do not. */
export function controlsFor(card: Steered, notPermitted: string | null): Controls {
  if (notPermitted) {
    const denied = cannot(notPermitted)
    return { start: denied, pause: denied, resume: denied, abort: denied }
  }
  const status = card.executionStatus
  const open = status !== null && status !== 'completed' && status !== 'aborted'
  const none = cannot('No execution is open: start one first.')
  if (!open) {
    return {
      start: card.archived ? cannot('The customer is archived.') : can,
      pause: none,
      resume: none,
      abort: none,
    }
  }
  const stopping = card.activity === 'stopping'
  const pausing = card.pauseRequested !== null
  return {
    start: cannot('An execution is open already.'),
    pause: pauseState(status, stopping),
    resume:
      status === 'paused' || status === 'error' || pausing ? can : cannot('The execution is not paused.'),
    abort: stopping && !pausing && status !== 'paused' ? cannot('The execution is stopping already.') : can,
  }
}

function pauseState(status: CustomerCard['executionStatus'], stopping: boolean): ControlState {
  if (status === 'paused') return cannot('The execution is paused already.')
  if (status === 'error') return cannot('The execution is in error: resume or abort it.')
  return stopping ? cannot('The execution is stopping already.') : can
}
