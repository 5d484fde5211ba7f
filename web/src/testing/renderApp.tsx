import { createMemoryHistory, createRouter } from '@tanstack/react-router'
import { act, render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { App } from '@/app/App'
import { routeTree } from '@/app/router'
import { createLiveClient, createStore } from '@/app/store'
import type { EntityView } from '@/shared/api'
import { FakeHost } from './fakeLive'

/** The whole app at an address, with a socket in the test's hand. */
export async function renderApp(path: string) {
  const store = createStore()
  const host = new FakeHost()
  const client = createLiveClient(store, host)
  const router = createRouter({ routeTree, history: createMemoryHistory({ initialEntries: [path] }) })
  render(<App store={store} client={client} router={router} />)

  const show = (topic: string, entities: EntityView[], seq = 1) =>
    act(() => host.socket.receive({ type: 'snapshot', topic, epoch: 'e', seq, entities }))
  const change = (topic: string, seq: number, kind: string, id: string, set: object) =>
    act(() => {
      const changes = [{ kind, id, version: seq, set, unset: [] }]
      host.socket.receive({ type: 'delta', topic, epoch: 'e', prev: seq - 1, seq, changes })
      host.frame()
    })
  /** The socket opens as soon as the session is known. */
  const connect = async () => {
    await screen.findByRole('status', { name: 'Connection' })
    act(() => host.socket.open())
  }
  return { store, host, router, user: userEvent.setup(), show, change, connect }
}
