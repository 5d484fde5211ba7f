export { AttemptEvidence } from './AttemptEvidence'
export { AttemptList } from './AttemptList'
export { CurrentAttempt } from './CurrentAttempt'
export { GateResults } from './GateResults'
