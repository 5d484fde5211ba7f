/** Text of form fields as values, and back. Pure. */

/** One value a line; blank lines count for nothing. */
export const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)

export const textOfLines = (lines: readonly string[] | null | undefined): string => (lines ?? []).join('\n')

/** Words between commas, each once. */
export const commaWordsOf = (text: string): string[] => [
  ...new Set(
    text
      .split(',')
      .map((word) => word.trim())
      .filter(Boolean),
  ),
]

/**
 * A command line as words: single and double quotes hold a word together, and outside of them a backslash takes the next
 * character as it is. Null: a quote is not closed.
 */
export function wordsOf(command: string): string[] | null {
  const words: string[] = []
  let word: string | null = null
  let quote = ''
  let escaped = false
  for (const character of command) {
    if (escaped) {
      word = (word ?? '') + character
      escaped = false
    } else if (quote !== '') {
      if (character === quote) quote = ''
      else word += character
    } else if (character === '"' || character === "'") {
      quote = character
      word ??= ''
    } else if (character === '\\') {
      escaped = true
    } else if (/\s/.test(character)) {
      if (word !== null) words.push(word)
      word = null
    } else word = (word ?? '') + character
  }
  if (quote !== '') return null
  return word === null ? words : [...words, word]
}

/** Words as one line that a shell takes apart into the same words. */
export const shellLine = (words: readonly string[]): string =>
  words.map((word) => (/^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ')
