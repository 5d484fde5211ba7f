export { EmergencyBanner, EmergencyStop } from './EmergencyStop'
export { ExecutionControls } from './ExecutionControls'
