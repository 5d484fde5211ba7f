import { Search } from 'lucide-react'
import { useState } from 'react'
import styled from 'styled-components'
import { toProblem, useProposeGatesMutation } from '@/shared/api'
import { plural } from '@/shared/lib/format'
import { Button, Mono, Muted, ProblemNotice, t } from '@/shared/ui'
import { type GateDraft, withProposals } from './gateDraft'

const Root = styled.div`
  display: grid;
  gap: ${t.space.s};
  justify-items: start;
  min-width: 0;
  margin-bottom: ${t.space.m};
  ul { display: grid; gap: ${t.space.s}; }
  label { display: grid; grid-template-columns: auto 1fr; gap: 0 8px; font-size: ${t.text.m}; }
  label > span { display: grid; min-width: 0; overflow-wrap: anywhere; }
`

interface Props {
  repository: string
  /** Empty: the repository's own. */
  baseBranch: string
  gates: GateDraft[]
  onChange: (gates: GateDraft[]) => void
}

/** What a repository says of itself should be checked; what is ticked becomes gates. */
export function GateProposals({ repository, baseBranch, gates, onChange }: Props) {
  const [propose, { data, error, isLoading, reset }] = useProposeGatesMutation()
  const [left, setLeft] = useState<readonly string[]>([])
  const proposals = data?.proposals ?? []
  const chosen = proposals.filter(({ gate }) => !left.includes(gate.name))
  const ask = () => {
    setLeft([])
    void propose({ repositoryInput: { repository, ...(baseBranch ? { baseBranch } : {}) } })
  }
  return (
    <Root>
      <Button
        size="s"
        icon={<Search aria-hidden />}
        pending={isLoading}
        disabledBecause={repository ? null : 'Give the repository first.'}
        onClick={ask}
      >
        Propose gates
      </Button>
      {error && <ProblemNotice problem={toProblem(error)} />}
      {data && proposals.length === 0 && <Muted role="status">The repository suggests no gates.</Muted>}
      {proposals.length > 0 && (
        <>
          <ul aria-label="Proposed gates">
            {proposals.map(({ gate, why, file }) => (
              <li key={gate.name}>
                <label>
                  <input
                    type="checkbox"
                    checked={!left.includes(gate.name)}
                    onChange={(event) =>
                      setLeft(
                        event.target.checked
                          ? left.filter((each) => each !== gate.name)
                          : [...left, gate.name],
                      )
                    }
                  />
                  <span>
                    <strong>{gate.name}</strong>
                    <Mono>{gate.argv?.join(' ') ?? gate.script}</Mono>
                    <Muted>
                      {why} · {file}
                    </Muted>
                  </span>
                </label>
              </li>
            ))}
          </ul>
          <Button
            size="s"
            disabledBecause={chosen.length > 0 ? null : 'Nothing is ticked.'}
            onClick={() => {
              onChange(withProposals(gates, chosen))
              reset()
            }}
          >
            Take {plural(chosen.length, 'gate')}
          </Button>
        </>
      )}
    </Root>
  )
}
