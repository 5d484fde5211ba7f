import { type ExecutorView, toProblem, useListExecutorsQuery } from '@/shared/api'
import { duration, money, percent } from '@/shared/lib/format'
import { Button, Mono, ProblemNotice, SkeletonLines } from '@/shared/ui'
import { Scroll, Table } from './table'

/** What can do the work of tasks, whether it is here, and how it did so far. */
export function ExecutorTable() {
  const { data, error, refetch } = useListExecutorsQuery()
  if (error && !data) {
    return (
      <ProblemNotice
        problem={toProblem(error)}
        action={<Button onClick={() => void refetch()}>Try again</Button>}
      />
    )
  }
  if (!data) return <SkeletonLines count={4} />
  return (
    <Scroll tabIndex={0}>
      <Table>
        <thead>
          <tr>
            <th scope="col">Executor</th>
            <th scope="col">Installed</th>
            <th scope="col" data-number>
              Succeeded
            </th>
            <th scope="col" data-number>
              Median time
            </th>
            <th scope="col" data-number>
              Mean cost
            </th>
            <th scope="col">Its own figures</th>
          </tr>
        </thead>
        <tbody>
          {data.executors.map((executor) => (
            <Row key={executor.name} executor={executor} />
          ))}
        </tbody>
      </Table>
    </Scroll>
  )
}

function Row({ executor }: { executor: ExecutorView }) {
  const { attempts, succeeded, medianSeconds, meanCostUsd } = executor
  return (
    <tr>
      <td>
        {executor.title} <Mono>{executor.name}</Mono>
      </td>
      <td>
        <span data-state={executor.installed ? 'ok' : 'missing'}>
          {executor.installed ? '● Yes' : '○ No'}
        </span>
        {!executor.installed && executor.package && <small>{executor.package}</small>}
      </td>
      <td data-number>
        {attempts === 0 ? '–' : percent(succeeded / attempts)}
        <small>
          {succeeded} of {attempts}
        </small>
      </td>
      <td data-number>{medianSeconds === null ? '–' : duration(medianSeconds)}</td>
      <td data-number>{meanCostUsd === null ? '–' : money(meanCostUsd)}</td>
      <td>{executor.usage}</td>
    </tr>
  )
}
