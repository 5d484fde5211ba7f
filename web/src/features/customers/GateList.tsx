import { Plus, Trash2 } from 'lucide-react'
import { useState } from 'react'
import styled from 'styled-components'
import { type ExecutorKind, errorUnder, type GateStage, useListExecutorsQuery } from '@/shared/api'
import { STAGE_NAME } from '@/shared/lib/words'
import { Button, Field, FieldRow, Muted, t } from '@/shared/ui'
import { CHECKS, GATE_TYPE_NAME, type GateDraft, type GateType, NEW_GATE, OTHER_OPTIONS } from './gateDraft'

const Group = styled.fieldset`
  display: grid;
  gap: ${t.space.s};
  min-width: 0;
  margin: 0 0 ${t.space.m};
  padding: 0;
  border: 0;
  & > legend { padding: 0; margin-bottom: 4px; font-size: ${t.text.m}; font-weight: 600; }
`
const One = styled.details`
  min-width: 0;
  border: 1px solid ${t.color.line};
  border-radius: ${t.radius.m};
  background: ${t.color.surface};
  & > summary { display: flex; flex-wrap: wrap; align-items: center; gap: 0 ${t.space.s}; min-height: 34px; padding: 4px 10px; cursor: pointer; font-size: ${t.text.m}; overflow-wrap: anywhere; }
  & > div { padding: ${t.space.s} 10px; border-top: 1px solid ${t.color.line}; }
  &[data-wrong] { border-color: ${t.color.error}; }
  [data-check] { display: flex; gap: 8px; align-items: center; font-size: ${t.text.m}; }
  [data-foot] { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: center; gap: ${t.space.s}; }
  [data-trouble] { color: ${t.color.error}; font-size: ${t.text.s}; font-weight: 500; }
`

const STAGES: readonly GateStage[] = ['pre_execution', 'post_task', 'post_execution']

interface Props {
  gates: GateDraft[]
  errors: Record<string, string>
  onChange: (gates: GateDraft[]) => void
}

/** What must hold before a task's work counts: each gate with the fields of its type. */
export function GateList({ gates, errors, onChange }: Props) {
  const [fresh, setFresh] = useState<number | null>(gates.length === 1 && !gates[0]?.script ? 0 : null)
  const change = (index: number, part: Partial<GateDraft>) =>
    onChange(gates.map((each, at) => (at === index ? { ...each, ...part } : each)))
  return (
    <Group>
      <legend>Gates</legend>
      {gates.map((gate, index) => (
        <GateFields
          key={index}
          gate={gate}
          number={index + 1}
          opened={fresh === index}
          error={errorUnder(errors, `gates.${index}`)}
          onChange={(part) => change(index, part)}
          onRemove={() => {
            setFresh(null)
            onChange(gates.filter((_each, at) => at !== index))
          }}
        />
      ))}
      {errors.gates && <span role="alert">{errors.gates}</span>}
      <div>
        <Button
          size="s"
          icon={<Plus aria-hidden />}
          onClick={() => {
            setFresh(gates.length)
            onChange([...gates, NEW_GATE])
          }}
        >
          Add a gate
        </Button>
      </div>
    </Group>
  )
}

interface GateProps {
  gate: GateDraft
  number: number
  opened: boolean
  error: string | undefined
  onChange: (part: Partial<GateDraft>) => void
  onRemove: () => void
}

function GateFields({ gate, number, opened, error, onChange, onRemove }: GateProps) {
  const builtin = gate.type === 'builtin'
  const afterWork = builtin || gate.type === 'review'
  return (
    <One open={opened || error !== undefined} data-wrong={error !== undefined || undefined}>
      <summary>
        <strong>{gate.name || `Gate ${number}`}</strong>
        <Muted>
          {builtin ? (CHECKS[gate.check]?.title ?? gate.check) : GATE_TYPE_NAME[gate.type]}
          {' · '}
          {STAGE_NAME[afterWork ? 'post_task' : gate.stage].toLowerCase()}
          {!gate.required && ' · only warns'}
        </Muted>
      </summary>
      <div>
        <FieldRow>
          <Field label="Gate name">
            {(control) => (
              <input
                {...control}
                value={gate.name}
                onChange={(event) => onChange({ name: event.target.value })}
              />
            )}
          </Field>
          <Field label="Gate type">
            {(control) => (
              <select
                {...control}
                value={gate.type}
                onChange={(event) => onChange({ type: event.target.value as GateType })}
              >
                {Object.entries(GATE_TYPE_NAME).map(([type, name]) => (
                  <option key={type} value={type}>
                    {name}
                  </option>
                ))}
              </select>
            )}
          </Field>
          {!afterWork && (
            <Field label="When">
              {(control) => (
                <select
                  {...control}
                  value={gate.stage}
                  onChange={(event) => onChange({ stage: event.target.value as GateStage })}
                >
                  {STAGES.map((stage) => (
                    <option key={stage} value={stage}>
                      {STAGE_NAME[stage]}
                    </option>
                  ))}
                </select>
              )}
            </Field>
          )}
        </FieldRow>
        <TypeFields gate={gate} onChange={onChange} />
        <FieldRow>
          <Field label="Time limit, seconds" hint="Empty: the usual.">
            {(control) => (
              <input
                {...control}
                inputMode="decimal"
                value={gate.timeoutSeconds}
                onChange={(event) => onChange({ timeoutSeconds: event.target.value })}
              />
            )}
          </Field>
        </FieldRow>
        {error && <span data-trouble>{error}</span>}
        <div data-foot>
          <label data-check>
            <input
              type="checkbox"
              checked={gate.required}
              onChange={(event) => onChange({ required: event.target.checked })}
            />
            Must hold (else it only warns)
          </label>
          <Button
            size="s"
            look="quiet"
            icon={<Trash2 aria-hidden />}
            aria-label={`Remove gate ${gate.name || number}`}
            onClick={onRemove}
          >
            Remove
          </Button>
        </div>
      </div>
    </One>
  )
}

function TypeFields({ gate, onChange }: Pick<GateProps, 'gate' | 'onChange'>) {
  const text = (key: 'path' | 'pattern' | 'url' | 'expectedStatus' | 'contains') => ({
    value: gate[key],
    'data-mono': true,
    onChange: (event: { target: { value: string } }) => onChange({ [key]: event.target.value }),
  })
  switch (gate.type) {
    case 'command':
      return (
        <Field
          label="Gate script"
          hint="For example python -m pytest -q. It holds when it ends with exit code 0."
        >
          {(control) => (
            <textarea
              {...control}
              data-mono
              rows={2}
              value={gate.script}
              onChange={(event) => onChange({ script: event.target.value, argv: null })}
            />
          )}
        </Field>
      )
    case 'file':
    case 'regex':
      return (
        <FieldRow>
          <Field label="Path" hint="Or a pattern: src/**/*.py">
            {(control) => <input {...control} {...text('path')} />}
          </Field>
          {gate.type === 'regex' && (
            <Field label="Pattern" hint="A regular expression, Python syntax.">
              {(control) => <input {...control} {...text('pattern')} />}
            </Field>
          )}
          <Field label="Expectation">
            {(control) => (
              <select
                {...control}
                value={gate.positive ? 'yes' : 'no'}
                onChange={(event) => onChange({ positive: event.target.value === 'yes' })}
              >
                <option value="yes">{gate.type === 'file' ? 'exists' : 'is found'}</option>
                <option value="no">{gate.type === 'file' ? 'does not exist' : 'is not found'}</option>
              </select>
            )}
          </Field>
        </FieldRow>
      )
    case 'http':
      return (
        <>
          <Field label="Address" hint="The engine asks it, outside any fence.">
            {(control) => <input {...control} {...text('url')} inputMode="url" />}
          </Field>
          <FieldRow>
            <Field label="Expected status">
              {(control) => <input {...control} {...text('expectedStatus')} inputMode="numeric" />}
            </Field>
            <Field label="Answer contains" hint="Empty: anything.">
              {(control) => <input {...control} {...text('contains')} />}
            </Field>
          </FieldRow>
        </>
      )
    case 'review':
      return <ReviewFields gate={gate} onChange={onChange} />
    case 'builtin':
      return <CheckFields gate={gate} onChange={onChange} />
  }
}

/** A second agent, at best with another model than the one that did the work. */
function ReviewFields({ gate, onChange }: Pick<GateProps, 'gate' | 'onChange'>) {
  const { data: known } = useListExecutorsQuery()
  return (
    <FieldRow>
      <Field label="Reviewer" hint="Reads the change against the criteria once all else holds.">
        {(control) => (
          <select
            {...control}
            value={gate.executor}
            onChange={(event) => onChange({ executor: event.target.value as ExecutorKind })}
          >
            {!known && <option value={gate.executor}>{gate.executor}</option>}
            {known?.executors
              .filter(({ name }) => name !== 'command')
              .map(({ name, title }) => (
                <option key={name} value={name}>
                  {title}
                </option>
              ))}
          </select>
        )}
      </Field>
      <Field label="Reviewer's model" hint="Empty: the first that a provider offers.">
        {(control) => (
          <input
            {...control}
            data-mono
            value={gate.model}
            onChange={(event) => onChange({ model: event.target.value })}
          />
        )}
      </Field>
    </FieldRow>
  )
}

function CheckFields({ gate, onChange }: Pick<GateProps, 'gate' | 'onChange'>) {
  const known = CHECKS[gate.check]
  const set = (key: string, value: string) => onChange({ options: { ...gate.options, [key]: value } })
  return (
    <>
      <Field label="Check" hint={known?.hint}>
        {(control) => (
          <select
            {...control}
            value={gate.check}
            onChange={(event) => onChange({ check: event.target.value, options: {} })}
          >
            {!known && <option value={gate.check}>{gate.check}</option>}
            {Object.entries(CHECKS).map(([check, { title }]) => (
              <option key={check} value={check}>
                {title}
              </option>
            ))}
          </select>
        )}
      </Field>
      <FieldRow>
        {known?.options.map(({ key, label, hint, kind }) => (
          <Field key={key} label={label} hint={hint}>
            {(control) =>
              kind === 'lines' ? (
                <textarea
                  {...control}
                  data-mono
                  rows={2}
                  value={gate.options[key] ?? ''}
                  onChange={(event) => set(key, event.target.value)}
                />
              ) : (
                <input
                  {...control}
                  inputMode="decimal"
                  value={gate.options[key] ?? ''}
                  onChange={(event) => set(key, event.target.value)}
                />
              )
            }
          </Field>
        ))}
      </FieldRow>
      {!known && (
        <Field label="Options, JSON">
          {(control) => (
            <textarea
              {...control}
              data-mono
              rows={3}
              value={gate.options[OTHER_OPTIONS] ?? ''}
              onChange={(event) => set(OTHER_OPTIONS, event.target.value)}
            />
          )}
        </Field>
      )}
    </>
  )
}
