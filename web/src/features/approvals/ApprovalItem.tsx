import { Link } from '@tanstack/react-router'
import { Check, CircleCheck, CircleX, Hand, Hourglass, X } from 'lucide-react'
import { useId } from 'react'
import { useSelector } from 'react-redux'
import { type ApprovalStatus, type ApprovalView, useAnswerApprovalMutation } from '@/shared/api'
import { ago, duration, fullTime, plural, secondsBetween } from '@/shared/lib/format'
import { useWhyNot } from '@/shared/lib/permissions'
import { useForm } from '@/shared/lib/useForm'
import { useNow } from '@/shared/lib/useNow'
import { type LiveRoot, selectCustomer } from '@/shared/state/selectors'
import { Button, Field, FileChange, InboxItem, Mono, ProblemNotice } from '@/shared/ui'
import { actsOf, asksName, endOf, evidenceOf } from './approval'

const ICON: Record<ApprovalStatus, typeof Hand> = {
  pending: Hand,
  approved: CircleCheck,
  rejected: CircleX,
  expired: Hourglass,
}

interface Props {
  approval: ApprovalView
  showCustomer?: boolean
  /** Its evidence is shown without being asked for. */
  opened?: boolean
}

/** One thing that waits for a person's word, with what it stands on; or how it ended. */
export function ApprovalItem({ approval, showCustomer = false, opened = false }: Props) {
  const titleId = useId()
  const now = useNow()
  const customer = useSelector((state: LiveRoot) => selectCustomer(state, approval.customerId))
  const pending = approval.status === 'pending'
  const Icon = ICON[approval.status]
  const end = endOf(approval)
  return (
    <InboxItem aria-labelledby={titleId} data-approval data-tone={pending ? 'needs_you' : 'quiet'}>
      <h3 id={titleId}>
        <Icon aria-hidden />
        <Link to="/approvals/$id" params={{ id: approval.id }} data-nav-item>
          {approval.title}
        </Link>
      </h3>
      <div data-facts>
        <span>{asksName(approval.asks)}</span>
        {showCustomer && (
          <Link to="/customers/$id" params={{ id: approval.customerId }}>
            {customer?.name ?? 'Customer'}
          </Link>
        )}
        <Link to="/tasks/$id" params={{ id: approval.taskId }}>
          {approval.taskTitle}
        </Link>
        <Link to="/attempts/$id" params={{ id: approval.attemptId }}>
          attempt
        </Link>
        <time dateTime={approval.requestedAt} title={fullTime(approval.requestedAt)}>
          asked {ago(approval.requestedAt, now)}
        </time>
        {pending && (
          <time dateTime={approval.expiresAt} title={fullTime(approval.expiresAt)}>
            {Date.parse(approval.expiresAt) > now
              ? `counts as no in ${duration((Date.parse(approval.expiresAt) - now) / 1000)}`
              : 'its time is over'}
          </time>
        )}
      </div>
      {end && (
        <p data-said>
          {end}
          {approval.answeredAt &&
            ` (${ago(approval.answeredAt, now)}, after ${duration(secondsBetween(approval.requestedAt, approval.answeredAt))})`}
        </p>
      )}
      <Evidence approval={approval} opened={opened || pending} />
      {pending && <Answer approval={approval} />}
    </InboxItem>
  )
}

const LONG = 700

function Evidence({ approval, opened }: { approval: ApprovalView; opened: boolean }) {
  const { paths, tool, changes, other } = evidenceOf(approval)
  const detail = approval.detail.trim()
  const more = Object.keys(other).length > 0
  if (!detail && paths.length === 0 && !tool && changes.length === 0 && !more) return null
  const long = detail.length > LONG || detail.includes('\n\n')
  return (
    <details open={opened}>
      <summary>What it stands on</summary>
      <div data-evidence>
        {detail && !long && <p data-detail>{detail}</p>}
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling part must be reachable by keyboard */}
        {detail && long && <pre tabIndex={0}>{detail}</pre>}
        {tool && (
          <p>
            Tool call: <Mono>{tool}</Mono>
          </p>
        )}
        {paths.length > 0 && (
          <div>
            {plural(paths.length, 'file')}:
            <ul>
              {paths.map((path) => (
                <li key={path}>
                  <Mono>{path}</Mono>
                </li>
              ))}
            </ul>
          </div>
        )}
        {changes.map((change, index) => (
          <FileChange key={index} change={change} />
        ))}
        {more && (
          <p>
            {Object.entries(other).map(([key, value]) => (
              <span key={key}>
                {key}: <Mono>{typeof value === 'string' ? value : JSON.stringify(value)}</Mono>{' '}
              </span>
            ))}
          </p>
        )}
      </div>
    </details>
  )
}

function Answer({ approval }: { approval: ApprovalView }) {
  const [answer] = useAnswerApprovalMutation()
  const notPermitted = useWhyNot('answer_approval')
  const { yes, no, field, hint } = actsOf(approval)
  const form = useForm({
    initial: { text: '', approved: true },
    check: ({ text, approved }): Record<string, string> =>
      approval.asks === 'agent_question' && approved && !text.trim()
        ? { text: 'Write what the agent should know.' }
        : {},
    send: ({ text, approved }, key) =>
      answer({
        approvalId: approval.id,
        'idempotency-key': key,
        answerInput: { approved, ...(text.trim() ? { text: text.trim() } : {}) },
      }).unwrap(),
    done: ({ approved }) => `${approved ? yes : no}: ${approval.title}`,
  })
  const say = (approved: boolean) => {
    form.set('approved', approved)
    void form.submit({ approved })
  }
  return (
    <div>
      <Field label={field} hint={hint} error={form.errors.text}>
        {(control) => (
          <textarea
            {...control}
            rows={2}
            value={form.values.text}
            onChange={(event) => form.set('text', event.target.value)}
          />
        )}
      </Field>
      <div data-acts>
        <Button
          look="primary"
          icon={<Check aria-hidden />}
          data-answer="approve"
          pending={form.sending}
          disabledBecause={notPermitted}
          onClick={() => say(true)}
        >
          {yes}
        </Button>
        <Button
          look="danger"
          icon={<X aria-hidden />}
          data-answer="reject"
          pending={form.sending}
          disabledBecause={notPermitted}
          onClick={() => say(false)}
        >
          {no}
        </Button>
      </div>
      <ProblemNotice problem={form.errors.text ? null : form.problem} />
    </div>
  )
}
