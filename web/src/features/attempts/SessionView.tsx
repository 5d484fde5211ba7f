import { ArrowDownToLine, RotateCcw } from 'lucide-react'
import { useState } from 'react'
import styled from 'styled-components'
import { plural } from '@/shared/lib/format'
import { Button, Empty, Muted, t, VirtualList } from '@/shared/ui'
import { PlanSteps } from './PlanSteps'
import { OpenedSteps, SessionBlock } from './SessionBlock'
import type { SessionState } from './useSession'

/** Height of most steps, which are folded. */
const STEP = 38

const Bar = styled.div`
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px ${t.space.m};
  padding: 6px ${t.space.m};
  border-bottom: 1px solid ${t.color.line};
  & > button { margin-left: auto; }
`
const Pointed = styled.div`
  display: grid;
  grid-template-columns: minmax(0, 1fr) auto;
  gap: 6px;
`

interface Props {
  state: SessionState
  /** CSS height of the screen. */
  height?: string
  /** The task can be run again from an entry. */
  onFrom?: ((ordinal: number) => void) | undefined
}

/** What an agent said and did, newest last, followed while it grows. */
export function SessionView({ state, height, onFrom }: Props) {
  const { session, loaded, error, complete } = state
  const [follow, setFollow] = useState(true)
  const [opened] = useState(() => new Map<number, boolean>())

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
      <OpenedSteps value={opened}>
        <VirtualList
          count={session.blocks.length}
          rowHeight={STEP}
          measured
          label="Session"
          height={height ?? '420px'}
          follow={follow && !complete}
          onFollow={(now) => setFollow(now)}
          keyOf={(index) => session.blocks[index]?.ordinal ?? index}
          empty={
            <Empty
              title={error ?? (loaded ? 'The agent has not said anything yet' : 'Reading the session…')}
            />
          }
          row={(index) => {
            const block = session.blocks[index]
            if (!block) return null
            if (!onFrom) return <SessionBlock block={block} />
            return (
              <Pointed>
                <SessionBlock block={block} />
                <Button
                  size="s"
                  look="quiet"
                  iconOnly
                  icon={<RotateCcw aria-hidden />}
                  aria-label={`Run again from entry ${block.ordinal}`}
                  onClick={() => onFrom(block.ordinal)}
                />
              </Pointed>
            )
          }}
        />
      </OpenedSteps>
    </div>
  )
}
