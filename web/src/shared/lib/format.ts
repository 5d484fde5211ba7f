/** Numbers and times as people read them; the browser's locale decides. */

export function percent(share: number): string {
  return `${Math.round(Math.min(1, Math.max(0, share)) * 100)} %`
}

const UNITS = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1],
] as const

/** A duration in at most two units: "1 h 20 min", "45 s", "0 s". */
export function duration(seconds: number): string {
  const total = Math.max(0, Math.round(seconds))
  const start = UNITS.findIndex(([, size]) => total >= size)
  if (start === -1) return '0 s'
  const [unit, size] = UNITS[start] ?? ['s', 1]
  const whole = Math.floor(total / size)
  const next = UNITS[start + 1]
  const rest = next ? Math.floor((total - whole * size) / next[1]) : 0
  // Seconds beside minutes only while they matter.
  const showRest = next && rest > 0 && !(unit === 'min' && whole >= 10)
  return showRest ? `${whole} ${unit} ${rest} ${next[0]}` : `${whole} ${unit}`
}

/** A short duration with a decimal below ten seconds: "0.8 s", "12 s". */
export function shortDuration(seconds: number): string {
  return seconds < 10 ? `${seconds.toFixed(1)} s` : duration(seconds)
}

export function secondsBetween(from: string, to: string | number): number {
  const end = typeof to === 'number' ? to : Date.parse(to)
  return Math.max(0, (end - Date.parse(from)) / 1000)
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

export const clockTime = (at: number | string) => clock.format(new Date(at))
export const fullTime = (at: number | string) => full.format(new Date(at))

/** "3 min ago", "just now". */
export function ago(at: string, now: number): string {
  const seconds = secondsBetween(at, now)
  return seconds < 5 ? 'just now' : `${duration(seconds).split(' ').slice(0, 2).join(' ')} ago`
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** "512 B", "1.5 MB"; 1000 to the next unit. */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const power = Math.min(units.length - 1, count < 1000 ? 0 : Math.floor(Math.log10(count) / 3))
  return `${power === 0 ? count : (count / 1000 ** power).toFixed(1)} ${units[power]}`
}

/** US dollars: cents, and more digits where an amount is smaller than that. */
export function money(usd: number): string {
  if (usd > 0 && usd < 0.00005) return '< $0.0001'
  return `$${usd.toFixed(usd === 0 || usd >= 1 ? 2 : 4)}`
}

/** "2.50" and "2,50" alike; what is no amount is NaN. */
export function amountOf(text: string): number {
  return /^\d+(?:[.,]\d+)?$/.test(text.trim()) ? Number(text.trim().replace(',', '.')) : Number.NaN
}

export const shortHash = (hash: string) => hash.slice(0, 8)
