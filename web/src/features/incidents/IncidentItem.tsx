import { Link } from '@tanstack/react-router'
import { Eye, Hand, OctagonAlert, RefreshCw, TriangleAlert } from 'lucide-react'
import { useId, useState } from 'react'
import { useSelector } from 'react-redux'
import {
  type IncidentClass,
  type IncidentView,
  useAcknowledgeIncidentMutation,
  useResolveIncidentMutation,
} from '@/shared/api'
import { ago, fullTime } from '@/shared/lib/format'
import { newKey } from '@/shared/lib/ids'
import { useWhyNot } from '@/shared/lib/permissions'
import { runCommand } from '@/shared/lib/runCommand'
import { useForm } from '@/shared/lib/useForm'
import { useNow } from '@/shared/lib/useNow'
import { type LiveRoot, selectCustomer } from '@/shared/state/selectors'
import { Button, Field, InboxItem, Mono, ProblemNotice } from '@/shared/ui'
import { CLASS_NAME, canAcknowledge, STATUS_NAME } from './incident'

const ICON: Record<IncidentClass, typeof Hand> = {
  CRITICAL: OctagonAlert,
  INTERVENTION_REQUIRED: Hand,
  TASK_FAILURE: TriangleAlert,
  RECOVERABLE: RefreshCw,
}

interface Props {
  incident: IncidentView
  showCustomer?: boolean
  opened?: boolean
}

/** Something that went wrong and matters: what was seen of it, and what can be done. */
export function IncidentItem({ incident, showCustomer = false, opened = false }: Props) {
  const titleId = useId()
  const now = useNow()
  const customer = useSelector((state: LiveRoot) => selectCustomer(state, incident.customerId))
  const settled = incident.status === 'resolved'
  const Icon = ICON[incident.class]
  const tone = settled ? 'quiet' : incident.class === 'CRITICAL' ? 'error' : 'needs_you'
  return (
    <InboxItem aria-labelledby={titleId} data-tone={tone}>
      <h3 id={titleId}>
        <Icon aria-hidden />
        <Link to="/incidents/$id" params={{ id: incident.id }} data-nav-item>
          {incident.title}
        </Link>
      </h3>
      <div data-facts>
        <strong>{CLASS_NAME[incident.class]}</strong>
        <span>{STATUS_NAME[incident.status]}</span>
        {showCustomer && (
          <Link to="/customers/$id" params={{ id: incident.customerId }}>
            {customer?.name ?? 'Customer'}
          </Link>
        )}
        {incident.taskId && (
          <Link to="/tasks/$id" params={{ id: incident.taskId }}>
            {incident.taskTitle ?? 'Task'}
          </Link>
        )}
        {incident.attemptId && (
          <Link to="/attempts/$id" params={{ id: incident.attemptId }}>
            attempt
          </Link>
        )}
        <time dateTime={incident.lastAt} title={fullTime(incident.lastAt)}>
          {ago(incident.lastAt, now)}
        </time>
        {incident.count > 1 && <span>{incident.count} times</span>}
        <Mono>{incident.code}</Mono>
      </div>
      {settled && (
        <p data-said>
          Resolved by {incident.resolvedBy ?? 'the engine'}
          {incident.resolvedAt && `, ${ago(incident.resolvedAt, now)}`}
          {incident.resolution ? `: ${incident.resolution}` : '.'}
        </p>
      )}
      <Evidence evidence={incident.evidence} opened={opened} />
      {!settled && <Acts incident={incident} />}
    </InboxItem>
  )
}

function Evidence({ evidence, opened }: { evidence: IncidentView['evidence']; opened: boolean }) {
  const parts = Object.entries(evidence)
  if (parts.length === 0) return null
  return (
    <details open={opened}>
      <summary>Evidence</summary>
      <div data-evidence>
        {parts.map(([name, value]) => (
          <EvidencePart key={name} name={name} value={value} />
        ))}
      </div>
    </details>
  )
}

function EvidencePart({ name, value }: { name: string; value: unknown }) {
  const label = `${name.replace(/([A-Z])/g, ' $1').toLowerCase()}:`
  if (typeof value !== 'object' || value === null) {
    return (
      <p>
        {label} <Mono>{String(value)}</Mono>
      </p>
    )
  }
  if (Array.isArray(value) && value.every((each) => typeof each !== 'object')) {
    return (
      <div>
        {label}
        <ul>
          {value.map((each, index) => (
            <li key={index}>
              <Mono>{String(each)}</Mono>
            </li>
          ))}
        </ul>
      </div>
    )
  }
  return (
    <div>
      {label}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling part must be reachable by keyboard */}
      <pre tabIndex={0}>{JSON.stringify(value, null, 2)}</pre>
    </div>
  )
}

function Acts({ incident }: { incident: IncidentView }) {
  const [acknowledge, { isLoading }] = useAcknowledgeIncidentMutation()
  const [resolve] = useResolveIncidentMutation()
  const [resolving, setResolving] = useState(false)
  const notPermitted = useWhyNot('command')
  const form = useForm({
    initial: { resolution: '' },
    check: ({ resolution }): Record<string, string> =>
      resolution.trim() ? {} : { resolution: 'Say how it was settled.' },
    send: ({ resolution }, key) =>
      resolve({
        incidentId: incident.id,
        'idempotency-key': key,
        resolutionInput: { resolution: resolution.trim() },
      }).unwrap(),
    done: () => 'Incident resolved',
    onDone: () => setResolving(false),
  })
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault()
        void form.submit()
      }}
    >
      {resolving && (
        <Field label="How it was settled" error={form.errors.resolution}>
          {(control) => (
            <textarea
              {...control}
              // biome-ignore lint/a11y/noAutofocus: it was asked for by the button before
              autoFocus
              rows={2}
              value={form.values.resolution}
              onChange={(event) => form.set('resolution', event.target.value)}
            />
          )}
        </Field>
      )}
      <div data-acts>
        {canAcknowledge(incident) && (
          <Button
            icon={<Eye aria-hidden />}
            pending={isLoading}
            disabledBecause={notPermitted}
            onClick={() =>
              void runCommand(
                acknowledge({ incidentId: incident.id, 'idempotency-key': newKey() }).unwrap(),
                { done: 'Incident acknowledged' },
              )
            }
          >
            Acknowledge
          </Button>
        )}
        {resolving ? (
          <>
            <Button look="primary" type="submit" pending={form.sending}>
              Resolve
            </Button>
            <Button onClick={() => setResolving(false)}>Cancel</Button>
          </>
        ) : (
          <Button disabledBecause={notPermitted} onClick={() => setResolving(true)}>
            Resolve…
          </Button>
        )}
      </div>
      <ProblemNotice problem={form.errors.resolution ? null : form.problem} />
    </form>
  )
}
