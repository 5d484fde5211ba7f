import { Plus, Trash2 } from 'lucide-react'
import styled from 'styled-components'
import { Button, t } from '@/shared/ui'
import { type CriterionDraft, EMPTY_CRITERION } from './taskDraft'

const Group = styled.fieldset`
  display: grid;
  gap: ${t.space.s};
  min-width: 0;
  margin: 0 0 ${t.space.m};
  padding: 0;
  border: 0;
  legend { padding: 0; margin-bottom: 4px; font-size: ${t.text.m}; font-weight: 600; }
  [data-error] { color: ${t.color.error}; font-size: ${t.text.s}; }
`
const Line = styled.div`
  display: flex;
  flex-wrap: wrap;
  gap: 6px;
  input, select {
    min-height: 32px;
    padding: 4px 8px;
    border: 1px solid ${t.color.lineStrong};
    border-radius: ${t.radius.m};
    background: ${t.color.bg};
  }
  input { flex: 1 1 140px; min-width: 0; font-family: ${t.mono}; font-size: ${t.text.m}; }
`

/** What was changed is no longer as it is stored. */
function changedCriterion({ stored: _stored, ...each }: CriterionDraft, part: Partial<CriterionDraft>) {
  return { ...each, ...part }
}

interface Props {
  value: CriterionDraft[]
  error: string | undefined
  onChange: (value: CriterionDraft[]) => void
}

/** What must hold for the task to count as done. */
export function Criteria({ value, error, onChange }: Props) {
  const change = (index: number, part: Partial<CriterionDraft>) =>
    onChange(value.map((each, at) => (at === index ? changedCriterion(each, part) : each)))
  return (
    <Group>
      <legend>Acceptance criteria</legend>
      {value.map((each, index) => (
        <Line key={index}>
          <select
            aria-label={`Kind of criterion ${index + 1}`}
            value={each.type}
            onChange={(event) => change(index, { type: event.target.value as CriterionDraft['type'] })}
          >
            <option value="command">Command succeeds</option>
            <option value="file">File</option>
            <option value="regex">Pattern in a file</option>
          </select>
          <input
            aria-label={each.type === 'command' ? `Command ${index + 1}` : `Path ${index + 1}`}
            placeholder={each.type === 'command' ? 'python -m pytest -q' : 'path/in/the/repository'}
            value={each.text}
            onChange={(event) => change(index, { text: event.target.value })}
          />
          {each.type === 'regex' && (
            <input
              aria-label={`Pattern ${index + 1}`}
              placeholder="regular expression"
              value={each.pattern}
              onChange={(event) => change(index, { pattern: event.target.value })}
            />
          )}
          {each.type !== 'command' && (
            <select
              aria-label={`Expectation ${index + 1}`}
              value={each.positive ? 'yes' : 'no'}
              onChange={(event) => change(index, { positive: event.target.value === 'yes' })}
            >
              <option value="yes">{each.type === 'file' ? 'exists' : 'is found'}</option>
              <option value="no">{each.type === 'file' ? 'does not exist' : 'is not found'}</option>
            </select>
          )}
          <Button
            look="quiet"
            iconOnly
            aria-label={`Remove criterion ${index + 1}`}
            icon={<Trash2 aria-hidden />}
            onClick={() => onChange(value.filter((_each, at) => at !== index))}
          />
        </Line>
      ))}
      <div>
        <Button size="s" icon={<Plus aria-hidden />} onClick={() => onChange([...value, EMPTY_CRITERION])}>
          Add a criterion
        </Button>
      </div>
      {error && <span data-error>{error}</span>}
    </Group>
  )
}
