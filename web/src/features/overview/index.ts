export { AttentionLine } from './AttentionStrip'
export { Overview, type OverviewSearch, type OverviewView } from './Overview'
export { FILTERS, type OverviewFilter, type OverviewSort, SORTS } from './order'
export { Totals } from './Totals'
