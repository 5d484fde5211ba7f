import styled from 'styled-components'
import { t } from './tokens'

/** Things that wait for a person, one below the other. */
export const InboxList = styled.ul`
  & > li + li { border-top: 1px solid ${t.color.line}; }
`

/** One of them: what it is about, what it stands on, and what can be done. */
export const InboxItem = styled.article`
  display: grid;
  grid-template-columns: minmax(0, 1fr);
  gap: ${t.space.s};
  padding: ${t.space.m} ${t.space.l};
  overflow-wrap: anywhere;
  border-left: 4px solid transparent;
  &[data-tone='needs_you'] { border-left-color: ${t.color.needsYou}; }
  &[data-tone='error'] { border-left: 4px double ${t.color.error}; }
  &[data-tone='quiet'] { border-left: 4px dotted ${t.color.line}; }
  h3 { display: flex; flex-wrap: wrap; align-items: center; gap: 4px ${t.space.s}; font-size: ${t.text.base}; font-weight: 600; }
  h3 a { color: inherit; text-decoration: none; }
  h3 a:hover { text-decoration: underline; }
  h3 svg { width: 16px; height: 16px; flex: none; color: ${t.color.muted}; }
  [data-facts] { display: flex; flex-wrap: wrap; gap: 2px ${t.space.m}; color: ${t.color.muted}; font-size: ${t.text.s}; }
  [data-detail] { white-space: pre-wrap; font-size: ${t.text.m}; }
  [data-said] { font-size: ${t.text.m}; font-weight: 500; }
  summary { cursor: pointer; min-height: 24px; color: ${t.color.accent}; font-size: ${t.text.m}; font-weight: 600; }
  details[open] > summary { margin-bottom: ${t.space.s}; }
  [data-evidence] { display: grid; grid-template-columns: minmax(0, 1fr); gap: ${t.space.s}; font-size: ${t.text.m}; }
  [data-evidence] > pre { max-height: 320px; overflow: auto; padding: 8px 10px; border-radius: ${t.radius.m}; background: ${t.color.logBg}; box-shadow: inset 0 0 0 1px ${t.color.line}; font: 12px / 18px ${t.mono}; white-space: pre-wrap; }
  [data-acts] { display: flex; flex-wrap: wrap; gap: ${t.space.s}; }
  ${t.narrow} { [data-acts] > * { flex: 1; } }
`

/** Filters above a list. */
export const FilterBar = styled.div`
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px;
  padding: ${t.space.s} ${t.space.l};
  border-bottom: 1px solid ${t.color.line};
  label { display: inline-flex; align-items: center; gap: 6px; color: ${t.color.muted}; font-size: ${t.text.m}; }
  select { min-height: 30px; padding: 0 6px; border: 1px solid ${t.color.lineStrong}; border-radius: ${t.radius.m}; background: ${t.color.bg}; color: ${t.color.fg}; }
`
