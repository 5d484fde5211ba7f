import type { AttemptView, ExecutorKind, RunAgainInput } from '@/shared/api'
import { useListExecutorsQuery, useRunAttemptAgainMutation } from '@/shared/api'
import { amountOf, clockTime } from '@/shared/lib/format'
import { useForm } from '@/shared/lib/useForm'
import { Field, FieldRow, FormDialog } from '@/shared/ui'
import { useQueuedAgain } from './useQueuedAgain'

interface Draft {
  /** Empty: afresh; `round:2` or `entry:17`: what there was then. */
  from: string
  executor: ExecutorKind | ''
  model: string
  budgetUsd: string
  instructions: string
}

function inputOf({ from, executor, model, budgetUsd, instructions }: Draft): RunAgainInput {
  const [kind, number] = from.split(':')
  return {
    ...(kind === 'round' ? { fromRound: Number(number) } : {}),
    ...(kind === 'entry' ? { fromOrdinal: Number(number) } : {}),
    ...(executor ? { executor } : {}),
    ...(model.trim() ? { model: model.trim() } : {}),
    ...(budgetUsd.trim() ? { budgetUsd: amountOf(budgetUsd) } : {}),
    ...(instructions.trim() ? { instructions: instructions.trim() } : {}),
  }
}

interface Props {
  attempt: AttemptView
  /** The entry of the session to begin at, if it was chosen there. */
  entry?: number | null
  onClose: () => void
}

/** Does the task again from a point of this attempt, as it was or differently. */
export function RunAgain({ attempt, entry = null, onClose }: Props) {
  const [run] = useRunAttemptAgainMutation()
  const { data: known } = useListExecutorsQuery()
  const form = useForm<Draft>({
    initial: {
      from: entry === null ? '' : `entry:${entry}`,
      executor: '',
      model: '',
      budgetUsd: '',
      instructions: '',
    },
    check: ({ budgetUsd }): Record<string, string> =>
      budgetUsd.trim() && !(amountOf(budgetUsd) > 0)
        ? { budgetUsd: 'Give an amount above zero, or leave it empty.' }
        : {},
    send: (draft, key) =>
      run({ attemptId: attempt.id, 'idempotency-key': key, runAgainInput: inputOf(draft) }).unwrap(),
    onDone: useQueuedAgain(attempt.taskId, 'The task is in the queue again', onClose),
  })
  const { values, set, errors } = form
  return (
    <FormDialog
      open
      onOpenChange={onClose}
      title="Run again"
      description="A new attempt at the task; this one and all that is known of it stays."
      form={form}
      action="Run again"
    >
      <Field label="From" error={errors.fromRound ?? errors.fromOrdinal}>
        {(control) => (
          <select {...control} value={values.from} onChange={(event) => set('from', event.target.value)}>
            <option value="">Afresh, on the newest base</option>
            {attempt.rounds.map(({ round, at }) => (
              <option key={round} value={`round:${round}`}>
                After round {round}, {clockTime(at)}
              </option>
            ))}
            {entry !== null && <option value={`entry:${entry}`}>Entry {entry} of the session</option>}
          </select>
        )}
      </Field>
      <FieldRow>
        <Field label="Executor" error={errors.executor}>
          {(control) => (
            <select
              {...control}
              value={values.executor}
              onChange={(event) => set('executor', event.target.value as Draft['executor'])}
            >
              <option value="">As before</option>
              {known?.executors.map(({ name, title, installed }) => (
                <option key={name} value={name}>
                  {title}
                  {!installed && ' (not installed)'}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Model" hint="Empty: as before." error={errors.model}>
          {(control) => (
            <input
              {...control}
              data-mono
              value={values.model}
              onChange={(event) => set('model', event.target.value)}
            />
          )}
        </Field>
        <Field label="Budget, US dollars" hint="Empty: the project's." error={errors.budgetUsd}>
          {(control) => (
            <input
              {...control}
              inputMode="decimal"
              value={values.budgetUsd}
              onChange={(event) => set('budgetUsd', event.target.value)}
            />
          )}
        </Field>
      </FieldRow>
      <Field label="Instructions" hint="What to do differently this time." error={errors.instructions}>
        {(control) => (
          <textarea
            {...control}
            rows={4}
            value={values.instructions}
            onChange={(event) => set('instructions', event.target.value)}
          />
        )}
      </Field>
    </FormDialog>
  )
}
