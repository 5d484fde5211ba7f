import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { EntityView } from '@/shared/api'
import { applyDelta, mergeChanges, tableOf } from './applyDelta'
import type { EntityChange } from './frames'

interface Case {
  name: string
  before: EntityView[]
  changes: EntityChange[]
  after: EntityView[]
}

/** The same files that the backend's own apply is tested with. */
const FOLDER = join(import.meta.dirname, '../../../../contracts/fixtures')
const files = readdirSync(FOLDER).filter((name) => /^live-delta-.*\.json$/.test(name))
const cases = files.flatMap((name) => JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as Case[])

const sorted = (entities: EntityView[]) =>
  entities.toSorted((a, b) => `${a.kind}${a.id}`.localeCompare(`${b.kind}${b.id}`))
const entitiesOf = (table: ReturnType<typeof tableOf>) =>
  sorted(Object.values(table).flatMap((rows) => Object.values(rows)))

describe('applyDelta on the shared fixtures', () => {
  it('finds the fixtures', () => expect(cases.length).toBeGreaterThan(10))

  it.each(cases)('$name', ({ before, changes, after }) => {
    expect(entitiesOf(applyDelta(tableOf(before), changes))).toEqual(sorted(after))
  })

  it.each(cases)('merged first, the same: $name', ({ before, changes, after }) => {
    const merged = new Map<string, EntityChange>()
    for (const change of changes) {
      const key = `${change.kind}:${change.id}`
      const first = merged.get(key)
      merged.set(key, first ? mergeChanges(first, change) : change)
    }
    expect(entitiesOf(applyDelta(tableOf(before), [...merged.values()]))).toEqual(sorted(after))
  })

  it.each(cases)('applied twice, the same: $name', ({ before, changes }) => {
    const once = applyDelta(tableOf(before), changes)
    const last = changes.slice(-1)
    expect(entitiesOf(applyDelta(once, last))).toEqual(entitiesOf(once))
  })
})

it('keeps the identity of what did not change', () => {
  const task = { kind: 'task', id: 't1', version: 1, title: 'a' } as EntityView
  const other = { kind: 'project', id: 'p1', version: 1, name: 'p' } as EntityView
  const before = tableOf([task, other])
  const after = applyDelta(before, [{ kind: 'task', id: 't1', version: 2, set: { title: 'b' } }])
  expect(after.project).toBe(before.project)
  expect(before.task?.t1).toBe(task)
})

describe('mergeChanges', () => {
  const change = (part: Partial<EntityChange>): EntityChange => ({
    kind: 'task',
    id: 't',
    version: 1,
    ...part,
  })

  it('unsets what was set before and sets what was unset before', () => {
    const merged = mergeChanges(
      change({ set: { a: 1, b: 2 }, unset: ['c'] }),
      change({ version: 2, set: { c: 3 }, unset: ['a'] }),
    )
    expect(merged).toEqual(change({ version: 2, set: { b: 2, c: 3 }, unset: ['a'] }))
  })

  it('lets the newer version win, in whatever order they come', () => {
    const newer = change({ version: 3, set: { a: 3 } })
    expect(mergeChanges(newer, change({ version: 2, set: { a: 2 } }))).toBe(newer)
  })
})
