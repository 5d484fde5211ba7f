import type { DeliveryMode, ExecutorView } from '@/shared/api'
import { errorUnder } from '@/shared/api'
import type { Form } from '@/shared/lib/useForm'
import { Field, FieldRow, More } from '@/shared/ui'
import { ExecutorChoice } from './ExecutorChoice'
import { GateList } from './GateList'
import { GateProposals } from './GateProposals'
import { fieldsFor, type ProjectDraft, type ProjectField, usesOwnAgent } from './projectDraft'
import { RouteList } from './RouteList'

export const DELIVERY_NAME: Record<DeliveryMode, string> = {
  branch: 'Push a branch',
  fast_forward: 'Fast-forward the base branch',
  merge_commit: 'Merge commit on the base branch',
}

interface Props {
  form: Form<ProjectDraft>
  executors: readonly ExecutorView[]
  /** The project exists: where it lies and who works in it stay as they are. */
  existing?: boolean
}

/** The fields of a project, new or existing. */
export function ProjectFields({ form, executors, existing = false }: Props) {
  const { values, set, errors } = form
  const text = (field: 'name' | 'repository' | 'baseBranch' | 'agentCommand', mono = true) => ({
    value: values[field],
    'data-mono': mono || undefined,
    onChange: (event: { target: { value: string } }) => set(field, event.target.value),
  })
  return (
    <>
      <Field label="Name" error={errors.name}>
        {(control) => <input {...control} {...text('name', false)} />}
      </Field>
      {!existing && (
        <Field
          label="Repository"
          hint="A path on the engine's machine or a git address."
          error={errors.repository}
        >
          {(control) => <input {...control} {...text('repository')} />}
        </Field>
      )}
      <FieldRow>
        {!existing && (
          <Field label="Base branch" hint="Empty: the repository's own." error={errors.baseBranch}>
            {(control) => <input {...control} {...text('baseBranch')} />}
          </Field>
        )}
        <Field label="Delivery" error={errors.deliveryMode}>
          {(control) => (
            <select
              {...control}
              value={values.deliveryMode}
              onChange={(event) => set('deliveryMode', event.target.value as DeliveryMode)}
            >
              {Object.entries(DELIVERY_NAME).map(([mode, name]) => (
                <option key={mode} value={mode}>
                  {name}
                </option>
              ))}
            </select>
          )}
        </Field>
      </FieldRow>
      {!existing && (
        <ExecutorChoice
          executors={executors}
          chosen={values.executor}
          choose={(executor) => set('executor', executor)}
          error={errors.executor}
        />
      )}
      {(existing || errors.agentCommand || usesOwnAgent(values)) && (
        <Field
          label="Agent command"
          hint="What starts an agent of your own; it must speak the Agent Client Protocol."
          error={errorUnder(errors, 'agentCommand')}
        >
          {(control) => <input {...control} {...text('agentCommand')} />}
        </Field>
      )}
      <Section form={form} section="work" />
      <RouteList routes={values.routes} errors={errors} onChange={(routes) => set('routes', routes)} />
      {!existing && (
        <GateProposals
          key={`${values.repository} ${values.baseBranch}`}
          repository={values.repository.trim()}
          baseBranch={values.baseBranch.trim()}
          gates={values.gates}
          onChange={(gates) => set('gates', gates)}
        />
      )}
      <GateList gates={values.gates} errors={errors} onChange={(gates) => set('gates', gates)} />
      <Folded form={form} section="delivery" title="Delivery and monitoring" />
      <Folded form={form} section="limits" title="Limits and approvals" />
    </>
  )
}

type SectionProps = Pick<Props, 'form'> & { section: ProjectField['section'] }

const fieldsOf = ({ form, section }: SectionProps) =>
  fieldsFor(form.values.executor).filter((field) => field.section === section)

function Folded({ title, ...props }: SectionProps & { title: string }) {
  const fields = fieldsOf(props)
  if (fields.length === 0) return null
  return (
    <More open={fields.some(({ key }) => errorUnder(props.form.errors, key) !== undefined) || undefined}>
      <summary>{title}</summary>
      <Section {...props} />
    </More>
  )
}

function Section(props: SectionProps) {
  const { form } = props
  return (
    <FieldRow>
      {fieldsOf(props).map((field) => (
        <TextField key={field.key} form={form} field={field} />
      ))}
    </FieldRow>
  )
}

function TextField({ form, field }: { form: Form<ProjectDraft>; field: ProjectField }) {
  const key = field.key as keyof ProjectDraft & (typeof field)['key']
  const value = String(form.values[key] ?? '')
  const onChange = (event: { target: { value: string } }) => form.set(key, event.target.value as never)
  return (
    <Field label={field.label} hint={field.hint} error={errorUnder(form.errors, key)}>
      {(control) =>
        field.kind === 'lines' ? (
          <textarea {...control} data-mono rows={3} value={value} onChange={onChange} />
        ) : (
          <input
            {...control}
            data-mono={field.mono || undefined}
            inputMode={field.kind === 'line' ? undefined : 'decimal'}
            value={value}
            onChange={onChange}
          />
        )
      }
    </Field>
  )
}
