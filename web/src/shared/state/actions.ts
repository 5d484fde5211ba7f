import { createAction } from '@reduxjs/toolkit'
import type { ConnectionStatus, TopicBatch, TopicSnapshot } from '@/shared/live/realtimeClient'

/** What the socket brings, as past events; `at` is the browser's clock in milliseconds. */
export const topicSnapshotReceived = createAction<TopicSnapshot & { at: number }>(
  'live/topicSnapshotReceived',
)
export const topicsFlushed = createAction<{ batches: TopicBatch[]; at: number }>('live/topicsFlushed')
export const connectionChanged = createAction<{ status: ConnectionStatus; at: number }>(
  'live/connectionChanged',
)
export const heartbeatReceived = createAction<{ metrics: Record<string, unknown>; at: number }>(
  'live/heartbeatReceived',
)
export const topicFailed = createAction<{ topic: string; code: string; text: string }>('live/topicFailed')
export const topicReleased = createAction<{ topic: string }>('live/topicReleased')
