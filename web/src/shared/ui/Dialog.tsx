import { X } from 'lucide-react'
import { AlertDialog as RadixAlert, Dialog as RadixDialog } from 'radix-ui'
import { type ReactNode, useRef } from 'react'
import styled, { css } from 'styled-components'
import { Button } from './Button'
import { t } from './tokens'

const overlay = css`
  position: fixed;
  inset: 0;
  z-index: 40;
  background: rgb(10 14 18 / 50%);
`
const sheet = css`
  position: fixed;
  z-index: 41;
  top: 50%;
  left: 50%;
  display: flex;
  flex-direction: column;
  width: min(560px, calc(100vw - 24px));
  max-height: calc(100dvh - 32px);
  transform: translate(-50%, -50%);
  border: 1px solid ${t.color.line};
  border-radius: ${t.radius.l};
  background: ${t.color.bg};
  box-shadow: ${t.shadowHigh};
  &[data-wide] { width: min(820px, calc(100vw - 24px)); }
  &:focus { outline: none; }
`
const Overlay = styled(RadixDialog.Overlay)`${overlay}`
const Sheet = styled(RadixDialog.Content)`${sheet}`
const AlertOverlay = styled(RadixAlert.Overlay)`${overlay}`
const AlertSheet = styled(RadixAlert.Content)`${sheet}`

const Head = styled.div`
  display: flex;
  align-items: center;
  justify-content: space-between;
  gap: ${t.space.m};
  padding: ${t.space.m} ${t.space.m} ${t.space.m} ${t.space.xl};
  border-bottom: 1px solid ${t.color.line};
  h2 { font-size: ${t.text.l}; font-weight: 650; overflow-wrap: anywhere; }
`
const Body = styled.div`
  padding: ${t.space.l} ${t.space.xl};
  overflow-y: auto;
  overflow-wrap: anywhere;
`
const Description = styled.div`
  color: ${t.color.muted};
  margin-bottom: ${t.space.m};
`
export const DialogFoot = styled.div`
  display: flex;
  flex-wrap: wrap;
  justify-content: flex-end;
  gap: ${t.space.s};
  position: sticky;
  bottom: -${t.space.l};
  margin: 0 -${t.space.xl} -${t.space.l};
  padding: ${t.space.m} ${t.space.xl} ${t.space.l};
  background: ${t.color.bg};
  & > [data-tone] { flex: 1 1 100%; }
`

/**
 * Gives the focus back to what had it before the dialog opened; for an entry of a menu, which is gone by then, to
 * the menu's button. Dialogs open by state here, so nothing else knows what opened them.
 */
function useFocusBack() {
  const opener = useRef<HTMLElement | null>(null)
  return {
    onOpenAutoFocus: () => {
      const focused = document.activeElement
      const button = focused?.closest('[role=menu]')?.getAttribute('aria-labelledby')
      const back = button ? document.getElementById(button) : focused
      opener.current = back instanceof HTMLElement ? back : null
    },
    onCloseAutoFocus: (event: Event) => {
      event.preventDefault()
      opener.current?.focus()
    },
  }
}

/** A form is opened to be filled in: begin in its first field, not on the button that closes it. */
function focusFirstField(before: () => void) {
  return (event: Event) => {
    before()
    const sheet = event.currentTarget
    const field =
      sheet instanceof HTMLElement ? sheet.querySelector<HTMLElement>('input, select, textarea') : null
    if (!field) return
    event.preventDefault()
    field.focus()
  }
}

interface DialogProps {
  open: boolean
  onOpenChange: (open: boolean) => void
  title: string
  description?: ReactNode
  wide?: boolean
  children: ReactNode
}

export function Dialog({ open, onOpenChange, title, description, wide, children }: DialogProps) {
  const focusBack = useFocusBack()
  return (
    <RadixDialog.Root open={open} onOpenChange={onOpenChange}>
      <RadixDialog.Portal>
        <Overlay />
        <Sheet
          {...focusBack}
          data-wide={wide || undefined}
          onOpenAutoFocus={focusFirstField(focusBack.onOpenAutoFocus)}
          {...(description ? {} : { 'aria-describedby': undefined })}
        >
          <Head>
            <RadixDialog.Title asChild>
              <h2>{title}</h2>
            </RadixDialog.Title>
            <RadixDialog.Close asChild>
              <Button look="quiet" iconOnly icon={<X aria-hidden />} aria-label="Close" />
            </RadixDialog.Close>
          </Head>
          <Body>
            {description && (
              <RadixDialog.Description asChild>
                <Description>{description}</Description>
              </RadixDialog.Description>
            )}
            {children}
          </Body>
        </Sheet>
      </RadixDialog.Portal>
    </RadixDialog.Root>
  )
}

/** A question before something that cannot be taken back: says the consequence, focus starts on Cancel. */
export function ConfirmDialog(props: DialogProps & { action: ReactNode }) {
  const { open, onOpenChange, title, description, children, action } = props
  const focusBack = useFocusBack()
  return (
    <RadixAlert.Root open={open} onOpenChange={onOpenChange}>
      <RadixAlert.Portal>
        <AlertOverlay />
        <AlertSheet {...focusBack}>
          <Head>
            <RadixAlert.Title asChild>
              <h2>{title}</h2>
            </RadixAlert.Title>
          </Head>
          <Body>
            <RadixAlert.Description asChild>
              <Description>{description}</Description>
            </RadixAlert.Description>
            {children}
            <DialogFoot>
              <RadixAlert.Cancel asChild>
                <Button>Cancel</Button>
              </RadixAlert.Cancel>
              {action}
            </DialogFoot>
          </Body>
        </AlertSheet>
      </RadixAlert.Portal>
    </RadixAlert.Root>
  )
}
