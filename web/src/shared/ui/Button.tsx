import { LoaderCircle } from 'lucide-react'
import type { ButtonHTMLAttributes, ReactNode, Ref } from 'react'
import styled, { keyframes } from 'styled-components'
import { Tip } from './Tip'
import { t } from './tokens'

const spin = keyframes`to { transform: rotate(360deg) }`

const Root = styled.button`
  display: inline-flex;
  align-items: center;
  justify-content: center;
  gap: 6px;
  min-height: 30px;
  padding: 0 10px;
  border: 1px solid ${t.color.lineStrong};
  border-radius: ${t.radius.m};
  background: ${t.color.bg};
  color: ${t.color.fg};
  font-size: ${t.text.m};
  font-weight: 500;
  line-height: 1.2;
  white-space: nowrap;
  cursor: pointer;
  transition: background 120ms, border-color 120ms;

  svg { width: 15px; height: 15px; flex: none; }
  &:hover { background: ${t.color.sunken}; }
  &:active { transform: translateY(0.5px); }

  &[data-look='primary'] {
    border-color: ${t.color.accent};
    background: ${t.color.accent};
    color: ${t.color.onAccent};
    &:hover { filter: brightness(1.08); }
  }
  &[data-look='danger'] {
    border-color: ${t.color.error};
    color: ${t.color.error};
    &:hover { background: ${t.color.errorSoft}; }
  }
  &[data-look='danger-solid'] {
    border-color: ${t.color.error};
    background: ${t.color.error};
    color: ${t.color.bg};
  }
  &[data-look='quiet'] {
    border-color: transparent;
    background: none;
    color: ${t.color.muted};
    &:hover { background: ${t.color.sunken}; color: ${t.color.fg}; }
  }
  &[data-icon-only] { width: 30px; padding: 0; }
  &[data-size='s'] { min-height: 26px; padding: 0 8px; font-size: ${t.text.s}; }
  &[data-size='s'][data-icon-only] { width: 26px; padding: 0; }
  &[aria-pressed='true'] {
    border-color: ${t.color.accent};
    background: ${t.color.accentSoft};
    color: ${t.color.accent};
  }
  &[aria-disabled='true'] {
    border-color: ${t.color.line};
    background: none;
    color: ${t.color.muted};
    opacity: 0.75;
    cursor: not-allowed;
    filter: none;
  }
  &[data-pending] svg:first-child { animation: ${spin} 0.9s linear infinite; }
  ${t.touch} { min-height: 44px; &[data-icon-only] { width: 44px; } }
`

export type ButtonLook = 'normal' | 'primary' | 'danger' | 'danger-solid' | 'quiet'

export interface ButtonProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, 'disabled'> {
  look?: ButtonLook
  size?: 's' | 'm'
  icon?: ReactNode
  /** Shows only the icon; `aria-label` is then the name. */
  iconOnly?: boolean
  pending?: boolean
  /** Why the button cannot be used; it stays focusable, so that the reason can be read. */
  disabledBecause?: string | null
  ref?: Ref<HTMLButtonElement>
}

export function Button(props: ButtonProps) {
  const {
    look = 'normal',
    size = 'm',
    icon,
    iconOnly,
    pending,
    disabledBecause,
    children,
    onClick,
    ref,
    ...rest
  } = props
  const off = Boolean(disabledBecause) || pending === true
  const button = (
    <Root
      type="button"
      {...rest}
      ref={ref}
      data-look={look}
      data-size={size}
      data-icon-only={iconOnly || undefined}
      data-pending={pending || undefined}
      aria-busy={pending || undefined}
      aria-disabled={off || undefined}
      onClick={(event) => {
        if (off) event.preventDefault()
        else onClick?.(event)
      }}
    >
      {pending ? <LoaderCircle aria-hidden /> : icon}
      {!iconOnly && children}
    </Root>
  )
  const tip = disabledBecause ?? (iconOnly ? rest['aria-label'] : undefined)
  return tip ? <Tip text={tip}>{button}</Tip> : button
}
