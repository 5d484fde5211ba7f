/** The form of a new model provider: what can be seen to be wrong on the page, and what is sent. */
import type { ProviderKind } from '@/shared/api'

export const NEW_PROVIDER = {
  name: '',
  protocol: 'openai' as ProviderKind,
  baseUrl: '',
  secret: '',
  models: '',
}

export type NewProvider = typeof NEW_PROVIDER

export function checkProvider({ name, baseUrl, secret }: NewProvider): Record<string, string> {
  return {
    ...(name.trim() ? {} : { name: 'A provider needs a name.' }),
    ...(/^https?:\/\/\S+$/.test(baseUrl.trim()) ? {} : { baseUrl: 'Give an http or https address.' }),
    ...(/\s/.test(secret.trim()) ? { secret: 'A key holds no spaces.' } : {}),
  }
}

export function providerInput({ name, protocol, baseUrl, secret, models }: NewProvider) {
  return {
    name: name.trim(),
    kind: protocol,
    baseUrl: baseUrl.trim(),
    models: namesOf(models),
    ...(secret.trim() ? { secret: secret.trim() } : {}),
  }
}

/** Names on lines of their own or between commas, each once. */
export function namesOf(text: string): string[] {
  return [...new Set(text.split(/[\n,]/).map((name) => name.trim()))].filter(Boolean)
}
