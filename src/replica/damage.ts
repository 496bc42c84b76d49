/**
 * Rows that were found damaged and have yet to be set aside: out of the way of what comes in their
 * place, kept with the reason, and with their slots no longer counted as held.
 */
import type { Store } from '../ports.ts'
import { SLOTS } from '../digest/forest.ts'
import { parseRowKey, slotIn } from '../ring/row-key.ts'
import { slotOf } from '../ring/slot.ts'
import { equal, nameOf } from '../util/bytes.ts'
import type { Filling } from './filling.ts'
import type { ForestKeeper } from './forest.ts'
import type { Identity } from './identity.ts'
import type { Quarantine } from './quarantine.ts'
import type { Damaged, Rows } from './rows.ts'
import type { Tombstones } from './tombstones.ts'

export interface DamageComponents {
  readonly store: Store
  readonly rows: Rows
  readonly keeper: ForestKeeper
  readonly identity: Identity
  readonly quarantine: Quarantine
  readonly filling: Filling
  readonly tombstones: Tombstones
}

export class Damage {
  readonly #found = new Map<string, Damaged>()

  get isEmpty(): boolean {
    return this.#found.size === 0
  }

  has(id: Uint8Array): boolean {
    return this.#found.size > 0 && this.#found.has(nameOf(id))
  }

  /** False for one that is known already. */
  note(damaged: Damaged): boolean {
    if (this.has(damaged.id)) return false
    this.#found.set(nameOf(damaged.id), damaged)
    return true
  }

  /**
   * Moves damaged rows out of the way. Their slots count as not held until they have been compared
   * with the other owners, and the actor can no longer be trusted.
   */
  async setAside(components: DamageComponents): Promise<void> {
    const { store, rows, keeper, identity, quarantine, filling, tombstones } = components
    const found = [...this.#found.values()]
    // One that was overwritten by what was read of it before is as good as new.
    const damaged = found.filter(({ id, value }) => equal(store.get('rows', id) ?? value, value))
    const slots = new Set(damaged.flatMap(({ id }) => slotsOf(id)))
    await filling.begin(slots)
    const kept = damaged.flatMap(({ id, value }) =>
      quarantine.add(homeOf(rows, id), 'damaged', false, value)
    )
    const gone = damaged.map(({ id }) => ({ space: 'rows' as const, key: id, value: undefined }))
    const marks = keeper.marks(slots)
    await store.commit([...gone, ...kept, ...marks, tombstones.forget()], 'flush')
    quarantine.committed(kept)
    keeper.committed(marks)
    await identity.rotate('damaged-rows')
    for (const { id } of found) this.#found.delete(nameOf(id))
    for (const slot of slots) keeper.rebuild(slot)
  }
}

/** The id under which a damaged row is set aside: where it belongs, should its place be wrong. */
export function homeOf(rows: Rows, id: Uint8Array): Uint8Array {
  const key = parseRowKey(id)?.key
  return key === undefined ? id : rows.locate(key).id
}

/** The slot in which a row was found, and the one in which its key belongs. */
function slotsOf(id: Uint8Array): number[] {
  const parsed = parseRowKey(id)
  if (parsed !== undefined) return [parsed.slot, slotOf(parsed.key)]
  const slot = slotIn(id)
  return slot < SLOTS ? [slot] : []
}
