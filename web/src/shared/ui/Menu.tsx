import { DropdownMenu } from 'radix-ui'
import type { ReactNode } from 'react'
import styled from 'styled-components'
import { t } from './tokens'

const List = styled(DropdownMenu.Content)`
  z-index: 50;
  min-width: 190px;
  max-width: min(360px, 92vw);
  max-height: var(--radix-dropdown-menu-content-available-height);
  overflow-y: auto;
  padding: 4px;
  border: 1px solid ${t.color.line};
  border-radius: ${t.radius.m};
  background: ${t.color.bg};
  box-shadow: ${t.shadowHigh};
`
const Entry = styled(DropdownMenu.Item)`
  display: flex;
  align-items: center;
  gap: 8px;
  min-height: 32px;
  padding: 4px 10px;
  border-radius: ${t.radius.s};
  font-size: ${t.text.m};
  cursor: pointer;
  user-select: none;
  outline: none;
  svg { width: 15px; height: 15px; flex: none; }
  &[data-highlighted] { background: ${t.color.accentSoft}; color: ${t.color.accent}; }
  &[data-disabled] { color: ${t.color.muted}; cursor: not-allowed; opacity: 0.7; }
  small { display: block; color: ${t.color.muted}; font-size: ${t.text.s}; }
`
export const MenuSeparator = styled(DropdownMenu.Separator)`
  height: 1px;
  margin: 4px 6px;
  background: ${t.color.line};
`
export const MenuLabel = styled(DropdownMenu.Label)`
  padding: 4px 10px;
  color: ${t.color.muted};
  font-size: ${t.text.s};
`

/** `trigger` is a button; children are `MenuItem`s. */
export function Menu({ trigger, children }: { trigger: ReactNode; children: ReactNode }) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <List align="end" sideOffset={4} collisionPadding={8}>
          {children}
        </List>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}

interface MenuItemProps {
  icon?: ReactNode
  disabledBecause?: string | null
  onSelect: () => void
  children: ReactNode
}

export function MenuItem({ icon, disabledBecause, onSelect, children }: MenuItemProps) {
  return (
    <Entry disabled={Boolean(disabledBecause)} onSelect={onSelect}>
      {icon}
      <span>
        {children}
        {disabledBecause && <small>{disabledBecause}</small>}
      </span>
    </Entry>
  )
}
