import { ArrowDownToLine } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import styled from 'styled-components'
import { plural } from '@/shared/lib/format'
import { Button, Empty, Muted, t } from '@/shared/ui'
import { PlanSteps } from './PlanSteps'
import { SessionBlock } from './SessionBlock'
import type { SessionState } from './useSession'

/** Blocks that are drawn at once; the ones before are asked for. */
const WINDOW = 300

const Bar = styled.div`
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px ${t.space.m};
  padding: 6px ${t.space.m};
  border-bottom: 1px solid ${t.color.line};
  & > button { margin-left: auto; }
`
const Screen = styled.div`
  height: var(--session-height, 420px);
  overflow: auto;
  padding: ${t.space.s} ${t.space.m} ${t.space.m};
  background: ${t.color.bg};
  overscroll-behavior: contain;
  &:focus-visible { outline-offset: -2px; }
  ol { display: grid; grid-template-columns: minmax(0, 1fr); gap: 6px; }
  ol > li { content-visibility: auto; contain-intrinsic-size: auto 28px; }
`

interface Props {
  state: SessionState
  /** CSS height of the screen. */
  height?: string
}

/** What an agent said and did, newest last, followed while it grows. */
export function SessionView({ state, height }: Props) {
  const { session, loaded, error, complete } = state
  const [follow, setFollow] = useState(true)
  const [window_, setWindow] = useState(WINDOW)
  const screen = useRef<HTMLDivElement>(null)
  const hidden = Math.max(0, session.blocks.length - window_)

  // biome-ignore lint/correctness/useExhaustiveDependencies: a session that grew moves its end
  useEffect(() => {
    const element = screen.current
    if (follow && !complete && element) element.scrollTop = element.scrollHeight
  }, [follow, complete, session])

  return (
    <div>
      <Bar>
        <Muted>
          {plural(session.blocks.length, 'step')}
          {session.context &&
            ` · context ${Math.round((100 * session.context.used) / session.context.size)} % full`}
          {error && ` · ${error}`}
        </Muted>
        {!complete && (
          <Button
            size="s"
            icon={<ArrowDownToLine aria-hidden />}
            aria-pressed={follow}
            onClick={() => setFollow(!follow)}
          >
            Follow
          </Button>
        )}
      </Bar>
      <PlanSteps steps={session.plan} />
      <Screen
        ref={screen}
        tabIndex={0}
        role="log"
        aria-live="off"
        aria-label="Session"
        style={height ? ({ '--session-height': height } as React.CSSProperties) : undefined}
        onWheel={(event) => {
          if (event.deltaY < 0) setFollow(false)
        }}
        onKeyDown={(event) => {
          if (event.key === 'PageUp' || event.key === 'ArrowUp' || event.key === 'Home') setFollow(false)
        }}
        onScroll={(event) => {
          const { scrollTop, scrollHeight, clientHeight } = event.currentTarget
          if (!follow && !complete && scrollHeight - scrollTop - clientHeight < 4) setFollow(true)
        }}
      >
        {session.blocks.length === 0 ? (
          <Empty title={error ?? (loaded ? 'The agent has not said anything yet' : 'Reading the session…')} />
        ) : (
          <>
            {hidden > 0 && (
              <Button size="s" look="quiet" onClick={() => setWindow(window_ + WINDOW)}>
                Show {plural(Math.min(hidden, WINDOW), 'earlier step')}
              </Button>
            )}
            <ol>
              {session.blocks.slice(hidden).map((block) => (
                <SessionBlock key={block.ordinal} block={block} />
              ))}
            </ol>
          </>
        )}
      </Screen>
    </div>
  )
}
