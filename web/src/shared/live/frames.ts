import type { EntityKind, EntityView, Epoch, EventView } from '@/shared/api'

/** One entity's change: absolute values, so that applying twice does no harm. */
export interface EntityChange {
  kind: EntityKind
  id: string
  version: number
  set?: Record<string, unknown>
  unset?: string[]
  removed?: boolean
}

interface TopicFrame {
  v?: number
  topic: string
  epoch: Epoch
  seq: number
  ts?: string
}

export interface SnapshotFrame extends TopicFrame {
  type: 'snapshot'
  entities: EntityView[]
}
export interface DeltaFrame extends TopicFrame {
  type: 'delta'
  prev: number
  changes: EntityChange[]
}
export interface EventFrame extends TopicFrame {
  type: 'event'
  prev: number
  id: string
  event: EventView
}
export interface LogFrame {
  type: 'log'
  topic: string
  offset: number
  nextOffset: number
  text: string
  complete: boolean
}
export interface LogGapFrame {
  type: 'log_gap'
  topic: string
  offset: number
}
export interface HeartbeatFrame {
  type: 'heartbeat'
  ts?: string
  topics: Record<string, number>
  metrics?: Record<string, unknown>
}
export interface ResetFrame {
  type: 'reset'
  topic: string
  reason: string
}
export interface ErrorFrame {
  type: 'error'
  topic?: string | null
  code: string
  text: string
}

export type ServerFrame =
  | SnapshotFrame
  | DeltaFrame
  | EventFrame
  | LogFrame
  | LogGapFrame
  | HeartbeatFrame
  | ResetFrame
  | ErrorFrame

export type ClientFrame =
  | { type: 'hello'; protocol: 1; resume?: Record<string, { epoch: Epoch; seq: number }> }
  | { type: 'subscribe'; topics: string[] }
  | { type: 'unsubscribe'; topics: string[] }
  | { type: 'visibility'; hidden: boolean }

const TYPES = new Set(['snapshot', 'delta', 'event', 'log', 'log_gap', 'heartbeat', 'reset', 'error'])

/** A frame, or null when it is of a kind this version does not know (a newer server may send more). */
export function parseFrame(data: string): ServerFrame | null {
  const frame = JSON.parse(data) as { type?: string }
  return frame.type !== undefined && TYPES.has(frame.type) ? (frame as ServerFrame) : null
}
