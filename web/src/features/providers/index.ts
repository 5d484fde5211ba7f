export { ExecutorTable } from './ExecutorTable'
export { PriceList, SetPrice } from './Prices'
export { AddProvider, ProviderList } from './Providers'
