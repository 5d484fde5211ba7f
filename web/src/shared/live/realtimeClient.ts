import type { EntityView, Epoch, EventView } from '@/shared/api'
import { mergeChanges } from './applyDelta'
import { backoffDelay, closeDecision } from './backoff'
import {
  type ClientFrame,
  type DeltaFrame,
  type EntityChange,
  type EventFrame,
  type HeartbeatFrame,
  type LogFrame,
  type LogGapFrame,
  parseFrame,
  type ServerFrame,
  type SnapshotFrame,
} from './frames'

export type ConnectionStatus = 'connecting' | 'connected' | 'reconnecting' | 'disconnected'

export interface TopicSnapshot {
  topic: string
  epoch: Epoch
  seq: number
  entities: EntityView[]
}

export interface TopicBatch {
  topic: string
  epoch: Epoch
  seq: number
  changes: EntityChange[]
  events: EventView[]
}

/** Where the client's news go: the store in the app, a recorder in tests. */
export interface LiveSink {
  snapshot(snapshot: TopicSnapshot): void
  batches(batches: TopicBatch[]): void
  connection(status: ConnectionStatus): void
  heartbeat(metrics: Record<string, unknown>): void
  topicError(topic: string, code: string, text: string): void
  signedOut(): void
  /** Fetch the topics' state over HTTP: the socket has been away for long, or has not answered yet. */
  poll(topics: string[]): void
}

export type LogListener = (frame: LogFrame | LogGapFrame) => void

export interface SocketLike {
  readyState: number
  send(data: string): void
  close(code?: number): void
  onopen: (() => void) | null
  onmessage: ((event: { data: unknown }) => void) | null
  onclose: ((event: { code: number }) => void) | null
}

/** Time, chance and frames, so that tests hold the clock. */
export interface LiveHost {
  openSocket(): SocketLike
  setTimer(action: () => void, ms: number): number
  clearTimer(id: number): void
  nextFrame(action: () => void): void
  random(): number
  hidden(): boolean
}

export const LINK_DEAD_MS = 12_000
export const POLL_AFTER_MS = 60_000
export const POLL_EVERY_MS = 5_000
export const FIRST_POLL_MS = 2_000
const HIDDEN_FLUSH_MS = 1_000
const RESET_GRACE_MS = 2_000
/** The attempt from which the backoff has its longest ceiling. */
const REFUSED_ATTEMPT = 6

interface Topic {
  refs: number
  epoch: Epoch | null
  seq: number
}

interface Pending {
  epoch: Epoch
  seq: number
  changes: Map<string, EntityChange>
  events: EventView[]
}

const isLog = (topic: string) => topic.startsWith('logs:')

/**
 * The page's one socket. Topics are counted by subscriber; frames are merged per entity and handed to the sink
 * once per animation frame; gaps, dead links and restarts end in a resume or a fresh snapshot, never in hope.
 */
export class RealtimeClient {
  private socket: SocketLike | null = null
  private readonly topics = new Map<string, Topic>()
  private readonly logs = new Map<string, Set<LogListener>>()
  private pending = new Map<string, Pending>()
  private flushAsked = false
  private attempt = 0
  private running = false
  private everConnected = false
  private away = false
  private retryTimer: number | null = null
  private deadTimer: number | null = null
  private pollTimer: number | null = null

  constructor(
    private readonly sink: LiveSink,
    private readonly host: LiveHost,
  ) {}

  start(): void {
    if (this.running) return
    this.running = true
    this.sink.connection('connecting')
    this.connect()
    this.schedulePoll(POLL_AFTER_MS)
  }

  stop(): void {
    this.running = false
    this.clear('retryTimer')
    this.clear('deadTimer')
    this.clear('pollTimer')
    const socket = this.socket
    this.socket = null
    socket?.close(1000)
    this.pending.clear()
    for (const topic of this.topics.values()) topic.epoch = null
    this.sink.connection('disconnected')
  }

  /** Follow a topic until the returned function is called; several followers share one subscription. */
  subscribe(name: string): () => void {
    const known = this.topics.get(name)
    if (known) known.refs += 1
    else {
      this.topics.set(name, { refs: 1, epoch: null, seq: -1 })
      this.send({ type: 'subscribe', topics: [name] })
      if (!isLog(name)) this.host.setTimer(() => this.pollIfSilent(name), FIRST_POLL_MS)
    }
    let done = false
    return () => {
      if (done) return
      done = true
      this.release(name)
    }
  }

  /** Follow an attempt's output as raw frames; it never passes through the store. */
  followLog(attemptId: string, listener: LogListener): () => void {
    const name = `logs:${attemptId}`
    const listeners = this.logs.get(name) ?? new Set()
    this.logs.set(name, listeners)
    listeners.add(listener)
    const off = this.subscribe(name)
    return () => {
      listeners.delete(listener)
      off()
    }
  }

  /** The tab was shown or hidden: tell the engine, flush once, and do not wait for a backoff. */
  visibilityChanged(): void {
    const hidden = this.host.hidden()
    this.send({ type: 'visibility', hidden })
    if (hidden) return
    this.flush()
    this.hurry()
  }

  /** The network is back: try now. */
  hurry(): void {
    if (!this.running || this.socket !== null) return
    this.clear('retryTimer')
    this.connect()
  }

  /** State that came over HTTP; it counts only when it is not older than what the socket brought. */
  adopt(snapshot: TopicSnapshot): void {
    const topic = this.topics.get(snapshot.topic)
    if (!topic) return
    if (this.connected() && topic.epoch !== null) return
    if (topic.epoch === snapshot.epoch && snapshot.seq < topic.seq) return
    this.pending.delete(snapshot.topic)
    topic.epoch = snapshot.epoch
    topic.seq = snapshot.seq
    this.sink.snapshot(snapshot)
  }

  private connected(): boolean {
    return this.socket?.readyState === 1
  }

  private release(name: string): void {
    const topic = this.topics.get(name)
    if (!topic) return
    topic.refs -= 1
    if (topic.refs > 0) return
    this.topics.delete(name)
    this.pending.delete(name)
    this.logs.delete(name)
    this.send({ type: 'unsubscribe', topics: [name] })
  }

  private connect(): void {
    const socket = this.host.openSocket()
    this.socket = socket
    socket.onopen = () => this.opened(socket)
    socket.onmessage = (event) => {
      if (this.socket === socket && typeof event.data === 'string') this.received(event.data)
    }
    socket.onclose = (event) => {
      if (this.socket === socket) this.closed(event.code)
    }
    this.watchLink()
  }

  private opened(socket: SocketLike): void {
    if (this.socket !== socket) return
    const resume: Record<string, { epoch: Epoch; seq: number }> = {}
    for (const [name, topic] of this.topics) {
      if (topic.epoch !== null && !isLog(name)) resume[name] = { epoch: topic.epoch, seq: topic.seq }
    }
    this.send(
      Object.keys(resume).length > 0
        ? { type: 'hello', protocol: 1, resume }
        : { type: 'hello', protocol: 1 },
    )
    const fresh = [...this.topics.keys()].filter((name) => !(name in resume))
    if (fresh.length > 0) this.send({ type: 'subscribe', topics: fresh })
    if (this.host.hidden()) this.send({ type: 'visibility', hidden: true })
    this.everConnected = true
    this.away = false
    this.clear('pollTimer')
    this.sink.connection('connected')
    this.watchLink()
  }

  private closed(code: number): void {
    this.socket = null
    this.clear('deadTimer')
    if (!this.running) return
    const decision = closeDecision(code)
    if (decision === 'signed_out') {
      this.stop()
      this.sink.signedOut()
      return
    }
    if (!this.away) this.sink.connection(this.everConnected ? 'reconnecting' : 'connecting')
    if (decision === 'retry_soon') this.attempt = 0
    // A refused origin will hardly change its mind: seldom tries, and the page lives on polling.
    if (decision === 'refused') this.attempt = Math.max(this.attempt, REFUSED_ATTEMPT)
    const delay = backoffDelay(this.attempt, this.host.random())
    this.attempt += 1
    this.clear('retryTimer')
    this.retryTimer = this.host.setTimer(() => {
      this.retryTimer = null
      if (this.running && this.socket === null) this.connect()
    }, delay)
    if (this.pollTimer === null) this.schedulePoll(POLL_AFTER_MS)
  }

  private received(data: string): void {
    const frame: ServerFrame | null = parseFrame(data)
    if (frame === null) return
    switch (frame.type) {
      case 'snapshot':
        this.onSnapshot(frame)
        break
      case 'delta':
        this.onDelta(frame)
        break
      case 'event':
        this.onEvent(frame)
        break
      case 'log':
      case 'log_gap':
        for (const listener of this.logs.get(frame.topic) ?? []) listener(frame)
        break
      case 'heartbeat':
        this.onHeartbeat(frame)
        break
      case 'reset':
        this.onReset(frame.topic)
        break
      case 'error':
        // Not refused but delayed: the engine goes on with the topic by itself, and says so in its heartbeat.
        if (frame.code === 'unavailable') break
        this.sink.topicError(frame.topic ?? '', frame.code, frame.text)
        break
    }
  }

  private onSnapshot(frame: SnapshotFrame): void {
    const topic = this.topics.get(frame.topic)
    if (!topic) return
    this.pending.delete(frame.topic)
    topic.epoch = frame.epoch
    topic.seq = frame.seq
    this.attempt = 0
    this.sink.snapshot({ topic: frame.topic, epoch: frame.epoch, seq: frame.seq, entities: frame.entities })
  }

  private onDelta(frame: DeltaFrame): void {
    const pending = this.advance(frame)
    if (!pending) return
    for (const change of frame.changes) {
      const key = `${change.kind}:${change.id}`
      const before = pending.changes.get(key)
      pending.changes.set(key, before ? mergeChanges(before, change) : change)
    }
  }

  private onEvent(frame: EventFrame): void {
    this.advance(frame)?.events.push(frame.event)
  }

  /** Moves the topic's position on; null when the frame is old or does not follow what we have. */
  private advance(frame: DeltaFrame | EventFrame): Pending | null {
    const topic = this.topics.get(frame.topic)
    if (!topic || topic.epoch === null) return null
    if (frame.epoch !== topic.epoch || frame.prev > topic.seq) {
      this.resync(frame.topic)
      return null
    }
    if (frame.seq < topic.seq) return null
    topic.seq = frame.seq
    this.attempt = 0
    const pending = this.pending.get(frame.topic) ?? {
      epoch: frame.epoch,
      seq: frame.seq,
      changes: new Map(),
      events: [],
    }
    pending.seq = frame.seq
    this.pending.set(frame.topic, pending)
    this.askFlush()
    return pending
  }

  private onHeartbeat(frame: HeartbeatFrame): void {
    this.attempt = 0
    this.watchLink()
    this.sink.heartbeat(frame.metrics ?? {})
    for (const [name, seq] of Object.entries(frame.topics)) {
      const topic = this.topics.get(name)
      if (topic && topic.epoch !== null && !isLog(name) && seq > topic.seq) this.resync(name)
    }
  }

  private onReset(name: string): void {
    const topic = this.topics.get(name)
    if (!topic) return
    this.pending.delete(name)
    topic.epoch = null
    // The engine sends a snapshot after a reset; should it not, ask.
    this.host.setTimer(() => {
      if (this.topics.get(name)?.epoch === null) this.resync(name)
    }, RESET_GRACE_MS)
  }

  /** Something is missing: take the topic up again from a fresh snapshot. */
  private resync(name: string): void {
    const topic = this.topics.get(name)
    if (!topic) return
    this.pending.delete(name)
    topic.epoch = null
    this.send({ type: 'unsubscribe', topics: [name] })
    this.send({ type: 'subscribe', topics: [name] })
  }

  private askFlush(): void {
    if (this.flushAsked) return
    this.flushAsked = true
    const flush = () => {
      this.flushAsked = false
      this.flush()
    }
    // A hidden tab has no animation frames.
    if (this.host.hidden()) this.host.setTimer(flush, HIDDEN_FLUSH_MS)
    else this.host.nextFrame(flush)
  }

  private flush(): void {
    if (this.pending.size === 0) return
    const batches: TopicBatch[] = []
    for (const [topic, { epoch, seq, changes, events }] of this.pending) {
      batches.push({ topic, epoch, seq, changes: [...changes.values()], events })
    }
    this.pending = new Map()
    this.sink.batches(batches)
  }

  /** A link without a heartbeat for 12 s counts as dead, also while it is being opened. */
  private watchLink(): void {
    this.clear('deadTimer')
    this.deadTimer = this.host.setTimer(() => {
      this.deadTimer = null
      const socket = this.socket
      if (socket === null) return
      this.closed(4000)
      socket.close()
    }, LINK_DEAD_MS)
  }

  private schedulePoll(ms: number): void {
    this.clear('pollTimer')
    this.pollTimer = this.host.setTimer(() => {
      this.pollTimer = null
      if (!this.running || this.connected()) return
      this.away = true
      this.sink.connection('disconnected')
      this.sink.poll([...this.topics.keys()].filter((name) => !isLog(name)))
      this.schedulePoll(POLL_EVERY_MS)
    }, ms)
  }

  private pollIfSilent(name: string): void {
    const topic = this.topics.get(name)
    if (this.running && topic && topic.epoch === null) this.sink.poll([name])
  }

  private send(frame: ClientFrame): void {
    if (this.socket !== null && this.connected()) this.socket.send(JSON.stringify(frame))
  }

  private clear(timer: 'retryTimer' | 'deadTimer' | 'pollTimer'): void {
    const id = this[timer]
    if (id !== null) this.host.clearTimer(id)
    this[timer] = null
  }
}
