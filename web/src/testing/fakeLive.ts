import type {
  ConnectionStatus,
  LiveHost,
  LiveSink,
  SocketLike,
  TopicBatch,
  TopicSnapshot,
} from '@/shared/live/realtimeClient'

type Sent = { type: string } & Record<string, unknown>

export class FakeSocket implements SocketLike {
  readyState = 0
  sent: Sent[] = []
  onopen: (() => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: ((event: { code: number }) => void) | null = null

  send(data: string): void {
    this.sent.push(JSON.parse(data) as Sent)
  }
  close(): void {
    this.readyState = 3
  }
  open(): void {
    this.readyState = 1
    this.onopen?.()
  }
  receive(frame: object): void {
    this.onmessage?.({ data: JSON.stringify(frame) })
  }
  drop(code: number): void {
    this.readyState = 3
    this.onclose?.({ code })
  }
  sentOf(type: string): Sent[] {
    return this.sent.filter((message) => message.type === type)
  }
}

/** Time, frames and sockets in the test's hand. */
export class FakeHost implements LiveHost {
  sockets: FakeSocket[] = []
  isHidden = false
  /** Sockets are refused as soon as they are opened. */
  refuse = false
  private now = 0
  private nextId = 1
  private timers = new Map<number, { at: number; action: () => void }>()
  private frames: (() => void)[] = []

  get socket(): FakeSocket {
    const last = this.sockets.at(-1)
    if (!last) throw new Error('no socket was opened')
    return last
  }
  openSocket(): FakeSocket {
    const socket = new FakeSocket()
    this.sockets.push(socket)
    if (this.refuse) this.setTimer(() => socket.drop(1006), 1)
    return socket
  }
  setTimer(action: () => void, ms: number): number {
    const id = this.nextId++
    this.timers.set(id, { at: this.now + ms, action })
    return id
  }
  clearTimer(id: number): void {
    this.timers.delete(id)
  }
  nextFrame(action: () => void): void {
    this.frames.push(action)
  }
  random(): number {
    return 1
  }
  hidden(): boolean {
    return this.isHidden
  }
  frame(): void {
    for (const action of this.frames.splice(0)) action()
  }
  pass(ms: number): void {
    const end = this.now + ms
    for (;;) {
      const due = [...this.timers].filter(([, timer]) => timer.at <= end).sort((a, b) => a[1].at - b[1].at)[0]
      if (!due) break
      this.timers.delete(due[0])
      this.now = due[1].at
      due[1].action()
    }
    this.now = end
  }
}

export class RecordingSink implements LiveSink {
  snapshots: TopicSnapshot[] = []
  flushed: TopicBatch[][] = []
  statuses: ConnectionStatus[] = []
  metrics: Record<string, unknown>[] = []
  errors: { topic: string; code: string; text: string }[] = []
  polls: string[][] = []
  signedOutCount = 0

  snapshot(snapshot: TopicSnapshot): void {
    this.snapshots.push(snapshot)
  }
  batches(batches: TopicBatch[]): void {
    this.flushed.push(batches)
  }
  connection(status: ConnectionStatus): void {
    this.statuses.push(status)
  }
  heartbeat(metrics: Record<string, unknown>): void {
    this.metrics.push(metrics)
  }
  topicError(topic: string, code: string, text: string): void {
    this.errors.push({ topic, code, text })
  }
  signedOut(): void {
    this.signedOutCount += 1
  }
  poll(topics: string[]): void {
    this.polls.push(topics)
  }
}
