import { useMemo, useState } from 'react'
import { useSelector } from 'react-redux'
import {
  type IncidentClass,
  type IncidentView,
  toProblem,
  useGetIncidentQuery,
  useLazyListIncidentsQuery,
  useListIncidentsQuery,
} from '@/shared/api'
import { plural } from '@/shared/lib/format'
import { runCommand } from '@/shared/lib/runCommand'
import { type LiveRoot, selectIncidents } from '@/shared/state/selectors'
import { Button, Empty, FilterBar, InboxList, More, ProblemNotice, SkeletonLines } from '@/shared/ui'
import { IncidentItem } from './IncidentItem'
import {
  CLASS_NAME,
  CLASSES,
  FILTER_NAME,
  ordered,
  STATUS_FILTERS,
  type StatusFilter,
  statesOf,
} from './incident'
import type { IncidentSearch } from './search'

/** Should a change be missed, the list is at most this old. */
const ASK_EVERY_MS = 30_000

/** What went wrong at one customer, live. */
export function CustomerIncidents({ customerId }: { customerId: string }) {
  const incidents = useSelector((state: LiveRoot) => selectIncidents(state, customerId))
  const sorted = useMemo(() => ordered(incidents), [incidents])
  const open = sorted.filter(({ status }) => status !== 'resolved')
  const settled = sorted.filter(({ status }) => status === 'resolved')
  return (
    <>
      {open.length === 0 ? (
        <Empty title="No incident is open" />
      ) : (
        <InboxList aria-label="Open incidents">
          {open.map((incident) => (
            <li key={incident.id}>
              <IncidentItem incident={incident} />
            </li>
          ))}
        </InboxList>
      )}
      {settled.length > 0 && (
        <More style={{ margin: '0 16px 8px' }}>
          <summary>{plural(settled.length, 'resolved incident')}</summary>
          <InboxList aria-label="Resolved incidents">
            {settled.map((incident) => (
              <li key={incident.id}>
                <IncidentItem incident={incident} />
              </li>
            ))}
          </InboxList>
        </More>
      )}
    </>
  )
}

interface InboxProps {
  search: IncidentSearch
  onSearch: (change: IncidentSearch) => void
}

/** What went wrong across all customers, by state and class. */
export function IncidentInbox({ search, onSearch }: InboxProps) {
  const { status = 'unresolved' } = search
  return (
    <>
      <FilterBar role="group" aria-label="Filter incidents">
        {STATUS_FILTERS.map((each) => (
          <Button
            key={each}
            size="s"
            aria-pressed={status === each}
            onClick={() => onSearch({ ...search, status: each })}
          >
            {FILTER_NAME[each]}
          </Button>
        ))}
        <label>
          Class
          <select
            value={search.class ?? ''}
            onChange={(event) => {
              const { class: _before, ...rest } = search
              const wanted = event.target.value as IncidentClass | ''
              onSearch(wanted ? { ...rest, class: wanted } : rest)
            }}
          >
            <option value="">Every class</option>
            {CLASSES.map((each) => (
              <option key={each} value={each}>
                {CLASS_NAME[each]}
              </option>
            ))}
          </select>
        </label>
      </FilterBar>
      <Listed key={status} status={status} {...(search.class ? { only: search.class } : {})} />
    </>
  )
}

function Listed({ status, only }: { status: StatusFilter; only?: IncidentClass }) {
  const asked = { status: statesOf(status), limit: 100 }
  const { currentData, error, refetch } = useListIncidentsQuery(asked, { pollingInterval: ASK_EVERY_MS })
  const [loadMore, { isFetching }] = useLazyListIncidentsQuery()
  const [older, setOlder] = useState<{ incidents: IncidentView[]; nextCursor: string | null } | null>(null)
  if (error && !currentData) {
    return (
      <ProblemNotice
        problem={toProblem(error)}
        action={<Button onClick={() => void refetch()}>Try again</Button>}
      />
    )
  }
  if (!currentData) return <SkeletonLines count={3} height={72} />
  const known = new Set(currentData.incidents.map(({ id }) => id))
  const all = [...currentData.incidents, ...(older?.incidents ?? []).filter(({ id }) => !known.has(id))]
  const shown = ordered(only ? all.filter((incident) => incident.class === only) : all)
  const next = older ? older.nextCursor : currentData.nextCursor
  const more = (cursor: string) =>
    runCommand(
      loadMore({ ...asked, cursor })
        .unwrap()
        .then((page) =>
          setOlder((before) => ({
            incidents: [...(before?.incidents ?? []), ...page.incidents],
            nextCursor: page.nextCursor,
          })),
        ),
    )
  return (
    <>
      {shown.length === 0 ? (
        <Empty
          title={
            only
              ? `No incident of the class “${CLASS_NAME[only]}” under “${FILTER_NAME[status]}”`
              : status === 'unresolved'
                ? 'No incident is open'
                : `No incident under “${FILTER_NAME[status]}”`
          }
        />
      ) : (
        <InboxList aria-label="Incidents">
          {shown.map((incident) => (
            <li key={incident.id}>
              <IncidentItem incident={incident} showCustomer />
            </li>
          ))}
        </InboxList>
      )}
      {next && (
        <FilterBar>
          <Button size="s" pending={isFetching} onClick={() => void more(next)}>
            Show older
          </Button>
        </FilterBar>
      )}
    </>
  )
}

/** One incident by its address, with its evidence. */
export function OneIncident({ id }: { id: string }) {
  const { currentData, error, refetch } = useGetIncidentQuery(
    { incidentId: id },
    { pollingInterval: ASK_EVERY_MS },
  )
  if (error && !currentData) {
    return (
      <ProblemNotice
        problem={toProblem(error)}
        action={<Button onClick={() => void refetch()}>Try again</Button>}
      />
    )
  }
  return currentData ? (
    <IncidentItem incident={currentData} showCustomer opened />
  ) : (
    <SkeletonLines count={2} height={96} />
  )
}
