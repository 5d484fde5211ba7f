import { Tooltip } from 'radix-ui'
import type { ReactNode } from 'react'
import styled from 'styled-components'
import { t } from './tokens'

const Bubble = styled(Tooltip.Content)`
  z-index: 60;
  max-width: min(360px, 92vw);
  padding: 6px 10px;
  border-radius: ${t.radius.m};
  background: ${t.color.fg};
  color: ${t.color.bg};
  font-size: ${t.text.s};
  line-height: 1.45;
  overflow-wrap: anywhere;
  box-shadow: ${t.shadowHigh};
`

/** A hint on hover and focus. The child must take focus by itself for the hint to be reachable by keyboard. */
export function Tip({ text, children }: { text: ReactNode; children: ReactNode }) {
  return (
    <Tooltip.Root delayDuration={250}>
      <Tooltip.Trigger asChild>{children}</Tooltip.Trigger>
      <Tooltip.Portal>
        <Bubble sideOffset={5} collisionPadding={8}>
          {text}
          <Tooltip.Arrow style={{ fill: 'var(--dt-fg)' }} />
        </Bubble>
      </Tooltip.Portal>
    </Tooltip.Root>
  )
}

export const TipProvider = Tooltip.Provider
