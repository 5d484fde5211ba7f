import { Send } from 'lucide-react'
import styled from 'styled-components'
import { type GuidanceView, useGuideAttemptMutation } from '@/shared/api'
import { clockTime } from '@/shared/lib/format'
import { useWhyNot } from '@/shared/lib/permissions'
import { useForm } from '@/shared/lib/useForm'
import { Button, Field, Muted, ProblemNotice, t } from '@/shared/ui'

const Root = styled.form`
  padding: ${t.space.m} ${t.space.m} ${t.space.s};
  border-top: 1px solid ${t.color.line};
  textarea { min-height: 52px; }
  ul { display: grid; gap: 4px; margin-bottom: ${t.space.s}; font-size: ${t.text.m}; overflow-wrap: anywhere; }
  & > [data-foot] { display: flex; flex-wrap: wrap; align-items: center; gap: ${t.space.s}; }
  & > [data-foot] > button { margin-left: auto; }
`

/** What a person adds while an agent works; it hears it at its next step, or its turn is ended for it. */
export function Guidance({ attemptId, waiting }: { attemptId: string; waiting: readonly GuidanceView[] }) {
  const [guide] = useGuideAttemptMutation()
  const form = useForm({
    initial: { text: '' },
    check: ({ text }): Record<string, string> =>
      text.trim() ? {} : { text: 'Say what the agent should know.' },
    send: ({ text }, key) =>
      guide({ 'idempotency-key': key, attemptId, guidanceInput: { text: text.trim() } }).unwrap(),
  })
  return (
    <Root
      aria-label="Guidance"
      noValidate
      onSubmit={(event) => {
        event.preventDefault()
        void form.submit()
      }}
    >
      {waiting.length > 0 && (
        <ul aria-label="Guidance that waits for the agent">
          {waiting.map(({ id, text, author, at }) => (
            <li key={id}>
              <Muted>
                {author}, {clockTime(at)}, waits for the agent:
              </Muted>{' '}
              {text}
            </li>
          ))}
        </ul>
      )}
      <Field label="Add guidance" error={form.errors.text}>
        {(control) => (
          <textarea
            {...control}
            rows={2}
            value={form.values.text}
            onChange={(event) => form.set('text', event.target.value)}
          />
        )}
      </Field>
      <div data-foot>
        <Muted>The agent hears it at its next step.</Muted>
        <Button
          size="s"
          type="submit"
          icon={<Send aria-hidden />}
          pending={form.sending}
          disabledBecause={useWhyNot('guide_attempt')}
        >
          Send
        </Button>
      </div>
      <ProblemNotice problem={form.errors.text ? null : form.problem} />
    </Root>
  )
}
