import type { ReactNode } from 'react'
import type { Form } from '@/shared/lib/useForm'
import { Button } from './Button'
import { Dialog, DialogFoot } from './Dialog'
import { ProblemNotice } from './Notice'

interface Props {
  open: boolean
  onOpenChange: (open: boolean) => void
  title: string
  description?: ReactNode
  form: Pick<Form<never>, 'submit' | 'reset' | 'sending' | 'problem'>
  /** What is asked for, as a verb: the button's name. */
  action: string
  /** What was typed is gone once the dialog is closed; for secrets, and for forms of what exists already. */
  forget?: boolean
  /** Stands beside the refusal: what to do about it. */
  remedy?: ReactNode
  /** As wide as the window allows, up to a page of text. */
  wide?: boolean
  children: ReactNode
}

/** A form in a dialog: its fields, what was refused and why, and one button that sends it. */
export function FormDialog(props: Props) {
  const { open, onOpenChange, title, description, form, action, forget, remedy, wide, children } = props
  return (
    <Dialog
      open={open}
      onOpenChange={(now) => {
        if (forget) form.reset()
        onOpenChange(now)
      }}
      title={title}
      description={description}
      {...(wide ? { wide } : {})}
    >
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault()
          void form.submit()
        }}
      >
        {children}
        <DialogFoot>
          <ProblemNotice problem={form.problem} action={remedy} />
          <Button look="primary" type="submit" pending={form.sending}>
            {action}
          </Button>
        </DialogFoot>
      </form>
    </Dialog>
  )
}
