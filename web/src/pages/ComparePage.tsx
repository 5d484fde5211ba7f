import { getRouteApi, Link } from '@tanstack/react-router'
import { Comparison } from '@/features/attempts'
import { usePageTitle } from '@/shared/lib/usePageTitle'
import { Panel } from '@/shared/ui'
import { Crumbs, PageTitle } from './parts'

const route = getRouteApi('/shell/attempts/$id/compare/$other')

export function ComparePage() {
  const { id, other } = route.useParams()
  usePageTitle('Two attempts')
  return (
    <>
      <Crumbs aria-label="Breadcrumb">
        <Link to="/overview">Overview</Link>
        <span aria-hidden>/</span>
        <Link to="/attempts/$id" params={{ id }}>
          Attempt
        </Link>
        <span aria-hidden>/</span>
        <span aria-current="page">Compare</span>
      </Crumbs>
      <PageTitle>
        <h1>Two attempts side by side</h1>
      </PageTitle>
      <Panel title="Comparison">
        <Comparison id={id} other={other} />
      </Panel>
    </>
  )
}
