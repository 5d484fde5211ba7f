import { Component, type ReactNode, useId } from 'react'
import styled from 'styled-components'
import { Button } from './Button'
import { Notice } from './Notice'
import { t } from './tokens'

const Root = styled.section`
  display: flex;
  flex-direction: column;
  min-width: 0;
  border: 1px solid ${t.color.line};
  border-radius: ${t.radius.l};
  background: ${t.color.bg};
  box-shadow: ${t.shadow};
`
const Head = styled.header`
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: ${t.space.s} ${t.space.m};
  min-height: 46px;
  padding: 7px ${t.space.l};
  border-bottom: 1px solid ${t.color.line};
  h2 { font-size: ${t.text.base}; font-weight: 650; }
  & > div { display: flex; flex-wrap: wrap; align-items: center; gap: ${t.space.s}; margin-left: auto; }
`
const Hint = styled.span`
  color: ${t.color.muted};
  font-size: ${t.text.s};
`

interface PanelProps {
  title: string
  hint?: ReactNode
  actions?: ReactNode
  children: ReactNode
}

/** A titled part of a page. A fault inside stays inside. */
export function Panel({ title, hint, actions, children }: PanelProps) {
  const id = useId()
  return (
    <Root aria-labelledby={id}>
      <Head>
        <h2 id={id}>{title}</h2>
        {hint && <Hint>{hint}</Hint>}
        {actions && <div>{actions}</div>}
      </Head>
      <FaultBoundary what={title}>{children}</FaultBoundary>
    </Root>
  )
}

interface FaultProps {
  what: string
  children: ReactNode
}

/** Keeps a broken part from taking the page down, and offers to draw it again. */
export class FaultBoundary extends Component<FaultProps, { message: string | null }> {
  override state = { message: null as string | null }

  static getDerivedStateFromError(error: unknown) {
    return { message: error instanceof Error ? error.message : String(error) }
  }

  override render() {
    if (this.state.message === null) return this.props.children
    return (
      <Notice
        tone="error"
        title={`${this.props.what} cannot be shown`}
        action={<Button onClick={() => this.setState({ message: null })}>Try again</Button>}
      >
        {this.state.message}
      </Notice>
    )
  }
}
