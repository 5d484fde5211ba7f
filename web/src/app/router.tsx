import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router'
import {
  INCIDENT_CLASSES,
  INCIDENT_FILTERS,
  type IncidentSearch,
  type StatusFilter,
} from '@/features/incidents/search'
import {
  FILTERS,
  type OverviewFilter,
  type OverviewSearch,
  type OverviewSort,
  SORTS,
} from '@/features/overview'
import { LoginPage } from '@/pages/LoginPage'
import { NotFoundPage } from '@/pages/NotFoundPage'
import { OverviewPage } from '@/pages/OverviewPage'
import type { IncidentClass } from '@/shared/api'
import { SessionGuard } from './SessionGuard'
import { Shell } from './Shell'

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFoundPage })

const oneOf = <T extends string>(values: readonly T[], value: unknown): T | undefined =>
  values.find((each) => each === value)

const index = createRoute({
  getParentRoute: () => root,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/overview' })
  },
})

const login = createRoute({
  getParentRoute: () => root,
  path: '/login',
  validateSearch: (search): { token?: string } =>
    search.token === undefined ? {} : { token: String(search.token) },
  component: LoginPage,
})

const shell = createRoute({
  getParentRoute: () => root,
  id: 'shell',
  component: () => (
    <SessionGuard>
      <Shell />
    </SessionGuard>
  ),
})

/** A value the page does not know falls back to its default instead of breaking the page. */
function overviewSearch(search: Record<string, unknown>): OverviewSearch {
  const out: OverviewSearch = {}
  const view = oneOf(['grid', 'table'] as const, search.view)
  const status = oneOf<OverviewFilter>(FILTERS, search.status)
  const sort = oneOf<OverviewSort>(SORTS, search.sort)
  if (view) out.view = view
  if (status && status !== 'all') out.status = status
  if (sort && sort !== 'attention') out.sort = sort
  if (typeof search.q === 'string' && search.q !== '') out.q = search.q
  return out
}

const overview = createRoute({
  getParentRoute: () => shell,
  path: '/overview',
  validateSearch: overviewSearch,
  component: OverviewPage,
})

const customer = createRoute({
  getParentRoute: () => shell,
  path: '/customers/$id',
  component: lazyRouteComponent(() => import('@/pages/CustomerPage'), 'CustomerPage'),
})

const task = createRoute({
  getParentRoute: () => shell,
  path: '/tasks/$id',
  component: lazyRouteComponent(() => import('@/pages/TaskPage'), 'TaskPage'),
})

const attempt = createRoute({
  getParentRoute: () => shell,
  path: '/attempts/$id',
  component: lazyRouteComponent(() => import('@/pages/AttemptPage'), 'AttemptPage'),
})

const system = createRoute({
  getParentRoute: () => shell,
  path: '/system',
  component: lazyRouteComponent(() => import('@/pages/SystemPage'), 'SystemPage'),
})

const compare = createRoute({
  getParentRoute: () => shell,
  path: '/attempts/$id/compare/$other',
  component: lazyRouteComponent(() => import('@/pages/ComparePage'), 'ComparePage'),
})

const approvals = createRoute({
  getParentRoute: () => shell,
  path: '/approvals',
  component: lazyRouteComponent(() => import('@/pages/ApprovalsPage'), 'ApprovalsPage'),
})

const approval = createRoute({
  getParentRoute: () => shell,
  path: '/approvals/$id',
  component: lazyRouteComponent(() => import('@/pages/ApprovalsPage'), 'ApprovalPage'),
})

/** As with the overview: what the page does not know falls back to its default. */
function incidentSearch(search: Record<string, unknown>): IncidentSearch {
  const out: IncidentSearch = {}
  const status = oneOf<StatusFilter>(INCIDENT_FILTERS, search.status)
  const wanted = oneOf<IncidentClass>(INCIDENT_CLASSES, search.class)
  if (status && status !== 'unresolved') out.status = status
  if (wanted) out.class = wanted
  return out
}

const incidents = createRoute({
  getParentRoute: () => shell,
  path: '/incidents',
  validateSearch: incidentSearch,
  component: lazyRouteComponent(() => import('@/pages/IncidentsPage'), 'IncidentsPage'),
})

const incident = createRoute({
  getParentRoute: () => shell,
  path: '/incidents/$id',
  component: lazyRouteComponent(() => import('@/pages/IncidentsPage'), 'IncidentPage'),
})

const pages = [overview, customer, task, attempt, compare, approvals, approval, incidents, incident, system]

/** Every primitive in every state; only in development builds. */
const workshop = createRoute({
  getParentRoute: () => root,
  path: '/_ui',
  component: import.meta.env.DEV
    ? lazyRouteComponent(() => import('@/pages/WorkshopPage'), 'WorkshopPage')
    : NotFoundPage,
})

export const routeTree = root.addChildren([index, login, shell.addChildren(pages), workshop])

export const router = createRouter({
  routeTree,
  defaultPreload: 'intent',
  scrollRestoration: true,
  defaultPendingMs: 300,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
