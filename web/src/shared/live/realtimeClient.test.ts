import { beforeEach, describe, expect, it } from 'vitest'
import type { EntityView } from '@/shared/api'
import { FakeHost, RecordingSink } from '@/testing/fakeLive'
import { LINK_DEAD_MS, POLL_AFTER_MS, POLL_EVERY_MS, RealtimeClient } from './realtimeClient'

let host: FakeHost
let sink: RecordingSink
let client: RealtimeClient

const card = { kind: 'customer', id: 'c1', version: 1, name: 'Acme' } as EntityView
const snapshot = (seq: number, epoch = 'e1') => ({
  type: 'snapshot',
  topic: 'overview',
  epoch,
  seq,
  entities: [card],
})
const delta = (prev: number, seq: number, set: object, epoch = 'e1') => ({
  type: 'delta',
  topic: 'overview',
  epoch,
  prev,
  seq,
  changes: [{ kind: 'customer', id: 'c1', version: seq, set, unset: [] }],
})

beforeEach(() => {
  host = new FakeHost()
  sink = new RecordingSink()
  client = new RealtimeClient(sink, host)
})

function connected() {
  client.subscribe('overview')
  client.start()
  host.socket.open()
  host.socket.receive(snapshot(10))
}

describe('subscribing', () => {
  it('says hello first, then what it follows', () => {
    connected()
    expect(host.socket.sent).toEqual([
      { type: 'hello', protocol: 1 },
      { type: 'subscribe', topics: ['overview'] },
    ])
  })

  it('shares one subscription among followers and ends it with the last', () => {
    connected()
    const first = client.subscribe('customer:c1')
    const second = client.subscribe('customer:c1')
    first()
    first()
    expect(host.socket.sentOf('unsubscribe')).toEqual([])
    second()
    expect(host.socket.sentOf('subscribe')).toHaveLength(2)
    expect(host.socket.sentOf('unsubscribe')).toEqual([{ type: 'unsubscribe', topics: ['customer:c1'] }])
  })
})

describe('deltas', () => {
  it('are merged per entity and handed over once per frame', () => {
    connected()
    host.socket.receive(delta(10, 11, { progress: 0.1 }))
    host.socket.receive(delta(11, 12, { progress: 0.2, name: 'Acme Ltd' }))
    expect(sink.flushed).toEqual([])
    host.frame()
    expect(sink.flushed).toHaveLength(1)
    expect(sink.flushed[0]?.[0]).toMatchObject({ topic: 'overview', seq: 12 })
    expect(sink.flushed[0]?.[0]?.changes).toEqual([
      { kind: 'customer', id: 'c1', version: 12, set: { progress: 0.2, name: 'Acme Ltd' }, unset: [] },
    ])
  })

  it('use a timer in a hidden tab and are flushed when it is shown', () => {
    connected()
    host.isHidden = true
    client.visibilityChanged()
    host.socket.receive(delta(10, 11, { progress: 0.1 }))
    host.frame()
    expect(sink.flushed).toHaveLength(0)
    host.pass(1000)
    expect(sink.flushed).toHaveLength(1)
    expect(host.socket.sentOf('visibility')).toEqual([{ type: 'visibility', hidden: true }])
  })

  it('that are older than the state are dropped', () => {
    connected()
    host.socket.receive(delta(8, 9, { progress: 0.1 }))
    host.frame()
    expect(sink.flushed).toHaveLength(0)
  })

  it('after a gap ask for a fresh snapshot and are not applied until it is here', () => {
    connected()
    host.socket.receive(delta(12, 13, { progress: 0.1 }))
    host.socket.receive(delta(13, 14, { progress: 0.2 }))
    host.frame()
    expect(sink.flushed).toHaveLength(0)
    expect(host.socket.sent.slice(2)).toEqual([
      { type: 'unsubscribe', topics: ['overview'] },
      { type: 'subscribe', topics: ['overview'] },
    ])
    host.socket.receive(snapshot(14))
    host.socket.receive(delta(14, 15, { progress: 0.3 }))
    host.frame()
    expect(sink.snapshots.at(-1)?.seq).toBe(14)
    expect(sink.flushed).toHaveLength(1)
  })

  it('of another epoch mean a fresh snapshot', () => {
    connected()
    host.socket.receive(delta(10, 11, {}, 'e2'))
    expect(host.socket.sentOf('unsubscribe')).toHaveLength(1)
  })

  it('waiting for a frame do not overwrite a newer snapshot', () => {
    connected()
    host.socket.receive(delta(10, 11, { progress: 0.1 }))
    host.socket.receive(snapshot(20))
    host.frame()
    expect(sink.flushed).toHaveLength(0)
  })
})

it('hands events over beside the changes, none merged away', () => {
  connected()
  for (const id of ['1', '2']) {
    host.socket.receive({
      type: 'event',
      topic: 'overview',
      epoch: 'e1',
      prev: 10,
      seq: 10,
      id,
      event: { id },
    })
  }
  host.frame()
  expect(sink.flushed[0]?.[0]?.events.map((event) => event.id)).toEqual(['1', '2'])
})

describe('heartbeats', () => {
  it('that know more than we do mean a fresh snapshot', () => {
    connected()
    host.socket.receive({ type: 'heartbeat', topics: { overview: 11 }, metrics: { clients: 1 } })
    expect(host.socket.sentOf('unsubscribe')).toHaveLength(1)
    expect(sink.metrics).toEqual([{ clients: 1 }])
  })

  it('missing for 12 s mean a dead link', () => {
    connected()
    host.pass(LINK_DEAD_MS - 1000)
    host.socket.receive({ type: 'heartbeat', topics: { overview: 10 } })
    host.pass(LINK_DEAD_MS - 1000)
    expect(sink.statuses.at(-1)).toBe('connected')
    host.pass(1001)
    expect(sink.statuses.at(-1)).toBe('reconnecting')
    expect(host.sockets[0]?.readyState).toBe(3)
  })
})

describe('a lost connection', () => {
  it('is taken up again where it was', () => {
    connected()
    host.socket.receive(delta(10, 11, {}))
    host.socket.drop(1006)
    expect(sink.statuses).toEqual(['connecting', 'connected', 'reconnecting'])
    host.pass(500)
    expect(host.sockets).toHaveLength(2)
    host.socket.open()
    expect(host.socket.sent).toEqual([
      { type: 'hello', protocol: 1, resume: { overview: { epoch: 'e1', seq: 11 } } },
    ])
  })

  it('is tried again at once when the tab is shown or the network is back', () => {
    connected()
    host.socket.drop(1006)
    client.visibilityChanged()
    expect(host.sockets).toHaveLength(2)
  })

  it('is bridged over HTTP after a minute, every five seconds', () => {
    connected()
    host.refuse = true
    host.socket.drop(1006)
    host.pass(POLL_AFTER_MS)
    expect(sink.polls).toEqual([['overview']])
    expect(sink.statuses.at(-1)).toBe('disconnected')
    host.pass(POLL_EVERY_MS)
    expect(sink.polls).toHaveLength(2)
    client.adopt({ topic: 'overview', epoch: 'e9', seq: 3, entities: [card] })
    expect(sink.snapshots.at(-1)).toMatchObject({ epoch: 'e9', seq: 3 })
    host.refuse = false
    host.pass(30_000)
    host.socket.open()
    expect(sink.statuses.at(-1)).toBe('connected')
    expect(host.socket.sent[0]).toMatchObject({ resume: { overview: { epoch: 'e9', seq: 3 } } })
  })

  it('ends for good when nobody is signed in', () => {
    connected()
    host.socket.drop(4401)
    expect(sink.signedOutCount).toBe(1)
    host.pass(120_000)
    expect(host.sockets).toHaveLength(1)
  })
})

it('lives on polling when the socket is refused, and tries seldom', () => {
  connected()
  host.socket.drop(4403)
  host.pass(29_000)
  expect(host.sockets).toHaveLength(1)
  host.refuse = true
  host.pass(POLL_AFTER_MS)
  expect(host.sockets.length).toBeLessThan(5)
  expect(sink.polls.length).toBeGreaterThan(0)
})

it('does not let an HTTP answer overwrite what the socket brought', () => {
  connected()
  client.adopt({ topic: 'overview', epoch: 'e1', seq: 99, entities: [] })
  expect(sink.snapshots).toHaveLength(1)
})

it('asks over HTTP when the socket brings no first state in time', () => {
  client.start()
  client.subscribe('overview')
  host.socket.open()
  host.pass(2000)
  expect(sink.polls).toEqual([['overview']])
})

it('waits for the snapshot after a reset and asks for one that does not come', () => {
  connected()
  host.socket.receive({ type: 'reset', topic: 'overview', reason: 'too_slow' })
  host.socket.receive(delta(10, 11, {}))
  expect(host.socket.sentOf('unsubscribe')).toHaveLength(0)
  host.pass(2000)
  expect(host.socket.sentOf('unsubscribe')).toHaveLength(1)
})

it('passes output to its followers only', () => {
  connected()
  const seen: unknown[] = []
  const off = client.followLog('a1', (frame) => seen.push(frame))
  const frame = { type: 'log', topic: 'logs:a1', offset: 0, nextOffset: 2, text: 'hi', complete: false }
  host.socket.receive(frame)
  off()
  host.socket.receive(frame)
  expect(seen).toEqual([frame])
  expect(host.socket.sentOf('unsubscribe')).toEqual([{ type: 'unsubscribe', topics: ['logs:a1'] }])
})

it('reports a topic it may not follow and ignores frames it does not know', () => {
  connected()
  host.socket.receive({ type: 'error', topic: 'customer:x', code: 'forbidden', text: 'No.' })
  host.socket.receive({ type: 'from_the_future' })
  expect(sink.errors).toEqual([{ topic: 'customer:x', code: 'forbidden', text: 'No.' }])
})

it('waits with a topic that the engine only delays', () => {
  connected()
  host.socket.receive({ type: 'error', topic: 'customer:x', code: 'unavailable', text: 'Later.' })
  expect(sink.errors).toEqual([])
})
