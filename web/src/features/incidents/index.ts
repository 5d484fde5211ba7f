export { CustomerIncidents, IncidentInbox, OneIncident } from './Incidents'
export type { IncidentSearch } from './search'
