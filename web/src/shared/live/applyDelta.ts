import type { EntityKind, EntityView } from '@/shared/api'
import type { EntityChange } from './frames'

/** A topic's state: every entity by kind and id. */
export type EntityTable = Partial<Record<EntityKind, Record<string, EntityView>>>

/**
 * A field that only a whole entity carries. A partial change of an entity that is not in the table (say, an
 * attempt older than the newest fifty) is no reason to invent half an entity.
 */
const MARKER: Record<EntityKind, string> = {
  customer: 'name',
  project: 'name',
  task: 'title',
  execution: 'status',
  attempt: 'phases',
  approval: 'title',
  incident: 'title',
  worker: 'host',
  system: 'customers',
}

export function tableOf(entities: readonly EntityView[]): EntityTable {
  const table: EntityTable = {}
  for (const entity of entities) {
    const rows = table[entity.kind] ?? {}
    table[entity.kind] = rows
    rows[entity.id] = entity
  }
  return table
}

/** One change applied to one entity (null: none yet); null means that there is no such entity afterwards. */
export function applyChange<T extends EntityView>(before: T | null, change: EntityChange): T | null {
  if (before !== null && change.version < before.version) return before
  if (change.removed) return null
  if (before === null && !(MARKER[change.kind] in (change.set ?? {}))) return null
  const after: Record<string, unknown> = { ...before, ...change.set }
  for (const field of change.unset ?? []) delete after[field]
  after.kind = change.kind
  after.id = change.id
  after.version = change.version
  return after as unknown as T
}

/** The table after the changes. Pure; entities and kinds that did not change keep their identity. */
export function applyDelta(entities: EntityTable, changes: readonly EntityChange[]): EntityTable {
  const table: EntityTable = { ...entities }
  const owned = new Set<EntityKind>()
  for (const change of changes) {
    const rows = table[change.kind] ?? {}
    const before = rows[change.id] ?? null
    const after = applyChange(before, change)
    if (after === before) continue
    const own = owned.has(change.kind) ? rows : { ...rows }
    owned.add(change.kind)
    table[change.kind] = own
    if (after === null) delete own[change.id]
    else own[change.id] = after
  }
  return table
}

/** Two changes of one entity as one: the last write of each field wins. */
export function mergeChanges(first: EntityChange, second: EntityChange): EntityChange {
  if (second.version < first.version) return first
  if (second.removed || first.removed) return second
  const set: Record<string, unknown> = { ...first.set }
  const unset = new Set(first.unset)
  for (const field of second.unset ?? []) {
    delete set[field]
    unset.add(field)
  }
  for (const [field, value] of Object.entries(second.set ?? {})) {
    set[field] = value
    unset.delete(field)
  }
  return { kind: second.kind, id: second.id, version: second.version, set, unset: [...unset] }
}
