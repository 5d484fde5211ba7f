import { Check, Circle, LoaderCircle, Snowflake, X } from 'lucide-react'
import styled, { keyframes } from 'styled-components'
import type { AttemptView } from '@/shared/api'
import { shortDuration } from '@/shared/lib/format'
import { useNow } from '@/shared/lib/useNow'
import { PHASE_NAME } from '@/shared/lib/words'
import { t, VisuallyHidden } from '@/shared/ui'
import { type StepState, stepsOf } from './phases'

const turn = keyframes`to { transform: rotate(360deg) }`

const List = styled.ol`
  display: grid;
  grid-template-columns: repeat(5, minmax(0, 1fr));
  gap: 4px;
  li {
    display: grid;
    grid-template-columns: 18px minmax(0, 1fr);
    gap: 0 6px;
    align-content: start;
    padding-top: 8px;
    border-top: 3px solid ${t.color.line};
    color: ${t.color.muted};
    font-size: ${t.text.m};
  }
  svg { width: 15px; height: 15px; margin-top: 2px; stroke-width: 2.4; }
  small { grid-column: 2; font-size: ${t.text.s}; font-variant-numeric: tabular-nums; color: ${t.color.muted}; }
  [data-state='done'] { border-top-color: ${t.color.completed}; color: ${t.color.fg}; svg { color: ${t.color.completed}; } }
  [data-state='current'] {
    border-top: 3px double ${t.color.active};
    color: ${t.color.active};
    font-weight: 650;
    svg { animation: ${turn} 1.4s linear infinite; }
  }
  [data-state='current'][data-frozen] { border-top-style: dashed; border-top-color: ${t.color.paused}; color: ${t.color.paused}; svg { animation: none; } }
  [data-state='failed'] { border-top-color: ${t.color.error}; color: ${t.color.error}; }
  ${t.narrow} {
    grid-template-columns: 1fr;
    li { border-top: 0; border-left: 3px solid ${t.color.line}; padding: 2px 0 2px 8px; grid-template-columns: 18px 1fr auto; }
    small { grid-column: 3; }
    [data-state='done'] { border-left-color: ${t.color.completed}; }
    [data-state='current'] { border-top: 0; border-left: 3px double ${t.color.active}; }
    [data-state='failed'] { border-left-color: ${t.color.error}; }
  }
`
const ICON: Record<StepState, typeof Check> = { done: Check, current: LoaderCircle, failed: X, todo: Circle }
const SAID: Record<StepState, string> = {
  done: 'done',
  current: 'now',
  failed: 'failed here',
  todo: 'not begun',
}

/** The five phases of one attempt: where it stands and how long each took. */
export function PhaseStepper({ attempt }: { attempt: AttemptView }) {
  const now = useNow()
  return (
    <List aria-label="Phases">
      {stepsOf(attempt, now).map(({ phase, state, seconds, rounds }) => {
        const Icon = state === 'current' && attempt.frozen ? Snowflake : ICON[state]
        return (
          <li
            key={phase}
            data-state={state}
            data-frozen={attempt.frozen || undefined}
            aria-current={state === 'current' ? 'step' : undefined}
          >
            <Icon aria-hidden />
            <span>
              {PHASE_NAME[phase]}
              <VisuallyHidden>, {SAID[state]}</VisuallyHidden>
            </span>
            <small>
              {seconds === null ? '–' : shortDuration(seconds)}
              {rounds > 1 && `, ${rounds} rounds`}
            </small>
          </li>
        )
      })}
    </List>
  )
}
