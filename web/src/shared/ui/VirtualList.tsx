import { useVirtualizer } from '@tanstack/react-virtual'
import { type ReactNode, type Ref, useEffect, useImperativeHandle, useRef } from 'react'
import styled from 'styled-components'
import { t } from './tokens'

const Screen = styled.div`
  position: relative;
  height: var(--list-height, 340px);
  overflow: auto;
  overscroll-behavior: contain;
  contain: strict;
  &:focus-visible { outline-offset: -2px; }
`
const Row = styled.div`
  position: absolute;
  inset: 0 auto auto 0;
  min-width: 100%;
  &[data-measured] { width: 100%; padding: 3px ${t.space.m}; }
`

export interface ListHandle {
  show: (index: number) => void
}

interface Props {
  count: number
  /** Height of a row in pixels; with `measured` a guess for those not seen yet. */
  rowHeight: number
  measured?: boolean
  keyOf?: (index: number) => number | string
  row: (index: number) => ReactNode
  empty: ReactNode
  label: string
  /** CSS height of the screen. */
  height?: string | undefined
  className?: string
  /** The end is kept in sight while rows are added. */
  follow: boolean
  /** The reader scrolled away from the end, or back to it. */
  onFollow: (follow: boolean) => void
  handle?: Ref<ListHandle>
}

/** A log of any length: only the rows in sight are in the page, and its end can be followed while it grows. */
export function VirtualList(props: Props) {
  const { count, rowHeight, measured = false, keyOf, row, empty, label, height, className, follow } = props
  const { onFollow, handle } = props
  const screen = useRef<HTMLDivElement>(null)
  const rows = useVirtualizer({
    count,
    getScrollElement: () => screen.current,
    estimateSize: () => rowHeight,
    overscan: measured ? 8 : 20,
    ...(keyOf ? { getItemKey: keyOf } : {}),
  })
  const total = rows.getTotalSize()
  useImperativeHandle(handle, () => ({ show: (index) => rows.scrollToIndex(index, { align: 'center' }) }))

  // biome-ignore lint/correctness/useExhaustiveDependencies: rows that grow move the end as new ones do
  useEffect(() => {
    if (follow && count > 0) rows.scrollToIndex(count - 1, { align: 'end' })
  }, [follow, count, total, rows])

  return (
    <Screen
      ref={screen}
      tabIndex={0}
      role="log"
      aria-live="off"
      aria-label={label}
      className={className}
      style={height ? ({ '--list-height': height } as React.CSSProperties) : undefined}
      onWheel={(event) => {
        if (event.deltaY < 0) onFollow(false)
      }}
      onKeyDown={(event) => {
        if (event.key === 'PageUp' || event.key === 'ArrowUp' || event.key === 'Home') onFollow(false)
      }}
      onScroll={(event) => {
        const { scrollTop, scrollHeight, clientHeight } = event.currentTarget
        if (!follow && count > 0 && scrollHeight - scrollTop - clientHeight < 4) onFollow(true)
      }}
    >
      {count === 0 ? (
        empty
      ) : (
        <div role={measured ? 'list' : undefined} style={{ height: total }}>
          {rows.getVirtualItems().map((item) => (
            <Row
              key={item.key}
              ref={measured ? rows.measureElement : undefined}
              role={measured ? 'listitem' : undefined}
              aria-setsize={measured ? count : undefined}
              aria-posinset={measured ? item.index + 1 : undefined}
              data-index={item.index}
              data-measured={measured || undefined}
              style={{ transform: `translateY(${item.start}px)` }}
            >
              {row(item.index)}
            </Row>
          ))}
        </div>
      )}
    </Screen>
  )
}
