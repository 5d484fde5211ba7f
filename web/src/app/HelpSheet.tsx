import styled from 'styled-components'
import { Dialog, Kbd, t } from '@/shared/ui'

const Keys = styled.dl`
  display: grid;
  grid-template-columns: auto 1fr;
  gap: 8px ${t.space.l};
  dt { white-space: nowrap; }
`
const Switch = styled.label`
  display: flex;
  gap: 8px;
  margin-top: ${t.space.l};
  padding-top: ${t.space.m};
  border-top: 1px solid ${t.color.line};
`

const KEYS: [string[], string][] = [
  [['?'], 'This sheet'],
  [['/'], 'Search customers'],
  [['g', 'o'], 'Go to the overview'],
  [['g', 'a'], 'Go to the approvals'],
  [['g', 'i'], 'Go to the incidents'],
  [['g', 's'], 'Go to the system page'],
  [['j'], 'Next customer, approval or incident'],
  [['k'], 'The one before'],
  [['Enter'], 'Open it, or do what has the focus'],
  [['a'], 'To “Approve” of the approval in focus; Enter approves'],
  [['r'], 'To “Reject” of the approval in focus; Enter rejects'],
  [['Alt', '↑ ↓'], 'Move a task in the queue'],
  [['Esc'], 'Close what is on top'],
]

interface Props {
  open: boolean
  onOpenChange: (open: boolean) => void
  letters: boolean
  onLetters: (on: boolean) => void
}

export function HelpSheet({ open, onOpenChange, letters, onLetters }: Props) {
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Keyboard">
      <Keys>
        {KEYS.map(([keys, what]) => (
          <div key={what} style={{ display: 'contents' }}>
            <dt>
              {keys.map((key) => (
                <Kbd key={key} style={{ marginRight: 4 }}>
                  {key}
                </Kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </Keys>
      <Switch>
        <input type="checkbox" checked={letters} onChange={(event) => onLetters(event.target.checked)} />
        Single-letter keys (they never act while you type in a field)
      </Switch>
    </Dialog>
  )
}
