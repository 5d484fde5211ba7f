import {
  type BaseQueryFn,
  createApi,
  type FetchArgs,
  type FetchBaseQueryError,
  fetchBaseQuery,
} from '@reduxjs/toolkit/query/react'
import type { SessionView, WorkerView } from './views'

/** Absolute, since `fetch` outside a browser refuses relative addresses. */
export function apiBase(): string {
  return `${window.location.origin}/api/devteam`
}

const raw: BaseQueryFn<string | FetchArgs, unknown, FetchBaseQueryError> = (args, api, extra) =>
  fetchBaseQuery({ baseUrl: `${apiBase()}/`, credentials: 'same-origin' })(args, api, extra)

const baseQuery: BaseQueryFn<string | FetchArgs, unknown, FetchBaseQueryError> = async (args, api, extra) => {
  const result = await raw(args, api, extra)
  // A session that ended shows the sign-in page at the next answer, wherever it was noticed.
  if (result.error?.status === 401 && api.endpoint !== 'getSession' && api.endpoint !== 'signIn') {
    api.dispatch(devTeamApi.util.invalidateTags(['Session']))
  }
  return result
}

/** The one API of the app; features inject their endpoints. */
export const devTeamApi = createApi({
  reducerPath: 'devTeamApi',
  baseQuery,
  tagTypes: ['Session', 'Task', 'Attempt', 'Activity', 'Workers', 'Customer', 'Project'],
  endpoints: (build) => ({
    getSession: build.query<SessionView, void>({ query: () => 'session', providesTags: ['Session'] }),
    getWorkers: build.query<WorkerView[], void>({
      query: () => 'workers',
      providesTags: ['Workers'],
      transformResponse: (answer: WorkerView[] | { workers: WorkerView[] }) =>
        Array.isArray(answer) ? answer : answer.workers,
    }),
  }),
})

export const { useGetSessionQuery, useGetWorkersQuery } = devTeamApi

/** A POST that may be repeated safely: the engine answers the same key with the same result. */
export function command(url: string, key: string, body: unknown = {}): FetchArgs {
  return { url, method: 'POST', body, headers: { 'Idempotency-Key': key } }
}
