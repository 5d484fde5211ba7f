import { expect, it } from 'vitest'
import { checkPrice, NEW_PRICE, priceInput } from './newPrice'
import { checkProvider, NEW_PROVIDER, namesOf, providerInput } from './newProvider'

const provider = { ...NEW_PROVIDER, name: 'Main', baseUrl: 'https://models.test/v1' }

it('sends a key only when there is one', () => {
  expect(providerInput(provider)).toEqual({
    name: 'Main',
    kind: 'openai',
    baseUrl: 'https://models.test/v1',
    models: [],
  })
  expect(providerInput({ ...provider, secret: ' sk-1 ' })).toMatchObject({ secret: 'sk-1' })
})

it('reads models from lines and commas', () => {
  expect(namesOf(' large \nsmall, large,\n')).toEqual(['large', 'small'])
})

it.each([
  [{ name: '' }, 'name'],
  [{ baseUrl: 'models.test' }, 'baseUrl'],
  [{ secret: 'two words' }, 'secret'],
])('sees that %o is wrong', (part, field) => {
  expect(Object.keys(checkProvider({ ...provider, ...part }))).toEqual([field])
})

it('prices cached tokens as input unless it is told', () => {
  const price = { ...NEW_PRICE, model: ' large ', inputUsd: '3', outputUsd: '15,5' }
  expect(checkPrice(price)).toEqual({})
  expect(priceInput(price)).toEqual({ model: 'large', inputUsd: 3, cachedUsd: 3, outputUsd: 15.5 })
  expect(priceInput({ ...price, cachedUsd: '0' }).cachedUsd).toBe(0)
  expect(Object.keys(checkPrice(NEW_PRICE))).toEqual(['model', 'inputUsd', 'outputUsd'])
})
