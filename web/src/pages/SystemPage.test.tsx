import { screen, waitFor, within } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { expect, it } from 'vitest'
import type { ExecutorView, ProviderView, SessionView } from '@/shared/api'
import { buildExecutor, buildProvider, buildSession, buildTotals } from '@/testing/builders'
import { renderApp } from '@/testing/renderApp'
import { API, recordPosts, server } from '@/testing/server'

const ADMIN = buildSession({ user: { id: 'user-1', name: 'Ada', role: 'admin' } })

interface Shown {
  providers?: ProviderView[]
  executors?: ExecutorView[]
  session?: SessionView
}

async function system({ providers = [], executors = [], session = ADMIN }: Shown) {
  server.use(
    http.get(`${API}/session`, () => HttpResponse.json(session)),
    http.get(`${API}/workers`, () => HttpResponse.json({ workers: [] })),
    http.get(`${API}/providers`, () => HttpResponse.json({ providers })),
    http.get(`${API}/executors`, () => HttpResponse.json({ executors })),
    http.get(`${API}/model-prices`, () => HttpResponse.json({ prices: [] })),
  )
  const app = await renderApp('/system')
  await app.connect()
  app.show('overview', [buildTotals()])
  return app
}

it('shows providers in their order, and which of them rests until when', async () => {
  const parked = buildProvider({
    id: 'p2',
    name: 'Second',
    parkedUntil: new Date(Date.now() + 60_000).toISOString(),
    parkedReason: 'It asked to wait until then.',
    hasSecret: false,
  })
  const over = buildProvider({
    id: 'p3',
    name: 'Third',
    parkedUntil: '2020-01-01T00:00:00Z',
    parkedReason: 'x',
  })
  await system({ providers: [buildProvider(), parked, over] })
  const panel = await screen.findByRole('region', { name: 'Model providers' })
  const rows = within(await within(panel).findByRole('table'))
    .getAllByRole('row')
    .slice(1)
  expect(rows.map((row) => within(row).getAllByRole('cell')[1]?.textContent?.slice(0, 8))).toEqual([
    '● In use',
    '◐ Parked',
    '● In use',
  ])
  expect(rows[1]).toHaveTextContent('It asked to wait until then.')
  expect(rows[1]).toHaveTextContent('none')
  expect(within(panel).getByRole('button', { name: 'Try Main first' })).toHaveAttribute(
    'aria-disabled',
    'true',
  )
})

it('adds a provider with a key that is hidden, sent once and never filled in again', async () => {
  const posts = recordPosts('/providers', () => HttpResponse.json(buildProvider(), { status: 201 }))
  const { user } = await system({})
  await user.click(await screen.findByRole('button', { name: 'Add provider' }))
  let dialog = await screen.findByRole('dialog', { name: 'Add a model provider' })
  const key = within(dialog).getByLabelText('Key')
  expect(key).toHaveAttribute('type', 'password')
  await user.type(within(dialog).getByLabelText('Name'), 'Main')
  await user.type(within(dialog).getByLabelText('Address'), 'https://models.test/v1')
  await user.type(key, 'sk-123')
  await user.type(within(dialog).getByLabelText('Models'), 'large')
  await user.click(within(dialog).getByRole('button', { name: 'Add' }))
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  expect(posts.map(({ body }) => body)).toEqual([
    { name: 'Main', kind: 'openai', baseUrl: 'https://models.test/v1', models: ['large'], secret: 'sk-123' },
  ])
  await user.click(screen.getByRole('button', { name: 'Add provider' }))
  dialog = await screen.findByRole('dialog', { name: 'Add a model provider' })
  expect(within(dialog).getByLabelText('Key')).toHaveValue('')
  await user.type(within(dialog).getByLabelText('Key'), 'sk-typed-and-left')
  await user.keyboard('{Escape}')
  await user.click(screen.getByRole('button', { name: 'Add provider' }))
  expect(within(await screen.findByRole('dialog')).getByLabelText('Key')).toHaveValue('')
})

it('shows what was measured of each executor', async () => {
  await system({
    executors: [
      buildExecutor({ attempts: 8, succeeded: 6, medianSeconds: 75, meanCostUsd: 0.0421 }),
      buildExecutor({
        name: 'opencode',
        title: 'OpenCode',
        installed: false,
        package: 'opencode-ai@1.18.33',
      }),
    ],
  })
  const native = await screen.findByRole('row', { name: /Built-in agent/ })
  expect(native).toHaveTextContent('75 %')
  expect(native).toHaveTextContent('6 of 8')
  expect(native).toHaveTextContent('1 min 15 s')
  expect(native).toHaveTextContent('$0.0421')
  expect(screen.getByRole('row', { name: /OpenCode/ })).toHaveTextContent('○ Noopencode-ai@1.18.33')
})

it('shows the figures of an executor by kind of work when they are asked for', async () => {
  const docs = { kind: 'docs', attempts: 4, succeeded: 1, medianSeconds: 12, meanCostUsd: null }
  const { user } = await system({
    executors: [
      buildExecutor({ attempts: 4, succeeded: 1, byKind: [docs] }),
      buildExecutor({ name: 'qwen', title: 'Qwen Code' }),
    ],
  })
  expect(await screen.findByRole('button', { name: 'Figures of Qwen Code by kind of work' })).toHaveAttribute(
    'aria-disabled',
    'true',
  )
  expect(screen.queryByRole('row', { name: /^docs/ })).toBeNull()
  await user.click(screen.getByRole('button', { name: 'Figures of Built-in agent by kind of work' }))
  expect(screen.getByRole('row', { name: /^docs/ })).toHaveTextContent('docs25 %1 of 412 s–')
})

it('lets nobody but an administrator change providers, and says why', async () => {
  await system({ session: buildSession(), providers: [buildProvider()] })
  expect(await screen.findByRole('button', { name: 'Add provider' })).toHaveAttribute('aria-disabled', 'true')
  expect(await screen.findByRole('button', { name: 'Remove Main' })).toHaveAttribute('aria-disabled', 'true')
})
