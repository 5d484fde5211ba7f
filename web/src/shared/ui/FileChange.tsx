import styled from 'styled-components'
import { plural } from '@/shared/lib/format'
import { diffStat, lineDiff } from '@/shared/lib/lineDiff'
import { Mono, Muted } from './text'
import { t } from './tokens'

const Lines = styled.pre`
  max-height: 320px;
  overflow: auto;
  padding: 8px 10px;
  border-radius: ${t.radius.m};
  background: ${t.color.logBg};
  box-shadow: inset 0 0 0 1px ${t.color.line};
  font: 12px / 18px ${t.mono};
  tab-size: 4;
  & > div { min-height: 18px; white-space: pre; width: max-content; min-width: 100%; }
  [data-line='added'] { background: var(--dt-add); }
  [data-line='deleted'] { background: var(--dt-del); }
  [data-line='gap'] { color: ${t.color.muted}; }
`
const SIGN = { added: '+', deleted: '−', same: ' ', gap: '⋯' }

export interface Change {
  path: string
  before: string
  after: string
}

/** What a file was and would be, the lines that differ with a few around them. */
export function FileChange({ change }: { change: Change }) {
  const lines = lineDiff(change.before, change.after)
  const { added, deleted } = diffStat(lines)
  return (
    <section aria-label={`Change of ${change.path}`}>
      <Mono>{change.path}</Mono>{' '}
      <Muted>
        +{added} −{deleted} ({plural(added + deleted, 'line')})
      </Muted>
      <Lines tabIndex={0}>
        {lines.map(({ kind, text }, index) => (
          <div key={index} data-line={kind}>
            {SIGN[kind]} {text}
          </div>
        ))}
      </Lines>
    </section>
  )
}
