import { screen, waitFor, within } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { expect, it } from 'vitest'
import { buildCard, buildSession, buildTotals } from '@/testing/builders'
import { renderApp } from '@/testing/renderApp'
import { API, problem, recordPosts, server } from '@/testing/server'

async function overview(...cards: ReturnType<typeof buildCard>[]) {
  const app = await renderApp('/overview')
  await app.connect()
  app.show('overview', [...cards, buildTotals({ customers: cards.length })])
  return app
}

it('shows the five essentials of each customer', async () => {
  await overview(buildCard())
  const card = await screen.findByRole('article', { name: 'Acme' })
  expect(within(card).getByText('Active')).toBeVisible()
  expect(within(card).getByRole('progressbar', { name: 'Progress of Acme' })).toHaveAttribute(
    'aria-valuetext',
    '67 %, 12 of 18 tasks',
  )
  expect(within(card).getByRole('button', { name: /Health 92 Good rising/ })).toBeVisible()
  expect(within(card).getByText('Sort the imports')).toBeVisible()
  expect(within(card).getByText('Quality assurance')).toBeVisible()
  expect(
    within(card).getByRole('button', { name: /Time remaining ≈ 12 min medium confidence/ }),
  ).toBeVisible()
  expect(card).toHaveAttribute('data-status', 'active')
})

it('follows the socket and says that it is connected', async () => {
  const app = await overview(buildCard())
  expect(screen.getByRole('status', { name: 'Connection' })).toHaveTextContent('Connected')
  app.change('overview', 2, 'customer', 'customer-1', { executionStatus: 'paused', currentTask: null })
  const card = await screen.findByRole('article', { name: 'Acme' })
  expect(within(card).getByText('Paused')).toBeVisible()
  app.host.socket.drop(1006)
  await waitFor(() =>
    expect(screen.getByRole('status', { name: 'Connection' })).toHaveTextContent('Reconnecting'),
  )
})

it('starts an execution once per click, with a key', async () => {
  const posts = recordPosts('/executions', () => HttpResponse.json({ execution: {} }, { status: 201 }))
  const { user } = await overview(buildCard({ executionStatus: null, executionId: null }))
  await user.click(await screen.findByRole('button', { name: 'Start' }))
  await waitFor(() => expect(posts).toHaveLength(1))
  expect(posts[0]?.body).toEqual({ customerId: 'customer-1' })
  expect(posts[0]?.key).toMatch(/^[0-9a-f-]{36}$/)
})

it("shows a refusal in the engine's words", async () => {
  recordPosts('/executions/:id/pause', () => problem(409, 'Conflict', { detail: 'It is over already.' }))
  const { user } = await overview(buildCard())
  await user.click(await screen.findByRole('button', { name: 'Pause' }))
  expect(await screen.findByText('It is over already.')).toBeVisible()
})

it('asks before an abort and sends the reason', async () => {
  const posts = recordPosts('/executions/:id/abort', () => HttpResponse.json({ execution: {} }))
  const { user } = await overview(buildCard())
  await user.click(await screen.findByRole('button', { name: 'Abort' }))
  const dialog = await screen.findByRole('alertdialog', { name: 'Abort the execution of Acme?' })
  expect(within(dialog).getByText(/cannot be resumed/)).toBeVisible()
  expect(within(dialog).getByRole('button', { name: 'Cancel' })).toHaveFocus()
  await user.type(within(dialog).getByLabelText('Reason'), 'Wrong branch')
  await user.click(within(dialog).getByRole('button', { name: 'Abort execution' }))
  await waitFor(() => expect(screen.queryByRole('alertdialog')).toBeNull())
  expect(posts).toMatchObject([{ path: '/executions/execution-1/abort', body: { reason: 'Wrong branch' } }])
})

it('stops everything only after the typed word', async () => {
  const posts = recordPosts('/emergency-stop', () => HttpResponse.json({ executionIds: ['execution-1'] }))
  const { user } = await overview(buildCard())
  await user.click(screen.getByRole('button', { name: 'Emergency stop' }))
  const dialog = await screen.findByRole('alertdialog', { name: 'Stop everything now?' })
  await user.click(within(dialog).getByRole('button', { name: 'Stop everything' }))
  expect(posts).toHaveLength(0)
  await user.type(within(dialog).getByLabelText('Type STOP to confirm'), 'STOP')
  await user.click(within(dialog).getByRole('button', { name: 'Stop everything' }))
  await waitFor(() => expect(posts).toHaveLength(1))
})

it('offers to go on after an emergency stop', async () => {
  const posts = recordPosts('/emergency-stop/resume', () => HttpResponse.json({ executionIds: [] }))
  const stopped = { code: 'emergency_stop', text: 'Fire.' }
  const { user } = await overview(buildCard({ executionStatus: 'paused', statusReason: stopped }))
  await user.click(await screen.findByRole('button', { name: 'Resume all' }))
  await waitFor(() => expect(posts).toHaveLength(1))
})

it('filters by the counts and keeps the filter in the address', async () => {
  const { user, router } = await overview(
    buildCard(),
    buildCard({ id: 'c2', name: 'Broken', executionStatus: 'error' }),
  )
  await user.click(await screen.findByRole('button', { name: 'Error 1' }))
  await waitFor(() => expect(screen.queryByRole('article', { name: 'Acme' })).toBeNull())
  expect(screen.getByRole('article', { name: 'Broken' })).toBeVisible()
  expect(router.state.location.search).toEqual({ status: 'error' })
})

it('tells a viewer why the controls are off', async () => {
  server.use(
    http.get(`${API}/session`, () =>
      HttpResponse.json(buildSession({ user: { id: 'u', name: 'Vic', role: 'viewer' } })),
    ),
  )
  const posts = recordPosts('/executions/:id/pause', () => HttpResponse.json({}))
  const { user } = await overview(buildCard())
  const pause = await screen.findByRole('button', { name: 'Pause' })
  expect(pause).toHaveAttribute('aria-disabled', 'true')
  await user.click(pause)
  expect(posts).toHaveLength(0)
  pause.focus()
  expect(await screen.findByRole('tooltip')).toHaveTextContent(/only administrator or project manager/)
})

it('begins with three steps when there is no customer', async () => {
  await overview()
  expect(await screen.findByRole('heading', { name: 'Three steps to the first commit' })).toBeVisible()
  expect(screen.getByText(/devteam customer add/)).toBeVisible()
})

it('opens the help sheet with a key and lets letters be switched off', async () => {
  const { user } = await overview(buildCard())
  await user.keyboard('?')
  const dialog = await screen.findByRole('dialog', { name: 'Keyboard' })
  await user.click(within(dialog).getByRole('checkbox', { name: /Single-letter keys/ }))
  await user.keyboard('{Escape}')
  await user.keyboard('?')
  expect(screen.queryByRole('dialog')).toBeNull()
})
