/** Text of form fields as values, and back. Pure. */

/** One value a line; blank lines count for nothing. */
export const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)

export const textOfLines = (lines: readonly string[] | null | undefined): string => (lines ?? []).join('\n')

/** A command line as words: single and double quotes hold a word together. Null: a quote is not closed. */
export function wordsOf(command: string): string[] | null {
  const words: string[] = []
  let word: string | null = null
  let quote = ''
  for (const character of command) {
    if (quote !== '') {
      if (character === quote) quote = ''
      else word += character
    } else if (character === '"' || character === "'") {
      quote = character
      word ??= ''
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
