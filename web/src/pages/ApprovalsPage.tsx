import { getRouteApi, Link } from '@tanstack/react-router'
import { ApprovalInbox, OneApproval } from '@/features/approvals'
import { usePageTitle } from '@/shared/lib/usePageTitle'
import { Panel } from '@/shared/ui'
import { Crumbs, PageTitle } from './parts'

export function ApprovalsPage() {
  usePageTitle('Approvals')
  return (
    <>
      <PageTitle>
        <h1>Approvals</h1>
      </PageTitle>
      <Panel title="What waits for a person's word">
        <ApprovalInbox />
      </Panel>
    </>
  )
}

const route = getRouteApi('/shell/approvals/$id')

export function ApprovalPage() {
  const { id } = route.useParams()
  usePageTitle('Approval')
  return (
    <>
      <Crumbs aria-label="Breadcrumb">
        <Link to="/approvals">Approvals</Link>
        <span aria-hidden>/</span>
        <span aria-current="page">Approval</span>
      </Crumbs>
      <PageTitle>
        <h1>Approval</h1>
      </PageTitle>
      <Panel title="What is asked">
        <OneApproval key={id} id={id} />
      </Panel>
    </>
  )
}
