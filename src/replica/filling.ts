/**
 * Which slots this node owns but is still being sent. A filling slot answers "unknown", never
 * "absent": what it does not hold yet may exist elsewhere. Kept in the store, so that a restart in
 * the middle of it does not make the node sure of what it does not know.
 *
 * And in which of them this node once had more than it has: what is lost here may be held by one that
 * is no owner any more, so that it stays lost until every member was asked (repair/recovery.ts), also
 * those that are away until long after the slot counts again.
 */
import { SLOTS } from '../digest/forest.ts'
import type { Store } from '../ports.ts'
import { utf8 } from '../util/bytes.ts'

const KEY = utf8('filling')
/** Bits of what is kept of a slot. */
const FILLING = 1
const LOST = 2

export class Filling {
  readonly #store: Store
  readonly #slots = new Set<number>()
  readonly #lost = new Set<number>()
  #generation = 0
  #losses = 0
  /** Slots that count here and that the disk has yet to be told of, or has refused. */
  #unsaved = false
  #held = false

  constructor(store: Store) {
    this.#store = store
    const saved = store.get('meta', KEY)
    saved?.forEach((flag, slot) => {
      if ((flag & FILLING) !== 0) this.#slots.add(slot)
      if ((flag & LOST) !== 0) this.#lost.add(slot)
    })
  }

  get size(): number {
    return this.#slots.size
  }

  has(slot: number): boolean {
    return this.#held || this.#slots.has(slot)
  }

  /**
   * Has every slot count as filling for a while, in memory: until a node that starts has heard
   * whether others remember more of it than it does itself.
   */
  hold(): void {
    this.#held = true
  }

  release(): void {
    this.#held = false
  }

  /** Rises whenever slots begin to be filled: what was compared before proves nothing of them. */
  get generation(): number {
    return this.#generation
  }

  /** Of which this node once held more, and not every member was asked. */
  get lost(): ReadonlySet<number> {
    return this.#lost
  }

  /** Rises whenever something was lost: who was asked before was not asked for that. */
  get losses(): number {
    return this.#losses
  }

  /** Counts from this call on; resolves when it is durable too. */
  async begin(slots: Iterable<number>): Promise<void> {
    const before = this.size
    for (const slot of slots) this.#slots.add(slot)
    this.#generation++
    this.#unsaved ||= this.size !== before
    if (this.#unsaved) await this.#save()
  }

  /** As `begin`, for slots of which more was here than there is now. */
  async lose(slots: Iterable<number>): Promise<void> {
    const before = this.#lost.size
    const all = [...slots]
    for (const slot of all) this.#lost.add(slot)
    this.#losses++
    this.#unsaved ||= this.#lost.size !== before
    await this.begin(all)
  }

  /** Every member was asked for what was lost, up to that many losses. */
  async recovered(losses: number): Promise<void> {
    if (losses !== this.#losses || this.#lost.size === 0) return
    this.#lost.clear()
    await this.#save()
  }

  /** Also saves what the disk has refused before. */
  async end(slots: Iterable<number>): Promise<void> {
    const before = this.size
    for (const slot of slots) this.#slots.delete(slot)
    if (this.size !== before || this.#unsaved) await this.#save()
  }

  async #save(): Promise<void> {
    const flags = new Uint8Array(SLOTS)
    for (const slot of this.#slots) flags[slot] = FILLING
    for (const slot of this.#lost) flags[slot] = (flags[slot] as number) | LOST
    const value = this.size + this.#lost.size === 0 ? undefined : flags
    const generation = this.#generation
    this.#unsaved = true
    await this.#store.commit([{ space: 'meta', key: KEY, value }], 'flush')
    if (generation === this.#generation) this.#unsaved = false
  }
}
