import { getRouteApi } from '@tanstack/react-router'
import { useCallback } from 'react'
import styled from 'styled-components'
import { AddCustomer } from '@/features/customers'
import { ExecutionControls } from '@/features/executions'
import { AttentionLine, Overview, type OverviewSearch, Totals } from '@/features/overview'
import type { CustomerCard } from '@/shared/api'
import { usePageTitle } from '@/shared/lib/usePageTitle'
import { t } from '@/shared/ui'

const route = getRouteApi('/shell/overview')

const Head = styled.div`
  display: flex;
  flex-wrap: wrap;
  align-items: baseline;
  justify-content: space-between;
  gap: ${t.space.s} ${t.space.xl};
  margin-bottom: ${t.space.l};
  & > div { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 ${t.space.m}; }
  h1 { font-size: ${t.text.xl}; letter-spacing: -0.01em; }
`

const renderControls = (card: CustomerCard) => <ExecutionControls card={card} compact />

export function OverviewPage() {
  usePageTitle('Overview')
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const onSearch = useCallback(
    (change: Partial<OverviewSearch>) =>
      void navigate({ search: (before) => ({ ...before, ...change }), replace: true }),
    [navigate],
  )
  return (
    <>
      <Head>
        <div>
          <h1>Overview</h1>
          <AttentionLine />
        </div>
        <Totals />
      </Head>
      <Overview
        search={search}
        onSearch={onSearch}
        renderControls={renderControls}
        actions={<AddCustomer />}
      />
    </>
  )
}
