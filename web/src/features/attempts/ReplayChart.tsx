import { useMemo } from 'react'
import styled from 'styled-components'
import type { AttemptView } from '@/shared/api'
import { PHASE_NAME } from '@/shared/lib/words'
import { t } from '@/shared/ui'
import type { Film, MarkKind, Spent } from './replay'
import { stairs } from './replay'
import { usedText } from './used'

const Root = styled.svg`
  display: block;
  width: 100%;
  height: 96px;
  border: 1px solid ${t.color.line};
  border-radius: ${t.radius.m};
  background: ${t.color.surface};
  rect[data-phase] { opacity: 0.14; }
  rect[data-phase='planning'] { fill: ${t.color.lineStrong}; }
  rect[data-phase='execution'] { fill: ${t.color.active}; }
  rect[data-phase='quality_assurance'] { fill: ${t.color.needsYou}; }
  rect[data-phase='delivery'] { fill: ${t.color.completed}; }
  polyline, line { fill: none; vector-effect: non-scaling-stroke; }
  [data-line='tokens'] { stroke: ${t.color.accent}; stroke-width: 2; }
  [data-line='cost'] { stroke: ${t.color.completed}; stroke-width: 2; stroke-dasharray: 5 4; }
  [data-mark='tool'] { stroke: ${t.color.lineStrong}; }
  [data-mark='permission'] { stroke: ${t.color.needsYou}; stroke-width: 2; }
  [data-mark='gate'] { stroke: ${t.color.error}; stroke-width: 3; }
  [data-now] { stroke: ${t.color.fg}; stroke-width: 1.5; }
`
const Legend = styled.ul`
  display: flex;
  flex-wrap: wrap;
  gap: 2px ${t.space.l};
  color: ${t.color.muted};
  font-size: ${t.text.s};
  font-variant-numeric: tabular-nums;
  li { display: flex; align-items: center; gap: 6px; }
  svg { width: 22px; height: 10px; }
  line { stroke-width: 2; }
  [data-key='tokens'] { stroke: ${t.color.accent}; }
  [data-key='cost'] { stroke: ${t.color.completed}; stroke-dasharray: 5 4; }
  [data-key='tool'] { stroke: ${t.color.lineStrong}; }
  [data-key='permission'] { stroke: ${t.color.needsYou}; }
  [data-key='gate'] { stroke: ${t.color.error}; stroke-width: 3; }
`
const HEIGHT: Record<MarkKind, number> = { tool: 92, permission: 80, gate: 0 }

interface Props {
  attempt: AttemptView
  film: Film
  steps: readonly { at: number; spent: Spent }[]
  at: number
}

/** Tokens and cost over time as they were metered, over the phases, with the moments to jump to. */
export function ReplayChart({ attempt, film, steps, at }: Props) {
  const { start, end, marks } = film
  const x = (moment: number) => (end > start ? ((moment - start) / (end - start)) * 1000 : 0)
  const still = useMemo(() => {
    const tokens = steps.map(({ at: when, spent }) => ({
      at: when,
      value: spent.inputTokens + spent.outputTokens,
    }))
    const cost = steps.map(({ at: when, spent }) => ({ at: when, value: spent.costUsd ?? 0 }))
    const priced = steps.every(({ spent }) => spent.costUsd !== null)
    return { tokens: stairs(tokens, film), cost: priced ? stairs(cost, film, 34) : '' }
  }, [steps, film])
  const whole = steps.at(-1)?.spent
  return (
    <>
      <Root
        viewBox="0 0 1000 100"
        preserveAspectRatio="none"
        role="img"
        aria-label={`Tokens and cost over time. In the end: ${whole ? usedText(whole) : 'no metered model call'}.`}
      >
        {attempt.phases
          .filter(({ phase }) => phase !== 'monitoring')
          .map(({ phase, round, run, startedAt, endedAt }) => {
            const from = x(Date.parse(startedAt))
            const to = endedAt ? x(Date.parse(endedAt)) : 1000
            return (
              <rect
                key={`${phase}/${round}/${run}/${startedAt}`}
                data-phase={phase}
                x={from}
                width={Math.max(1, to - from)}
                y={0}
                height={100}
              >
                <title>
                  {PHASE_NAME[phase]}, round {round}
                </title>
              </rect>
            )
          })}
        {marks.map((mark, index) => (
          <line
            key={index}
            data-mark={mark.kind}
            x1={x(mark.at)}
            x2={x(mark.at)}
            y1={HEIGHT[mark.kind]}
            y2={100}
          >
            <title>{mark.text}</title>
          </line>
        ))}
        {still.tokens && <polyline data-line="tokens" points={still.tokens} />}
        {still.cost && <polyline data-line="cost" points={still.cost} />}
        <line data-now x1={x(at)} x2={x(at)} y1={0} y2={100} />
      </Root>
      <Legend aria-label="Legend of the chart">
        {still.tokens && <Key of="tokens" text="tokens, in and out" />}
        {still.cost && <Key of="cost" text="cost" />}
        <Key of="tool" text="tool call" />
        <Key of="permission" text="permission" />
        <Key of="gate" text="gate failure" />
      </Legend>
    </>
  )
}

function Key({ of, text }: { of: string; text: string }) {
  return (
    <li>
      <svg viewBox="0 0 22 10" aria-hidden>
        <line data-key={of} x1={0} x2={22} y1={5} y2={5} />
      </svg>
      {text}
    </li>
  )
}
