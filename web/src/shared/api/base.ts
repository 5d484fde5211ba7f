import {
  type BaseQueryFn,
  createApi,
  type FetchArgs,
  type FetchBaseQueryError,
  fetchBaseQuery,
} from '@reduxjs/toolkit/query/react'

/** A request as the generated endpoints make it: a header that was not given is null. */
type ApiRequest = Omit<FetchArgs, 'headers'> & { headers?: Record<string, string | null | undefined> }
type ApiQuery = BaseQueryFn<ApiRequest, unknown, FetchBaseQueryError>

/** A parameter with several values stands there several times. */
function queryOf(params: Record<string, unknown>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(params)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== null) query.append(name, String(each))
    }
  }
  return query.toString()
}

// Absolute, since `fetch` outside a browser refuses relative addresses.
const raw: ApiQuery = ({ headers = {}, ...request }, api, extra) => {
  const send = fetchBaseQuery({
    baseUrl: window.location.origin,
    credentials: 'same-origin',
    paramsSerializer: queryOf,
  })
  const given = Object.entries(headers).filter(
    (each): each is [string, string] => typeof each[1] === 'string',
  )
  return send({ ...request, headers: Object.fromEntries(given) }, api, extra)
}

const baseQuery: ApiQuery = async (args, api, extra) => {
  const result = await raw(args, api, extra)
  // A session that ended shows the sign-in page at the next answer, wherever it was noticed.
  if (result.error?.status === 401 && api.endpoint !== 'getSession' && api.endpoint !== 'signIn') {
    api.dispatch(devTeamApi.util.invalidateTags(['Session']))
  }
  return result
}

/** The one API of the app; its endpoints are generated from the contract. */
export const devTeamApi = createApi({
  reducerPath: 'devTeamApi',
  baseQuery,
  tagTypes: ['Session', 'Task', 'Activity', 'Provider', 'Price', 'Approval', 'Incident'],
  endpoints: () => ({}),
})
