import { screen, waitFor, within } from '@testing-library/react'
import { HttpResponse } from 'msw'
import { expect, it } from 'vitest'
import type { EntityView } from '@/shared/api'
import { buildAttempt, buildCard, buildGate, buildProject, buildTask, buildTotals } from '@/testing/builders'
import { renderApp } from '@/testing/renderApp'
import { problem, recordPosts } from '@/testing/server'

async function customer(...entities: EntityView[]) {
  const app = await renderApp('/customers/customer-1')
  await app.connect()
  app.show('overview', [buildCard(), buildTotals()])
  await waitFor(() =>
    expect(app.host.socket.sentOf('subscribe').flatMap((message) => message.topics)).toContain(
      'customer:customer-1',
    ),
  )
  app.show('customer:customer-1', [buildCard(), buildProject(), ...entities])
  return app
}

it('shows the queue, the running attempt and what it says about each task', async () => {
  await customer(
    buildTask({ status: 'in_progress' }),
    buildTask({ id: 't2', title: 'Fix spelling', dependsOn: ['task-1'], position: 2 }),
    buildTask({
      id: 't3',
      title: 'Format',
      status: 'failed',
      finishedAt: '2026-11-24T09:00:00Z',
      statusReason: { code: 'gate_failed', text: 'The gate “tests” failed.' },
    }),
    buildAttempt(),
  )
  expect(await screen.findByRole('heading', { level: 1, name: 'Acme' })).toBeVisible()
  const queue = screen.getByRole('region', { name: 'Queue' })
  expect(within(queue).getByText('after “Sort the imports”')).toBeVisible()
  expect(within(queue).getByText('The gate “tests” failed.')).toBeVisible()
  const current = screen.getByRole('region', { name: 'Current attempt' })
  expect(within(current).getByRole('listitem', { current: 'step' })).toHaveTextContent('Execution, now')
})

it('shows gates with their evidence for a finished attempt', async () => {
  const { user } = await customer(
    buildAttempt({
      id: 'a2',
      outcome: 'failed',
      phase: 'quality_assurance',
      finishedAt: '2026-11-24T10:01:00Z',
      reason: { code: 'gate_failed', text: 'Two tests broke.' },
      gates: [
        buildGate({
          passed: false,
          baseRed: true,
          tests: { passed: 3, failed: 1, skipped: 0, broken: ['test_x'], flaky: [] },
        }),
      ],
    }),
  )
  await user.click(await screen.findByRole('button', { name: 'Details of attempt 1 at Sort the imports' }))
  const gates = await screen.findByRole('list', { name: 'Gate results' })
  expect(within(gates).getByText('Failed')).toBeVisible()
  expect(within(gates).getByText('base was red before')).toBeVisible()
  expect(within(gates).getByText('test_x')).toBeVisible()
  expect(screen.getByText('Two tests broke.')).toBeVisible()
})

it('adds a task with one key for one content, and shows the errors of its fields', async () => {
  let refuse = true
  const posts = recordPosts('/customers/:id/tasks', () =>
    refuse
      ? problem(422, 'Not valid', { errors: [{ field: 'title', message: 'This title is too long.' }] })
      : HttpResponse.json({}, { status: 201 }),
  )
  const { user } = await customer()
  await user.click(await screen.findByRole('button', { name: 'Add task' }))
  const dialog = await screen.findByRole('dialog', { name: 'Add a task' })
  await user.click(within(dialog).getByRole('button', { name: 'Add to the queue' }))
  expect(within(dialog).getByLabelText('Title')).toHaveAccessibleDescription('A task needs a title.')
  expect(posts).toHaveLength(0)

  await user.type(within(dialog).getByLabelText('Title'), 'Sort')
  await user.type(within(dialog).getByLabelText('Script to run'), 'ruff check')
  await user.click(within(dialog).getByRole('button', { name: 'Add to the queue' }))
  expect(await within(dialog).findByText('This title is too long.')).toBeVisible()

  refuse = false
  await user.click(within(dialog).getByRole('button', { name: 'Add to the queue' }))
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  expect(posts).toHaveLength(2)
  expect(posts[1]?.body).toMatchObject({
    projectId: 'project-1',
    title: 'Sort',
    command: { script: 'ruff check' },
  })
  expect(posts[1]?.key).not.toBe(posts[0]?.key)
})

it('moves a task by keyboard and says where it went', async () => {
  const posts = recordPosts('/tasks/:id/move', () => HttpResponse.json({}))
  const { user } = await customer(
    buildTask({ id: 't1', title: 'First', position: 1 }),
    buildTask({ id: 't2', title: 'Second', position: 2 }),
    buildTask({ id: 't3', title: 'Third', position: 3 }),
  )
  const handle = await screen.findByRole('button', { name: 'Reorder Third' })
  handle.focus()
  await user.keyboard('{Alt>}{ArrowUp}{/Alt}')
  await waitFor(() => expect(posts).toMatchObject([{ path: '/tasks/t3/move', body: { before: 't2' } }]))
  expect(await screen.findByText('Third moved to position 2 of 3')).toBeInTheDocument()
})

it('retries a failed task from its menu', async () => {
  const posts = recordPosts('/tasks/:id/retry', () => HttpResponse.json({}))
  const { user } = await customer(buildTask({ status: 'failed', finishedAt: '2026-11-24T09:00:00Z' }))
  await user.click(await screen.findByRole('button', { name: 'Actions for Sort the imports' }))
  await user.click(await screen.findByRole('menuitem', { name: 'Retry' }))
  await waitFor(() => expect(posts).toHaveLength(1))
})

it('offers both pauses on the page, and says why resume is off', async () => {
  const posts = recordPosts('/executions/:id/pause', () => HttpResponse.json({ execution: {} }))
  const { user } = await customer()
  await user.click(await screen.findByRole('button', { name: 'Pause after current task' }))
  await waitFor(() => expect(posts).toMatchObject([{ body: { mode: 'after_current_task' } }]))
  const resume = screen.getByRole('button', { name: 'Resume' })
  expect(resume).toHaveAttribute('aria-disabled', 'true')
  resume.focus()
  expect(await screen.findByRole('tooltip')).toHaveTextContent('The execution is not paused.')
})

it('says so when the customer may not be seen', async () => {
  const app = await renderApp('/customers/nobody')
  await app.connect()
  app.show('overview', [buildTotals()])
  app.host.socket.receive({
    type: 'error',
    topic: 'customer:nobody',
    code: 'not_found',
    text: 'There is no such customer.',
  })
  expect(await screen.findByText('There is no such customer.')).toBeVisible()
})
