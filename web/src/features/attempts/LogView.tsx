import { Link } from '@tanstack/react-router'
import { ArrowDownToLine, ChevronDown, ChevronUp, Download, Pause, Play, Search } from 'lucide-react'
import { useEffect, useMemo, useRef, useState } from 'react'
import styled from 'styled-components'
import { plural } from '@/shared/lib/format'
import { Button, Empty, type ListHandle, Muted, t, VirtualList } from '@/shared/ui'
import { AnsiLine } from './AnsiLine'
import { ansiColors } from './ansiColors'
import { findLines, linesOfHash, plainText } from './logBuffer'
import { useLog } from './useLog'

const LINE = 18

const Bar = styled.div`
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px;
  padding: 6px ${t.space.m};
  border-bottom: 1px solid ${t.color.line};
  label { display: inline-flex; align-items: center; gap: 5px; color: ${t.color.muted}; }
  label svg { width: 14px; height: 14px; }
  input { width: 150px; min-height: 26px; padding: 0 8px; border: 1px solid ${t.color.lineStrong}; border-radius: ${t.radius.s}; background: ${t.color.bg}; font-size: ${t.text.m}; }
  & > [data-end] { display: flex; gap: 6px; margin-left: auto; }
`
const Lines = styled(VirtualList)`
  background: ${t.color.logBg};
  border-radius: 0 0 ${t.radius.l} ${t.radius.l};
  font: 12px/${LINE}px ${t.mono};
  tab-size: 4;
  ${ansiColors}
`
const Line = styled.div`
  display: flex;
  height: ${LINE}px;
  white-space: pre;
  &[data-hit] { background: ${t.color.accentSoft}; }
  a {
    position: sticky;
    left: 0;
    flex: none;
    width: 56px;
    padding-right: 12px;
    background: ${t.color.logBg};
    color: ${t.color.muted};
    text-align: right;
    text-decoration: none;
    user-select: none;
  }
  a:hover { color: ${t.color.accent}; }
`

interface Props {
  attemptId: string
  /** The lines to show and mark, as in `#L120-L140`. */
  hash?: string
  /** CSS height of the screen. */
  height?: string
  fileName: string
}

/** An attempt's output: coloured, followed while it grows, searched, paused, downloaded. */
export function LogView({ attemptId, hash = '', height, fileName }: Props) {
  const log = useLog(attemptId)
  const [frozen, setFrozen] = useState<string[] | null>(null)
  const target = linesOfHash(hash)
  const [follow, setFollow] = useState(target === null)
  const [text, setText] = useState('')
  const [hit, setHit] = useState(0)
  const list = useRef<ListHandle>(null)
  const lines = frozen ?? log.lines
  const hits = useMemo(() => findLines(lines, text), [lines, text])

  const shownTarget = useRef('')
  useEffect(() => {
    if (!target || shownTarget.current === hash || lines.length < target.from) return
    shownTarget.current = hash
    setFollow(false)
    list.current?.show(target.from - 1 - log.dropped)
  }, [target, hash, lines.length, log.dropped])

  const goTo = (step: number) => {
    if (hits.length === 0) return
    const at = (hit + step + hits.length) % hits.length
    setHit(at)
    setFollow(false)
    list.current?.show(hits[at] ?? 0)
  }
  const missed = frozen ? log.lines.length - frozen.length : 0

  return (
    <div>
      <Bar>
        <label>
          <Search aria-hidden />
          <input
            type="search"
            aria-label="Search the output"
            placeholder="Search"
            value={text}
            onChange={(event) => {
              setText(event.target.value)
              setHit(0)
            }}
            onKeyDown={(event) => {
              if (event.key === 'Enter') goTo(event.shiftKey ? -1 : hits.length > 0 && follow ? 0 : 1)
            }}
          />
        </label>
        {text !== '' && (
          <>
            <Button
              size="s"
              look="quiet"
              iconOnly
              aria-label="Previous match"
              icon={<ChevronUp aria-hidden />}
              onClick={() => goTo(-1)}
            />
            <Button
              size="s"
              look="quiet"
              iconOnly
              aria-label="Next match"
              icon={<ChevronDown aria-hidden />}
              onClick={() => goTo(1)}
            />
            <Muted role="status">
              {hits.length === 0 ? 'no match' : `${hit + 1} of ${plural(hits.length, 'line')}`}
            </Muted>
          </>
        )}
        <div data-end>
          {!log.complete && (
            <Button
              size="s"
              icon={frozen ? <Play aria-hidden /> : <Pause aria-hidden />}
              aria-pressed={frozen !== null}
              onClick={() => setFrozen(frozen ? null : log.lines)}
            >
              {frozen ? `Go on${missed > 0 ? ` (${plural(missed, 'new line')})` : ''}` : 'Hold output'}
            </Button>
          )}
          <Button
            size="s"
            icon={<ArrowDownToLine aria-hidden />}
            aria-pressed={follow}
            onClick={() => setFollow(!follow)}
          >
            Follow
          </Button>
          <Button
            size="s"
            iconOnly
            aria-label="Download the output"
            icon={<Download aria-hidden />}
            onClick={() => download(log.lines, fileName)}
          />
        </div>
      </Bar>
      <Lines
        handle={list}
        count={lines.length}
        rowHeight={LINE}
        label="Output"
        height={height}
        follow={follow}
        onFollow={(now) => setFollow(now && target === null)}
        empty={<Empty title={log.error ?? (log.loaded ? 'No output yet' : 'Reading the output…')} />}
        row={(index) => {
          const number = index + 1 + log.dropped
          const marked = target !== null && number >= target.from && number <= target.to
          return (
            <Line data-hit={marked || (text !== '' && hits[hit] === index) || undefined}>
              <Link
                to="/attempts/$id"
                params={{ id: attemptId }}
                hash={`L${number}`}
                hashScrollIntoView={false}
                tabIndex={-1}
                aria-label={`Line ${number}`}
              >
                {number}
              </Link>
              <span>
                <AnsiLine text={lines[index] ?? ''} mark={text} />
              </span>
            </Line>
          )
        }}
      />
    </div>
  )
}

function download(lines: readonly string[], fileName: string): void {
  const url = URL.createObjectURL(new Blob([`${lines.map(plainText).join('\n')}\n`], { type: 'text/plain' }))
  const link = document.createElement('a')
  link.href = url
  link.download = fileName
  link.click()
  URL.revokeObjectURL(url)
}
