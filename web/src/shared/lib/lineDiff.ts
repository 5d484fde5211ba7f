/** The lines that differ between two texts, with a few around them: small edits inside whole files stay readable. */

export interface DiffLine {
  /** `gap` stands for equal lines that are left out; its text says how many. */
  kind: 'same' | 'added' | 'deleted' | 'gap'
  text: string
}

const AROUND = 3
/** Above this many pairs of lines the middle is shown as one replacement: exactness is not worth the wait. */
const MOST_PAIRS = 250_000

export function lineDiff(before: string, after: string): DiffLine[] {
  const [old, fresh] = [linesOf(before), linesOf(after)]
  let head = 0
  while (head < old.length && head < fresh.length && old[head] === fresh[head]) head += 1
  let tail = 0
  while (
    tail < old.length - head &&
    tail < fresh.length - head &&
    old[old.length - 1 - tail] === fresh[fresh.length - 1 - tail]
  )
    tail += 1
  const middle = changed(old.slice(head, old.length - tail), fresh.slice(head, fresh.length - tail))
  const same = (text: string): DiffLine => ({ kind: 'same', text })
  return folded([...old.slice(0, head).map(same), ...middle, ...old.slice(old.length - tail).map(same)])
}

/** How many lines were added and deleted. */
export function diffStat(lines: readonly DiffLine[]): { added: number; deleted: number } {
  const count = (kind: DiffLine['kind']) => lines.filter((line) => line.kind === kind).length
  return { added: count('added'), deleted: count('deleted') }
}

function linesOf(text: string): string[] {
  if (text === '') return []
  return (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n')
}

/** Between the first and the last difference: the longest common subsequence stays. */
function changed(old: readonly string[], fresh: readonly string[]): DiffLine[] {
  const deleted = old.map((text): DiffLine => ({ kind: 'deleted', text }))
  const added = fresh.map((text): DiffLine => ({ kind: 'added', text }))
  if (old.length === 0 || fresh.length === 0 || old.length * fresh.length > MOST_PAIRS)
    return [...deleted, ...added]
  const width = fresh.length + 1
  const length = new Uint32Array((old.length + 1) * width)
  const at = (i: number, j: number) => length[i * width + j] ?? 0
  for (let i = old.length - 1; i >= 0; i -= 1)
    for (let j = fresh.length - 1; j >= 0; j -= 1)
      length[i * width + j] =
        old[i] === fresh[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
  const out: DiffLine[] = []
  let [i, j] = [0, 0]
  while (i < old.length && j < fresh.length) {
    if (old[i] === fresh[j]) {
      out.push({ kind: 'same', text: old[i] ?? '' })
      i += 1
      j += 1
    } else if (at(i + 1, j) >= at(i, j + 1)) {
      out.push({ kind: 'deleted', text: old[i] ?? '' })
      i += 1
    } else {
      out.push({ kind: 'added', text: fresh[j] ?? '' })
      j += 1
    }
  }
  return [...out, ...deleted.slice(i), ...added.slice(j)]
}

/** Equal lines far from any difference become one gap. */
function folded(lines: readonly DiffLine[]): DiffLine[] {
  const near = new Set<number>()
  for (const [index, { kind }] of lines.entries())
    if (kind !== 'same') for (let step = -AROUND; step <= AROUND; step += 1) near.add(index + step)
  const out: DiffLine[] = []
  let left = 0
  const close = () => {
    if (left > 0) out.push({ kind: 'gap', text: `${left} unchanged ${left === 1 ? 'line' : 'lines'}` })
    left = 0
  }
  for (const [index, line] of lines.entries()) {
    if (near.has(index)) {
      close()
      out.push(line)
    } else left += 1
  }
  close()
  return out
}
