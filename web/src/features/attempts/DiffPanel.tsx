import { Columns2, Rows2 } from 'lucide-react'
import { lazy, Suspense, useState } from 'react'
import styled from 'styled-components'
import { type DiffView, toProblem, useGetAttemptDiffQuery } from '@/shared/api'
import { plural } from '@/shared/lib/format'
import { useMedia } from '@/shared/lib/useMedia'
import { Button, Empty, Muted, Notice, ProblemNotice, SkeletonLines, t } from '@/shared/ui'

const DiffFiles = lazy(() => import('./DiffFiles'))

const Bar = styled.div`
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: ${t.space.s};
  margin-bottom: ${t.space.s};
  & > div { margin-left: auto; display: flex; gap: 6px; }
`

interface Props {
  attemptId: string
  /** False: there is no room for old and new side by side. */
  split?: boolean
}

/** What an attempt changed; loaded when it is looked at. */
export function DiffPanel({ attemptId, split: splits = true }: Props) {
  const { data, error, refetch } = useGetAttemptDiffQuery({ attemptId })
  const narrow = useMedia('(max-width: 900px)')
  const [split, setSplit] = useState(false)
  if (error) {
    return (
      <ProblemNotice
        problem={toProblem(error)}
        action={<Button onClick={() => void refetch()}>Try again</Button>}
      />
    )
  }
  if (!data) return <SkeletonLines count={4} height={18} />
  if (data.diff === '') return <Empty title="Nothing was changed" />
  return (
    <>
      <Bar>
        <Muted>
          {plural(data.files.length, 'file')}, +{sum(data.files, 'added')} −{sum(data.files, 'deleted')}
        </Muted>
        {splits && (
          <div>
            <Button
              size="s"
              icon={<Rows2 aria-hidden />}
              aria-pressed={!split || narrow}
              onClick={() => setSplit(false)}
            >
              Unified
            </Button>
            <Button
              size="s"
              icon={<Columns2 aria-hidden />}
              aria-pressed={split && !narrow}
              disabledBecause={narrow ? 'The window is too narrow.' : null}
              onClick={() => setSplit(true)}
            >
              Split
            </Button>
          </div>
        )}
      </Bar>
      {data.truncated && (
        <Notice tone="info" title="The diff is too large to show whole: this is its beginning." />
      )}
      <Suspense fallback={<SkeletonLines count={4} height={18} />}>
        <DiffFiles diff={data.diff} split={split && !narrow} />
      </Suspense>
    </>
  )
}

/** Binary files count no lines. */
function sum(files: DiffView['files'], what: 'added' | 'deleted'): number {
  return files.reduce((total, file) => total + (file[what] ?? 0), 0)
}
