/** Lines of output with their colours; the newest are kept when there are too many. Pure but for its own list. */

const SGR = /\x1b\[[0-9;:]*m/g
/** Escape sequences that are not colours: cursor moves, titles, and the like. */
const OTHER_ESCAPES = /\x1b(?:\[[0-9;?]*[ -/]*[@-ln-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])/g
export const MAX_LINES = 200_000

/** The colour sequences that still hold at the end of a line. */
export function carriedStyle(before: string, line: string): string {
  let style = before
  for (const [sequence] of line.matchAll(SGR)) {
    style = sequence === '\x1b[m' || sequence === '\x1b[0m' ? '' : style + sequence
  }
  return style
}

/** A line as a terminal would leave it: only what was written after the last carriage return. */
export function settleLine(raw: string): string {
  const line = raw.replace(OTHER_ESCAPES, '').replace(/\r+$/, '')
  const back = line.lastIndexOf('\r')
  return back === -1 ? line : line.slice(back + 1)
}

export const plainText = (line: string) => line.replace(SGR, '')

export class LogBuffer {
  /** Complete lines, each with the colours it begins with. */
  private lines: string[] = []
  private rest = ''
  private style = ''
  /** How many lines were dropped at the front. */
  dropped = 0

  append(text: string): void {
    const parts = (this.rest + text).split('\n')
    this.rest = parts.pop() ?? ''
    for (const part of parts) this.push(part)
    if (this.lines.length > MAX_LINES) {
      const surplus = this.lines.length - MAX_LINES
      this.lines.splice(0, surplus)
      this.dropped += surplus
    }
  }

  /** All lines, the unfinished last one too. */
  snapshot(): string[] {
    return this.rest === '' ? [...this.lines] : [...this.lines, this.style + settleLine(this.rest)]
  }

  private push(raw: string): void {
    const line = settleLine(raw)
    this.lines.push(this.style + line)
    this.style = carriedStyle(this.style, line)
  }
}

/** Indexes of the lines that contain the text, whatever its case. */
export function findLines(lines: readonly string[], text: string): number[] {
  if (text === '') return []
  const wanted = text.toLowerCase()
  const found: number[] = []
  for (const [index, line] of lines.entries()) {
    if (plainText(line).toLowerCase().includes(wanted)) found.push(index)
  }
  return found
}

/** The lines a link such as `#L120` or `#L120-L140` points at; line numbers from one. */
export function linesOfHash(hash: string): { from: number; to: number } | null {
  const match = /^#?L(\d+)(?:-L(\d+))?$/.exec(hash)
  if (!match) return null
  const from = Number(match[1])
  return { from, to: Math.max(from, Number(match[2] ?? from)) }
}
