import { FolderGit2, Pencil, Plus } from 'lucide-react'
import { useState } from 'react'
import { useSelector } from 'react-redux'
import styled from 'styled-components'
import {
  type Gate,
  type ProjectView,
  useCreateProjectMutation,
  useEditProjectMutation,
  useListExecutorsQuery,
} from '@/shared/api'
import { duration, plural } from '@/shared/lib/format'
import { useWhyNot } from '@/shared/lib/permissions'
import { useEdit } from '@/shared/lib/useEdit'
import { useForm } from '@/shared/lib/useForm'
import { STAGE_NAME } from '@/shared/lib/words'
import { type LiveRoot, selectProjects } from '@/shared/state/selectors'
import { Button, EditDialog, Empty, FormDialog, Mono, Muted, t } from '@/shared/ui'
import { DELIVERY_NAME, ProjectFields } from './ProjectFields'
import {
  checkProject,
  NEW_PROJECT,
  PROJECT_NAMES,
  projectDraftOf,
  projectInput,
  projectPatch,
} from './projectDraft'

const List = styled.ul`
  li { display: grid; gap: 2px; padding: 10px ${t.space.l}; }
  li + li { border-top: 1px solid ${t.color.line}; }
  strong { display: flex; align-items: center; gap: 6px; }
  strong > svg { width: 15px; height: 15px; color: ${t.color.muted}; }
  strong > button { margin-left: auto; }
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
            <EditProject project={project} />
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
      <FormDialog open={open} onOpenChange={setOpen} title="Add a project" form={form} action="Add" wide>
        <ProjectFields form={form} executors={known?.executors ?? []} />
      </FormDialog>
    </>
  )
}

function EditProject({ project }: { project: ProjectView }) {
  const [open, setOpen] = useState(false)
  return (
    <>
      <Button
        look="quiet"
        size="s"
        iconOnly
        icon={<Pencil aria-hidden />}
        aria-label={`Edit project ${project.name}`}
        disabledBecause={useWhyNot('command')}
        onClick={() => setOpen(true)}
      />
      {open && <EditProjectForm project={project} onClose={() => setOpen(false)} />}
    </>
  )
}

function EditProjectForm({ project, onClose }: { project: ProjectView; onClose: () => void }) {
  const [change] = useEditProjectMutation()
  const edit = useEdit({
    latest: project,
    draftOf: projectDraftOf,
    check: checkProject,
    send: (draft, changed, base) =>
      change({
        projectId: project.id,
        'if-match': `"${base.version}"`,
        projectPatch: projectPatch(draft, changed),
      }).unwrap(),
    done: ({ name }) => `Project ${name} changed`,
    onDone: onClose,
  })
  return (
    <EditDialog title={`Edit project ${project.name}`} edit={edit} names={PROJECT_NAMES} onClose={onClose}>
      <ProjectFields form={edit.form} executors={[]} existing />
    </EditDialog>
  )
}
