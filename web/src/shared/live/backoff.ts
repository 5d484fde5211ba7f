/** Milliseconds to wait before the next try: exponential from 0.5 s to 30 s, with full jitter. */
export function backoffDelay(attempt: number, random: number): number {
  const ceiling = Math.min(30_000, 500 * 2 ** Math.min(attempt, 10))
  return Math.max(100, Math.round(ceiling * random))
}

export type CloseDecision = 'retry' | 'retry_soon' | 'signed_out' | 'refused'

/** What a closed socket means. Codes are the contract's. */
export function closeDecision(code: number): CloseDecision {
  switch (code) {
    case 4401:
      return 'signed_out'
    case 4403:
      return 'refused'
    case 4408: // we were too slow: resume at once
    case 1012: // the engine restarts
      return 'retry_soon'
    default:
      return 'retry'
  }
}
