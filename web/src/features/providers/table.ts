import styled from 'styled-components'
import { t } from '@/shared/ui'

/** What stands absolutely in it, as text for assistive technology does, scrolls with it and widens no page. */
export const Scroll = styled.div`
  position: relative;
  overflow-x: auto;
`
export const Table = styled.table`
  width: 100%;
  min-width: 640px;
  border-collapse: collapse;
  font-size: ${t.text.m};
  th { padding: 6px ${t.space.l}; color: ${t.color.muted}; font-size: ${t.text.s}; font-weight: 400; text-align: left; white-space: nowrap; }
  td { padding: 9px ${t.space.l}; border-top: 1px solid ${t.color.line}; font-variant-numeric: tabular-nums; vertical-align: top; overflow-wrap: anywhere; }
  td > small { display: block; color: ${t.color.muted}; font-size: ${t.text.s}; }
  tr[data-part] > td { padding-block: 5px; border-top-color: transparent; background: ${t.color.surface}; }
  tr[data-part] > td:first-child { padding-left: 58px; }
  td > button[aria-expanded] { margin: -5px 0; vertical-align: middle; }
  button[aria-expanded='true'] svg { transform: rotate(90deg); }
  tr > :first-child { min-width: 190px; }
  tr > :nth-child(2) { min-width: 110px; }
  [data-number] { text-align: right; white-space: nowrap; }
  [data-state] { font-weight: 600; white-space: nowrap; }
  [data-state='ok'] { color: ${t.color.completed}; }
  [data-state='parked'] { color: ${t.color.paused}; }
  [data-state='missing'] { color: ${t.color.muted}; }
`
