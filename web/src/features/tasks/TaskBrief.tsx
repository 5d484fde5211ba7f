import styled from 'styled-components'
import type { AcceptanceCriterion, TaskCommand, TaskDetail } from '@/shared/api'
import { duration, fullTime, plural } from '@/shared/lib/format'
import { Mono, Muted, Notice, TaskStatusBadge, t } from '@/shared/ui'

const Root = styled.div`
  display: grid;
  gap: ${t.space.m};
  padding: ${t.space.l};
  overflow-wrap: anywhere;
  pre { padding: 10px 12px; border-radius: ${t.radius.m}; background: ${t.color.sunken}; white-space: pre-wrap; font-size: ${t.text.m}; }
  h3 { font-size: ${t.text.m}; margin-bottom: 4px; }
  ul { display: grid; gap: 4px; }
  [data-facts] { display: flex; flex-wrap: wrap; align-items: center; gap: 4px ${t.space.l}; }
  [data-description] { white-space: pre-wrap; }
`

function commandText(command: Pick<TaskCommand, 'argv' | 'script'>): string {
  return command.script ?? command.argv?.join(' ') ?? ''
}

function criterionText(criterion: AcceptanceCriterion): string {
  if (criterion.type === 'command') return `Succeeds: ${commandText(criterion)}`
  if (criterion.type === 'file') {
    return `${criterion.path} ${criterion.exists === false ? 'does not exist' : 'exists'}`
  }
  return `${criterion.path} ${criterion.present === false ? 'does not contain' : 'contains'} /${criterion.pattern}/`
}

/** What is to be done, and when it counts as done. */
export function TaskBrief({ task }: { task: TaskDetail }) {
  return (
    <Root>
      <div data-facts>
        <TaskStatusBadge status={task.status} />
        <Muted>{task.mode}</Muted>
        <Muted>{plural(task.attempts, 'attempt')}</Muted>
        {task.assignee && <Muted>assigned to {task.assignee}</Muted>}
        {task.estimateSeconds !== null && <Muted>estimate {duration(task.estimateSeconds)}</Muted>}
        <Muted>added {fullTime(task.createdAt)}</Muted>
      </div>
      {task.statusReason && (
        <Notice
          tone={task.status === 'failed' || task.status === 'blocked' ? 'needs_you' : 'info'}
          title={task.statusReason.text}
        />
      )}
      {task.description && <p data-description>{task.description}</p>}
      {task.command && (
        <div>
          <h3>Command</h3>
          <pre>{commandText(task.command)}</pre>
          {task.command.timeLimitSeconds != null && (
            <Muted>time limit {duration(task.command.timeLimitSeconds)}</Muted>
          )}
        </div>
      )}
      {task.acceptanceCriteria.length > 0 && (
        <div>
          <h3>Acceptance criteria</h3>
          <ul>
            {task.acceptanceCriteria.map((criterion, index) => (
              <li key={index}>
                <Mono>{criterionText(criterion)}</Mono>
              </li>
            ))}
          </ul>
        </div>
      )}
    </Root>
  )
}
