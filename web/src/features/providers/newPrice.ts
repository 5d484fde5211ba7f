/** The form of a model's price, in US dollars per million tokens. */
import type { PriceInput } from '@/shared/api'
import { amountOf } from '@/shared/lib/format'

export const NEW_PRICE = { model: '', inputUsd: '', cachedUsd: '', outputUsd: '' }

export type NewPrice = typeof NEW_PRICE

const WRONG = 'Give an amount such as 2.50.'

export function checkPrice({ model, inputUsd, cachedUsd, outputUsd }: NewPrice): Record<string, string> {
  return {
    ...(model.trim() ? {} : { model: 'Name the model.' }),
    ...(Number.isNaN(amountOf(inputUsd)) ? { inputUsd: WRONG } : {}),
    ...(cachedUsd.trim() !== '' && Number.isNaN(amountOf(cachedUsd)) ? { cachedUsd: WRONG } : {}),
    ...(Number.isNaN(amountOf(outputUsd)) ? { outputUsd: WRONG } : {}),
  }
}

export function priceInput({ model, inputUsd, cachedUsd, outputUsd }: NewPrice): PriceInput {
  return {
    model: model.trim(),
    inputUsd: amountOf(inputUsd),
    cachedUsd: amountOf(cachedUsd.trim() === '' ? inputUsd : cachedUsd),
    outputUsd: amountOf(outputUsd),
  }
}
