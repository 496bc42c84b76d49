/**
 * Which slots this node owns but is still being sent. A filling slot answers "unknown", never
 * "absent": what it does not hold yet may exist elsewhere. Kept in the store, so that a restart in
 * the middle of it does not make the node sure of what it does not know.
 */
import { SLOTS } from '../digest/forest.ts'
import type { Store } from '../ports.ts'
import { utf8 } from '../util/bytes.ts'

const KEY = utf8('filling')

export class Filling {
  readonly #store: Store
  readonly #slots = new Set<number>()
  #generation = 0
  /** Slots that count here and that the disk has yet to be told of, or has refused. */
  #unsaved = false
  #held = false

  constructor(store: Store) {
    this.#store = store
    const saved = store.get('meta', KEY)
    saved?.forEach((flag, slot) => {
      if (flag !== 0) this.#slots.add(slot)
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

  /** Counts from this call on; resolves when it is durable too. */
  async begin(slots: Iterable<number>): Promise<void> {
    const before = this.size
    for (const slot of slots) this.#slots.add(slot)
    this.#generation++
    this.#unsaved ||= this.size !== before
    if (this.#unsaved) await this.#save()
  }

  /** Also saves what the disk has refused before. */
  async end(slots: Iterable<number>): Promise<void> {
    const before = this.size
    for (const slot of slots) this.#slots.delete(slot)
    if (this.size !== before || this.#unsaved) await this.#save()
  }

  async #save(): Promise<void> {
    const flags = new Uint8Array(SLOTS)
    for (const slot of this.#slots) flags[slot] = 1
    const value = this.size === 0 ? undefined : flags
    const generation = this.#generation
    await this.#store.commit([{ space: 'meta', key: KEY, value }], 'flush')
    if (generation === this.#generation) this.#unsaved = false
  }
}
