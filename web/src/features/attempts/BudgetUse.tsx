import { useSelector } from 'react-redux'
import styled from 'styled-components'
import type { AttemptView } from '@/shared/api'
import { money, percent } from '@/shared/lib/format'
import { type LiveRoot, selectProjectTable } from '@/shared/state/selectors'
import { Progress, t } from '@/shared/ui'

const Root = styled.div`
  display: grid;
  grid-template-columns: minmax(80px, 220px) minmax(0, 1fr);
  gap: ${t.space.s} ${t.space.m};
  align-items: center;
  margin-top: ${t.space.s};
  font-size: ${t.text.m};
  font-variant-numeric: tabular-nums;
  [data-over] { color: ${t.color.error}; font-weight: 600; }
`

/** How much of the attempt's budget is used, and by how much it was overshot. */
export function BudgetUse({ attempt, costUsd }: { attempt: AttemptView; costUsd: number | null }) {
  const project = useSelector(
    (state: LiveRoot) => selectProjectTable(state, attempt.customerId)[attempt.projectId],
  )
  const budget = attempt.request?.budgetUsd ?? project?.budgetUsd ?? null
  const over = attempt.overshootUsd
  if (budget === null && over === null) return null
  const share = budget !== null && costUsd !== null ? costUsd / budget : null
  return (
    <Root>
      {share !== null && (
        <Progress
          value={share}
          label="Budget used"
          text={percent(share)}
          tone={share >= 1 ? 'error' : share >= 0.8 ? 'paused' : 'active'}
        />
      )}
      <span>
        {budget !== null &&
          (costUsd === null
            ? `Budget ${money(budget)}; what was used is unknown, a price is missing`
            : `${money(costUsd)} of the budget of ${money(budget)} used`)}
        {over === 0 && ' · stopped before it was overshot'}
        {over !== null && over > 0 && <span data-over> · overshot by {money(over)}</span>}
      </span>
    </Root>
  )
}
