import type { ReactNode } from 'react'
import type { Edit } from '@/shared/lib/useEdit'
import { Button } from './Button'
import { FormDialog } from './FormDialog'
import { Notice } from './Notice'

interface Props<D extends object> {
  title: string
  edit: Edit<D>
  /** What fields are called on screen. */
  names: Partial<Record<keyof D, string>>
  onClose: () => void
  children: ReactNode
}

const list = new Intl.ListFormat('en', { type: 'conjunction' })

/** Changes something that exists; says so when somebody else changed it meanwhile, and how to go on. */
export function EditDialog<D extends object>({ title, edit, names, onClose, children }: Props<D>) {
  const { form, theirs, clashes, rebase } = edit
  const called = (fields: (keyof D)[]) =>
    list.format(fields.map((field) => names[field] ?? String(field)).map((name) => `“${name}”`))
  return (
    <FormDialog open onOpenChange={onClose} title={title} form={form} action="Save" wide>
      {theirs.length > 0 && (
        <div style={{ marginBottom: 16 }}>
          <Notice tone="needs_you" title="Somebody changed this while you were editing">
            <p>
              Changed elsewhere: {called(theirs)}.{' '}
              {clashes.length > 0
                ? `You changed ${called(clashes)} too; what you save replaces theirs.`
                : 'What you changed is untouched by that.'}
            </p>
            <div style={{ display: 'flex', flexWrap: 'wrap', gap: 8, marginTop: 8 }}>
              <Button size="s" onClick={() => rebase(true)}>
                Keep what I typed
              </Button>
              <Button size="s" onClick={() => rebase(false)}>
                Take the newest
              </Button>
            </div>
          </Notice>
        </div>
      )}
      {children}
    </FormDialog>
  )
}
