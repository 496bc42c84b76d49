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
import { pack, unpack } from '../util/msgpack.ts'
import type { NodeId } from '../util/node-id.ts'

const KEY = utf8('filling')
const ASKED_KEY = utf8('filling-asked')
/** Bits of what is kept of a slot. */
const FILLING = 1
const LOST = 2

export class Filling {
  readonly #store: Store
  readonly #slots = new Set<number>()
  readonly #lost = new Set<number>()
  readonly #asked: Set<NodeId>
  #generation = 0
  #losses = 0
  /** Changes so far, and how many of them the disk knows of: it may refuse one, and have it later. */
  #changes = 0
  #saved = 0
  #held = false

  constructor(store: Store) {
    this.#store = store
    const saved = store.get('meta', KEY)
    saved?.forEach((flag, slot) => {
      if ((flag & FILLING) !== 0) this.#slots.add(slot)
      if ((flag & LOST) !== 0) this.#lost.add(slot)
    })
    this.#asked = readAsked(store.get('meta', ASKED_KEY))
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

  /** Members that have given all they had of what is lost. */
  get asked(): ReadonlySet<NodeId> {
    return this.#asked
  }

  /** Rises whenever something was lost: who was asked before was not asked for that. */
  get losses(): number {
    return this.#losses
  }

  /** Counts from this call on; resolves when it is durable too. */
  async begin(slots: Iterable<number>): Promise<void> {
    this.#begin(slots)
    await this.#save()
  }

  /** Also saves what the disk has refused before. */
  async end(slots: Iterable<number>): Promise<void> {
    for (const slot of slots) if (this.#slots.delete(slot)) this.#changes++
    await this.#save()
  }

  /** As `begin`, for slots of which more was here than there is now. */
  async lose(slots: Iterable<number>): Promise<void> {
    const all = [...slots]
    for (const slot of all) this.#lost.add(slot)
    this.#losses++
    this.#changes++
    this.#asked.clear()
    await this.begin(all)
  }

  /** This member has given all it had of what is lost, up to that many losses. */
  async noteAsked(peer: NodeId, losses: number): Promise<void> {
    if (losses !== this.#losses || this.#asked.has(peer)) return
    this.#asked.add(peer)
    this.#changes++
    await this.#save()
  }

  /** Who was asked owned other slots then: everybody is to be asked again for what is lost. */
  async askAgain(): Promise<void> {
    if (this.#asked.size > 0) this.#changes++
    this.#asked.clear()
    await this.#save()
  }

  /** Every member was asked for what was lost, up to that many losses. */
  async recovered(losses: number): Promise<void> {
    if (losses !== this.#losses || this.#lost.size === 0) return
    this.#lost.clear()
    this.#asked.clear()
    this.#changes++
    await this.#save()
  }

  #begin(slots: Iterable<number>): void {
    const before = this.size
    for (const slot of slots) this.#slots.add(slot)
    this.#generation++
    if (this.size !== before) this.#changes++
  }

  async #save(): Promise<void> {
    const changes = this.#changes
    if (changes === this.#saved) return
    const flags = new Uint8Array(SLOTS)
    for (const slot of this.#slots) flags[slot] = FILLING
    for (const slot of this.#lost) flags[slot] = (flags[slot] as number) | LOST
    const value = this.size + this.#lost.size === 0 ? undefined : flags
    const asked = this.#asked.size === 0 ? undefined : pack([...this.#asked])
    const writes = [
      { space: 'meta' as const, key: KEY, value },
      { space: 'meta' as const, key: ASKED_KEY, value: asked }
    ]
    await this.#store.commit(writes, 'flush')
    this.#saved = Math.max(this.#saved, changes)
  }
}

function readAsked(bytes: Uint8Array | undefined): Set<NodeId> {
  const list = bytes && unpack(bytes)
  const isName = (each: unknown): each is NodeId => typeof each === 'string'
  return new Set(Array.isArray(list) ? list.filter(isName) : [])
}
