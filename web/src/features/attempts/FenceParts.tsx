import { Circle, Eye, ShieldCheck, ShieldOff } from 'lucide-react'
import styled from 'styled-components'
import type { FencePart, FenceView } from '@/shared/api'
import { plural } from '@/shared/lib/format'
import { Muted, t } from '@/shared/ui'

const Root = styled.details`
  margin-top: ${t.space.s};
  summary { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 6px; min-height: 26px; cursor: pointer; font-size: ${t.text.m}; font-weight: 600; }
  svg { width: 15px; height: 15px; flex: none; }
  ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(260px, 100%), 1fr)); gap: 4px ${t.space.l}; padding: ${t.space.s} 0; font-size: ${t.text.m}; }
  li { display: grid; grid-template-columns: 16px minmax(0, 1fr); gap: 2px 6px; overflow-wrap: anywhere; }
  li > svg { margin-top: 2px; }
  [data-state='enforced'] > svg { color: ${t.color.completed}; }
  [data-state='watched'] > svg { color: ${t.color.paused}; }
  [data-state='absent'] > svg { color: ${t.color.muted}; }
  [data-open] { color: ${t.color.error}; }
`
const STATE: Record<FencePart['state'], [typeof Eye, string]> = {
  enforced: [ShieldCheck, 'enforced'],
  watched: [Eye, 'watched'],
  absent: [Circle, 'absent'],
}

/** What closed the attempt's commands in, part by part. */
export function FenceParts({ fence }: { fence: FenceView }) {
  const parts = Object.entries(fence.parts)
  const enforced = parts.filter(([, { state }]) => state === 'enforced').length
  const kind = fence.kind.replaceAll('_', ' ')
  return (
    <Root>
      <summary>
        {fence.inForce ? (
          <>
            <ShieldCheck aria-hidden /> Fence: {kind}
            <Muted>
              {enforced} of {plural(parts.length, 'part')} enforced
            </Muted>
          </>
        ) : (
          <>
            <ShieldOff aria-hidden data-open /> <span data-open>No fence was in force</span>
            <Muted>{kind}</Muted>
          </>
        )}
      </summary>
      <ul aria-label="Parts of the fence">
        {parts.map(([name, { state, mechanism }]) => {
          const [Icon, word] = STATE[state]
          return (
            <li key={name} data-state={state}>
              <Icon aria-hidden />
              <span>
                <strong>{name.replaceAll('_', ' ')}</strong>: {word}
                {mechanism && (
                  <>
                    <br />
                    <Muted>{mechanism}</Muted>
                  </>
                )}
              </span>
            </li>
          )
        })}
      </ul>
    </Root>
  )
}
