import { ArrowDown, ArrowUp, Plus, Trash2 } from 'lucide-react'
import styled from 'styled-components'
import { type ExecutorKind, errorUnder, useListExecutorsQuery } from '@/shared/api'
import { Button, Field, FieldRow, More, Muted, t } from '@/shared/ui'
import {
  type ChoiceDraft,
  moved,
  NEW_CHOICE,
  NEW_ROUTE,
  type RouteDraft,
  SIZE_NAME,
  SIZES,
  WORD_FIELDS,
} from './routeDraft'

const Rule = styled.fieldset`
  min-width: 0;
  margin: ${t.space.s} 0;
  padding: ${t.space.s} 10px;
  border: 1px solid ${t.color.line};
  border-radius: ${t.radius.m};
  & > legend { padding: 0 4px; font-size: ${t.text.m}; font-weight: 600; }
  &[data-wrong] { border-color: ${t.color.error}; }
  [data-sizes] { display: flex; flex-wrap: wrap; gap: 4px ${t.space.m}; margin: 0 0 ${t.space.m}; padding: 0; border: 0; font-size: ${t.text.m}; }
  [data-sizes] > legend { padding: 0 0 4px; font-weight: 600; }
  [data-sizes] label { display: flex; gap: 6px; align-items: center; }
  [data-buttons] { display: flex; flex-wrap: wrap; gap: 4px; margin-bottom: ${t.space.s}; }
  [data-trouble] { display: block; margin-bottom: ${t.space.s}; color: ${t.color.error}; font-size: ${t.text.s}; font-weight: 500; }
`

interface Props {
  routes: RouteDraft[]
  errors: Record<string, string>
  onChange: (routes: RouteDraft[]) => void
}

const without = <T,>(list: readonly T[], index: number) => list.filter((_each, at) => at !== index)
const changed = <T,>(list: readonly T[], index: number, part: Partial<T>) =>
  list.map((each, at) => (at === index ? { ...each, ...part } : each))

/** Who does which tasks: the first rule that fits counts, its choices are tried in order. */
export function RouteList({ routes, errors, onChange }: Props) {
  const wrong = errorUnder(errors, 'routes') !== undefined
  return (
    <More open={wrong || routes.length > 0 || undefined}>
      <summary>Rules: who does which tasks</summary>
      <Muted>The first rule that fits a task counts; the project's own executor comes last.</Muted>
      {routes.map((route, index) => (
        <RuleFields
          key={index}
          route={route}
          name={`rule ${index + 1}`}
          place={placeOf(routes, index)}
          error={errorUnder(errors, `routes.${index}`)}
          onChange={(part) => onChange(changed(routes, index, part))}
          onMove={(by) => onChange(moved(routes, index, by))}
          onRemove={() => onChange(without(routes, index))}
        />
      ))}
      {errors.routes && (
        <p role="alert" style={{ color: t.color.error }}>
          {errors.routes}
        </p>
      )}
      <Button
        size="s"
        style={{ margin: '8px 0' }}
        icon={<Plus aria-hidden />}
        onClick={() => onChange([...routes, NEW_ROUTE])}
      >
        Add a rule
      </Button>
    </More>
  )
}

interface Place {
  first: boolean
  last: boolean
}
const placeOf = (list: readonly unknown[], index: number): Place => ({
  first: index === 0,
  last: index === list.length - 1,
})

interface MoveProps {
  name: string
  place: Place
  onMove: (by: -1 | 1) => void
  onRemove: () => void
}

function MoveButtons({ name, place, onMove, onRemove }: MoveProps) {
  const look = { size: 's', look: 'quiet', iconOnly: true } as const
  return (
    <div data-buttons>
      <Button
        {...look}
        icon={<ArrowUp aria-hidden />}
        aria-label={`Move ${name} up`}
        disabledBecause={place.first ? 'It is the first.' : null}
        onClick={() => onMove(-1)}
      />
      <Button
        {...look}
        icon={<ArrowDown aria-hidden />}
        aria-label={`Move ${name} down`}
        disabledBecause={place.last ? 'It is the last.' : null}
        onClick={() => onMove(1)}
      />
      <Button {...look} icon={<Trash2 aria-hidden />} aria-label={`Remove ${name}`} onClick={onRemove} />
    </div>
  )
}

interface RuleProps extends MoveProps {
  route: RouteDraft
  error: string | undefined
  onChange: (part: Partial<RouteDraft>) => void
}

function RuleFields({ route, error, onChange, ...move }: RuleProps) {
  const { choices, sizes } = route
  const setChoices = (next: ChoiceDraft[]) => onChange({ choices: next })
  return (
    <Rule data-wrong={error !== undefined || undefined}>
      <legend>{`R${move.name.slice(1)}`}</legend>
      <MoveButtons {...move} />
      <FieldRow>
        {WORD_FIELDS.map(({ key, label, hint }) => (
          <Field key={key} label={label} hint={hint}>
            {(control) => (
              <input
                {...control}
                value={route[key]}
                onChange={(event) => onChange({ [key]: event.target.value })}
              />
            )}
          </Field>
        ))}
      </FieldRow>
      <fieldset data-sizes>
        <legend>Sizes</legend>
        {SIZES.map((size) => (
          <label key={size}>
            <input
              type="checkbox"
              checked={sizes.includes(size)}
              onChange={(event) =>
                onChange({
                  sizes: SIZES.filter((each) =>
                    each === size ? event.target.checked : sizes.includes(each),
                  ),
                })
              }
            />
            {SIZE_NAME[size]}
          </label>
        ))}
      </fieldset>
      {choices.map((choice, index) => (
        <ChoiceFields
          key={index}
          choice={choice}
          name={`choice ${index + 1} of ${move.name}`}
          number={index + 1}
          place={placeOf(choices, index)}
          onChange={(part) => setChoices(changed(choices, index, part))}
          onMove={(by) => setChoices(moved(choices, index, by))}
          onRemove={() => setChoices(without(choices, index))}
        />
      ))}
      {error && <span data-trouble>{error}</span>}
      <Button size="s" icon={<Plus aria-hidden />} onClick={() => setChoices([...choices, NEW_CHOICE])}>
        Add a choice
      </Button>
    </Rule>
  )
}

interface ChoiceProps extends MoveProps {
  choice: ChoiceDraft
  number: number
  onChange: (part: Partial<ChoiceDraft>) => void
}

function ChoiceFields({ choice, number, onChange, ...move }: ChoiceProps) {
  const { data: known } = useListExecutorsQuery()
  const executors = known?.executors ?? []
  const listed = executors.some(({ name }) => name === choice.executor)
  return (
    <>
      <FieldRow>
        <Field label={`Choice ${number}`}>
          {(control) => (
            <select
              {...control}
              value={choice.executor}
              onChange={(event) => onChange({ executor: event.target.value as ExecutorKind })}
            >
              {!listed && <option value={choice.executor}>{choice.executor}</option>}
              {executors.map(({ name, title, installed }) => (
                <option key={name} value={name}>
                  {title}
                  {!installed && ' (not installed)'}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label={`Model of choice ${number}`} hint="Empty: the usual one.">
          {(control) => (
            <input
              {...control}
              data-mono
              value={choice.model}
              onChange={(event) => onChange({ model: event.target.value })}
            />
          )}
        </Field>
      </FieldRow>
      <MoveButtons {...move} />
    </>
  )
}
