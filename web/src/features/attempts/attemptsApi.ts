import { type AttemptDiff, type AttemptView, devTeamApi } from '@/shared/api'

export const attemptsApi = devTeamApi.injectEndpoints({
  endpoints: (build) => ({
    getAttempt: build.query<AttemptView, string>({
      query: (id) => `attempts/${id}`,
      providesTags: (_attempt, _error, id) => [{ type: 'Attempt', id }],
    }),
    getAttemptDiff: build.query<AttemptDiff, string>({
      query: (id) => `attempts/${id}/diff`,
      keepUnusedDataFor: 600,
    }),
  }),
})

export const { useGetAttemptQuery, useGetAttemptDiffQuery } = attemptsApi
