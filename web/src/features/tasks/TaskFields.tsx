import { useSelector } from 'react-redux'
import {
  type ExecutorKind,
  errorUnder,
  type ProjectView,
  type TaskMode,
  useListExecutorsQuery,
} from '@/shared/api'
import type { Form } from '@/shared/lib/useForm'
import { FINAL_TASK } from '@/shared/lib/words'
import { type LiveRoot, selectTasks } from '@/shared/state/selectors'
import { Field, FieldRow, More } from '@/shared/ui'
import { Criteria } from './Criteria'
import type { TaskDraft } from './taskDraft'

interface Props {
  customerId: string
  projects: ProjectView[]
  form: Form<TaskDraft>
  /** The task exists: its project stays, and its place is changed in the queue. */
  existing?: string
}

/** Whether an agent does the draft's task as far as the page can tell: then there need be no script. */
export function isByAgent(draft: TaskDraft, projects: readonly ProjectView[]): boolean {
  const project = projects.find(({ id }) => id === draft.projectId) ?? projects[0]
  return (draft.executor || project?.executor || 'command') !== 'command'
}

/** The fields of a task, new or existing. */
export function TaskFields({ customerId, projects, form, existing }: Props) {
  const { values, set, errors } = form
  const scripted = !isByAgent(values, projects) || values.script !== ''
  return (
    <>
      <Field label="Title" error={errors.title}>
        {(control) => (
          <input {...control} value={values.title} onChange={(event) => set('title', event.target.value)} />
        )}
      </Field>
      {!existing && projects.length > 1 && (
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
      {scripted && (
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
      )}
      <Field label="Description" error={errors.description}>
        {(control) => (
          <textarea
            {...control}
            rows={scripted ? 2 : 5}
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
      <MoreFields customerId={customerId} form={form} {...(existing ? { existing } : {})} />
    </>
  )
}

function MoreFields({ customerId, form, existing }: Omit<Props, 'projects'>) {
  const tasks = useSelector((state: LiveRoot) => selectTasks(state, customerId))
  const { values, set, errors } = form
  const candidates = tasks.filter(
    (task) => task.id !== existing && (!FINAL_TASK.has(task.status) || values.dependsOn.includes(task.id)),
  )
  return (
    <More>
      <summary>Order, dependencies, limits</summary>
      <FieldRow>
        {!existing && (
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
        )}
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
        <Field label="Priority" error={errors.priority}>
          {(control) => (
            <select
              {...control}
              value={values.priority}
              onChange={(event) => set('priority', event.target.value)}
            >
              {PRIORITIES.map(([value, name]) => (
                <option key={value} value={value}>
                  {name}
                </option>
              ))}
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
      <RouteFields form={form} />
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

const PRIORITIES = [
  ['1', '1, most urgent'],
  ['2', '2'],
  ['3', '3, normal'],
  ['4', '4'],
  ['5', '5, least urgent'],
] as const

/** By what a project's rules choose who does the task, and the choice made by hand. */
function RouteFields({ form }: { form: Form<TaskDraft> }) {
  const { values, set, errors } = form
  const { data: known } = useListExecutorsQuery()
  return (
    <>
      <FieldRow>
        <Field label="Executor" hint="By hand it wins over the project's rules." error={errors.executor}>
          {(control) => (
            <select
              {...control}
              value={values.executor}
              onChange={(event) => set('executor', event.target.value as ExecutorKind | '')}
            >
              <option value="">The project's rules choose</option>
              {values.executor && !known && <option value={values.executor}>{values.executor}</option>}
              {known?.executors.map(({ name, title, installed }) => (
                <option key={name} value={name}>
                  {title}
                  {!installed && ' (not installed)'}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Model" hint="Empty: the project's." error={errors.model}>
          {(control) => (
            <input
              {...control}
              data-mono
              value={values.model}
              onChange={(event) => set('model', event.target.value)}
            />
          )}
        </Field>
      </FieldRow>
      <FieldRow>
        <Field label="Kind of work" hint="One word, for example docs or feature." error={errors.taskKind}>
          {(control) => (
            <input
              {...control}
              value={values.taskKind}
              onChange={(event) => set('taskKind', event.target.value)}
            />
          )}
        </Field>
        <Field label="Labels" hint="One word a line." error={errorUnder(errors, 'labels')}>
          {(control) => (
            <textarea
              {...control}
              rows={2}
              value={values.labels}
              onChange={(event) => set('labels', event.target.value)}
            />
          )}
        </Field>
      </FieldRow>
    </>
  )
}
