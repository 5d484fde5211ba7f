import { Link } from '@tanstack/react-router'
import { memo, type ReactNode, useId } from 'react'
import { useSelector } from 'react-redux'
import styled from 'styled-components'
import type { CustomerCard as Card } from '@/shared/api'
import {
  CurrentTaskEssential,
  HealthEssential,
  NeedsYouMark,
  ProgressEssential,
  RemainingEssential,
  StatusEssential,
} from '@/shared/essentials'
import { PRIORITY_NAME, shownStatus } from '@/shared/lib/words'
import { useAsOf } from '@/shared/live/useAsOf'
import { type LiveRoot, selectCard } from '@/shared/state/selectors'
import { FaultBoundary, Muted, t } from '@/shared/ui'

const Root = styled.article`
  display: grid;
  grid-template-columns: minmax(0, 1fr);
  align-content: start;
  gap: 10px;
  min-width: 0;
  padding: 14px 16px 12px 18px;
  border: 1px solid ${t.color.line};
  border-left: 4px dotted ${t.color.lineStrong};
  border-radius: ${t.radius.l};
  background: ${t.color.bg};
  box-shadow: ${t.shadow};
  &[data-status='active'] { border-left: 4px solid ${t.color.active}; }
  &[data-status='paused'] { border-left: 4px dashed ${t.color.paused}; }
  &[data-status='error'] { border-left: 6px double ${t.color.error}; padding-left: 16px; }
  &[data-status='completed'] { border-left: 2px solid ${t.color.completed}; padding-left: 20px; }
  &[data-status='completed_with_failures'] { border-left: 4px dashed ${t.color.error}; }
  &[data-needs-you] { border-left: 6px solid ${t.color.needsYou}; padding-left: 16px; }
  &[data-stale] { font-style: italic; color: ${t.color.muted}; }
  &:focus-within, &:hover { border-top-color: ${t.color.lineStrong}; border-right-color: ${t.color.lineStrong}; border-bottom-color: ${t.color.lineStrong}; }
`
const Head = styled.header`
  display: flex;
  align-items: flex-start;
  gap: ${t.space.s};
  min-width: 0;
  min-height: 24px;
  h2 {
    flex: 1;
    min-width: 0;
    font-size: ${t.text.l};
    font-weight: 650;
    line-height: 1.3;
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  h2 a { color: inherit; text-decoration: none; &:hover { text-decoration: underline; } }
`
const Sub = styled.div`
  display: flex;
  flex-wrap: wrap;
  gap: 2px ${t.space.m};
  margin-top: -6px;
  min-height: 18px;
`
const Pair = styled.div`
  display: grid;
  grid-template-columns: minmax(0, 2fr) minmax(0, 3fr);
  gap: ${t.space.m};
  h3 { color: ${t.color.muted}; font-size: ${t.text.s}; font-weight: 400; }
`
const Foot = styled.footer`
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  justify-content: space-between;
  gap: ${t.space.s};
  padding-top: 10px;
  border-top: 1px solid ${t.color.line};
  & > div { min-width: 0; }
`

interface Props {
  id: string
  renderControls: (card: Card) => ReactNode
}

export const CustomerCard = memo(function CustomerCard({ id, renderControls }: Props) {
  const card = useSelector((state: LiveRoot) => selectCard(state, id))
  const titleId = useId()
  const asOf = useAsOf(5)
  if (!card) return null
  return (
    <Root
      aria-labelledby={titleId}
      data-status={shownStatus(card)}
      data-needs-you={card.needsYou > 0 || undefined}
      data-stale={asOf ? true : undefined}
    >
      <FaultBoundary what={card.name}>
        <Head>
          <h2 id={titleId}>
            <Link to="/customers/$id" params={{ id }} title={card.name} data-nav-item>
              {card.name}
            </Link>
          </h2>
          <StatusEssential card={card} />
        </Head>
        <Sub>
          <Muted>{PRIORITY_NAME[card.priorityClass]}</Muted>
          {card.needsYou > 0 && <NeedsYouMark count={card.needsYou} />}
          {asOf && <Muted>as of {asOf}</Muted>}
        </Sub>
        <ProgressEssential card={card} />
        <Pair>
          <div>
            <h3>Health</h3>
            <HealthEssential card={card} />
          </div>
          <div>
            <h3>Time remaining</h3>
            <RemainingEssential card={card} />
          </div>
        </Pair>
        <Foot>
          <div style={{ flex: '1 1 100%', minWidth: 0 }}>
            <CurrentTaskEssential card={card} />
          </div>
          {renderControls(card)}
        </Foot>
      </FaultBoundary>
    </Root>
  )
})
