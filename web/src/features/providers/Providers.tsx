import { ArrowUpToLine, KeyRound, Plus, Trash2 } from 'lucide-react'
import { useState } from 'react'
import styled from 'styled-components'
import {
  type ProviderKind,
  type ProviderView,
  toProblem,
  useAddProviderMutation,
  useEditProviderMutation,
  useListProvidersQuery,
} from '@/shared/api'
import { fullTime, plural } from '@/shared/lib/format'
import { useWhyNot } from '@/shared/lib/permissions'
import { runCommand } from '@/shared/lib/runCommand'
import { useForm } from '@/shared/lib/useForm'
import { useNow } from '@/shared/lib/useNow'
import {
  Button,
  ConfirmDialog,
  Empty,
  Field,
  FieldRow,
  FormDialog,
  Mono,
  ProblemNotice,
  SkeletonLines,
  VisuallyHidden,
} from '@/shared/ui'
import { checkProvider, NEW_PROVIDER, providerInput } from './newProvider'
import { Scroll, Table } from './table'

const PROTOCOL: Record<ProviderKind, string> = { openai: 'OpenAI', anthropic: 'Anthropic', google: 'Google' }
const ASK_EVERY_MS = 5000

const Acts = styled.div`
  display: flex;
  gap: 4px;
  justify-content: flex-end;
`

/** Where agents' model calls go, in the order in which providers are tried. */
export function ProviderList() {
  const { data, error, refetch } = useListProvidersQuery(undefined, { pollingInterval: ASK_EVERY_MS })
  const now = useNow()
  if (error && !data) {
    return (
      <ProblemNotice
        problem={toProblem(error)}
        action={<Button onClick={() => void refetch()}>Try again</Button>}
      />
    )
  }
  if (!data) return <SkeletonLines count={2} />
  if (data.providers.length === 0) {
    return (
      <Empty title="No model provider yet">
        Agents need one: add an address that speaks like OpenAI, Anthropic or Google, with its key.
      </Empty>
    )
  }
  return (
    <Scroll tabIndex={0}>
      <Table>
        <thead>
          <tr>
            <th scope="col">Provider</th>
            <th scope="col">State</th>
            <th scope="col">Speaks</th>
            <th scope="col">Models</th>
            <th scope="col">Key</th>
            <th scope="col">
              <VisuallyHidden>Actions</VisuallyHidden>
            </th>
          </tr>
        </thead>
        <tbody>
          {data.providers.map((provider, index) => (
            <Row key={provider.id} provider={provider} first={data.providers[0]} rank={index} now={now} />
          ))}
        </tbody>
      </Table>
    </Scroll>
  )
}

interface RowProps {
  provider: ProviderView
  first: ProviderView | undefined
  rank: number
  now: number
}

function Row({ provider, first, rank, now }: RowProps) {
  const [edit] = useEditProviderMutation()
  const [removing, setRemoving] = useState(false)
  const cannot = useWhyNot('manage_providers')
  const parked = provider.parkedUntil !== null && Date.parse(provider.parkedUntil) > now
  const change = (providerPatch: { position?: number; archived?: boolean }, done: string) =>
    runCommand(edit({ providerId: provider.id, providerPatch }).unwrap(), { done })
  return (
    <tr>
      <td>
        {provider.name}
        <small>
          <Mono>{provider.baseUrl}</Mono>
        </small>
      </td>
      <td>
        <span data-state={parked ? 'parked' : 'ok'}>{parked ? '◐ Parked' : '● In use'}</span>
        {parked && provider.parkedUntil && (
          <small>
            until {fullTime(provider.parkedUntil)}: {provider.parkedReason}
          </small>
        )}
      </td>
      <td>{PROTOCOL[provider.protocol]}</td>
      <td title={provider.models.join('\n')}>
        {provider.models.length === 0 ? 'any' : provider.models.slice(0, 3).join(', ')}
        {provider.models.length > 3 && (
          <small>and {plural(provider.models.length - 3, 'more', 'more')}</small>
        )}
      </td>
      <td>{provider.hasSecret ? 'stored' : 'none'}</td>
      <td>
        <Acts>
          <ReplaceKey provider={provider} />
          <Button
            size="s"
            look="quiet"
            iconOnly
            icon={<ArrowUpToLine aria-hidden />}
            aria-label={`Try ${provider.name} first`}
            disabledBecause={cannot ?? (rank === 0 ? 'It is tried first already.' : null)}
            onClick={() =>
              void change({ position: (first?.position ?? 1) - 1 }, `${provider.name} is tried first`)
            }
          />
          <Button
            size="s"
            look="quiet"
            iconOnly
            icon={<Trash2 aria-hidden />}
            aria-label={`Remove ${provider.name}`}
            disabledBecause={cannot}
            onClick={() => setRemoving(true)}
          />
        </Acts>
        <ConfirmDialog
          open={removing}
          onOpenChange={setRemoving}
          title={`Remove ${provider.name}?`}
          description="No model call goes to it any more, and its key is no longer used. What was spent stays on record."
          action={
            <Button
              look="danger-solid"
              onClick={() => {
                setRemoving(false)
                void change({ archived: true }, `${provider.name} is out of use`)
              }}
            >
              Remove
            </Button>
          }
        >
          {null}
        </ConfirmDialog>
      </td>
    </tr>
  )
}

/** A key is only ever put in; nobody can read it back. */
function ReplaceKey({ provider }: { provider: ProviderView }) {
  const [open, setOpen] = useState(false)
  const [edit] = useEditProviderMutation()
  const form = useForm({
    initial: { secret: '' },
    check: ({ secret }): Record<string, string> => (secret.trim() ? {} : { secret: 'Give the new key.' }),
    send: ({ secret }) =>
      edit({ providerId: provider.id, providerPatch: { secret: secret.trim() } }).unwrap(),
    done: () => `${provider.name} has a new key`,
    onDone: () => setOpen(false),
  })
  return (
    <>
      <Button
        size="s"
        look="quiet"
        iconOnly
        icon={<KeyRound aria-hidden />}
        aria-label={`Replace the key of ${provider.name}`}
        disabledBecause={useWhyNot('manage_providers')}
        onClick={() => setOpen(true)}
      />
      <FormDialog
        open={open}
        onOpenChange={setOpen}
        title={`New key for ${provider.name}`}
        form={form}
        action="Replace"
        forget
      >
        <SecretField
          value={form.values.secret}
          error={form.errors.secret}
          set={(secret) => form.set('secret', secret)}
        />
      </FormDialog>
    </>
  )
}

interface SecretProps {
  value: string
  error: string | undefined
  set: (value: string) => void
}

function SecretField({ value, error, set }: SecretProps) {
  return (
    <Field label="Key" hint="Sealed on the engine's machine. It is never shown again." error={error}>
      {(control) => (
        <input
          {...control}
          type="password"
          autoComplete="new-password"
          spellCheck={false}
          data-mono
          value={value}
          onChange={(event) => set(event.target.value)}
        />
      )}
    </Field>
  )
}

export function AddProvider() {
  const [open, setOpen] = useState(false)
  const [add] = useAddProviderMutation()
  const form = useForm({
    initial: NEW_PROVIDER,
    check: checkProvider,
    send: (values, key) => add({ 'idempotency-key': key, providerInput: providerInput(values) }).unwrap(),
    done: ({ name }) => `Provider ${name} added`,
    onDone: () => setOpen(false),
  })
  const text = (field: 'name' | 'baseUrl') => ({
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
        Add provider
      </Button>
      <FormDialog
        open={open}
        onOpenChange={setOpen}
        title="Add a model provider"
        form={form}
        action="Add"
        forget
      >
        <FieldRow>
          <Field label="Name" error={form.errors.name}>
            {(control) => <input {...control} {...text('name')} />}
          </Field>
          <Field label="Speaks like" error={form.errors.kind}>
            {(control) => (
              <select
                {...control}
                value={form.values.protocol}
                onChange={(event) => form.set('protocol', event.target.value as ProviderKind)}
              >
                {Object.entries(PROTOCOL).map(([kind, name]) => (
                  <option key={kind} value={kind}>
                    {name}
                  </option>
                ))}
              </select>
            )}
          </Field>
        </FieldRow>
        <Field
          label="Address"
          hint="What stands before /chat/completions or /v1/messages."
          error={form.errors.baseUrl}
        >
          {(control) => <input {...control} {...text('baseUrl')} data-mono inputMode="url" />}
        </Field>
        <SecretField
          value={form.values.secret}
          error={form.errors.secret}
          set={(secret) => form.set('secret', secret)}
        />
        <Field
          label="Models"
          hint="One a line, the one to use first. Empty: it is asked for any model."
          error={form.errors.models ?? form.errors['models.0']}
        >
          {(control) => (
            <textarea
              {...control}
              data-mono
              rows={2}
              value={form.values.models}
              onChange={(event) => form.set('models', event.target.value)}
            />
          )}
        </Field>
      </FormDialog>
    </>
  )
}
