import { Plus } from 'lucide-react'
import { useState } from 'react'
import { toProblem, useListPricesQuery, useSetPriceMutation } from '@/shared/api'
import { fullTime } from '@/shared/lib/format'
import { useWhyNot } from '@/shared/lib/permissions'
import { useForm } from '@/shared/lib/useForm'
import { Button, Empty, Field, FieldRow, FormDialog, Mono, ProblemNotice, SkeletonLines } from '@/shared/ui'
import { checkPrice, NEW_PRICE, priceInput } from './newPrice'
import { Scroll, Table } from './table'

/** The prices that were set here; they win over the built-in table. */
export function PriceList() {
  const { data, error, refetch } = useListPricesQuery()
  if (error && !data) {
    return (
      <ProblemNotice
        problem={toProblem(error)}
        action={<Button onClick={() => void refetch()}>Try again</Button>}
      />
    )
  }
  if (!data) return <SkeletonLines count={1} />
  if (data.prices.length === 0) {
    return (
      <Empty title="No price is set here">
        Known models are priced by a built-in table. A budget cannot be kept for one without a price.
      </Empty>
    )
  }
  return (
    <Scroll tabIndex={0}>
      <Table>
        <thead>
          <tr>
            <th scope="col">Model</th>
            <th scope="col" data-number>
              Input
            </th>
            <th scope="col" data-number>
              Cached
            </th>
            <th scope="col" data-number>
              Output
            </th>
            <th scope="col">Set</th>
          </tr>
        </thead>
        <tbody>
          {data.prices.map((price) => (
            <tr key={price.model}>
              <td>
                <Mono>{price.model}</Mono>
              </td>
              <td data-number>{price.inputUsd}</td>
              <td data-number>{price.cachedUsd}</td>
              <td data-number>{price.outputUsd}</td>
              <td>{fullTime(price.setAt)}</td>
            </tr>
          ))}
        </tbody>
      </Table>
    </Scroll>
  )
}

export function SetPrice() {
  const [open, setOpen] = useState(false)
  const [set] = useSetPriceMutation()
  const form = useForm({
    initial: NEW_PRICE,
    check: checkPrice,
    send: (values) => set({ priceInput: priceInput(values) }).unwrap(),
    done: ({ model }) => `${model.trim()} has a price`,
    onDone: () => setOpen(false),
  })
  const text = (field: keyof typeof NEW_PRICE) => ({
    value: form.values[field],
    onChange: (event: { target: { value: string } }) => form.set(field, event.target.value),
  })
  return (
    <>
      <Button
        size="s"
        icon={<Plus aria-hidden />}
        disabledBecause={useWhyNot('manage_providers')}
        onClick={() => setOpen(true)}
      >
        Set price
      </Button>
      <FormDialog open={open} onOpenChange={setOpen} title="Set a model's price" form={form} action="Set">
        <Field label="Model" error={form.errors.model}>
          {(control) => <input {...control} {...text('model')} data-mono />}
        </Field>
        <FieldRow>
          <Field label="Input" error={form.errors.inputUsd}>
            {(control) => <input {...control} {...text('inputUsd')} inputMode="decimal" />}
          </Field>
          <Field label="Cached" hint="Empty: as input." error={form.errors.cachedUsd}>
            {(control) => <input {...control} {...text('cachedUsd')} inputMode="decimal" />}
          </Field>
          <Field label="Output" error={form.errors.outputUsd}>
            {(control) => <input {...control} {...text('outputUsd')} inputMode="decimal" />}
          </Field>
        </FieldRow>
      </FormDialog>
    </>
  )
}
