import {
  type AcceptanceCriterion,
  command,
  devTeamApi,
  type TaskCommand,
  type TaskDetail,
  type TaskMode,
} from '@/shared/api'

export interface NewTask {
  projectId: string
  title: string
  description?: string
  command?: TaskCommand
  acceptanceCriteria?: AcceptanceCriterion[]
  dependsOn?: string[]
  priority?: number
  estimateSeconds?: number
  assignee?: string
  mode?: TaskMode
  position?: 'head' | 'tail'
}

interface Keyed {
  id: string
  key: string
}

export const tasksApi = devTeamApi.injectEndpoints({
  endpoints: (build) => ({
    getTask: build.query<TaskDetail, string>({
      query: (id) => `tasks/${id}`,
      providesTags: (_task, _error, id) => [{ type: 'Task', id }],
    }),
    addTask: build.mutation<unknown, { customerId: string; key: string; task: NewTask }>({
      query: ({ customerId, key, task }) => command(`customers/${customerId}/tasks`, key, task),
    }),
    retryTask: build.mutation<unknown, Keyed>({
      query: ({ id, key }) => command(`tasks/${id}/retry`, key),
      invalidatesTags: (_result, _error, { id }) => [{ type: 'Task', id }],
    }),
    cancelTask: build.mutation<unknown, Keyed & { reason?: string }>({
      query: ({ id, key, reason }) => command(`tasks/${id}/cancel`, key, reason ? { reason } : {}),
      invalidatesTags: (_result, _error, { id }) => [{ type: 'Task', id }],
    }),
    moveTask: build.mutation<unknown, Keyed & { before: string | null }>({
      query: ({ id, key, before }) => command(`tasks/${id}/move`, key, { before }),
    }),
  }),
})

export const {
  useGetTaskQuery,
  useAddTaskMutation,
  useRetryTaskMutation,
  useCancelTaskMutation,
  useMoveTaskMutation,
} = tasksApi
