import { CircleCheck, CircleDashed, CircleX, FlagTriangleRight } from 'lucide-react'
import styled from 'styled-components'
import type { GateResult } from '@/shared/api'
import { plural, shortDuration } from '@/shared/lib/format'
import { STAGE_NAME } from '@/shared/lib/words'
import { Empty, Muted, t } from '@/shared/ui'
import { AnsiLine } from './AnsiLine'
import { ansiColors } from './ansiColors'
import { settleLine } from './logBuffer'

const List = styled.ul`
  & > li { padding: 9px 0; }
  & > li + li { border-top: 1px solid ${t.color.line}; }
`
const Head = styled.div`
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 2px ${t.space.m};
  strong { font-weight: 600; overflow-wrap: anywhere; }
`
const Verdict = styled.span`
  display: inline-flex;
  align-items: center;
  gap: 5px;
  min-width: 84px;
  color: ${t.color.muted};
  font-size: ${t.text.m};
  font-weight: 600;
  svg { width: 15px; height: 15px; }
  &[data-passed='true'] { color: ${t.color.completed}; }
  &[data-passed='false'] { color: ${t.color.error}; }
`
const BaseRed = styled.span`
  display: inline-flex;
  align-items: center;
  gap: 4px;
  padding: 0 7px;
  border: 1px dashed ${t.color.paused};
  border-radius: 99px;
  color: ${t.color.paused};
  font-size: ${t.text.s};
  svg { width: 12px; height: 12px; }
`
const Evidence = styled.div`
  display: grid;
  gap: 4px;
  margin-top: 3px;
  font-size: ${t.text.m};
  overflow-wrap: anywhere;
  ul { padding-left: 18px; list-style: disc; font: ${t.text.s} / 1.5 ${t.mono}; }
  summary { cursor: pointer; color: ${t.color.accent}; font-size: ${t.text.s}; min-height: 24px; }
  pre {
    max-height: 320px;
    overflow: auto;
    padding: 10px 12px;
    border-radius: ${t.radius.m};
    background: ${t.color.logBg};
    box-shadow: inset 0 0 0 1px ${t.color.line};
    font: 12px / 18px ${t.mono};
    ${ansiColors}
  }
`

const VERDICT = {
  true: [CircleCheck, 'Passed'],
  false: [CircleX, 'Failed'],
  null: [CircleDashed, 'Not run'],
} as const

/** "455 tests passed, 1 failed, 2 skipped, 1 broken by this attempt" */
export function testsText({ passed, failed, skipped, broken }: NonNullable<GateResult['tests']>): string {
  const more = [
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    ...(broken.length > 0 ? [`${broken.length} broken by this attempt`] : []),
  ]
  return [`${plural(passed, 'test')} passed`, `${failed} failed`, ...more].join(', ')
}

/** Each gate's verdict with what it stands on. */
export function GateResults({ gates }: { gates: readonly GateResult[] }) {
  if (gates.length === 0) return <Empty title="No gate has run yet" />
  return (
    <List aria-label="Gate results">
      {gates.map((gate, index) => (
        <Gate key={`${gate.stage}/${gate.name}/${index}`} gate={gate} />
      ))}
    </List>
  )
}

function Gate({ gate }: { gate: GateResult }) {
  const [Icon, word] = VERDICT[`${gate.passed}`]
  const lines = gate.outputTail === '' ? [] : gate.outputTail.trimEnd().split('\n')
  return (
    <li>
      <Head>
        <Verdict data-passed={gate.passed}>
          <Icon aria-hidden />
          {word}
        </Verdict>
        <strong>{gate.name}</strong>
        <Muted>
          {STAGE_NAME[gate.stage]}
          {!gate.required && ' · optional'}
          {gate.seconds !== null && ` · ${shortDuration(gate.seconds)}`}
          {gate.exitCode !== null && gate.exitCode !== 0 && ` · exit ${gate.exitCode}`}
        </Muted>
        {gate.baseRed && (
          <BaseRed>
            <FlagTriangleRight aria-hidden />
            base was red before
          </BaseRed>
        )}
      </Head>
      <Evidence>
        {gate.text && <span>{gate.text}</span>}
        {gate.tests && <Muted>{testsText(gate.tests)}</Muted>}
        {gate.tests && gate.tests.flaky.length > 0 && (
          <Muted>
            {plural(gate.tests.flaky.length, 'flaky test')}, failed once and passed again:{' '}
            {gate.tests.flaky.join(', ')}
          </Muted>
        )}
        {gate.measures.length > 0 && (
          <Muted>
            {gate.measures
              .map(({ name, actual, required }) =>
                required === null ? `${name} ${actual}` : `${name} ${actual} (asked for: ${required})`,
              )
              .join(' · ')}
          </Muted>
        )}
        {gate.tests && gate.tests.broken.length > 0 && (
          <ul>
            {gate.tests.broken.map((name) => (
              <li key={name}>{name}</li>
            ))}
          </ul>
        )}
        {lines.length > 0 && (
          <details open={gate.passed === false}>
            <summary>Output, last {plural(lines.length, 'line')}</summary>
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling part must be reachable by keyboard */}
            <pre tabIndex={0}>
              {lines.map((line, index) => (
                <div key={index}>
                  <AnsiLine text={settleLine(line)} mark="" />
                </div>
              ))}
            </pre>
          </details>
        )}
      </Evidence>
    </li>
  )
}
