import {
  Circle,
  Hand,
  LayoutGrid,
  MessageCircleQuestionMark,
  OctagonAlert,
  Pause,
  Play,
  TriangleAlert,
} from 'lucide-react'
import type { ComponentType } from 'react'
import styled from 'styled-components'
import { plural } from '@/shared/lib/format'
import { Muted, t } from '@/shared/ui'
import { FILTERS, type OverviewFilter } from './order'
import { useAttentionCounts } from './useOverview'

const Strip = styled.div`
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: ${t.space.s};
`
const Chip = styled.button`
  display: inline-flex;
  align-items: center;
  gap: 7px;
  min-height: 34px;
  padding: 0 12px 0 10px;
  border: 1px solid ${t.color.line};
  border-radius: 99px;
  background: ${t.color.bg};
  font-size: ${t.text.m};
  cursor: pointer;
  transition: background 120ms;
  svg { width: 14px; height: 14px; color: ${t.color.muted}; }
  b { font-variant-numeric: tabular-nums; font-size: ${t.text.base}; }
  &:hover { background: ${t.color.sunken}; }
  &[data-count='0'] { color: ${t.color.muted}; b { font-weight: 500; } }
  &:not([data-count='0']) {
    &[data-filter='needs_you'], &[data-filter='approvals'], &[data-filter='incidents'] { border-color: ${t.color.needsYou}; svg, b { color: ${t.color.needsYou}; } }
    &[data-filter='error'] { border-color: ${t.color.error}; svg, b { color: ${t.color.error}; } }
    &[data-filter='active'] { svg, b { color: ${t.color.active}; } }
    &[data-filter='paused'] { svg, b { color: ${t.color.paused}; } }
  }
  &[aria-pressed='true'] {
    border-color: ${t.color.accent};
    background: ${t.color.accentSoft};
    box-shadow: 0 0 0 1px ${t.color.accent};
  }
  ${t.touch} { min-height: 44px; }
`

const CHIP: Record<OverviewFilter, [ComponentType<{ 'aria-hidden'?: boolean }>, string]> = {
  all: [LayoutGrid, 'All'],
  needs_you: [Hand, 'Needs you'],
  approvals: [MessageCircleQuestionMark, 'Approvals'],
  incidents: [OctagonAlert, 'Incidents'],
  error: [TriangleAlert, 'Error'],
  active: [Play, 'Active'],
  paused: [Pause, 'Paused'],
  queued: [Circle, 'Queue'],
}

interface Props {
  filter: OverviewFilter
  onFilter: (filter: OverviewFilter) => void
}

/** What should not be there takes no room while it is not. */
const ONLY_IF_ANY: ReadonlySet<OverviewFilter> = new Set(['approvals', 'incidents'])

/** Who needs me? Counts that are filters. */
export function AttentionStrip({ filter, onFilter }: Props) {
  const counts = useAttentionCounts()
  return (
    <Strip role="group" aria-label="Filter customers">
      {FILTERS.filter((each) => !ONLY_IF_ANY.has(each) || counts[each] > 0 || filter === each).map((each) => {
        const [Icon, word] = CHIP[each]
        return (
          <Chip
            key={each}
            type="button"
            data-filter={each}
            data-count={counts[each]}
            aria-pressed={filter === each}
            onClick={() => onFilter(filter === each ? 'all' : each)}
          >
            <Icon aria-hidden />
            {word} <b>{counts[each]}</b>
          </Chip>
        )
      })}
    </Strip>
  )
}

/** The first thing to know, as a sentence. */
export function AttentionLine() {
  const counts = useAttentionCounts()
  if (counts.all === 0) return null
  return (
    <Muted role="status">
      {counts.needs_you === 0
        ? 'Nothing needs you'
        : `${plural(counts.needs_you, 'customer')} ${counts.needs_you === 1 ? 'needs' : 'need'} you`}
    </Muted>
  )
}
