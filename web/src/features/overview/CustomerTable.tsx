import { Link } from '@tanstack/react-router'
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { memo, type ReactNode, useLayoutEffect, useRef, useState } from 'react'
import { useSelector } from 'react-redux'
import styled from 'styled-components'
import type { CustomerCard as Card } from '@/shared/api'
import {
  CurrentTaskEssential,
  HealthEssential,
  NeedsYouMark,
  ProgressEssential,
  RemainingEssential,
  StatusEssential,
} from '@/shared/essentials'
import { useMedia } from '@/shared/lib/useMedia'
import { PRIORITY_NAME, shownStatus } from '@/shared/lib/words'
import { useAsOf } from '@/shared/live/useAsOf'
import { type LiveRoot, selectCard } from '@/shared/state/selectors'
import { Muted, t } from '@/shared/ui'

const COLUMNS = 'minmax(140px, 1.4fr) 128px minmax(150px, 1.2fr) 112px minmax(170px, 1.8fr) 172px 176px'
const WIDE_ROW = 56
const MEDIUM_ROW = 100
const NARROW_ROW = 196
const MEDIUM = '(max-width: 1150px)'
const NARROW = '(max-width: 700px)'

const Table = styled.div`
  border: 1px solid ${t.color.line};
  border-radius: ${t.radius.l};
  overflow: clip;
  &[data-stale] { font-style: italic; color: ${t.color.muted}; }
`
const HeadRow = styled.div`
  display: grid;
  grid-template-columns: ${COLUMNS};
  gap: ${t.space.m};
  align-items: center;
  position: sticky;
  top: var(--shell-top, 0);
  z-index: 2;
  min-height: 34px;
  padding: 0 ${t.space.l} 0 18px;
  border-bottom: 1px solid ${t.color.line};
  background: ${t.color.surface};
  color: ${t.color.muted};
  font-size: ${t.text.s};
  @media ${MEDIUM} { display: none; }
`
const Row = styled.div`
  display: grid;
  grid-template-columns: ${COLUMNS};
  gap: 2px ${t.space.m};
  align-items: center;
  position: absolute;
  inset: 0 0 auto;
  height: ${WIDE_ROW}px;
  padding: 4px ${t.space.l} 4px 14px;
  border-bottom: 1px solid ${t.color.line};
  border-left: 4px dotted ${t.color.lineStrong};
  background: ${t.color.bg};
  & > * { min-width: 0; }
  &:hover { background: ${t.color.surface}; }
  &[data-status='active'] { border-left: 4px solid ${t.color.active}; }
  &[data-status='paused'] { border-left: 4px dashed ${t.color.paused}; }
  &[data-status='error'] { border-left: 4px double ${t.color.error}; }
  &[data-status='completed'] { border-left: 2px solid ${t.color.completed}; padding-left: 16px; }
  &[data-status='completed_with_failures'] { border-left: 4px dashed ${t.color.error}; }
  &[data-needs-you] { border-left: 4px solid ${t.color.needsYou}; }
  @media ${MEDIUM} {
    grid-template: 'name status progress controls' auto 'health remaining task task' auto
      / minmax(0, 1.2fr) minmax(0, 1.2fr) minmax(0, 1.4fr) auto;
    align-content: center;
    gap: 6px ${t.space.l};
    height: ${MEDIUM_ROW}px;
    [data-cell='name'] { grid-area: name; }
    [data-cell='status'] { grid-area: status; }
    [data-cell='progress'] { grid-area: progress; }
    [data-cell='health'] { grid-area: health; }
    [data-cell='task'] { grid-area: task; }
    [data-cell='remaining'] { grid-area: remaining; }
    [data-cell='controls'] { grid-area: controls; }
  }
  @media ${NARROW} {
    grid-template: 'name status' auto 'progress progress' auto 'health remaining' auto 'task task' auto 'controls controls' auto
      / minmax(0, 1fr) minmax(0, 1.4fr);
    height: ${NARROW_ROW}px;
    [data-cell='status'] { justify-self: end; }
  }
`
const Name = styled.div`
  a { display: block; color: inherit; font-weight: 600; text-decoration: none; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  a:hover { text-decoration: underline; }
  & > div { display: flex; gap: ${t.space.s}; white-space: nowrap; overflow: hidden; }
`

interface Props {
  ids: readonly string[]
  renderControls: (card: Card) => ReactNode
}

/** All customers as rows; only those in sight are in the page, so a thousand cost no more than thirty. */
export function CustomerTable({ ids, renderControls }: Props) {
  const asOf = useAsOf(5)
  const medium = useMedia(MEDIUM)
  const narrow = useMedia(NARROW)
  const body = useRef<HTMLDivElement>(null)
  const [margin, setMargin] = useState(0)
  const height = narrow ? NARROW_ROW : medium ? MEDIUM_ROW : WIDE_ROW
  const rows = useWindowVirtualizer({
    count: ids.length,
    estimateSize: () => height,
    overscan: 6,
    scrollMargin: margin,
    getItemKey: (index) => ids[index] ?? index,
  })
  useLayoutEffect(() => {
    const top = body.current?.getBoundingClientRect().top ?? 0
    setMargin(top + window.scrollY)
  }, [])
  // biome-ignore lint/correctness/useExhaustiveDependencies: the row height changes with the width of the window
  useLayoutEffect(() => rows.measure(), [height])
  return (
    <Table
      role="table"
      aria-label="Customers"
      aria-rowcount={ids.length + 1}
      data-stale={asOf ? true : undefined}
    >
      <div role="rowgroup">
        <HeadRow role="row" aria-rowindex={1}>
          {['Customer', 'Status', 'Progress', 'Health', 'Current task', 'Time remaining', 'Controls'].map(
            (name) => (
              <div role="columnheader" key={name}>
                {name}
              </div>
            ),
          )}
        </HeadRow>
      </div>
      <div role="rowgroup" ref={body} style={{ position: 'relative', height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map((item) => {
          const id = ids[item.index]
          return id === undefined ? null : (
            <CustomerRow
              key={id}
              id={id}
              index={item.index}
              top={item.start - margin}
              renderControls={renderControls}
            />
          )
        })}
      </div>
    </Table>
  )
}

interface RowProps {
  id: string
  index: number
  top: number
  renderControls: (card: Card) => ReactNode
}

const CustomerRow = memo(function CustomerRow({ id, index, top, renderControls }: RowProps) {
  const card = useSelector((state: LiveRoot) => selectCard(state, id))
  if (!card) return null
  return (
    <Row
      role="row"
      aria-rowindex={index + 2}
      data-status={shownStatus(card)}
      data-needs-you={card.needsYou > 0 || undefined}
      style={{ transform: `translateY(${top}px)` }}
    >
      <Name role="rowheader" data-cell="name">
        <Link to="/customers/$id" params={{ id }} title={card.name} data-nav-item>
          {card.name}
        </Link>
        <div>
          {card.needsYou > 0 ? (
            <NeedsYouMark count={card.needsYou} />
          ) : (
            <Muted>{PRIORITY_NAME[card.priorityClass]}</Muted>
          )}
        </div>
      </Name>
      <div role="cell" data-cell="status">
        <StatusEssential card={card} />
      </div>
      <div role="cell" data-cell="progress">
        <ProgressEssential card={card} />
      </div>
      <div role="cell" data-cell="health">
        <HealthEssential card={card} />
      </div>
      <div role="cell" data-cell="task">
        <CurrentTaskEssential card={card} />
      </div>
      <div role="cell" data-cell="remaining">
        <RemainingEssential card={card} />
      </div>
      <div role="cell" data-cell="controls">
        {renderControls(card)}
      </div>
    </Row>
  )
})
