export { Activity } from './Activity'
export { AddCustomer } from './AddCustomer'
export { CustomerCrumbs, CustomerHeader } from './CustomerHeader'
export { AddProject, ProjectList } from './Projects'
