import { expect, it } from 'vitest'
import { linesOf, shellLine, wordsOf } from './text'

it('takes a command line apart', () => {
  expect(wordsOf(`  a  'b c' d"e f"g "" `)).toEqual(['a', 'b c', 'de fg', ''])
  expect(wordsOf('')).toEqual([])
  expect(wordsOf('a "b')).toBeNull()
})

it('reads the words that it wrote', () => {
  const words = ['echo', 'two words', "it's", 'a\\b', '"', '']
  expect(wordsOf(shellLine(words))).toEqual(words)
})

it('writes words so that a shell reads the same words', () => {
  expect(shellLine(['python', '-m', 'pytest', '-q'])).toBe('python -m pytest -q')
  expect(shellLine(['echo', 'two words', "it's"])).toBe(`echo 'two words' 'it'\\''s'`)
})

it('reads one value a line', () => {
  expect(linesOf(' a \n\n b\n')).toEqual(['a', 'b'])
})
