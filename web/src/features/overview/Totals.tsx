import { useSelector } from 'react-redux'
import styled from 'styled-components'
import { selectTotals } from '@/shared/state/selectors'
import { t } from '@/shared/ui'

const List = styled.dl`
  display: flex;
  flex-wrap: wrap;
  gap: 6px ${t.space.xl};
  div { display: flex; align-items: baseline; gap: 6px; }
  dt { color: ${t.color.muted}; font-size: ${t.text.s}; }
  dd { font-weight: 650; font-variant-numeric: tabular-nums; }
`

/** The whole engine in one line. */
export function Totals() {
  const totals = useSelector(selectTotals)
  if (!totals) return null
  const figures: [string, string | number][] = [
    ['Customers', totals.customers],
    ['Active executions', totals.activeExecutions],
    ['Slots used', `${totals.slotsUsed} of ${totals.slots}`],
    ['Pending tasks', totals.tasksPending],
    ['Completed today', totals.tasksCompletedToday],
    ['Workers alive', totals.workersAlive],
  ]
  return (
    <List aria-label="System totals">
      {figures.map(([name, figure]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{figure}</dd>
        </div>
      ))}
    </List>
  )
}
