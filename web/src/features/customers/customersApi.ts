import {
  type ActivityPage,
  type CustomerCard,
  command,
  type DeliveryMode,
  devTeamApi,
  type Gate,
  type PriorityClass,
  type ProjectView,
} from '@/shared/api'

export interface NewCustomer {
  name: string
  priorityClass: PriorityClass
}

export interface NewProject {
  name: string
  repository: string
  baseBranch?: string
  deliveryMode?: DeliveryMode
  gates?: Gate[]
  monitoringWindowSeconds?: number
}

export const customersApi = devTeamApi.injectEndpoints({
  endpoints: (build) => ({
    addCustomer: build.mutation<CustomerCard, { key: string; customer: NewCustomer }>({
      query: ({ key, customer }) => command('customers', key, customer),
    }),
    changeCustomer: build.mutation<unknown, { id: string; priorityClass: PriorityClass }>({
      query: ({ id, ...change }) => ({ url: `customers/${id}`, method: 'PATCH', body: change }),
    }),
    addProject: build.mutation<ProjectView, { key: string; customerId: string; project: NewProject }>({
      query: ({ key, customerId, project }) => command(`customers/${customerId}/projects`, key, project),
    }),
    getActivity: build.query<ActivityPage, { customerId: string; cursor?: string }>({
      query: ({ customerId, cursor }) => ({
        url: `customers/${customerId}/activity`,
        params: cursor ? { cursor } : undefined,
      }),
      providesTags: ['Activity'],
    }),
  }),
})

export const {
  useAddCustomerMutation,
  useChangeCustomerMutation,
  useAddProjectMutation,
  useGetActivityQuery,
  useLazyGetActivityQuery,
} = customersApi
