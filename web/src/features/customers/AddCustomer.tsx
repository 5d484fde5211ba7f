import { useNavigate } from '@tanstack/react-router'
import { Plus } from 'lucide-react'
import { useState } from 'react'
import { type PriorityClass, useCreateCustomerMutation } from '@/shared/api'
import { useWhyNot } from '@/shared/lib/permissions'
import { useForm } from '@/shared/lib/useForm'
import { PRIORITY_NAME, PRIORITY_WEIGHT } from '@/shared/lib/words'
import { Button, Field, FormDialog } from '@/shared/ui'

const CLASSES = Object.keys(PRIORITY_NAME) as PriorityClass[]

export function PriorityOptions() {
  return CLASSES.map((each) => (
    <option key={each} value={each}>
      {PRIORITY_NAME[each]} (weight {PRIORITY_WEIGHT[each]})
    </option>
  ))
}

export function AddCustomer() {
  const [open, setOpen] = useState(false)
  const [add] = useCreateCustomerMutation()
  const navigate = useNavigate()
  const form = useForm({
    initial: { name: '', priorityClass: 'standard_customer' as PriorityClass },
    check: ({ name }): Record<string, string> => (name.trim() ? {} : { name: 'A customer needs a name.' }),
    send: async (customer, key) => {
      const added = await add({
        'idempotency-key': key,
        customerInput: { ...customer, name: customer.name.trim() },
      }).unwrap()
      void navigate({ to: '/customers/$id', params: { id: added.id } })
    },
    done: ({ name }) => `${name} added`,
    onDone: () => setOpen(false),
  })
  return (
    <>
      <Button
        icon={<Plus aria-hidden />}
        disabledBecause={useWhyNot('create_customer')}
        onClick={() => setOpen(true)}
      >
        Add customer
      </Button>
      <FormDialog open={open} onOpenChange={setOpen} title="Add a customer" form={form} action="Add">
        <Field label="Name" error={form.errors.name}>
          {(control) => (
            <input
              {...control}
              value={form.values.name}
              onChange={(event) => form.set('name', event.target.value)}
            />
          )}
        </Field>
        <Field
          label="Priority class"
          hint="Decides how often the customer's turn comes when slots are scarce."
          error={form.errors.priorityClass}
        >
          {(control) => (
            <select
              {...control}
              value={form.values.priorityClass}
              onChange={(event) => form.set('priorityClass', event.target.value as PriorityClass)}
            >
              <PriorityOptions />
            </select>
          )}
        </Field>
      </FormDialog>
    </>
  )
}
