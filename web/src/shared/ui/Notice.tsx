import { CircleX, Hand, Info, Lock } from 'lucide-react'
import type { ReactNode } from 'react'
import styled from 'styled-components'
import { type Problem, problemText } from '@/shared/api'
import { t } from './tokens'

const Root = styled.div`
  display: flex;
  gap: ${t.space.m};
  align-items: flex-start;
  padding: ${t.space.m} ${t.space.l};
  border-radius: ${t.radius.m};
  font-size: ${t.text.m};
  overflow-wrap: anywhere;
  & > svg { flex: none; width: 18px; height: 18px; margin-top: 1px; }
  strong { display: block; }
  & > div { min-width: 0; flex: 1; }
  &[data-tone='info'] { background: ${t.color.sunken}; }
  &[data-tone='error'] { background: ${t.color.errorSoft}; & > svg, strong { color: ${t.color.error}; } }
  &[data-tone='needs_you'] { background: ${t.color.needsYouSoft}; & > svg, strong { color: ${t.color.needsYou}; } }
  &[data-tone='denied'] { background: ${t.color.sunken}; & > svg { color: ${t.color.muted}; } }
`
const ICON = { info: Info, error: CircleX, needs_you: Hand, denied: Lock }

interface NoticeProps {
  tone: keyof typeof ICON
  title: string
  children?: ReactNode
  action?: ReactNode
}

export function Notice({ tone, title, children, action }: NoticeProps) {
  const Icon = ICON[tone]
  return (
    <Root data-tone={tone} role={tone === 'error' ? 'alert' : undefined}>
      <Icon aria-hidden />
      <div>
        <strong>{title}</strong>
        {children}
      </div>
      {action}
    </Root>
  )
}

/** A refusal or fault of the engine, in its own words. */
export function ProblemNotice({ problem, action }: { problem: Problem | null; action?: ReactNode }) {
  if (!problem) return null
  const denied = problem.status === 403
  return (
    <Notice tone={denied ? 'denied' : 'error'} title={problemText(problem)} action={action}>
      {problem.correlationId && <small>Reference {problem.correlationId}</small>}
    </Notice>
  )
}

const Nothing = styled.div`
  display: grid;
  gap: ${t.space.xs};
  justify-items: center;
  padding: ${t.space.xl} ${t.space.l};
  color: ${t.color.muted};
  text-align: center;
  strong { color: ${t.color.fg}; font-weight: 600; }
`

/** Nothing is here, and why, and what to do about it. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <Nothing>
      <strong>{title}</strong>
      {children}
    </Nothing>
  )
}
