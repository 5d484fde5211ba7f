import { screen, waitFor, within } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { expect, it } from 'vitest'
import type { AttemptView, CallView, SessionEntry, SessionPage } from '@/shared/api'
import { buildAttempt, buildGate } from '@/testing/builders'
import { renderApp } from '@/testing/renderApp'
import { API, problem, recordPosts, server } from '@/testing/server'

const AT = '2026-11-24T10:00:02.000Z'
const entry = (ordinal: number, kind: SessionEntry['kind'], data: Record<string, unknown>): SessionEntry => ({
  ordinal,
  kind,
  data,
  at: AT,
})

/** An engine whose session the test makes longer. */
async function attempt(part: Partial<AttemptView>, page: Partial<SessionPage> & { entries: SessionEntry[] }) {
  const asked: number[] = []
  const shown = {
    used: { calls: 2, inputTokens: 200, cachedTokens: 0, outputTokens: 20, costUsd: 0.0009 },
    waiting: [],
    complete: false,
    ...page,
  }
  server.use(
    http.get(`${API}/attempts/attempt-1`, () =>
      HttpResponse.json(buildAttempt({ executor: 'native', promptVersion: '1', ...part })),
    ),
    http.get(`${API}/attempts/attempt-1/session`, ({ request }) => {
      const after = Number(new URL(request.url).searchParams.get('after'))
      asked.push(after)
      const entries = shown.entries.filter(({ ordinal }) => ordinal > after)
      return HttpResponse.json({ ...shown, entries, nextOrdinal: entries.at(-1)?.ordinal ?? after })
    }),
  )
  const app = await renderApp('/attempts/attempt-1')
  await app.connect()
  return { ...app, shown, asked }
}

it('shows the session of a running agent as it grows', async () => {
  const { shown, asked, user } = await attempt(
    {},
    {
      entries: [
        entry(1, 'prompt', { text: 'Do this task.' }),
        entry(2, 'plan', { entries: [{ content: 'run the tests', status: 'in_progress' }] }),
        entry(3, 'tool_call', { toolCallId: '1', title: 'pytest -q', kind: 'execute', status: 'pending' }),
      ],
    },
  )
  const session = await screen.findByRole('log', { name: 'Session' })
  expect(await within(session).findByText('pytest -q')).toBeVisible()
  expect(within(session).getByRole('img', { name: 'Waiting' })).toBeInTheDocument()
  expect(screen.getByRole('list', { name: 'Plan' })).toHaveTextContent('run the tests')
  expect(screen.getByText('2 calls · 200 tokens in · 20 out · $0.0009 · prompt version 1')).toBeVisible()
  expect(within(session).queryByText('Do this task.')).toBeNull()
  await user.click(within(session).getByText('What the agent was asked'))
  expect(await within(session).findByText('Do this task.')).toBeVisible()

  const content = [{ type: 'content', content: { type: 'text', text: '1 failed' } }]
  shown.entries.push(entry(4, 'tool_update', { toolCallId: '1', status: 'completed', content }))
  shown.entries.push(
    entry(5, 'permission', { toolCall: { title: 'git push' }, allowed: false, by: 'policy' }),
  )
  shown.entries.push(entry(6, 'message', { text: 'The sign was wrong.' }))
  shown.complete = true
  expect(await within(session).findByText('The sign was wrong.', undefined, { timeout: 4000 })).toBeVisible()
  expect(within(session).getByText(/git push/)).toHaveTextContent('Asked: git push. Refused by policy.')
  await user.click(within(session).getByText('pytest -q'))
  expect(await within(session).findByText('1 failed')).toBeVisible()
  expect(asked.at(-1)).toBe(3)
})

it('gives guidance, shows it waiting, and tells why it is refused', async () => {
  let refuse = false
  const posts = recordPosts('/attempts/:id/guidance', () =>
    refuse ? problem(409, 'The attempt has ended.') : HttpResponse.json({}, { status: 201 }),
  )
  const { user, shown } = await attempt({}, { entries: [entry(1, 'message', { text: 'Hello' })] })
  const box = await screen.findByRole('textbox', { name: 'Add guidance' })
  await user.click(screen.getByRole('button', { name: 'Send' }))
  expect(box).toHaveAccessibleDescription('Say what the agent should know.')
  await user.type(box, 'Mind the tests.')
  await user.click(screen.getByRole('button', { name: 'Send' }))
  await waitFor(() => expect(posts).toMatchObject([{ body: { text: 'Mind the tests.' } }]))
  expect(box).toHaveValue('')
  const waiting = {
    id: 'g1',
    attemptId: 'attempt-1',
    text: 'Mind the tests.',
    author: 'Ada',
    at: AT,
    takenAt: null,
  }
  Object.assign(shown, { waiting: [waiting] })
  const list = await screen.findByRole('list', { name: /waits for the agent/ }, { timeout: 4000 })
  expect(list).toHaveTextContent('Mind the tests.')
  refuse = true
  await user.type(box, 'Too late')
  await user.click(screen.getByRole('button', { name: 'Send' }))
  expect(await screen.findByText('The attempt has ended.')).toBeVisible()
  expect(box).toHaveValue('Too late')
})

it('replays the session of a finished attempt when it is asked for, and takes no guidance then', async () => {
  const { user, asked } = await attempt(
    { outcome: 'failed', phase: 'execution', finishedAt: AT, calls: 4, costUsd: null },
    {
      complete: true,
      entries: [entry(1, 'note', { text: 'The budget of the attempt does not cover this call.' })],
    },
  )
  expect(await screen.findByText(/cost unknown: a price is missing/)).toBeVisible()
  expect(asked).toEqual([])
  await user.click(screen.getByRole('tab', { name: 'Session' }))
  expect(await screen.findByText('The budget of the attempt does not cover this call.')).toBeVisible()
  expect(screen.queryByRole('textbox', { name: 'Add guidance' })).toBeNull()
  expect(screen.queryByRole('button', { name: 'Follow' })).toBeNull()
})

it('shows no session for a task that ran its own command', async () => {
  await attempt({ executor: 'command' }, { entries: [] })
  expect(await screen.findByRole('tab', { name: 'Output' })).toBeVisible()
  expect(screen.queryByRole('tab', { name: 'Session' })).toBeNull()
})

it('replays a finished session: by time, by entry, and from one gate failure to the next', async () => {
  server.use(http.get(`${API}/attempts/attempt-1/calls`, () => HttpResponse.json({ calls: [] })))
  const second = (at: number) => `2026-11-24T10:00:0${at}.000Z`
  const { user } = await attempt(
    {
      outcome: 'failed',
      startedAt: second(0),
      phases: [
        { phase: 'execution', round: 1, run: 1, startedAt: second(0), endedAt: second(4) },
        { phase: 'quality_assurance', round: 1, run: 1, startedAt: second(4), endedAt: second(5) },
      ],
      gates: [buildGate({ passed: false })],
    },
    {
      complete: true,
      entries: [
        { ...entry(1, 'plan', { entries: [{ content: 'Mend it', status: 'completed' }] }), at: second(3) },
        { ...entry(2, 'message', { text: 'Mended.' }), at: second(3) },
      ],
    },
  )
  await user.click(screen.getByRole('tab', { name: 'Replay' }))
  const replay = await screen.findByRole('region', { name: 'Replay' })
  expect(within(replay).queryByText('Mended.')).toBeNull()
  await user.click(within(replay).getByRole('button', { name: 'One entry on' }))
  expect(await within(replay).findByText('Mended.')).toBeVisible()
  expect(within(replay).getByRole('list', { name: 'Plan' })).toHaveTextContent('Mend it')
  expect(within(replay).getByRole('slider', { name: 'Time' })).toHaveAttribute('aria-valuetext', '3 s of 5 s')
  await user.keyboard('f')
  expect(within(replay).getByText(/gates had failed in 1 round/)).toBeVisible()
  await user.click(within(replay).getByRole('button', { name: 'To the beginning' }))
  expect(within(replay).queryByText('Mended.')).toBeNull()
  await user.selectOptions(within(replay).getByRole('combobox', { name: 'Speed' }), '64×')
  await user.click(within(replay).getByRole('button', { name: 'Play' }))
  expect(await within(replay).findByText('Mended.')).toBeVisible()
  expect(await within(replay).findByRole('button', { name: 'Play' })).toBeVisible()
})

it('lists model calls with what they came to, and why this executor', async () => {
  const call = (part: Partial<CallView>): CallView => ({
    at: AT,
    provider: 'Main',
    model: 'large',
    status: 200,
    inputTokens: 1200,
    cachedTokens: 200,
    outputTokens: 30,
    costUsd: 0.004,
    seconds: 1.25,
    ...part,
  })
  const refused = { status: 429, inputTokens: 0, cachedTokens: 0, outputTokens: 0, costUsd: null }
  server.use(
    http.get(`${API}/attempts/attempt-1/calls`, () =>
      HttpResponse.json({ calls: [call({}), call(refused), call({ provider: 'Second', costUsd: 0.006 })] }),
    ),
  )
  const route = 'native, by rule 1 (docs). Passed over: claude: It is not installed.'
  const { user } = await attempt(
    { outcome: 'failed', finishedAt: AT, route },
    { complete: true, entries: [] },
  )
  expect(await screen.findByText(/Passed over: claude/)).toBeVisible()
  await user.click(screen.getByRole('tab', { name: 'Model calls' }))
  const table = await screen.findByRole('table', { name: 'Model calls' })
  const rows = within(table).getAllByRole('row')
  expect(rows).toHaveLength(5)
  expect(rows[2]).toHaveTextContent('✕ 429')
  expect(rows[4]).toHaveTextContent('2 answered, 1 not2,40040060$0.01004 s')
})
