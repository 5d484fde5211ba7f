import styled, { keyframes } from 'styled-components'
import { t } from './tokens'

const appear = keyframes`from { opacity: 0 } to { opacity: 1 }`

/** A place-holder in the final geometry; it shows only when loading takes longer than a blink. */
export const Skeleton = styled.div`
  height: var(--h, 16px);
  border-radius: ${t.radius.m};
  background: ${t.color.sunken};
  animation: ${appear} 200ms 150ms both;
`

export function SkeletonLines({ count, height = 40 }: { count: number; height?: number }) {
  return (
    <div role="status" aria-label="Loading" style={{ display: 'grid', gap: 10, padding: 16 }}>
      {Array.from({ length: count }, (_, index) => (
        <Skeleton key={index} style={{ '--h': `${height}px` } as React.CSSProperties} />
      ))}
    </div>
  )
}
