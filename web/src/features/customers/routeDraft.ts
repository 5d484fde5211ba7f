/** Rules for who does which tasks, as they are typed and as they are sent. Pure. */
import type { ExecutorKind, RouteRule, TaskSize } from '@/shared/api'
import { commaWordsOf } from '@/shared/lib/text'

export interface ChoiceDraft {
  executor: ExecutorKind
  /** Empty: the project's, or the first that a provider offers. */
  model: string
}

/** Words stand between commas. */
export interface RouteDraft {
  kinds: string
  sizes: TaskSize[]
  languages: string
  labels: string
  choices: ChoiceDraft[]
}

export const NEW_CHOICE: ChoiceDraft = { executor: 'native', model: '' }
export const NEW_ROUTE: RouteDraft = {
  kinds: '',
  sizes: [],
  languages: '',
  labels: '',
  choices: [NEW_CHOICE],
}

/** In the order in which they are shown and sent. */
export const SIZE_NAME: Record<TaskSize, string> = {
  small: 'Small',
  medium: 'Medium',
  large: 'Large',
  unknown: 'Unknown',
}
export const SIZES = Object.keys(SIZE_NAME) as TaskSize[]

export const WORD_FIELDS = [
  { key: 'kinds', label: 'Kinds', hint: 'Such as bug, chore.' },
  { key: 'labels', label: 'Labels', hint: 'One in common is enough.' },
  { key: 'languages', label: 'Languages', hint: 'Such as python, go.' },
] as const

const LONGEST_WORD = 40

export function routeDraftOf({ when, choices }: RouteRule): RouteDraft {
  const text = (words: readonly string[] = []) => words.join(', ')
  return {
    kinds: text(when?.kinds),
    sizes: SIZES.filter((size) => when?.sizes?.includes(size)),
    languages: text(when?.languages),
    labels: text(when?.labels),
    choices: choices.map(({ executor, model }) => ({ executor, model: model ?? '' })),
  }
}

/** Lists that are empty are left out: such a rule asks for nothing of that sort. */
export function routeOf(draft: RouteDraft): RouteRule {
  const words = WORD_FIELDS.map(({ key }) => [key, commaWordsOf(draft[key])] as const)
  const sizes = SIZES.filter((size) => draft.sizes.includes(size))
  return {
    when: {
      ...Object.fromEntries(words.filter(([, list]) => list.length > 0)),
      ...(sizes.length > 0 ? { sizes } : {}),
    },
    choices: draft.choices.map(({ executor, model }) => ({
      executor,
      ...(model.trim() ? { model: model.trim() } : {}),
    })),
  }
}

/** What of the draft cannot be sent, as a sentence; null when it can. */
export function routeTrouble(draft: RouteDraft): string | null {
  if (draft.choices.length === 0) return 'A rule needs a choice.'
  const choices = draft.choices.map(({ executor, model }) => ({ executor, model: model.trim() }))
  if (choices.some(({ executor, model }) => executor === 'command' && model !== ''))
    return 'Tasks that run their own command use no model.'
  if (new Set(choices.map((choice) => JSON.stringify(choice))).size < choices.length)
    return 'The same choice stands there twice.'
  const long = WORD_FIELDS.find(({ key }) =>
    commaWordsOf(draft[key]).some((word) => word.length > LONGEST_WORD),
  )
  return long ? `A word of “${long.label}” has at most ${LONGEST_WORD} characters.` : null
}

/** The list with one of its entries a place earlier (-1) or later (1); at the ends it stays. */
export function moved<T>(list: readonly T[], index: number, by: -1 | 1): T[] {
  const out = [...list]
  const [one, other] = [out[index], out[index + by]]
  if (one === undefined || other === undefined) return out
  out[index] = other
  out[index + by] = one
  return out
}
