import { createSlice } from '@reduxjs/toolkit'
import { applyDelta, type EntityTable, tableOf } from '@/shared/live/applyDelta'
import { topicFailed, topicReleased, topicSnapshotReceived, topicsFlushed } from './actions'
import { OVERVIEW } from './devTeamSlice'

export interface TopicState {
  entities: EntityTable
  /** The sentence why the topic cannot be followed; null while it can. */
  error: string | null
}

/** The topics of single customers; the overview's state is the `devTeam` slice. */
export type TopicsState = Record<string, TopicState>

const initialState: TopicsState = {}

export const topicsSlice = createSlice({
  name: 'topics',
  initialState,
  reducers: {},
  extraReducers: (builder) =>
    builder
      .addCase(topicSnapshotReceived, (state, { payload }) => {
        if (payload.topic === OVERVIEW) return
        state[payload.topic] = { entities: tableOf(payload.entities), error: null }
      })
      // Returns plain objects rather than changing a draft: the table is large, the changes few.
      .addCase(topicsFlushed, (state, { payload }) => {
        for (const batch of payload.batches) {
          const topic = state[batch.topic]
          if (topic) topic.entities = applyDelta(topic.entities, batch.changes)
        }
      })
      .addCase(topicFailed, (state, { payload }) => {
        if (payload.topic === OVERVIEW || payload.topic === '') return
        const topic = state[payload.topic]
        if (topic) topic.error = payload.text
        else state[payload.topic] = { entities: {}, error: payload.text }
      })
      .addCase(topicReleased, (state, { payload }) => {
        delete state[payload.topic]
      }),
})
