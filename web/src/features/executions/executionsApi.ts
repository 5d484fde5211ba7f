import { command, devTeamApi, type ExecutionView, type PauseMode } from '@/shared/api'

interface Keyed {
  /** One per user action; a repeated request with it does nothing twice. */
  key: string
}
interface Answer {
  execution: ExecutionView
}

export const executionsApi = devTeamApi.injectEndpoints({
  endpoints: (build) => ({
    startExecution: build.mutation<Answer, Keyed & { customerId: string }>({
      query: ({ customerId, key }) => command('executions', key, { customerId }),
    }),
    pauseExecution: build.mutation<Answer, Keyed & { id: string; mode: PauseMode }>({
      query: ({ id, mode, key }) => command(`executions/${id}/pause`, key, { mode }),
    }),
    resumeExecution: build.mutation<Answer, Keyed & { id: string }>({
      query: ({ id, key }) => command(`executions/${id}/resume`, key),
    }),
    abortExecution: build.mutation<Answer, Keyed & { id: string; reason: string }>({
      query: ({ id, reason, key }) => command(`executions/${id}/abort`, key, { reason }),
    }),
    emergencyStop: build.mutation<{ stopped: string[] }, Keyed & { reason: string }>({
      query: ({ reason, key }) => command('emergency-stop', key, { reason }),
    }),
    emergencyResume: build.mutation<unknown, Keyed>({
      query: ({ key }) => command('emergency-stop/resume', key),
    }),
  }),
})

export const {
  useStartExecutionMutation,
  usePauseExecutionMutation,
  useResumeExecutionMutation,
  useAbortExecutionMutation,
  useEmergencyStopMutation,
  useEmergencyResumeMutation,
} = executionsApi
