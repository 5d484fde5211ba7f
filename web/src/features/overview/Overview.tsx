import { LayoutGrid, Rows3, Search } from 'lucide-react'
import { lazy, type ReactNode, Suspense, useState } from 'react'
import { useSelector } from 'react-redux'
import styled from 'styled-components'
import type { CustomerCard as Card } from '@/shared/api'
import { plural } from '@/shared/lib/format'
import { type LiveRoot, selectOverviewReady } from '@/shared/state/selectors'
import { Button, Empty, Kbd, Skeleton, t } from '@/shared/ui'
import { AttentionStrip } from './AttentionStrip'
import { CustomerCard } from './CustomerCard'
import { FirstRun } from './FirstRun'
import { type OverviewFilter, type OverviewSort, SORT_NAME, SORTS } from './order'
import { useOrder } from './useOverview'

const CustomerTable = lazy(() => import('./CustomerTable').then((m) => ({ default: m.CustomerTable })))

/** Above this many customers rows serve better than cards. */
export const CARDS_UP_TO = 12

export type OverviewView = 'grid' | 'table'

export interface OverviewSearch {
  view?: OverviewView
  status?: OverviewFilter
  sort?: OverviewSort
  q?: string
}

const Bar = styled.div`
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: ${t.space.s} ${t.space.m};
  margin-bottom: ${t.space.l};
`
const Tools = styled.div`
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: ${t.space.s};
  margin-left: auto;
  ${t.narrow} { margin-left: 0; width: 100%; }
`
const Box = styled.div`
  display: inline-flex;
  align-items: center;
  gap: 6px;
  min-height: 34px;
  padding: 0 10px;
  border: 1px solid ${t.color.lineStrong};
  border-radius: ${t.radius.m};
  background: ${t.color.bg};
  color: ${t.color.muted};
  font-size: ${t.text.m};
  svg { width: 15px; height: 15px; }
  input, select { min-height: 30px; border: 0; background: none; color: ${t.color.fg}; outline: none; }
  select option { background: ${t.color.bg}; }
  input { width: 130px; }
  &:focus-within { outline: 2px solid ${t.color.accent}; outline-offset: 1px; }
  ${t.touch} { min-height: 44px; }
  ${t.narrow} { flex: 1; input { flex: 1; width: 60px; } }
`
const Grid = styled.div`
  display: grid;
  grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr));
  gap: ${t.space.l};
`
const Waiting = styled.div`
  display: flex;
  align-items: center;
  gap: ${t.space.s};
  margin: -4px 0 ${t.space.m};
  color: ${t.color.muted};
  font-size: ${t.text.m};
`

interface Props {
  search: OverviewSearch
  onSearch: (change: Partial<OverviewSearch>) => void
  renderControls: (card: Card) => ReactNode
  actions?: ReactNode
}

export function Overview({ search, onSearch, renderControls, actions }: Props) {
  const { status: filter = 'all', sort = 'attention', q = '' } = search
  const ready = useSelector(selectOverviewReady)
  const total = useSelector((state: LiveRoot) => state.devTeam.customers.allIds.length)
  const [resting, setResting] = useState(false)
  const { ids, waiting, apply } = useOrder(filter, sort, q, resting)
  const view = search.view ?? (total > CARDS_UP_TO ? 'table' : 'grid')

  if (!ready) return <LoadingGrid />
  if (total === 0) return <FirstRun action={actions} />
  return (
    <>
      <Bar>
        <AttentionStrip filter={filter} onFilter={(status) => onSearch({ status })} />
        <Tools>
          <Box>
            <Search aria-hidden />
            <input
              type="search"
              aria-label="Search customers"
              placeholder="Search"
              data-search
              value={q}
              onChange={(event) => onSearch({ q: event.target.value })}
            />
            <Kbd aria-hidden>/</Kbd>
          </Box>
          <Box>
            <select
              aria-label="Order"
              value={sort}
              onChange={(event) => onSearch({ sort: event.target.value as OverviewSort })}
            >
              {SORTS.map((each) => (
                <option key={each} value={each}>
                  {SORT_NAME[each]}
                </option>
              ))}
            </select>
          </Box>
          <Button
            iconOnly
            aria-label="Cards"
            aria-pressed={view === 'grid'}
            icon={<LayoutGrid aria-hidden />}
            onClick={() => onSearch({ view: 'grid' })}
          />
          <Button
            iconOnly
            aria-label="Table"
            aria-pressed={view === 'table'}
            icon={<Rows3 aria-hidden />}
            onClick={() => onSearch({ view: 'table' })}
          />
          {actions}
        </Tools>
      </Bar>
      {waiting > 0 && (
        <Waiting>
          {plural(waiting, 'change')} in order
          <Button size="s" onClick={apply}>
            Apply
          </Button>
        </Waiting>
      )}
      {ids.length === 0 ? (
        <Empty title="No customer matches">
          <Button onClick={() => onSearch({ status: 'all', q: '' })}>Clear the filter</Button>
        </Empty>
      ) : (
        // biome-ignore lint/a11y/noStaticElementInteractions: only watches whether somebody is reading the list
        <div
          data-nav-list
          onPointerEnter={() => setResting(true)}
          onPointerLeave={() => setResting(false)}
          onFocus={() => setResting(true)}
          onBlur={() => setResting(false)}
        >
          {view === 'table' ? (
            <Suspense fallback={<LoadingGrid />}>
              <CustomerTable ids={ids} renderControls={renderControls} />
            </Suspense>
          ) : (
            <Grid>
              {ids.map((id) => (
                <CustomerCard key={id} id={id} renderControls={renderControls} />
              ))}
            </Grid>
          )}
        </div>
      )}
    </>
  )
}

function LoadingGrid() {
  return (
    <Grid role="status" aria-label="Loading customers">
      {Array.from({ length: 6 }, (_, index) => (
        <Skeleton key={index} style={{ '--h': '236px' } as React.CSSProperties} />
      ))}
    </Grid>
  )
}
