import { expect, it } from 'vitest'
import { remainingText } from '@/shared/essentials'
import { asOf } from '@/shared/live/useAsOf'
import { buildCard } from '@/testing/builders'
import { ago, duration, percent, plural, shortDuration } from './format'

it.each([
  [0, '0 s'],
  [45, '45 s'],
  [61, '1 min 1 s'],
  [734, '12 min'],
  [3600, '1 h'],
  [4800, '1 h 20 min'],
  [90_000, '1 d 1 h'],
])('%i seconds are %s', (seconds, text) => expect(duration(seconds)).toBe(text))

it('is exact where it is short', () => {
  expect(shortDuration(0.84)).toBe('0.8 s')
  expect(percent(0.666)).toBe('67 %')
  expect(percent(1.2)).toBe('100 %')
  expect(plural(1, 'file')).toBe('1 file')
  expect(plural(0, 'file')).toBe('0 files')
  expect(ago('2026-11-24T10:00:00Z', Date.parse('2026-11-24T10:03:20Z'))).toBe('3 min ago')
})

it('does not pretend to know the time remaining', () => {
  const { timeRemaining } = buildCard()
  expect(remainingText(timeRemaining)).toMatchObject({ main: '≈ 12 min', detail: 'medium confidence' })
  expect(remainingText({ ...timeRemaining, seconds: null, confidence: 'unknown', basis: 2 })).toMatchObject({
    main: 'Unknown',
    detail: '2 of 3 attempts',
  })
})

it('marks data as stale only after its class and a heartbeat', () => {
  expect(asOf(0, 11_000, 5)).toBeNull()
  expect(asOf(0, 13_000, 5)).not.toBeNull()
  expect(asOf(0, 13_000, 30)).toBeNull()
  expect(asOf(null, 99_000, 5)).toBeNull()
})
