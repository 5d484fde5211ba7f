export { devTeamApi } from './base'
export * from './endpoints'
export { fieldErrors, problemText, toProblem } from './problem'
export type * from './views'
