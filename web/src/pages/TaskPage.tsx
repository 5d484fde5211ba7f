import { getRouteApi, Link } from '@tanstack/react-router'
import { useEffect, useMemo } from 'react'
import { useSelector } from 'react-redux'
import { AskedFor, AttemptList } from '@/features/attempts'
import { TaskActions, TaskBrief } from '@/features/tasks'
import { type TaskDetail, toProblem, useGetTaskQuery, useListAttemptsOfTaskQuery } from '@/shared/api'
import { usePageTitle } from '@/shared/lib/usePageTitle'
import { useTopic } from '@/shared/live/LiveContext'
import { type LiveRoot, selectAttempts, selectCustomer, selectTaskTable } from '@/shared/state/selectors'
import { Button, Panel, ProblemNotice, SkeletonLines } from '@/shared/ui'
import { Crumbs, PageTitle, Stack } from './parts'

const route = getRouteApi('/shell/tasks/$id')

export function TaskPage() {
  const { id } = route.useParams()
  const { currentData: task, error, refetch } = useGetTaskQuery({ taskId: id })
  usePageTitle(task?.title)
  if (error && !task) {
    return (
      <ProblemNotice
        problem={toProblem(error)}
        action={<Button onClick={() => void refetch()}>Try again</Button>}
      />
    )
  }
  return task ? <Task task={task} onStale={refetch} /> : <SkeletonLines count={3} height={72} />
}

function Task({ task, onStale }: { task: TaskDetail; onStale: () => void }) {
  useTopic(`customer:${task.customerId}`)
  const customer = useSelector((state: LiveRoot) => selectCustomer(state, task.customerId))
  const live = useSelector((state: LiveRoot) => selectTaskTable(state, task.customerId)[task.id])
  const { attempts, request, refetch } = useAttempts(task)
  const stale = live !== undefined && live.version > task.version

  useEffect(() => {
    if (!stale) return
    onStale()
    void refetch()
  }, [stale, onStale, refetch])

  const shown = live ? { ...task, ...live } : task
  return (
    <>
      <Crumbs aria-label="Breadcrumb">
        <Link to="/overview">Overview</Link>
        <span aria-hidden>/</span>
        <Link to="/customers/$id" params={{ id: task.customerId }}>
          {customer?.name ?? 'Customer'}
        </Link>
        <span aria-hidden>/</span>
        <span aria-current="page">Task</span>
      </Crumbs>
      <PageTitle>
        <h1>{shown.title}</h1>
        <TaskActions task={shown} />
      </PageTitle>
      <Stack>
        {request && request.attemptId === null && <AskedFor request={request} />}
        <Panel title="Brief">
          <TaskBrief task={shown} />
        </Panel>
        <Panel title="Attempts">
          <AttemptList attempts={attempts} empty="Not tried yet" />
        </Panel>
      </Stack>
    </>
  )
}

/** The task's attempts, the newest in their live state, and what its next one is asked to do. */
function useAttempts(task: TaskDetail) {
  const { data, refetch } = useListAttemptsOfTaskQuery(
    { taskId: task.id },
    { refetchOnMountOrArgChange: true },
  )
  const live = useSelector((state: LiveRoot) => selectAttempts(state, task.customerId))
  const attempts = useMemo(() => {
    const byId = new Map((data?.attempts ?? []).map((attempt) => [attempt.id, attempt]))
    for (const attempt of live) if (attempt.taskId === task.id) byId.set(attempt.id, attempt)
    return [...byId.values()].sort((a, b) => b.startedAt.localeCompare(a.startedAt))
  }, [data, live, task.id])
  return { attempts, request: data?.request ?? null, refetch }
}
