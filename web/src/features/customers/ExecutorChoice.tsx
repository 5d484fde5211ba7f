import type { ExecutorKind, ExecutorView } from '@/shared/api'
import { Field } from '@/shared/ui'

interface Props {
  /** Empty until they are known; the form works without. */
  executors: readonly ExecutorView[]
  chosen: ExecutorKind
  choose: (executor: ExecutorKind) => void
  error: string | undefined
}

/** Who does the tasks: their own commands, or an agent. What is not installed can be chosen, and says so. */
export function ExecutorChoice({ executors, chosen, choose, error }: Props) {
  const current = executors.find(({ name }) => name === chosen)
  const missing = current && !current.installed
  return (
    <Field
      label="Who does the tasks"
      hint={
        missing ? `Not installed on the engine's machine; its package is ${current.package}.` : hintOf(chosen)
      }
      error={error}
    >
      {(control) => (
        <select {...control} value={chosen} onChange={(event) => choose(event.target.value as ExecutorKind)}>
          {executors.length === 0 && <option value={chosen}>The task's own command</option>}
          {executors.map(({ name, title, installed }) => (
            <option key={name} value={name}>
              {title}
              {!installed && ' (not installed)'}
            </option>
          ))}
        </select>
      )}
    </Field>
  )
}

function hintOf(executor: ExecutorKind): string {
  return executor === 'command'
    ? 'Each task brings a script; no model is called.'
    : 'An agent works in a fence; gates decide whether a task is done.'
}
