import { useState } from 'react'
import styled from 'styled-components'
import { type EventView, toProblem, useLazyListActivityQuery, useListActivityQuery } from '@/shared/api'
import { ago, fullTime } from '@/shared/lib/format'
import { runCommand } from '@/shared/lib/runCommand'
import { useNow } from '@/shared/lib/useNow'
import { Button, Empty, ProblemNotice, SkeletonLines, t } from '@/shared/ui'

const List = styled.ol`
  max-height: 420px;
  overflow-y: auto;
  padding: ${t.space.s} 0;
  li {
    display: grid;
    grid-template-columns: minmax(0, 1fr) auto;
    gap: 0 ${t.space.m};
    padding: 5px ${t.space.l};
    font-size: ${t.text.m};
    overflow-wrap: anywhere;
  }
  li + li { border-top: 1px solid ${t.color.line}; }
  small { color: ${t.color.muted}; font-size: ${t.text.s}; }
  time { color: ${t.color.muted}; font-size: ${t.text.s}; white-space: nowrap; }
`

/** Who did what, newest first. */
export function Activity({ customerId }: { customerId: string }) {
  const { currentData, error, refetch } = useListActivityQuery({ customerId })
  const [loadMore, { isFetching }] = useLazyListActivityQuery()
  const [older, setOlder] = useState<{ items: EventView[]; nextCursor: string | null } | null>(null)
  const now = useNow()
  if (error && !currentData) {
    return (
      <ProblemNotice
        problem={toProblem(error)}
        action={<Button onClick={() => void refetch()}>Try again</Button>}
      />
    )
  }
  if (!currentData) return <SkeletonLines count={5} height={24} />
  const seen = new Set(currentData.items.map((event) => event.id))
  const items = [...currentData.items, ...(older?.items ?? []).filter((event) => !seen.has(event.id))]
  const next = older ? older.nextCursor : currentData.nextCursor
  if (items.length === 0) return <Empty title="Nothing happened yet" />

  const more = async (cursor: string) => {
    await runCommand(
      loadMore({ customerId, cursor })
        .unwrap()
        .then((page) =>
          setOlder((before) => ({
            items: [...(before?.items ?? []), ...page.items],
            nextCursor: page.nextCursor,
          })),
        ),
    )
  }
  return (
    <List tabIndex={0} aria-label="Activity">
      {items.map((event) => (
        <li key={event.id}>
          <span>{event.text}</span>
          <time dateTime={event.at} title={fullTime(event.at)}>
            {ago(event.at, now)}
          </time>
          <small>
            {event.actor}
            {event.reason && `: ${event.reason}`}
          </small>
        </li>
      ))}
      {next && (
        <li>
          <Button size="s" pending={isFetching} onClick={() => void more(next)}>
            Show older
          </Button>
        </li>
      )}
    </List>
  )
}
