/**
 * When each slot was last proven identical with each of its other owners. A proof is a comparison of
 * Merkle hashes that came out equal; it says that the two were the same when the comparison began,
 * and its age is how long ago that was. Pure: times are given.
 *
 * Not promised: that a slot without a recent proof differs. It may only not have been looked at.
 */
import type { NodeId } from '../util/node-id.ts'
import { SLOTS } from './slot.ts'

/** One figure for all that a node owns. */
export interface InSync {
  /** Slots that the node owns. */
  readonly slots: number
  /** Those proven identical with every other owner, ever since the node started. */
  readonly verified: number
  /**
   * The age of the oldest proof of all its slots: `undefined` while one is not verified, and 0 where
   * there is nobody else to compare with.
   */
  readonly worstMs: number | undefined
}

const NEVER = -Infinity

/**
 * What is known of one peer. Mostly all that is shared is proven at once, again and again, by the very
 * same list: that costs one number, and the single slots are looked at only when the list changes.
 */
class Proofs {
  readonly #times = new Float64Array(SLOTS).fill(NEVER)
  readonly #listed = new Uint8Array(SLOTS)
  #list: ArrayLike<number> | undefined
  #listMs = NEVER

  note(slots: ArrayLike<number>, atMs: number): void {
    if (slots !== this.#list) this.#change(slots)
    this.#listMs = Math.max(this.#listMs, atMs)
  }

  at(slot: number): number {
    const time = this.#times[slot] ?? NEVER
    return this.#listed[slot] === 1 ? Math.max(time, this.#listMs) : time
  }

  #change(slots: ArrayLike<number>): void {
    for (let slot = 0; slot < SLOTS; slot++) this.#times[slot] = this.at(slot)
    this.#listed.fill(0)
    for (let i = 0; i < slots.length; i++) this.#listed[slots[i] as number] = 1
    this.#list = slots
    this.#listMs = NEVER
  }
}

export class Verified {
  readonly #proofs = new Map<NodeId, Proofs>()

  /**
   * The slots were the same here and at the peer at that moment. Older news changes nothing. The list
   * must not be changed afterwards.
   */
  note(peer: NodeId, slots: ArrayLike<number>, atMs: number): void {
    let proofs = this.#proofs.get(peer)
    if (proofs === undefined) this.#proofs.set(peer, (proofs = new Proofs()))
    proofs.note(slots, atMs)
  }

  /** Keeps only what is known of these. */
  retain(peers: readonly NodeId[]): void {
    for (const peer of this.#proofs.keys()) {
      if (!peers.includes(peer)) this.#proofs.delete(peer)
    }
  }

  /** When the slot was last the same at the peer; -Infinity for never. */
  at(slot: number, peer: NodeId): number {
    return this.#proofs.get(peer)?.at(slot) ?? NEVER
  }

  /** How many of the peers hold the same as this node, by proofs not older than `sinceMs`. */
  count(slot: number, peers: readonly NodeId[], sinceMs: number): number {
    return peers.filter(peer => this.at(slot, peer) >= sinceMs).length
  }

  /** Over the slots of which `self` is one of the owners. */
  sum(self: NodeId, ownersOf: (slot: number) => readonly NodeId[], nowMs: number): InSync {
    let [slots, verified, oldest] = [0, 0, nowMs]
    for (let slot = 0; slot < SLOTS; slot++) {
      const owners = ownersOf(slot)
      if (!owners.includes(self)) continue
      slots++
      const proven = this.#oldest(slot, owners, self, nowMs)
      if (proven === NEVER) continue
      verified++
      oldest = Math.min(oldest, proven)
    }
    const worstMs = verified < slots ? undefined : Math.max(0, nowMs - oldest)
    return { slots, verified, worstMs }
  }

  #oldest(slot: number, owners: readonly NodeId[], self: NodeId, nowMs: number): number {
    let oldest = nowMs
    for (const owner of owners) {
      if (owner !== self) oldest = Math.min(oldest, this.at(slot, owner))
    }
    return oldest
  }
}

/** Of all nodes together: what is proven least decides. */
export function sumOfAll(nodes: readonly InSync[]): InSync {
  const worst = Math.max(0, ...nodes.map(({ worstMs }) => worstMs ?? Infinity))
  return {
    slots: nodes.reduce((sum, { slots }) => sum + slots, 0),
    verified: nodes.reduce((sum, { verified }) => sum + verified, 0),
    worstMs: worst === Infinity ? undefined : worst
  }
}
