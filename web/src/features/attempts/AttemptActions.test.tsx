import { screen, waitFor, within } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { expect, it } from 'vitest'
import type { AttemptView, SessionEntry } from '@/shared/api'
import { buildAttempt, buildExecutor, buildGate } from '@/testing/builders'
import { renderApp } from '@/testing/renderApp'
import { API, problem, recordPosts, server } from '@/testing/server'

const AT = '2026-11-24T10:00:02.000Z'
const FAILED = { outcome: 'failed', finishedAt: AT } as const

async function opened(part: Partial<AttemptView>, others: AttemptView[] = []) {
  const shown = buildAttempt({ ...FAILED, ...part })
  server.use(
    http.get(`${API}/attempts/attempt-1`, () => HttpResponse.json(shown)),
    http.get(`${API}/tasks/task-1/attempts`, () =>
      HttpResponse.json({ attempts: [shown, ...others], request: null }),
    ),
    http.get(`${API}/executors`, () => HttpResponse.json({ executors: [buildExecutor()] })),
  )
  const app = await renderApp('/attempts/attempt-1')
  await app.connect()
  return app
}

function serveSession(entries: SessionEntry[]) {
  const used = { calls: 1, inputTokens: 1, cachedTokens: 0, outputTokens: 1, costUsd: 0, overshootUsd: null }
  server.use(
    http.get(`${API}/attempts/attempt-1/session`, () =>
      HttpResponse.json({ entries, nextOrdinal: 7, used, waiting: [], complete: true }),
    ),
  )
}

it('runs again from a round with all that was asked for, says a refusal in the dialog, and leads to the task', async () => {
  let refuse = true
  const posts = recordPosts('/attempts/:id/run-again', () =>
    refuse ? problem(409, 'A critical incident is open.') : HttpResponse.json({}),
  )
  const { user, router } = await opened({
    rounds: [{ round: 1, at: AT, baseCommit: 'a'.repeat(40), workCommit: 'b'.repeat(40) }],
  })
  await user.click(await screen.findByRole('button', { name: 'Run again' }))
  const dialog = await screen.findByRole('dialog', { name: 'Run again' })
  await user.selectOptions(within(dialog).getByLabelText('From'), 'round:1')
  await within(dialog).findByRole('option', { name: 'Built-in agent' })
  await user.selectOptions(within(dialog).getByLabelText('Executor'), 'native')
  await user.type(within(dialog).getByLabelText('Model'), 'large')
  await user.type(within(dialog).getByLabelText('Budget, US dollars'), '2,50')
  await user.type(within(dialog).getByLabelText('Instructions'), 'Keep the signature.')
  await user.click(within(dialog).getByRole('button', { name: 'Run again' }))
  expect(await within(dialog).findByText('A critical incident is open.')).toBeVisible()
  refuse = false
  await user.click(within(dialog).getByRole('button', { name: 'Run again' }))
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  expect(posts.map(({ body }) => body)).toEqual(
    Array(2).fill({
      fromRound: 1,
      executor: 'native',
      model: 'large',
      budgetUsd: 2.5,
      instructions: 'Keep the signature.',
    }),
  )
  expect(posts[0]?.key).not.toBe(posts[1]?.key)
  await user.click(await screen.findByRole('button', { name: 'Show the task' }))
  await waitFor(() => expect(router.state.location.pathname).toBe('/tasks/task-1'))
})

it('runs again from the entry that was pointed at', async () => {
  const posts = recordPosts('/attempts/:id/run-again', () => HttpResponse.json({}))
  serveSession([{ ordinal: 7, kind: 'message', data: { text: 'Here it went wrong.' }, at: AT }])
  const { user } = await opened({ executor: 'native' })
  await user.click(await screen.findByRole('tab', { name: 'Session' }))
  await user.click(await screen.findByRole('button', { name: 'Run again from entry 7' }))
  const dialog = await screen.findByRole('dialog', { name: 'Run again' })
  await user.click(within(dialog).getByRole('button', { name: 'Run again' }))
  await waitFor(() => expect(posts.map(({ body }) => body)).toEqual([{ fromOrdinal: 7 }]))
})

it('says what taking over does, and in the dialog why it is refused', async () => {
  const takes = recordPosts('/attempts/:id/take-over', () => problem(409, 'The delivery is under way.'))
  serveSession([])
  const { user } = await opened({ executor: 'native', outcome: null, finishedAt: null })
  await user.click(await screen.findByRole('button', { name: 'Take over' }))
  const dialog = await screen.findByRole('dialog', { name: 'Take over' })
  expect(dialog).toHaveTextContent('The agent is stopped, what it has done is saved')
  expect(within(dialog).getByText('devteam attempt checkout attempt-1')).toBeVisible()
  await user.click(within(dialog).getByRole('button', { name: 'Take over' }))
  expect(await within(dialog).findByText('The delivery is under way.')).toBeVisible()
  expect(takes).toHaveLength(1)
})

it('shows who holds what was taken over, and gives it back', async () => {
  const releases = recordPosts('/attempts/:id/release', () => HttpResponse.json({}))
  const { user } = await opened({ takenOverBy: 'Ann' })
  expect(await screen.findByText('Ann has taken this over')).toBeVisible()
  expect(screen.getByText(/^devteam attempt hand-back attempt-1 --from/)).toBeVisible()
  expect(screen.getByRole('button', { name: 'Run again' })).toHaveAttribute('aria-disabled', 'true')
  expect(screen.queryByRole('button', { name: 'Take over' })).toBeNull()
  await user.click(screen.getByRole('button', { name: 'Release' }))
  await waitFor(() => expect(releases).toHaveLength(1))
})

it('compares with another attempt of the task: facts, gates with their tests, files and both diffs', async () => {
  const second = buildAttempt({ ...FAILED, id: 'attempt-2', number: 2, outcome: 'succeeded' })
  const tests = { passed: 3, failed: 1, skipped: 2, broken: ['test_a'], flaky: [] }
  const diff = (name: string) =>
    `diff --git a/${name} b/${name}\n--- a/${name}\n+++ b/${name}\n@@ -1 +1 @@\n-a\n+b\n`
  server.use(
    http.get(`${API}/attempts/attempt-1/compare/attempt-2`, () =>
      HttpResponse.json({
        taskId: 'task-1',
        left: { attempt: buildAttempt(FAILED), models: ['small'], seconds: 61, diffTruncated: false },
        right: { attempt: second, models: ['large'], seconds: 30, diffTruncated: false },
        gates: [
          {
            name: 'tests',
            stage: 'post_task',
            left: buildGate({ passed: false, tests }),
            right: buildGate(),
          },
        ],
        files: [{ path: 'b.py', left: null, right: { path: 'b.py', added: 1, deleted: 1 }, same: false }],
      }),
    ),
    http.get(`${API}/attempts/:id/diff`, ({ params }) =>
      HttpResponse.json({
        baseCommit: null,
        commit: null,
        diff: diff(`${params.id}.py`),
        files: [{ path: `${params.id}.py`, added: 1, deleted: 1 }],
        truncated: false,
      }),
    ),
  )
  const { user, router } = await opened({}, [second])
  await waitFor(() =>
    expect(screen.getByRole('button', { name: 'Compare' })).not.toHaveAttribute('aria-disabled'),
  )
  await user.click(screen.getByRole('button', { name: 'Compare' }))
  await user.click(await screen.findByRole('menuitem', { name: 'Attempt 2, succeeded' }))
  await waitFor(() => expect(router.state.location.pathname).toBe('/attempts/attempt-1/compare/attempt-2'))
  const facts = await screen.findByRole('table', { name: 'Facts' })
  expect(within(facts).getByRole('row', { name: /^Models/ })).toHaveTextContent('Modelssmalllarge')
  expect(within(facts).getByRole('row', { name: /^Time/ })).toHaveTextContent('Time1 min 1 s30 s')
  expect(screen.getByRole('table', { name: 'Gates' })).toHaveTextContent(
    '3 tests passed, 1 failed, 2 skipped, 1 broken by this attempt',
  )
  const right = screen.getByRole('region', { name: 'Diff of attempt 2' })
  expect(await within(right).findByRole('region', { name: 'attempt-2.py' })).toBeVisible()
  expect(screen.getByRole('region', { name: 'Diff of attempt 1' })).toBeVisible()
})
