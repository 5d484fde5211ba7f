import { configureStore } from '@reduxjs/toolkit'
import { api, type CustomerCard, devTeamApi } from '@/shared/api'
import { pollTopic } from '@/shared/live/pollTopic'
import { type LiveHost, type LiveSink, RealtimeClient, type TopicBatch } from '@/shared/live/realtimeClient'
import {
  connectionChanged,
  heartbeatReceived,
  topicFailed,
  topicSnapshotReceived,
  topicsFlushed,
} from '@/shared/state/actions'
import { devTeamSlice } from '@/shared/state/devTeamSlice'
import { topicsSlice } from '@/shared/state/topicsSlice'

export function createStore() {
  return configureStore({
    reducer: {
      [devTeamSlice.reducerPath]: devTeamSlice.reducer,
      [topicsSlice.reducerPath]: topicsSlice.reducer,
      [devTeamApi.reducerPath]: devTeamApi.reducer,
    },
    // The two development checks walk the whole state on each action: too slow at a thousand customers.
    middleware: (defaults) =>
      defaults({ serializableCheck: false, immutableCheck: false }).concat(devTeamApi.middleware),
  })
}

export type AppStore = ReturnType<typeof createStore>

/** The activity list is fetched, not streamed: after news of a customer it is fetched again, this seldom. */
const ACTIVITY_EVERY_MS = 1500
const RESTART_MS = 2000

/** Which fetched lists news makes out of date: approvals and incidents over all customers are not streamed. */
function outdated(known: Record<string, CustomerCard>, batches: readonly TopicBatch[]) {
  const dated = new Set<'Approval' | 'Incident'>()
  for (const { changes } of batches) {
    for (const { kind, id, set } of changes) {
      if (kind === 'approval') dated.add('Approval')
      if (kind === 'incident') dated.add('Incident')
      if (kind !== 'customer' || !set) continue
      const before = known[id]
      if ('approvalsPending' in set && set.approvalsPending !== before?.approvalsPending)
        dated.add('Approval')
      if ('incidentsOpen' in set && set.incidentsOpen !== before?.incidentsOpen) dated.add('Incident')
    }
  }
  return [...dated]
}

/** Wires the socket to the store: the client knows no Redux, the slices know no socket. */
export function createLiveClient(store: AppStore, host: LiveHost): RealtimeClient {
  const { dispatch } = store
  let activityDue = false
  const refreshActivity = () => {
    if (activityDue) return
    activityDue = true
    window.setTimeout(() => {
      activityDue = false
      dispatch(devTeamApi.util.invalidateTags(['Activity']))
    }, ACTIVITY_EVERY_MS)
  }
  const sink: LiveSink = {
    snapshot: (snapshot) => void dispatch(topicSnapshotReceived({ ...snapshot, at: Date.now() })),
    batches: (batches) => {
      const dated = outdated(store.getState().devTeam.customers.byId, batches)
      dispatch(topicsFlushed({ batches, at: Date.now() }))
      if (batches.some(({ topic }) => topic.startsWith('customer:'))) refreshActivity()
      if (dated.length > 0) dispatch(devTeamApi.util.invalidateTags(dated))
    },
    connection: (status) => void dispatch(connectionChanged({ status, at: Date.now() })),
    heartbeat: (metrics) => void dispatch(heartbeatReceived({ metrics, at: Date.now() })),
    topicError: (topic, code, text) => void dispatch(topicFailed({ topic, code, text })),
    // The session guard shows the sign-in page; should the session hold after all, go on.
    signedOut: () => {
      const asked = dispatch(
        api.endpoints.getSession.initiate(undefined, { forceRefetch: true, subscribe: false }),
      )
      void asked.then(({ data }) => {
        if (data) host.setTimer(() => client.start(), RESTART_MS)
      })
    },
    poll: (topics) => {
      for (const topic of topics) {
        void pollTopic(topic).then((snapshot) => {
          if (snapshot) client.adopt(snapshot)
        })
      }
    },
  }
  const client = new RealtimeClient(sink, host)
  return client
}
