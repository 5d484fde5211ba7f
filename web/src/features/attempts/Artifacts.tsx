import { Download } from 'lucide-react'
import styled from 'styled-components'
import { toProblem, useListArtifactsQuery } from '@/shared/api'
import { bytes } from '@/shared/lib/format'
import { Button, Empty, Hash, Mono, Muted, ProblemNotice, SkeletonLines, t } from '@/shared/ui'

const List = styled.ul`
  li { display: grid; grid-template-columns: minmax(0, 2fr) 90px minmax(0, 1fr) auto; gap: 2px ${t.space.m}; align-items: center; padding: 6px 0; font-size: ${t.text.m}; overflow-wrap: anywhere; }
  li + li { border-top: 1px solid ${t.color.line}; }
  [data-number] { font-variant-numeric: tabular-nums; text-align: right; }
  ${t.narrow} { li { grid-template-columns: minmax(0, 1fr) auto; } }
`
const Link = styled.a`
  display: inline-flex;
  align-items: center;
  gap: 6px;
  min-height: 28px;
  svg { width: 15px; height: 15px; }
  ${t.touch} { min-height: 44px; }
`
const base = (id: string) => `/api/devteam/attempts/${id}/artifacts`

/** Everything an attempt left, with checksums, one by one or as a whole. */
export function Artifacts({ attemptId }: { attemptId: string }) {
  const { data, error, refetch } = useListArtifactsQuery({ attemptId })
  if (error && !data) {
    return (
      <ProblemNotice
        problem={toProblem(error)}
        action={<Button onClick={() => void refetch()}>Try again</Button>}
      />
    )
  }
  if (!data) return <SkeletonLines count={4} height={28} />
  if (data.artifacts.length === 0) return <Empty title="The attempt left nothing" />
  return (
    <>
      <Link href={`${base(attemptId)}.zip`} download>
        <Download aria-hidden /> All as a zip
      </Link>
      <List aria-label="Artifacts">
        {data.artifacts.map(({ name, bytes: size, mediaType, sha256 }) => (
          <li key={name}>
            <span>
              <Mono>{name}</Mono> <Muted>{mediaType}</Muted>
            </span>
            <span data-number>{bytes(size)}</span>
            <Hash hash={sha256} label="SHA-256" />
            <Link href={`${base(attemptId)}/${encodeURIComponent(name)}`} download={name}>
              <Download aria-hidden /> Download
            </Link>
          </li>
        ))}
      </List>
    </>
  )
}
