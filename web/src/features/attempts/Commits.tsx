import { GitBranch, GitCommitHorizontal, GitMerge, Undo2 } from 'lucide-react'
import styled from 'styled-components'
import type { AttemptView } from '@/shared/api'
import { Hash, Mono, Muted, t } from '@/shared/ui'

const List = styled.dl`
  display: grid;
  grid-template-columns: auto minmax(0, 1fr);
  gap: 2px ${t.space.m};
  align-items: center;
  font-size: ${t.text.m};
  dt { display: flex; align-items: center; gap: 6px; color: ${t.color.muted}; min-height: 28px; }
  svg { width: 14px; height: 14px; }
`

/** Where the attempt's work is found in the project's repository. */
export function Commits({ attempt }: { attempt: AttemptView }) {
  const { branch, baseCommit, commit, mergedCommit, revertCommit, workspacePath, workspaceKept } = attempt
  if (!branch && !commit && !workspacePath) return <Muted>Nothing was delivered.</Muted>
  return (
    <List>
      {branch && (
        <>
          <dt>
            <GitBranch aria-hidden /> Branch
          </dt>
          <dd>
            <Mono>{branch}</Mono>
          </dd>
        </>
      )}
      <CommitLine icon={<GitCommitHorizontal aria-hidden />} name="Delivered" hash={commit} />
      <CommitLine icon={<GitMerge aria-hidden />} name="Merged" hash={mergedCommit} />
      <CommitLine icon={<Undo2 aria-hidden />} name="Reverted by" hash={revertCommit} />
      <CommitLine icon={<GitCommitHorizontal aria-hidden />} name="Base" hash={baseCommit} />
      {workspaceKept && workspacePath && (
        <>
          <dt>Workspace kept</dt>
          <dd>
            <Mono>{workspacePath}</Mono>
          </dd>
        </>
      )}
    </List>
  )
}

function CommitLine({ icon, name, hash }: { icon: React.ReactNode; name: string; hash: string | null }) {
  if (!hash) return null
  return (
    <>
      <dt>
        {icon} {name}
      </dt>
      <dd>
        <Hash hash={hash} label={`${name.toLowerCase()} commit`} />
      </dd>
    </>
  )
}
