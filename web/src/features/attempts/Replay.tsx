import {
  CircleX,
  Lock,
  Pause,
  Play,
  SkipBack,
  SkipForward,
  StepBack,
  StepForward,
  Wrench,
} from 'lucide-react'
import { type KeyboardEvent, useMemo } from 'react'
import styled from 'styled-components'
import { type AttemptView, type CallView, toProblem, useListAttemptCallsQuery } from '@/shared/api'
import { clockTime, duration, plural } from '@/shared/lib/format'
import { PHASE_NAME } from '@/shared/lib/words'
import { Button, Empty, Kbd, More, Muted, ProblemNotice, SkeletonLines, t } from '@/shared/ui'
import { CallTable } from './CallTable'
import { ReplayChart } from './ReplayChart'
import { entriesAt, Folder, filmOf, type MarkKind, markFrom, spending, spentAt } from './replay'
import { SessionView } from './SessionView'
import { usedText } from './used'
import { SPEEDS, type Speed, usePlayer } from './usePlayer'
import type { SessionState } from './useSession'

const Root = styled.section`
  display: grid;
  grid-template-columns: minmax(0, 1fr);
  gap: ${t.space.s};
  input[type='range'] { width: 100%; min-height: 24px; accent-color: ${t.color.accent}; }
  [data-scrubber] { display: grid; grid-template-columns: 44px minmax(0, 1fr) auto; gap: ${t.space.s}; align-items: center; font-size: ${t.text.s}; font-variant-numeric: tabular-nums; }
  [data-scrubber] output { min-width: 92px; text-align: right; }
  [data-now] { font-size: ${t.text.m}; font-variant-numeric: tabular-nums; }
`
const Bar = styled.div`
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px;
  & > span { flex: 0 0 8px; }
  label { display: inline-flex; align-items: center; gap: 6px; color: ${t.color.muted}; font-size: ${t.text.s}; }
  select { min-height: 28px; border: 1px solid ${t.color.lineStrong}; border-radius: ${t.radius.m}; background: ${t.color.bg}; }
`
const Frame = styled.div`
  overflow: hidden;
  border: 1px solid ${t.color.line};
  border-radius: ${t.radius.l};
  background: ${t.color.bg};
`

const JUMPS: readonly [MarkKind, string, string, typeof Wrench][] = [
  ['tool', 'tool call', 'n', Wrench],
  ['gate', 'gate failure', 'f', CircleX],
  ['permission', 'permission', 'a', Lock],
]

interface Props {
  attempt: AttemptView
  state: SessionState
}

/** The session of a finished attempt, played again. */
export function Replay({ attempt, state }: Props) {
  const { data, error, refetch } = useListAttemptCallsQuery({ attemptId: attempt.id })
  if (error && !data) {
    return (
      <ProblemNotice
        problem={toProblem(error)}
        action={<Button onClick={() => void refetch()}>Try again</Button>}
      />
    )
  }
  if (state.error) return <Empty title={state.error} />
  if (!data || !state.complete) return <SkeletonLines count={4} height={48} />
  if (state.entries.length === 0) return <Empty title="The agent told nothing that could be replayed" />
  return <Player attempt={attempt} state={state} calls={data.calls} />
}

function Player({ attempt, state, calls }: Props & { calls: CallView[] }) {
  const { entries } = state
  const film = useMemo(() => filmOf(attempt, entries, calls), [attempt, entries, calls])
  const steps = useMemo(() => spending(calls), [calls])
  const folder = useMemo(() => new Folder(entries), [entries])
  const player = usePlayer(film.start, film.end)
  const { at, playing, speed, toggle, seek, setSpeed } = player
  const count = entriesAt(entries, at)
  const session = useMemo(() => folder.at(count), [folder, count])
  const failed = film.marks.filter((mark) => mark.kind === 'gate' && mark.at <= at).length
  const span = attempt.phases.findLast(({ startedAt }) => Date.parse(startedAt) <= at)

  const toEntry = (index: number) => {
    const entry = entries[Math.min(entries.length, Math.max(1, index)) - 1]
    seek(index < 1 || !entry ? film.start : Date.parse(entry.at))
  }
  /** One entry on; entries of the same moment count as one. */
  const step = (by: 1 | -1) => {
    if (by === 1) return toEntry(count + 1)
    const shown = entries[count - 1]
    toEntry(shown ? entriesAt(entries, Date.parse(shown.at) - 1) : 0)
  }
  const jump = (kind: MarkKind, by: 1 | -1) => {
    const mark = markFrom(film, kind, at, by)
    if (mark) seek(mark.at)
  }
  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || takesKeys(event.target)) return
    const by = event.shiftKey ? -1 : 1
    const jumpTo = JUMPS.find(([, , key]) => key === event.key.toLowerCase())
    if (jumpTo) jump(jumpTo[0], by)
    else if (event.key === ' ' && !(event.target instanceof HTMLButtonElement)) toggle()
    else if (event.key === ',') step(-1)
    else if (event.key === '.') step(1)
    else if (event.key === '+' || event.key === '-') setSpeed(nextSpeed(speed, event.key === '+' ? 1 : -1))
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  return (
    <Root aria-label="Replay" onKeyDown={onKey}>
      <ReplayChart attempt={attempt} film={film} steps={steps} at={at} />
      <div data-scrubber>
        <span aria-hidden>Time</span>
        <input
          type="range"
          aria-label="Time"
          min={0}
          max={Math.max(1, film.end - film.start)}
          step={100}
          value={at - film.start}
          aria-valuetext={`${duration((at - film.start) / 1000)} of ${duration((film.end - film.start) / 1000)}`}
          onChange={(event) => seek(film.start + Number(event.target.value))}
        />
        <output>
          {duration((at - film.start) / 1000)} of {duration((film.end - film.start) / 1000)}
        </output>
        <span aria-hidden>Entry</span>
        <input
          type="range"
          aria-label="Entry"
          min={0}
          max={entries.length}
          value={count}
          aria-valuetext={`${count} of ${entries.length}`}
          onChange={(event) => toEntry(Number(event.target.value))}
        />
        <output>
          {count} of {entries.length}
        </output>
      </div>
      <Bar role="toolbar" aria-label="Player">
        <Button
          iconOnly
          aria-label="To the beginning"
          icon={<SkipBack aria-hidden />}
          onClick={() => seek(film.start)}
        />
        <Button
          iconOnly
          aria-label="One entry back"
          icon={<StepBack aria-hidden />}
          onClick={() => step(-1)}
        />
        <Button look="primary" icon={playing ? <Pause aria-hidden /> : <Play aria-hidden />} onClick={toggle}>
          {playing ? 'Pause' : 'Play'}
        </Button>
        <Button
          iconOnly
          aria-label="One entry on"
          icon={<StepForward aria-hidden />}
          onClick={() => step(1)}
        />
        <Button
          iconOnly
          aria-label="To the end"
          icon={<SkipForward aria-hidden />}
          onClick={() => seek(film.end)}
        />
        <label>
          Speed
          <select value={speed} onChange={(event) => setSpeed(Number(event.target.value) as Speed)}>
            {SPEEDS.map((each) => (
              <option key={each} value={each}>
                {each}×
              </option>
            ))}
          </select>
        </label>
        <span />
        {JUMPS.map(([kind, name, , Icon]) => (
          <Button
            key={kind}
            size="s"
            icon={<Icon aria-hidden />}
            disabledBecause={markFrom(film, kind, at, 1) ? null : `There is no ${name} after this moment.`}
            onClick={() => jump(kind, 1)}
          >
            Next {name}
          </Button>
        ))}
      </Bar>
      <p data-now>
        {clockTime(at)}
        {span && ` · ${PHASE_NAME[span.phase]}, round ${span.round}`} · {usedText(spentAt(steps, at))}
        {failed > 0 && ` · gates had failed in ${plural(failed, 'round')}`}
      </p>
      <Frame>
        <SessionView state={{ ...state, session, complete: false }} height="min(560px, 56dvh)" />
      </Frame>
      <More>
        <summary>Model calls and keys</summary>
        <CallTable calls={calls} at={at} />
        <Muted>
          <Kbd>Space</Kbd> plays and pauses, <Kbd>,</Kbd> <Kbd>.</Kbd> go by entry, <Kbd>+</Kbd> <Kbd>-</Kbd>{' '}
          change the speed, <Kbd>n</Kbd> <Kbd>f</Kbd> <Kbd>a</Kbd> go to the next tool call, failure, ask;
          with <Kbd>Shift</Kbd> back.
        </Muted>
      </More>
    </Root>
  )
}

const takesKeys = (target: EventTarget) =>
  target instanceof HTMLElement && target.closest('select, textarea, input:not([type=range])') !== null

function nextSpeed(speed: Speed, by: 1 | -1): Speed {
  return SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, SPEEDS.indexOf(speed) + by))] ?? speed
}
