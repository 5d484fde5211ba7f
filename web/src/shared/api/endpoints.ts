import { generatedApi } from './generated/endpoints'

/** What the contract cannot say: which answers a command makes out of date. Live state comes by the socket. */
export const api = generatedApi.enhanceEndpoints({
  addTagTypes: ['Session', 'Task', 'Activity'],
  endpoints: {
    getSession: { providesTags: ['Session'] },
    signIn: { invalidatesTags: (session) => (session ? ['Session'] : []) },
    signOut: { invalidatesTags: ['Session'] },
    listActivity: { providesTags: ['Activity'] },
    getTask: { providesTags: (_task, _error, { taskId }) => [{ type: 'Task', id: taskId }] },
    retryTask: { invalidatesTags: (_task, _error, { taskId }) => [{ type: 'Task', id: taskId }] },
    cancelTask: { invalidatesTags: (_task, _error, { taskId }) => [{ type: 'Task', id: taskId }] },
    completeTask: { invalidatesTags: (_task, _error, { taskId }) => [{ type: 'Task', id: taskId }] },
    getAttemptDiff: { keepUnusedDataFor: 600 },
  },
})

export const {
  useAbortExecutionMutation,
  useAddTaskMutation,
  useCancelTaskMutation,
  useCompleteTaskMutation,
  useCreateCustomerMutation,
  useCreateProjectMutation,
  useEditCustomerMutation,
  useEmergencyResumeMutation,
  useEmergencyStopMutation,
  useGetAttemptDiffQuery,
  useGetAttemptQuery,
  useGetSessionQuery,
  useGetTaskQuery,
  useLazyListActivityQuery,
  useListActivityQuery,
  useListAttemptsOfTaskQuery,
  useListWorkersQuery,
  useMoveTaskMutation,
  usePauseExecutionMutation,
  useResumeExecutionMutation,
  useRetryTaskMutation,
  useSignInMutation,
  useSignOutMutation,
  useStartExecutionMutation,
} = api
