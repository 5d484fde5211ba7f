import { expect, it } from 'vitest'
import { SHOWN_STATUS_NAME, shownStatus } from '@/shared/lib/words'
import { buildCard } from '@/testing/builders'
import { idleText, statusSuffix } from './essentials'

const said = (part: Parameters<typeof buildCard>[0]) => {
  const card = buildCard(part)
  return SHOWN_STATUS_NAME[shownStatus(card)] + statusSuffix(card)
}

it('does not let an execution with failures look as done as one without', () => {
  expect(said({ executionStatus: 'completed', tasksFailed: 0 })).toBe('Completed')
  expect(said({ executionStatus: 'completed', tasksFailed: 2 })).toBe('Completed, 2 failed')
  expect(shownStatus(buildCard({ executionStatus: 'completed', tasksFailed: 2 }))).not.toBe('completed')
  expect(idleText(buildCard({ executionStatus: 'completed', tasksFailed: 1 }))).toContain('1 task failed')
})

it('says that a pause is on its way, and nothing of failures while work goes on', () => {
  expect(said({ pauseRequested: 'now', tasksFailed: 3 })).toBe('Active, pausing…')
  expect(said({ tasksFailed: 3 })).toBe('Active')
})
