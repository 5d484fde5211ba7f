import { useMemo, useState } from 'react'
import { useSelector } from 'react-redux'
import {
  type ApprovalStatus,
  type ApprovalView,
  toProblem,
  useGetApprovalQuery,
  useLazyListApprovalsQuery,
  useListApprovalsQuery,
} from '@/shared/api'
import { plural } from '@/shared/lib/format'
import { runCommand } from '@/shared/lib/runCommand'
import { type LiveRoot, selectApprovals } from '@/shared/state/selectors'
import { Button, Empty, FilterBar, InboxList, More, ProblemNotice, SkeletonLines } from '@/shared/ui'
import { ApprovalItem } from './ApprovalItem'
import { ordered } from './approval'

/** Should a change be missed, the list is at most this old. */
const ASK_EVERY_MS = 30_000
const SETTLED_SHOWN = 20

/** What waits for a person at one customer, live; what was settled lately is folded away below. */
export function CustomerApprovals({ customerId }: { customerId: string }) {
  const approvals = useSelector((state: LiveRoot) => selectApprovals(state, customerId))
  const sorted = useMemo(() => ordered(approvals), [approvals])
  const pending = sorted.filter(({ status }) => status === 'pending')
  const settled = sorted.filter(({ status }) => status !== 'pending').slice(0, SETTLED_SHOWN)
  return (
    <>
      {pending.length === 0 ? (
        <Empty title="Nothing waits for approval" />
      ) : (
        <InboxList aria-label="Waiting for approval">
          {pending.map((approval) => (
            <li key={approval.id}>
              <ApprovalItem approval={approval} />
            </li>
          ))}
        </InboxList>
      )}
      {settled.length > 0 && (
        <More style={{ margin: '0 16px 8px' }}>
          <summary>{plural(settled.length, 'settled approval')}</summary>
          <InboxList aria-label="Settled approvals">
            {settled.map((approval) => (
              <li key={approval.id}>
                <ApprovalItem approval={approval} />
              </li>
            ))}
          </InboxList>
        </More>
      )}
    </>
  )
}

type Filter = ApprovalStatus | 'all'

const FILTERS: readonly [string, Filter][] = [
  ['Waiting', 'pending'],
  ['Approved', 'approved'],
  ['Rejected', 'rejected'],
  ['Expired', 'expired'],
  ['All', 'all'],
]
const EMPTY: Record<Filter, string> = {
  pending: 'Nothing waits for approval',
  approved: 'Nothing was approved yet',
  rejected: 'Nothing was rejected yet',
  expired: 'Nothing expired',
  all: 'Nothing was asked yet',
}

/** What waits for a person across all customers. */
export function ApprovalInbox() {
  const [status, setStatus] = useState<Filter>('pending')
  return (
    <>
      <FilterBar role="group" aria-label="Filter approvals">
        {FILTERS.map(([name, each]) => (
          <Button key={name} size="s" aria-pressed={status === each} onClick={() => setStatus(each)}>
            {name}
          </Button>
        ))}
      </FilterBar>
      <Listed key={status} status={status} />
    </>
  )
}

function Listed({ status }: { status: Filter }) {
  const asked = { ...(status === 'all' ? {} : { status: [status] }), limit: 50 }
  const { currentData, error, refetch } = useListApprovalsQuery(asked, { pollingInterval: ASK_EVERY_MS })
  const [loadMore, { isFetching }] = useLazyListApprovalsQuery()
  const [older, setOlder] = useState<{ approvals: ApprovalView[]; nextCursor: string | null } | null>(null)
  if (error && !currentData) {
    return (
      <ProblemNotice
        problem={toProblem(error)}
        action={<Button onClick={() => void refetch()}>Try again</Button>}
      />
    )
  }
  if (!currentData) return <SkeletonLines count={3} height={96} />
  const known = new Set(currentData.approvals.map(({ id }) => id))
  const shown = ordered([
    ...currentData.approvals,
    ...(older?.approvals ?? []).filter(({ id }) => !known.has(id)),
  ])
  const next = older ? older.nextCursor : currentData.nextCursor
  if (shown.length === 0) return <Empty title={EMPTY[status]} />
  const more = (cursor: string) =>
    runCommand(
      loadMore({ ...asked, cursor })
        .unwrap()
        .then((page) =>
          setOlder((before) => ({
            approvals: [...(before?.approvals ?? []), ...page.approvals],
            nextCursor: page.nextCursor,
          })),
        ),
    )
  return (
    <>
      <InboxList aria-label="Approvals">
        {shown.map((approval) => (
          <li key={approval.id}>
            <ApprovalItem approval={approval} showCustomer />
          </li>
        ))}
      </InboxList>
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

/** One approval by its address, live. */
export function OneApproval({ id }: { id: string }) {
  const { currentData, error, refetch } = useGetApprovalQuery(
    { approvalId: id },
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
    <ApprovalItem approval={currentData} showCustomer opened />
  ) : (
    <SkeletonLines count={2} height={96} />
  )
}
