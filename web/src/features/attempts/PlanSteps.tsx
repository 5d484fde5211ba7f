import { Check, Circle, CircleDot } from 'lucide-react'
import styled from 'styled-components'
import { t } from '@/shared/ui'
import type { PlanStep, StepState } from './session'

const Root = styled.details`
  padding: 6px ${t.space.m};
  border-bottom: 1px solid ${t.color.line};
  background: ${t.color.surface};
  summary { cursor: pointer; min-height: 24px; font-size: ${t.text.m}; font-weight: 600; }
  ol { max-height: 180px; overflow: auto; }
  li { display: grid; grid-template-columns: 16px minmax(0, 1fr); gap: 6px; padding: 2px 0; font-size: ${t.text.m}; overflow-wrap: anywhere; }
  svg { width: 14px; height: 14px; margin-top: 3px; color: ${t.color.muted}; }
  [data-state='completed'] { color: ${t.color.muted}; svg { color: ${t.color.completed}; } }
  [data-state='in_progress'] { font-weight: 600; svg { color: ${t.color.active}; } }
`
const ICON = { completed: Check, in_progress: CircleDot, pending: Circle }
const WORD: Record<StepState, string> = { completed: 'Done', in_progress: 'Now', pending: 'To do' }

/** The agent's plan with ticks. */
export function PlanSteps({ steps }: { steps: readonly PlanStep[] }) {
  if (steps.length === 0) return null
  const done = steps.filter(({ state }) => state === 'completed').length
  return (
    <Root open>
      <summary>
        Plan: {done} of {steps.length} done
      </summary>
      <ol aria-label="Plan">
        {steps.map(({ text, state }, index) => {
          const Icon = ICON[state]
          return (
            <li key={index} data-state={state}>
              <Icon role="img" aria-label={WORD[state]} />
              {text}
            </li>
          )
        })}
      </ol>
    </Root>
  )
}
