import { screen, waitFor } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { expect, it } from 'vitest'
import { buildSession } from '@/testing/builders'
import { renderApp } from '@/testing/renderApp'
import { API, problem, recordPosts, server } from '@/testing/server'

const signedOut = () => server.use(http.get(`${API}/session`, () => problem(401, 'Not signed in')))

it("trades the link's token for a session once and goes to the overview", async () => {
  const posts = recordPosts('/session', () => HttpResponse.json(buildSession()))
  const { router } = await renderApp('/login?token=abc')
  await waitFor(() => expect(router.state.location.pathname).toBe('/overview'))
  expect(posts.map((post) => post.body)).toEqual([{ token: 'abc' }])
  expect(router.state.location.search).toEqual({})
})

it('says so when the link was used or has expired, and how to get a new one', async () => {
  recordPosts('/session', () => problem(401, 'Unknown link'))
  await renderApp('/login?token=old')
  expect(await screen.findByText(/expired or was used already/)).toBeVisible()
  expect(screen.getByText('devteam login-link')).toBeVisible()
})

it('shows nothing of the app to somebody who is not signed in', async () => {
  signedOut()
  const { host } = await renderApp('/overview')
  expect(await screen.findByRole('heading', { name: 'You are not signed in' })).toBeVisible()
  expect(host.sockets).toHaveLength(0)
})

it('tells an engine that does not answer from a person who is not signed in', async () => {
  server.use(http.get(`${API}/session`, () => HttpResponse.error()))
  await renderApp('/overview')
  expect(await screen.findByRole('heading', { name: 'The engine cannot be reached' })).toBeVisible()
})

it('leaves when the session ends under it', async () => {
  const app = await renderApp('/overview')
  await app.connect()
  signedOut()
  app.host.socket.drop(4401)
  expect(await screen.findByRole('heading', { name: 'You are not signed in' })).toBeVisible()
})
