import { describe, expect, it } from 'vitest'
import { findLines, LogBuffer, linesOfHash, MAX_LINES, settleLine } from './logBuffer'

const filled = (...parts: string[]) => {
  const buffer = new LogBuffer()
  for (const part of parts) buffer.append(part)
  return buffer
}

it('joins lines that arrive in pieces and shows the unfinished one', () => {
  expect(filled('one\ntw', 'o\nthr').snapshot()).toEqual(['one', 'two', 'thr'])
})

it('carries a colour over line ends until it is reset', () => {
  expect(filled('\x1b[31mred\nstill\x1b[0m\nplain\n').snapshot()).toEqual([
    '\x1b[31mred',
    '\x1b[31mstill\x1b[0m',
    'plain',
  ])
})

it('keeps what a terminal would show: the last writing of a line, no cursor moves', () => {
  expect(settleLine('10 %\r50 %\r100 %\r')).toBe('100 %')
  expect(settleLine('\x1b]0;title\x07a\x1b[2Kb\x1b[1;32mc')).toBe('ab\x1b[1;32mc')
})

it('drops the oldest lines when there are too many, and counts them', () => {
  const buffer = filled('x\n'.repeat(MAX_LINES + 5))
  expect(buffer.snapshot()).toHaveLength(MAX_LINES)
  expect(buffer.dropped).toBe(5)
})

it('finds text whatever its case and colour', () => {
  expect(findLines(['ok', '\x1b[31mFAI\x1b[0mLED'], 'failed')).toEqual([1])
  expect(findLines(['a'], '')).toEqual([])
})

describe('links to lines', () => {
  it.each([
    ['#L120', { from: 120, to: 120 }],
    ['L120-L140', { from: 120, to: 140 }],
    ['#L9-L3', { from: 9, to: 9 }],
    ['#other', null],
    ['', null],
  ])('%s', (hash, lines) => expect(linesOfHash(hash)).toEqual(lines))
})
