import { getRouteApi, Link, useLocation } from '@tanstack/react-router'
import { useSelector } from 'react-redux'
import { AskedFor, AttemptActions, AttemptEvidence, TakenOver } from '@/features/attempts'
import { type AttemptView, toProblem, useGetAttemptQuery } from '@/shared/api'
import { fullTime } from '@/shared/lib/format'
import { usePageTitle } from '@/shared/lib/usePageTitle'
import { useTopic } from '@/shared/live/LiveContext'
import { type LiveRoot, selectAttemptTable, selectCustomer } from '@/shared/state/selectors'
import { Button, Mono, Muted, Notice, OutcomeBadge, Panel, ProblemNotice, SkeletonLines } from '@/shared/ui'
import { Crumbs, Padded, PageTitle } from './parts'

const route = getRouteApi('/shell/attempts/$id')

export function AttemptPage() {
  const { id } = route.useParams()
  const { currentData: attempt, error, refetch } = useGetAttemptQuery({ attemptId: id })
  usePageTitle(attempt ? `Attempt ${attempt.number}: ${attempt.taskTitle}` : undefined)
  if (error && !attempt) {
    return (
      <ProblemNotice
        problem={toProblem(error)}
        action={<Button onClick={() => void refetch()}>Try again</Button>}
      />
    )
  }
  return attempt ? <Attempt fetched={attempt} /> : <SkeletonLines count={3} height={72} />
}

function Attempt({ fetched }: { fetched: AttemptView }) {
  useTopic(`customer:${fetched.customerId}`)
  const { hash } = useLocation()
  const customer = useSelector((state: LiveRoot) => selectCustomer(state, fetched.customerId))
  const live = useSelector((state: LiveRoot) => selectAttemptTable(state, fetched.customerId)[fetched.id])
  const attempt = live && live.version >= fetched.version ? live : fetched
  return (
    <>
      <Crumbs aria-label="Breadcrumb">
        <Link to="/overview">Overview</Link>
        <span aria-hidden>/</span>
        <Link to="/customers/$id" params={{ id: attempt.customerId }}>
          {customer?.name ?? 'Customer'}
        </Link>
        <span aria-hidden>/</span>
        <Link to="/tasks/$id" params={{ id: attempt.taskId }}>
          Task
        </Link>
        <span aria-hidden>/</span>
        <span aria-current="page">Attempt {attempt.number}</span>
      </Crumbs>
      <PageTitle>
        <h1>{attempt.taskTitle}</h1>
        <OutcomeBadge outcome={attempt.outcome} />
        <AttemptActions attempt={attempt} />
      </PageTitle>
      {attempt.takenOverBy && (
        <div style={{ marginBottom: 16 }}>
          <TakenOver attempt={attempt} />
        </div>
      )}
      {attempt.request && (
        <div style={{ marginBottom: 16 }}>
          <AskedFor request={attempt.request} />
        </div>
      )}
      {attempt.awaitingApprovalId && (
        <div style={{ marginBottom: 16 }}>
          <Notice
            tone="needs_you"
            title="The attempt waits for a person"
            action={
              <Link to="/approvals/$id" params={{ id: attempt.awaitingApprovalId }}>
                Show what is asked
              </Link>
            }
          >
            It holds no slot meanwhile, and its time limit stands still.
          </Notice>
        </div>
      )}
      {attempt.reason && (
        <div style={{ marginBottom: 16 }}>
          <Notice tone={attempt.outcome === 'failed' ? 'error' : 'info'} title={attempt.reason.text} />
        </div>
      )}
      <Panel
        title={`Attempt ${attempt.number}`}
        hint={
          <Muted>
            started {fullTime(attempt.startedAt)}
            {attempt.finishedAt && `, finished ${fullTime(attempt.finishedAt)}`} ·{' '}
            <Mono>{attempt.executor}</Mono>
            {attempt.isolation && ` · ${attempt.isolation.replaceAll('_', ' ')}`}
          </Muted>
        }
      >
        <Padded>
          <AttemptEvidence attempt={attempt} hash={hash} />
        </Padded>
      </Panel>
    </>
  )
}
