import styled from 'styled-components'
import type { CallView } from '@/shared/api'
import { clockTime, duration, money } from '@/shared/lib/format'
import { Empty, t } from '@/shared/ui'
import { answered, NOTHING, spending } from './replay'

const Scroll = styled.div`
  position: relative;
  max-height: min(480px, 60dvh);
  overflow: auto;
  table { width: 100%; border-collapse: collapse; font-size: ${t.text.m}; font-variant-numeric: tabular-nums; }
  thead th { position: sticky; top: 0; background: ${t.color.bg}; color: ${t.color.muted}; font-size: ${t.text.s}; font-weight: 400; }
  th, td { padding: 5px ${t.space.m} 5px 0; text-align: left; white-space: nowrap; }
  td, tfoot th { border-top: 1px solid ${t.color.line}; }
  tfoot th, tfoot td { font-weight: 600; }
  [data-number] { text-align: right; }
  td[data-answered='false'] { color: ${t.color.error}; font-weight: 600; }
  tr[data-later] td { color: ${t.color.muted}; font-weight: 400; }
`
const NUMBERS = ['In', 'Cached', 'Out', 'Cost', 'Took'] as const
const count = new Intl.NumberFormat('en')
const costText = (usd: number | null) => (usd === null ? 'unknown' : money(usd))

interface Props {
  calls: readonly CallView[]
  /** Calls that ended after this moment are still to come; milliseconds since the epoch. */
  at?: number
}

/** Model calls, oldest first, and what they came to. A call that was not answered is not counted. */
export function CallTable({ calls, at = Number.POSITIVE_INFINITY }: Props) {
  if (calls.length === 0) return <Empty title="No metered model call" />
  const sum = spending(calls).at(-1)?.spent ?? NOTHING
  const refused = calls.length - sum.calls
  return (
    <Scroll tabIndex={0}>
      <table aria-label="Model calls">
        <thead>
          <tr>
            {['At', 'Model', 'Provider', 'Status'].map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
            {NUMBERS.map((name) => (
              <th key={name} scope="col" data-number>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {calls.map((call, index) => (
            <tr key={index} data-later={Date.parse(call.at) > at || undefined}>
              <td>{clockTime(call.at)}</td>
              <td>{call.model}</td>
              <td>{call.provider}</td>
              <td data-answered={answered(call)}>{answered(call) ? call.status : `✕ ${call.status}`}</td>
              <td data-number>{count.format(call.inputTokens)}</td>
              <td data-number>{count.format(call.cachedTokens)}</td>
              <td data-number>{count.format(call.outputTokens)}</td>
              <td data-number>{costText(call.costUsd)}</td>
              <td data-number>{call.seconds.toFixed(1)} s</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row" colSpan={4}>
              {count.format(sum.calls)} answered{refused > 0 && `, ${count.format(refused)} not`}
            </th>
            <td data-number>{count.format(sum.inputTokens)}</td>
            <td data-number>{count.format(sum.cachedTokens)}</td>
            <td data-number>{count.format(sum.outputTokens)}</td>
            <td data-number>{costText(sum.costUsd)}</td>
            <td data-number>{duration(calls.reduce((total, { seconds }) => total + seconds, 0))}</td>
          </tr>
        </tfoot>
      </table>
    </Scroll>
  )
}
