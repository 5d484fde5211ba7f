import { ArrowDownRight, ArrowRight, ArrowUpRight, Hand, Snowflake } from 'lucide-react'
import styled from 'styled-components'
import type { CustomerCard, HealthTrend } from '@/shared/api'
import { duration, fullTime, percent, secondsBetween } from '@/shared/lib/format'
import { useNow } from '@/shared/lib/useNow'
import { PHASE_NAME, shownStatus } from '@/shared/lib/words'
import { Num, Progress, StatusBadge, Tip, t, VisuallyHidden } from '@/shared/ui'
import { countText, healthText, idleText, remainingText, statusSuffix, TREND_WORD } from './essentials'

const Plain = styled.button`
  display: inline-flex;
  flex-wrap: wrap;
  align-items: baseline;
  gap: 0 6px;
  max-width: 100%;
  min-height: 24px;
  padding: 0;
  border: 0;
  background: none;
  text-align: left;
  cursor: help;
  svg { width: 15px; height: 15px; align-self: center; flex: none; color: ${t.color.muted}; }
  strong { font-size: ${t.text.l}; font-weight: 650; font-variant-numeric: tabular-nums; white-space: nowrap; }
  span { color: ${t.color.muted}; font-size: ${t.text.s}; }
  &[data-word='Good'] > span { color: ${t.color.completed}; }
  &[data-word='Watch'] > span { color: ${t.color.paused}; }
  &[data-word='Poor'] > span { color: ${t.color.error}; }
`

export function StatusEssential({ card }: { card: CustomerCard }) {
  const status = shownStatus(card)
  const suffix = statusSuffix(card)
  const badge = <StatusBadge status={status} suffix={suffix} />
  return card.statusReason ? (
    <Tip text={card.statusReason.text}>
      <Plain as="span" tabIndex={0}>
        {badge}
      </Plain>
    </Tip>
  ) : (
    badge
  )
}

const ProgressRow = styled.div`
  display: grid;
  grid-template-columns: 1fr auto;
  align-items: center;
  gap: 2px 10px;
  min-width: 0;
  span { min-width: 104px; font-variant-numeric: tabular-nums; font-size: ${t.text.m}; text-align: right; white-space: nowrap; }
  span em { font-style: normal; color: ${t.color.muted}; }
`

export function ProgressEssential({ card }: { card: CustomerCard }) {
  const share = percent(card.progress)
  const count = countText(card)
  return (
    <ProgressRow>
      <Progress
        value={card.progress}
        label={`Progress of ${card.name}`}
        text={`${share}, ${count} tasks`}
        tone={toneOf(card)}
      />
      <span>
        <b>{share}</b> <em>{count}</em>
      </span>
    </ProgressRow>
  )
}

function toneOf(card: CustomerCard): string {
  switch (card.executionStatus) {
    case 'error':
      return 'error'
    case 'paused':
      return 'paused'
    case 'completed':
      return card.tasksFailed > 0 ? 'paused' : 'completed'
    case 'active':
      return 'active'
    default:
      return 'quiet'
  }
}

const ARROW: Record<HealthTrend, typeof ArrowRight> = {
  up: ArrowUpRight,
  down: ArrowDownRight,
  steady: ArrowRight,
}

const Parts = styled.dl`
  display: grid;
  grid-template-columns: auto auto;
  gap: 2px 12px;
  dt { font-weight: 600; }
  dd { font-variant-numeric: tabular-nums; text-align: right; }
  p { grid-column: 1 / -1; opacity: 0.85; margin-bottom: 4px; }
`

export function HealthEssential({ card }: { card: CustomerCard }) {
  const { number, word } = healthText(card.healthScore)
  const Arrow = card.healthTrend ? ARROW[card.healthTrend] : null
  const hint =
    card.healthParts.length === 0 ? (
      'Health is known once tasks have been worked on.'
    ) : (
      <Parts>
        {card.healthParts.map((part) => (
          <HealthPartRow key={part.name} part={part} />
        ))}
      </Parts>
    )
  return (
    <Tip text={hint}>
      <Plain type="button" data-word={word}>
        <VisuallyHidden>Health</VisuallyHidden>
        <strong>{number}</strong>
        <span>{word}</span>
        {Arrow && card.healthTrend && (
          <>
            <Arrow aria-hidden />
            <VisuallyHidden>{TREND_WORD[card.healthTrend]}</VisuallyHidden>
          </>
        )}
      </Plain>
    </Tip>
  )
}

function HealthPartRow({ part }: { part: CustomerCard['healthParts'][number] }) {
  return (
    <>
      <dt>{part.name}</dt>
      <dd>
        {Math.round(part.value * 100)} × {part.weight}
      </dd>
      <p>{part.text}</p>
    </>
  )
}

export function RemainingEssential({ card }: { card: CustomerCard }) {
  const { main, detail, hint } = remainingText(card.timeRemaining)
  const { computedAt } = card.timeRemaining
  const computed = computedAt === null ? '' : `Computed ${fullTime(computedAt)}.`
  return (
    <Tip text={`${hint} ${computed}`}>
      <Plain type="button">
        <VisuallyHidden>Time remaining</VisuallyHidden>
        <strong>{main}</strong>
        <span>{detail}</span>
      </Plain>
    </Tip>
  )
}

const Current = styled.div`
  min-width: 0;
  & > p {
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
    font-size: ${t.text.m};
  }
  & > p[data-idle] { color: ${t.color.muted}; }
`
const PhaseLine = styled.div`
  display: flex;
  align-items: center;
  gap: 6px;
  color: ${t.color.muted};
  font-size: ${t.text.s};
  white-space: nowrap;
  svg { width: 13px; height: 13px; }
  b { color: ${t.color.active}; font-weight: 600; }
  &[data-frozen] b { color: ${t.color.paused}; }
`

export function CurrentTaskEssential({ card }: { card: CustomerCard }) {
  const task = card.currentTask
  if (!task) {
    const text = idleText(card)
    return (
      <Current>
        <PhaseLine>Current task</PhaseLine>
        <Tip text={text}>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the full text of a shortened line must be reachable by keyboard */}
          <p data-idle tabIndex={0}>
            {text}
          </p>
        </Tip>
      </Current>
    )
  }
  return (
    <Current>
      <PhaseLine data-frozen={task.frozen || undefined}>
        {task.frozen && <Snowflake aria-hidden />}
        <b>
          {PHASE_NAME[task.phase]}
          {task.frozen && ' (frozen)'}
        </b>
        {!task.frozen && <Since at={task.phaseStartedAt} />}
        {task.attemptNumber > 1 && <span>attempt {task.attemptNumber}</span>}
      </PhaseLine>
      <Tip text={task.title}>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the full text of a shortened line must be reachable by keyboard */}
        <p tabIndex={0}>{task.title}</p>
      </Tip>
    </Current>
  )
}

/** A running time; only this span is drawn anew each second. */
export function Since({ at }: { at: string }) {
  const now = useNow()
  return <Num>{duration(secondsBetween(at, now))}</Num>
}

const NeedsYou = styled.span`
  display: inline-flex;
  align-items: center;
  gap: 4px;
  color: ${t.color.needsYou};
  font-size: ${t.text.s};
  font-weight: 600;
  white-space: nowrap;
  svg { width: 13px; height: 13px; }
`

export function NeedsYouMark({ count }: { count: number }) {
  return (
    <NeedsYou>
      <Hand aria-hidden />
      Needs you: {count}
    </NeedsYou>
  )
}
