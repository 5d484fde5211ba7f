import { FolderGit2, Plus } from 'lucide-react'
import { useState } from 'react'
import { useSelector } from 'react-redux'
import styled from 'styled-components'
import {
  type DeliveryMode,
  type Gate,
  type ProjectView,
  useCreateProjectMutation,
  useListExecutorsQuery,
} from '@/shared/api'
import { duration, plural } from '@/shared/lib/format'
import { useWhyNot } from '@/shared/lib/permissions'
import { useForm } from '@/shared/lib/useForm'
import { STAGE_NAME } from '@/shared/lib/words'
import { type LiveRoot, selectProjects } from '@/shared/state/selectors'
import { Button, Empty, Field, FieldRow, FormDialog, Mono, Muted, t } from '@/shared/ui'
import { ExecutorChoice } from './ExecutorChoice'
import { checkProject, NEW_PROJECT, projectInput, type TextField } from './newProject'

const DELIVERY_NAME: Record<DeliveryMode, string> = {
  branch: 'Push a branch',
  fast_forward: 'Fast-forward the base branch',
  merge_commit: 'Merge commit on the base branch',
}

const List = styled.ul`
  li { display: grid; gap: 2px; padding: 10px ${t.space.l}; }
  li + li { border-top: 1px solid ${t.color.line}; }
  strong { display: flex; align-items: center; gap: 6px; }
  svg { width: 15px; height: 15px; color: ${t.color.muted}; }
`

export function ProjectList({ customerId }: { customerId: string }) {
  const projects = useSelector((state: LiveRoot) => selectProjects(state, customerId))
  if (projects.length === 0)
    return <Empty title="No project yet">A task needs a repository to work in.</Empty>
  return (
    <List>
      {projects.map((project) => (
        <li key={project.id}>
          <strong>
            <FolderGit2 aria-hidden />
            {project.name}
          </strong>
          <Mono>{project.repository}</Mono>
          <Muted>
            {project.baseBranch} · {DELIVERY_NAME[project.deliveryMode]} · {gateText(project)}
          </Muted>
          <Muted>{workerText(project)}</Muted>
        </li>
      ))}
    </List>
  )
}

function gateText({ gates }: ProjectView): string {
  if (gates.length === 0) return 'no gates'
  const names = gates.map(gateLine)
  return `${plural(gates.length, 'gate')}: ${names.join(', ')}`
}

function gateLine({ name, stage, timeoutSeconds }: Gate): string {
  const facts = [
    stage && STAGE_NAME[stage].toLowerCase(),
    timeoutSeconds !== undefined && `at most ${duration(timeoutSeconds)}`,
  ]
  return `${name} (${facts.filter(Boolean).join(', ')})`
}

/** Who does the tasks, with which model, for how much. */
function workerText({ executor, agentCommand, model, budgetUsd }: ProjectView): string {
  if (executor === 'command') return 'Tasks run their own commands'
  const agent = agentCommand ? agentCommand.join(' ') : executor
  const budget = budgetUsd === null ? 'no budget' : `at most $${budgetUsd} per attempt`
  return `${agent} · ${model ?? 'first model offered'} · ${budget}`
}

export function AddProject({ customerId }: { customerId: string }) {
  const [open, setOpen] = useState(false)
  const { data: known } = useListExecutorsQuery(undefined, { skip: !open })
  const [add] = useCreateProjectMutation()
  const form = useForm({
    initial: NEW_PROJECT,
    check: checkProject,
    send: (values, key) =>
      add({ 'idempotency-key': key, customerId, projectInput: projectInput(values) }).unwrap(),
    done: ({ name }) => `Project ${name} added`,
    onDone: () => setOpen(false),
  })
  const text = (field: TextField, mono = false) => ({
    value: form.values[field],
    'data-mono': mono || undefined,
    onChange: (event: { target: { value: string } }) => form.set(field, event.target.value),
  })
  return (
    <>
      <Button
        size="s"
        icon={<Plus aria-hidden />}
        disabledBecause={useWhyNot('command')}
        onClick={() => setOpen(true)}
      >
        Add project
      </Button>
      <FormDialog open={open} onOpenChange={setOpen} title="Add a project" form={form} action="Add">
        <Field label="Name" error={form.errors.name}>
          {(control) => <input {...control} {...text('name')} />}
        </Field>
        <Field
          label="Repository"
          hint="A path on the engine's machine or a git address."
          error={form.errors.repository}
        >
          {(control) => <input {...control} {...text('repository', true)} />}
        </Field>
        <FieldRow>
          <Field label="Base branch" hint="Empty: the repository's own." error={form.errors.baseBranch}>
            {(control) => <input {...control} {...text('baseBranch', true)} />}
          </Field>
          <Field label="Delivery" error={form.errors.deliveryMode}>
            {(control) => (
              <select
                {...control}
                value={form.values.deliveryMode}
                onChange={(event) => form.set('deliveryMode', event.target.value as DeliveryMode)}
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
        <ExecutorChoice
          executors={known?.executors ?? []}
          chosen={form.values.executor}
          choose={(executor) => form.set('executor', executor)}
          error={form.errors.executor}
        />
        {form.values.executor === 'acp' && (
          <Field
            label="Agent command"
            hint="What starts the agent; it must speak the Agent Client Protocol."
            error={form.errors.agentCommand}
          >
            {(control) => <input {...control} {...text('agentCommand', true)} />}
          </Field>
        )}
        {form.values.executor !== 'command' && (
          <FieldRow>
            <Field label="Model" hint="Empty: the first that a provider offers." error={form.errors.model}>
              {(control) => <input {...control} {...text('model', true)} />}
            </Field>
            <Field
              label="Budget per attempt, US dollars"
              hint="Empty: no limit."
              error={form.errors.budgetUsd}
            >
              {(control) => <input {...control} {...text('budget')} inputMode="decimal" />}
            </Field>
          </FieldRow>
        )}
        <Field label="Gate name" error={form.errors['gates.0.name']}>
          {(control) => <input {...control} {...text('gateName')} />}
        </Field>
        <Field
          label="Gate script"
          hint="Runs after each task, for example python -m pytest -q. Empty: no gate."
          error={form.errors.gates ?? form.errors['gates.0.script']}
        >
          {(control) => (
            <textarea
              {...control}
              data-mono
              rows={2}
              value={form.values.gateScript}
              onChange={(event) => form.set('gateScript', event.target.value)}
            />
          )}
        </Field>
      </FormDialog>
    </>
  )
}
