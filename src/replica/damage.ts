/**
 * Rows that were found damaged and have yet to be set aside: out of the way of what comes in their
 * place, kept with the reason, and with their slots no longer counted as held.
 */
import type { Store } from '../ports.ts'
import { SLOTS } from '../digest/forest.ts'
import { slotIn } from '../ring/row-key.ts'
import { equal, nameOf } from '../util/bytes.ts'
import type { Filling } from './filling.ts'
import type { ForestKeeper } from './forest.ts'
import type { Identity } from './identity.ts'
import type { Quarantine } from './quarantine.ts'
import type { Damaged } from './rows.ts'
import type { Tombstones } from './tombstones.ts'

export interface DamageComponents {
  readonly store: Store
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
    const { store, keeper, identity, quarantine, filling, tombstones } = components
    const found = [...this.#found.values()]
    // One that was overwritten by what was read of it before is as good as new.
    const damaged = found.filter(({ id, value }) => equal(store.get('rows', id) ?? value, value))
    const slots = new Set(damaged.flatMap(slotsOf))
    if (slots.size > 0) await filling.lose(slots)
    const kept = damaged.flatMap(each => quarantine.addDamaged(each))
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

/** Of the slot in which it was found, and the one in which it belongs, those that exist. */
function slotsOf({ id, home }: Damaged): number[] {
  return [slotIn(id), slotIn(home)].filter(slot => slot < SLOTS)
}
