import { getRouteApi, Link, useNavigate } from '@tanstack/react-router'
import { IncidentInbox, type IncidentSearch, OneIncident } from '@/features/incidents'
import { usePageTitle } from '@/shared/lib/usePageTitle'
import { Panel } from '@/shared/ui'
import { Crumbs, PageTitle } from './parts'

const list = getRouteApi('/shell/incidents')

export function IncidentsPage() {
  usePageTitle('Incidents')
  const search = list.useSearch()
  const navigate = useNavigate()
  const onSearch = (wanted: IncidentSearch) =>
    void navigate({ to: '/incidents', search: wanted, replace: true })
  return (
    <>
      <PageTitle>
        <h1>Incidents</h1>
      </PageTitle>
      <Panel title="What went wrong and matters">
        <IncidentInbox search={search} onSearch={onSearch} />
      </Panel>
    </>
  )
}

const one = getRouteApi('/shell/incidents/$id')

export function IncidentPage() {
  const { id } = one.useParams()
  usePageTitle('Incident')
  return (
    <>
      <Crumbs aria-label="Breadcrumb">
        <Link to="/incidents">Incidents</Link>
        <span aria-hidden>/</span>
        <span aria-current="page">Incident</span>
      </Crumbs>
      <PageTitle>
        <h1>Incident</h1>
      </PageTitle>
      <Panel title="What happened">
        <OneIncident key={id} id={id} />
      </Panel>
    </>
  )
}
