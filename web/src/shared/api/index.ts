export { devTeamApi } from './base'
export * from './endpoints'
export { errorUnder, fieldErrors, problemText, toProblem } from './problem'
export type * from './views'
