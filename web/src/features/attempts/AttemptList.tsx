import { Link } from '@tanstack/react-router'
import { ChevronRight } from 'lucide-react'
import { memo, useState } from 'react'
import styled from 'styled-components'
import type { AttemptPhase, AttemptView, MonitoringState } from '@/shared/api'
import { ago, duration, fullTime, plural, shortDuration } from '@/shared/lib/format'
import { useNow } from '@/shared/lib/useNow'
import { MONITORING_NAME, PHASE_NAME, PHASES } from '@/shared/lib/words'
import { Button, Empty, Hash, Muted, Notice, OutcomeBadge, t } from '@/shared/ui'
import { AttemptEvidence } from './AttemptEvidence'
import { barsOf, runOf, workSeconds } from './phases'

const Legend = styled.ul`
  display: flex;
  flex-wrap: wrap;
  gap: 4px ${t.space.l};
  padding: 8px ${t.space.l};
  border-bottom: 1px solid ${t.color.line};
  color: ${t.color.muted};
  font-size: ${t.text.s};
  li { display: flex; align-items: center; gap: 6px; }
  li > span { width: 18px; height: 10px; position: relative; }
`
const Rows = styled.ul`
  & > li + li { border-top: 1px solid ${t.color.line}; }
`
const Summary = styled.div`
  display: grid;
  grid-template-columns: 26px 108px minmax(0, 3fr) minmax(110px, 1.3fr) 64px 104px;
  gap: 2px ${t.space.m};
  align-items: center;
  min-height: 46px;
  padding: 5px ${t.space.l} 5px ${t.space.s};
  &:hover { background: ${t.color.surface}; }
  [data-title] { min-width: 0; }
  [data-title] > :first-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-weight: 500; }
  [data-title] a { color: inherit; text-decoration: none; }
  [data-title] a:hover { text-decoration: underline; }
  [data-number] { font-variant-numeric: tabular-nums; text-align: right; font-size: ${t.text.m}; }
  button[aria-expanded='true'] svg { transform: rotate(90deg); }
  @media (max-width: 900px) {
    grid-template-columns: 26px auto minmax(0, 1fr);
    [data-title] { grid-column: 2 / -1; grid-row: 1; }
    [data-badge] { grid-column: 2; grid-row: 2; }
    [data-number] { grid-column: 3; grid-row: 2; text-align: left; }
    [data-line] { grid-column: 2 / -1; }
    [data-hash] { grid-column: 2 / -1; }
  }
`
const Line = styled.div`
  position: relative;
  height: 14px;
  border-radius: 3px;
  background: ${t.color.sunken};
`
const Segment = styled.span`
  position: absolute;
  top: 0;
  bottom: 0;
  left: calc(var(--x, 0) * 100%);
  width: max(2px, calc(var(--w, 1) * 100%));
  border-radius: 2px;
  box-shadow: inset 0 0 0 1px ${t.color.bg};
  &[data-phase='planning'] { background: ${t.color.lineStrong}; }
  &[data-phase='execution'] { background: ${t.color.active}; }
  &[data-phase='quality_assurance'] {
    background: repeating-linear-gradient(135deg, ${t.color.needsYou} 0 4px, ${t.color.needsYouSoft} 4px 6px);
  }
  &[data-phase='delivery'] { background: ${t.color.completed}; }
`
const Details = styled.div`
  padding: 4px ${t.space.l} ${t.space.l};
  background: ${t.color.surface};
  box-shadow: inset 0 1px 0 ${t.color.line};
`

const WORK_PHASES: readonly AttemptPhase[] = PHASES.filter((phase) => phase !== 'monitoring')
const PAGE = 20
/** What monitoring found is said in the row only when it is news; the details tell the rest. */
const WORTH_SAYING: ReadonlySet<MonitoringState> = new Set(['watching', 'regressed', 'not_merged'])

/** Finished attempts, newest first: outcome, time line, commit; opened: gates, diff, commits. */
export function AttemptList({ attempts, empty }: { attempts: readonly AttemptView[]; empty: string }) {
  const [limit, setLimit] = useState(PAGE)
  const shown = attempts.slice(0, limit)
  const scale = Math.max(1, ...shown.map((attempt) => workSeconds(attempt, Date.now())))
  if (attempts.length === 0) return <Empty title={empty} />
  return (
    <>
      <Legend aria-label="Legend of the time lines">
        {WORK_PHASES.map((phase) => (
          <li key={phase}>
            <span>
              <Segment data-phase={phase} />
            </span>
            {PHASE_NAME[phase]}
          </li>
        ))}
        <li>whole width: {duration(scale)}</li>
      </Legend>
      <Rows aria-label="Attempts">
        {shown.map((attempt) => (
          <Row key={attempt.id} attempt={attempt} scale={scale} />
        ))}
      </Rows>
      {attempts.length > limit && (
        <div style={{ padding: 12 }}>
          <Button size="s" onClick={() => setLimit(limit + PAGE)}>
            Show older
          </Button>
        </div>
      )}
    </>
  )
}

const Row = memo(function Row({ attempt, scale }: { attempt: AttemptView; scale: number }) {
  const [open, setOpen] = useState(false)
  const now = useNow()
  const seconds = workSeconds(attempt, now)
  const run = runOf(attempt)
  const failedGates = attempt.gates.filter((gate) => gate.passed === false && gate.required).length
  return (
    <li>
      <Summary>
        <Button
          look="quiet"
          size="s"
          iconOnly
          aria-expanded={open}
          aria-label={`Details of attempt ${attempt.number} at ${attempt.taskTitle}`}
          icon={<ChevronRight aria-hidden />}
          onClick={() => setOpen(!open)}
        />
        <span data-badge>
          <OutcomeBadge outcome={attempt.outcome} />
        </span>
        <div data-title>
          <div>
            <Link to="/attempts/$id" params={{ id: attempt.id }} title={attempt.taskTitle}>
              {attempt.taskTitle}
            </Link>
          </div>
          <Muted>
            attempt {attempt.number}
            {run > 1 && `, run ${run}`}
            {attempt.finishedAt && (
              <>
                {' · '}
                <time dateTime={attempt.finishedAt} title={fullTime(attempt.finishedAt)}>
                  {ago(attempt.finishedAt, now)}
                </time>
              </>
            )}
            {attempt.filesChanged !== null &&
              ` · ${plural(attempt.filesChanged, 'file')} +${attempt.linesAdded ?? 0} −${attempt.linesDeleted ?? 0}`}
            {failedGates > 0 && ` · ${plural(failedGates, 'gate')} failed`}
            {attempt.monitoring &&
              WORTH_SAYING.has(attempt.monitoring) &&
              ` · ${MONITORING_NAME[attempt.monitoring]}`}
          </Muted>
        </div>
        <div data-line>
          <TimeLine attempt={attempt} scale={scale} now={now} />
        </div>
        <span data-number>{shortDuration(seconds)}</span>
        <span data-hash>{attempt.commit && <Hash hash={attempt.mergedCommit ?? attempt.commit} />}</span>
      </Summary>
      {open && (
        <Details>
          {attempt.reason && (
            <Notice tone={attempt.outcome === 'failed' ? 'error' : 'info'} title={attempt.reason.text} />
          )}
          <AttemptEvidence attempt={attempt} />
        </Details>
      )}
    </li>
  )
})

function TimeLine({ attempt, scale, now }: { attempt: AttemptView; scale: number; now: number }) {
  const bars = barsOf(attempt, scale, now)
  const text = bars.map((bar) => `${PHASE_NAME[bar.phase]} ${shortDuration(bar.seconds)}`).join(', ')
  return (
    <Line role="img" aria-label={text || 'No phase was recorded'} title={text}>
      {bars.map((bar, index) => (
        <Segment
          key={index}
          data-phase={bar.phase}
          style={{ '--x': bar.start, '--w': bar.width } as React.CSSProperties}
        />
      ))}
    </Line>
  )
}
