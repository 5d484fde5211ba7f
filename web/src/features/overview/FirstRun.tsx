import type { ReactNode } from 'react'
import styled from 'styled-components'
import { t } from '@/shared/ui'

const Root = styled.section`
  max-width: 720px;
  margin: ${t.space.xl} auto;
  padding: ${t.space.xl} ${t.space.xxl};
  border: 1px solid ${t.color.line};
  border-radius: ${t.radius.l};
  background: ${t.color.bg};
  h2 { font-size: ${t.text.xl}; margin-bottom: 4px; }
  & > p { color: ${t.color.muted}; margin-bottom: ${t.space.l}; }
  ol { display: grid; gap: ${t.space.l}; margin-bottom: ${t.space.l}; counter-reset: step; }
  li { counter-increment: step; display: grid; grid-template-columns: 28px minmax(0, 1fr); gap: 4px ${t.space.m}; }
  li::before {
    content: counter(step);
    grid-row: span 2;
    display: grid;
    place-items: center;
    width: 26px;
    height: 26px;
    border-radius: 50%;
    background: ${t.color.accentSoft};
    color: ${t.color.accent};
    font-weight: 700;
  }
  pre { grid-column: 2; padding: 8px 12px; border-radius: ${t.radius.m}; background: ${t.color.sunken}; white-space: pre-wrap; overflow-wrap: anywhere; }
  ${t.narrow} { padding: ${t.space.l}; }
`

/** Nothing is here yet: three steps, each with the command that does it. */
export function FirstRun({ action }: { action?: ReactNode }) {
  return (
    <Root aria-labelledby="first-run">
      <h2 id="first-run">Three steps to the first commit</h2>
      <p>No customer is here yet. Each step can be done on this page or on the command line.</p>
      <ol>
        <li>
          <strong>Add a customer</strong>
          <pre>devteam customer add "Acme"</pre>
        </li>
        <li>
          <strong>Connect a git repository as a project</strong>
          <pre>devteam project add "Acme" --repository /path/to/repository</pre>
        </li>
        <li>
          <strong>Queue a task and start</strong>
          <pre>
            {
              'devteam task add "Acme" "Sort the imports" --run "ruff check --select I --fix ."\ndevteam start "Acme"'
            }
          </pre>
        </li>
      </ol>
      {action}
    </Root>
  )
}
