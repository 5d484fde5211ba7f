import { expect, it } from 'vitest'
import { buildAttempt } from '@/testing/builders'
import { whyNotAgain, whyNotBack } from './again'

it('runs again what ended without success and nobody holds', () => {
  expect(whyNotAgain(buildAttempt({ outcome: 'failed' }))).toBeNull()
  expect(whyNotAgain(buildAttempt({ outcome: null }))).toBe('The attempt still runs.')
  expect(whyNotAgain(buildAttempt({ outcome: 'failed', takenOverBy: 'Ann' }))).toContain('Ann')
  expect(whyNotAgain(buildAttempt({ outcome: 'succeeded' }))).toContain('send it back')
})

it('sends back failed work and deliveries that are not merged', () => {
  expect(whyNotBack(buildAttempt({ outcome: 'failed' }))).toBeNull()
  expect(whyNotBack(buildAttempt({ outcome: 'succeeded', commit: 'c' }))).toBeNull()
  expect(whyNotBack(buildAttempt({ outcome: 'succeeded' }))).toContain('delivered nothing')
  expect(whyNotBack(buildAttempt({ outcome: 'succeeded', commit: 'c', mergedCommit: 'm' }))).toContain(
    'merged',
  )
})
