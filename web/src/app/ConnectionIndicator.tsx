import { useSelector } from 'react-redux'
import styled from 'styled-components'
import type { ConnectionStatus } from '@/shared/live/realtimeClient'
import { useAsOf } from '@/shared/live/useAsOf'
import { selectConnection, selectEngineConnected } from '@/shared/state/selectors'
import { t } from '@/shared/ui'

const Root = styled.div`
  display: inline-flex;
  align-items: center;
  gap: 7px;
  font-size: ${t.text.s};
  color: ${t.color.muted};
  white-space: nowrap;
  &::before {
    content: '';
    width: 9px;
    height: 9px;
    border-radius: 50%;
    border: 2px solid ${t.color.completed};
    background: ${t.color.completed};
  }
  &[data-connection='reconnecting']::before, &[data-connection='connecting']::before {
    border-style: dashed;
    border-color: ${t.color.paused};
    background: none;
  }
  &[data-connection='disconnected'] { color: ${t.color.error}; font-weight: 600; }
  &[data-connection='disconnected']::before { border-color: ${t.color.error}; border-radius: 1px; background: none; }
`

const WORD: Record<ConnectionStatus, string> = {
  connecting: 'Connecting',
  connected: 'Connected',
  reconnecting: 'Reconnecting',
  disconnected: 'Disconnected',
}

export function ConnectionIndicator() {
  const status = useSelector(selectConnection)
  return (
    <Root role="status" aria-label="Connection" data-connection={status}>
      {WORD[status]}
    </Root>
  )
}

const Bar = styled.div`
  padding: 5px ${t.space.l};
  background: ${t.color.pausedSoft};
  color: ${t.color.paused};
  font-size: ${t.text.m};
  font-style: italic;
  text-align: center;
`

/** How old the page is, as soon as it is older than it looks. */
export function StaleBar() {
  const asOf = useAsOf(5)
  const engineConnected = useSelector(selectEngineConnected)
  if (!engineConnected)
    return <Bar>The engine cannot reach its database at the moment: what is shown may be old.</Bar>
  if (!asOf) return null
  return <Bar>Data as of {asOf}. The live connection is away and is being taken up again.</Bar>
}
