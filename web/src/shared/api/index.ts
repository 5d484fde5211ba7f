export { apiBase, command, devTeamApi, useGetSessionQuery, useGetWorkersQuery } from './base'
export { fieldErrors, problemText, toProblem } from './problem'
export type * from './views'
