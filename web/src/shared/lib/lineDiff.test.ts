import { expect, it } from 'vitest'
import { diffStat, lineDiff } from './lineDiff'

const SIGN = { same: ' ', added: '+', deleted: '-', gap: '@' }
const shown = (before: string, after: string) =>
  lineDiff(before, after).map(({ kind, text }) => SIGN[kind] + text)
const numbered = (count: number) => Array.from({ length: count }, (_, index) => `line ${index}`)

it('shows what changed between what stayed', () => {
  expect(shown('a\nb\nc\n', 'a\nx\nc\nd\n')).toEqual([' a', '-b', '+x', ' c', '+d'])
})

it('shows a new and a deleted file whole', () => {
  expect(shown('', 'a\nb\n')).toEqual(['+a', '+b'])
  expect(shown('a\n', '')).toEqual(['-a'])
  expect(shown('a\n', 'a\n')).toEqual(['@1 unchanged line'])
})

it('leaves out what is far from any change', () => {
  const lines = numbered(40)
  const after = lines.with(10, 'changed').with(30, 'too')
  const diff = shown(lines.join('\n'), after.join('\n'))
  expect(diff.filter((line) => line.startsWith('@'))).toEqual([
    '@7 unchanged lines',
    '@13 unchanged lines',
    '@6 unchanged lines',
  ])
  expect(diff).toContain('-line 10')
  expect(diff).toContain('+too')
})

it('counts lines', () => {
  expect(diffStat(lineDiff('a\nb\n', 'b\nc\nd\n'))).toEqual({ added: 2, deleted: 1 })
})

it('is quick on files that have nothing in common', () => {
  const before = numbered(5000).join('\n')
  expect(diffStat(lineDiff(before, before.replaceAll('line', 'row')))).toEqual({ added: 5000, deleted: 5000 })
})
