import { devTeamApi, type SessionView } from '@/shared/api'

export const sessionApi = devTeamApi.injectEndpoints({
  endpoints: (build) => ({
    signIn: build.mutation<SessionView, { token: string }>({
      query: ({ token }) => ({ url: 'session', method: 'POST', body: { token } }),
      invalidatesTags: (result) => (result ? ['Session'] : []),
    }),
    signOut: build.mutation<void, void>({
      query: () => ({ url: 'session', method: 'DELETE' }),
      invalidatesTags: ['Session'],
    }),
  }),
})

export const { useSignInMutation, useSignOutMutation } = sessionApi
