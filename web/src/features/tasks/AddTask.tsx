import { Plus } from 'lucide-react'
import { useState } from 'react'
import { useSelector } from 'react-redux'
import styled from 'styled-components'
import { type ProjectView, type TaskMode, useAddTaskMutation } from '@/shared/api'
import { useWhyNot } from '@/shared/lib/permissions'
import { type Form, useForm } from '@/shared/lib/useForm'
import { FINAL_TASK } from '@/shared/lib/words'
import { type LiveRoot, selectProjects, selectTasks } from '@/shared/state/selectors'
import { Button, Field, FieldRow, FormDialog, t } from '@/shared/ui'
import { Criteria } from './Criteria'
import { checkDraft, EMPTY_DRAFT, errorUnder, type TaskDraft, toNewTask } from './newTask'

const More = styled.details`
  margin-bottom: ${t.space.m};
  border-top: 1px solid ${t.color.line};
  padding-top: ${t.space.s};
  summary { cursor: pointer; font-weight: 600; font-size: ${t.text.m}; min-height: 28px; color: ${t.color.accent}; }
`

export function AddTask({ customerId }: { customerId: string }) {
  const [open, setOpen] = useState(false)
  const projects = useSelector((state: LiveRoot) => selectProjects(state, customerId))
  const notPermitted = useWhyNot('command')
  const because = notPermitted ?? (projects.length === 0 ? 'Add a project first.' : null)
  const [add] = useAddTaskMutation()
  const placed = (draft: TaskDraft) => ({ ...draft, projectId: draft.projectId || onlyOne(projects) })
  const form = useForm<TaskDraft>({
    initial: EMPTY_DRAFT,
    check: (draft) => checkDraft(placed(draft)),
    send: (draft, key) =>
      add({ customerId, 'idempotency-key': key, taskInput: toNewTask(placed(draft)) }).unwrap(),
    done: () => 'Task added',
    onDone: () => setOpen(false),
  })
  const { values, set, errors } = form
  return (
    <>
      <Button
        look="primary"
        size="s"
        icon={<Plus aria-hidden />}
        disabledBecause={because}
        onClick={() => setOpen(true)}
      >
        Add task
      </Button>
      <FormDialog open={open} onOpenChange={setOpen} title="Add a task" form={form} action="Add to the queue">
        <Field label="Title" error={errors.title}>
          {(control) => (
            <input {...control} value={values.title} onChange={(event) => set('title', event.target.value)} />
          )}
        </Field>
        {projects.length > 1 && (
          <Field label="Project" error={errors.projectId}>
            {(control) => (
              <select
                {...control}
                value={values.projectId}
                onChange={(event) => set('projectId', event.target.value)}
              >
                <option value="">Choose…</option>
                {projects.map((project) => (
                  <option key={project.id} value={project.id}>
                    {project.name}
                  </option>
                ))}
              </select>
            )}
          </Field>
        )}
        <Field
          label="Script to run"
          hint="Runs in a fresh copy of the repository; what it changes is committed."
          error={errorUnder(errors, 'command')}
        >
          {(control) => (
            <textarea
              {...control}
              data-mono
              rows={3}
              placeholder="ruff check --fix ."
              value={values.script}
              onChange={(event) => set('script', event.target.value)}
            />
          )}
        </Field>
        <Field label="Description" error={errors.description}>
          {(control) => (
            <textarea
              {...control}
              rows={2}
              value={values.description}
              onChange={(event) => set('description', event.target.value)}
            />
          )}
        </Field>
        <Criteria
          value={values.criteria}
          error={errorUnder(errors, 'acceptanceCriteria')}
          onChange={(criteria) => set('criteria', criteria)}
        />
        <MoreFields customerId={customerId} form={form} />
      </FormDialog>
    </>
  )
}

/** Where there is but one project, nobody is asked which. */
const onlyOne = (projects: ProjectView[]) => (projects.length === 1 ? (projects[0]?.id ?? '') : '')

function MoreFields({ customerId, form }: { customerId: string; form: Form<TaskDraft> }) {
  const tasks = useSelector((state: LiveRoot) => selectTasks(state, customerId))
  const { values, set, errors } = form
  const candidates = tasks.filter(
    (task) => !FINAL_TASK.has(task.status) || values.dependsOn.includes(task.id),
  )
  return (
    <More>
      <summary>Order, dependencies, limits</summary>
      <FieldRow>
        <Field label="Place in the queue">
          {(control) => (
            <select
              {...control}
              value={values.position}
              onChange={(event) => set('position', event.target.value as TaskDraft['position'])}
            >
              <option value="tail">At the end</option>
              <option value="head">At the top</option>
            </select>
          )}
        </Field>
        <Field label="Mode" error={errors.mode}>
          {(control) => (
            <select
              {...control}
              value={values.mode}
              onChange={(event) => set('mode', event.target.value as TaskMode)}
            >
              <option value="autonomous">Autonomous</option>
              <option value="manual">Manual</option>
            </select>
          )}
        </Field>
      </FieldRow>
      <FieldRow>
        <Field label="Time limit, minutes" error={errors['command.timeLimitSeconds']}>
          {(control) => (
            <input
              {...control}
              inputMode="decimal"
              value={values.timeLimitMinutes}
              onChange={(event) => set('timeLimitMinutes', event.target.value)}
            />
          )}
        </Field>
        <Field label="Estimate, minutes" error={errors.estimateSeconds}>
          {(control) => (
            <input
              {...control}
              inputMode="decimal"
              value={values.estimateMinutes}
              onChange={(event) => set('estimateMinutes', event.target.value)}
            />
          )}
        </Field>
        <Field label="Assignee" hint="A person; the engine leaves it to them." error={errors.assignee}>
          {(control) => (
            <input
              {...control}
              value={values.assignee}
              onChange={(event) => set('assignee', event.target.value)}
            />
          )}
        </Field>
      </FieldRow>
      {candidates.length > 0 && (
        <Field
          label="Depends on"
          hint="It starts once these are completed. Hold Ctrl or Cmd for several."
          error={errorUnder(errors, 'dependsOn')}
        >
          {(control) => (
            <select
              {...control}
              multiple
              size={Math.min(5, candidates.length)}
              value={values.dependsOn}
              onChange={(event) =>
                set(
                  'dependsOn',
                  [...event.target.selectedOptions].map((option) => option.value),
                )
              }
            >
              {candidates.map((task) => (
                <option key={task.id} value={task.id}>
                  {task.title}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
    </More>
  )
}
