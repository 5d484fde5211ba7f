import { toProblem, useListAttemptCallsQuery } from '@/shared/api'
import { Button, ProblemNotice, SkeletonLines } from '@/shared/ui'
import { CallTable } from './CallTable'

const ASK_EVERY_MS = 3000

interface Props {
  attemptId: string
  /** More calls may come. */
  running: boolean
}

/** What an attempt asked of models, as the engine metered it. */
export function ModelCalls({ attemptId, running }: Props) {
  const { data, error, refetch } = useListAttemptCallsQuery(
    { attemptId },
    { pollingInterval: running ? ASK_EVERY_MS : 0, refetchOnMountOrArgChange: true },
  )
  if (error && !data) {
    return (
      <ProblemNotice
        problem={toProblem(error)}
        action={<Button onClick={() => void refetch()}>Try again</Button>}
      />
    )
  }
  return data ? <CallTable calls={data.calls} /> : <SkeletonLines count={4} height={28} />
}
