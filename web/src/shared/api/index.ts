export { apiBase, command, devTeamApi, useGetSessionQuery } from './base'
export { fieldErrors, problemText, toProblem } from './problem'
export type * from './views'
