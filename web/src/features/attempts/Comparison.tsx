import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import styled from 'styled-components'
import { type AttemptComparison, type GateResult, toProblem, useCompareAttemptsQuery } from '@/shared/api'
import { duration, fullTime, plural } from '@/shared/lib/format'
import { STAGE_NAME } from '@/shared/lib/words'
import { Button, Empty, Hash, Mono, Muted, OutcomeBadge, ProblemNotice, SkeletonLines, t } from '@/shared/ui'
import { DiffPanel } from './DiffPanel'
import { testsText } from './GateResults'
import { usedText } from './used'

const Scroll = styled.div`
  position: relative;
  overflow-x: auto;
`
const Table = styled.table`
  width: 100%;
  border-collapse: collapse;
  table-layout: fixed;
  min-width: 560px;
  font-size: ${t.text.m};
  overflow-wrap: anywhere;
  th, td { padding: 7px ${t.space.l}; border-top: 1px solid ${t.color.line}; text-align: left; vertical-align: top; }
  th { color: ${t.color.muted}; font-weight: 400; }
  thead th { border-top: 0; color: ${t.color.fg}; font-weight: 600; }
  th:first-child { width: 24%; }
  tr[data-same='false'] > th { color: ${t.color.fg}; font-weight: 600; }
  [data-passed='true'] { color: ${t.color.completed}; font-weight: 600; }
  [data-passed='false'] { color: ${t.color.error}; font-weight: 600; }
  p { white-space: pre-wrap; }
  ${t.narrow} {
    min-width: 0;
    tr { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); border-top: 1px solid ${t.color.line}; padding: 6px 0; }
    th, td, th:first-child { width: auto; padding: 2px ${t.space.m}; border: 0; }
    tr > :first-child { grid-column: 1 / -1; }
    td + td, th + th + th { border-left: 1px solid ${t.color.line}; }
  }
`
const Diffs = styled.div`
  display: grid;
  grid-template-columns: repeat(2, minmax(0, 1fr));
  gap: ${t.space.l};
  padding: ${t.space.l};
  border-top: 1px solid ${t.color.line};
  h3 { margin-bottom: ${t.space.s}; font-size: ${t.text.m}; font-weight: 600; }
  @media (max-width: 900px) { grid-template-columns: minmax(0, 1fr); }
`

interface Props {
  id: string
  other: string
}

/** Two attempts at one task side by side. */
export function Comparison({ id, other }: Props) {
  const { currentData, error, refetch } = useCompareAttemptsQuery({ attemptId: id, otherId: other })
  if (error && !currentData) {
    return (
      <ProblemNotice
        problem={toProblem(error)}
        action={<Button onClick={() => void refetch()}>Try again</Button>}
      />
    )
  }
  return currentData ? <Compared compared={currentData} /> : <SkeletonLines count={6} />
}

type Side = AttemptComparison['left']

const FACTS: readonly [string, (side: Side) => ReactNode][] = [
  ['Outcome', ({ attempt }) => <OutcomeBadge outcome={attempt.outcome} />],
  ['Why', ({ attempt }) => attempt.reason?.text ?? '–'],
  ['Started', ({ attempt }) => fullTime(attempt.startedAt)],
  ['Time', ({ seconds }) => (seconds === null ? '–' : duration(seconds))],
  ['Executor', ({ attempt }) => attempt.executor],
  ['Models', ({ models, attempt }) => models.join(', ') || attempt.model || '–'],
  ['Why this executor', ({ attempt }) => attempt.route ?? '–'],
  ['Model calls', ({ attempt }) => usedText(attempt)],
  ['Rounds', ({ attempt }) => String(attempt.round)],
  [
    'Change',
    ({ attempt }) =>
      attempt.filesChanged === null
        ? '–'
        : `${plural(attempt.filesChanged, 'file')} +${attempt.linesAdded ?? 0} −${attempt.linesDeleted ?? 0}`,
  ],
  ['Delivered', ({ attempt }) => (attempt.commit ? <Hash hash={attempt.commit} /> : '–')],
  ['Asked for', ({ attempt }) => attempt.request?.instructions ?? '–'],
]

function Compared({ compared }: { compared: AttemptComparison }) {
  const { left, right, gates, files } = compared
  const head = (first: string) => (
    <thead>
      <tr>
        <th scope="col">{first}</th>
        {[left, right].map(({ attempt }) => (
          <th key={attempt.id} scope="col">
            <Link to="/attempts/$id" params={{ id: attempt.id }}>
              Attempt {attempt.number}
            </Link>
          </th>
        ))}
      </tr>
    </thead>
  )
  return (
    <Scroll tabIndex={0}>
      <Table aria-label="Facts">
        {head('')}
        <tbody>
          {FACTS.map(([name, of]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{of(left)}</td>
              <td>{of(right)}</td>
            </tr>
          ))}
        </tbody>
      </Table>
      <Table aria-label="Gates">
        {head('Gates')}
        <tbody>
          {gates.map((gate) => (
            <tr key={`${gate.stage}/${gate.name}`} data-same={gate.left?.passed === gate.right?.passed}>
              <th scope="row">
                {gate.name} <Muted>{STAGE_NAME[gate.stage as GateResult['stage']] ?? gate.stage}</Muted>
              </th>
              <td>
                <Verdict gate={gate.left} />
              </td>
              <td>
                <Verdict gate={gate.right} />
              </td>
            </tr>
          ))}
        </tbody>
      </Table>
      {gates.length === 0 && <Empty title="No gate has run in either" />}
      <Table aria-label="Files">
        {head('Files')}
        <tbody>
          {files.map(({ path, left: before, right: after, same }) => (
            <tr key={path} data-same={same !== false}>
              <th scope="row">
                <Mono>{path}</Mono> {same === true && <Muted>the same</Muted>}
              </th>
              <td>{statText(before)}</td>
              <td>{statText(after)}</td>
            </tr>
          ))}
        </tbody>
      </Table>
      {files.length === 0 && <Empty title="Neither changed a file" />}
      {(left.diffTruncated || right.diffTruncated) && (
        <Muted>A change is too large to be compared whole; files may be missing here.</Muted>
      )}
      {files.length > 0 && (
        <Diffs>
          {[left, right].map(({ attempt }) => (
            <section key={attempt.id} aria-label={`Diff of attempt ${attempt.number}`}>
              <h3>Diff of attempt {attempt.number}</h3>
              <DiffPanel attemptId={attempt.id} split={false} />
            </section>
          ))}
        </Diffs>
      )}
    </Scroll>
  )
}

function Verdict({ gate }: { gate: GateResult | null }) {
  if (!gate) return '–'
  const word = gate.passed === null ? '○ Not run' : gate.passed ? '✓ Passed' : '✕ Failed'
  return (
    <>
      <span data-passed={gate.passed}>{word}</span>
      {gate.text && <p>{gate.text}</p>}
      {gate.tests && <Muted>{testsText(gate.tests)}</Muted>}
    </>
  )
}

function statText(stat: AttemptComparison['files'][number]['left']): string {
  if (!stat) return 'not changed'
  return stat.added === null ? 'changed, binary' : `+${stat.added} −${stat.deleted ?? 0}`
}
