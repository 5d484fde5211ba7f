/** What the address of the incidents' page may say; apart from the page, which is loaded when it is opened. */
import type { IncidentClass } from '@/shared/api'
import { CLASSES, STATUS_FILTERS, type StatusFilter } from './incident'

export interface IncidentSearch {
  status?: StatusFilter
  class?: IncidentClass
}

export const INCIDENT_CLASSES = CLASSES
export const INCIDENT_FILTERS = STATUS_FILTERS
export type { StatusFilter }
