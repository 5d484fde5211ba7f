import { ChevronRight } from 'lucide-react'
import { useState } from 'react'
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

type Figures = Pick<ExecutorView, 'attempts' | 'succeeded' | 'medianSeconds' | 'meanCostUsd'>

function Row({ executor }: { executor: ExecutorView }) {
  const { title, name, installed, byKind } = executor
  const [open, setOpen] = useState(false)
  return (
    <>
      <tr>
        <td>
          <Button
            look="quiet"
            size="s"
            iconOnly
            icon={<ChevronRight aria-hidden />}
            aria-expanded={open}
            aria-label={`Figures of ${title} by kind of work`}
            disabledBecause={byKind.length === 0 ? 'It has finished no attempt yet.' : null}
            onClick={() => setOpen(!open)}
          />{' '}
          {title} <Mono>{name}</Mono>
        </td>
        <td>
          <span data-state={installed ? 'ok' : 'missing'}>{installed ? '● Yes' : '○ No'}</span>
          {!installed && executor.package && <small>{executor.package}</small>}
          {installed && executor.installedVersion && <small>{executor.installedVersion}</small>}
        </td>
        <FigureCells figures={executor} />
        <td>{executor.usage}</td>
      </tr>
      {open &&
        byKind.map((figures) => (
          <tr key={figures.kind} data-part>
            <td colSpan={2}>{figures.kind}</td>
            <FigureCells figures={figures} />
            <td />
          </tr>
        ))}
    </>
  )
}

function FigureCells({ figures: { attempts, succeeded, medianSeconds, meanCostUsd } }: { figures: Figures }) {
  return (
    <>
      <td data-number>
        {attempts === 0 ? '–' : percent(succeeded / attempts)}
        <small>
          {succeeded} of {attempts}
        </small>
      </td>
      <td data-number>{medianSeconds === null ? '–' : duration(medianSeconds)}</td>
      <td data-number>{meanCostUsd === null ? '–' : money(meanCostUsd)}</td>
    </>
  )
}
