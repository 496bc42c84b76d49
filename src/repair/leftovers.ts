/**
 * Leftovers: rows of slots that this node owns no more. Whatever it was the only one to hold when it
 * lost them (an owner that was away while others joined) is handed over by an exchange with the owners
 * of now, until each slot was once proven to be the same at one of them; from there anti-entropy
 * spreads it. Then the slot is done with, for as long as this node does not own it again.
 *
 *   owned ──▶ not owned, has rows ──same at an owner──▶ done
 *     ▲───────────────┴──────────────owned again─────────┘
 *
 * An owner that has lost what it held asks for all of it once more (recovery.ts), done with or not.
 *
 * Not promised: that the rows left behind take no room. They stay, and count for nothing.
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import { SLOTS } from '../digest/forest.ts'
import type { Log, Meter, Store } from '../ports.ts'
import type { Replica } from '../replica/replica.ts'
import type { View } from '../ring/placement.ts'
import { utf8 } from '../util/bytes.ts'
import type { NodeId } from '../util/node-id.ts'
import type { AntiEntropy } from './anti-entropy.ts'

export interface LeftoversComponents {
  readonly store: Store
  readonly replica: Replica
  readonly membership: Membership
  readonly liveness: Liveness
  readonly antiEntropy: Pick<AntiEntropy, 'handOver'>
  readonly meter: Meter
  readonly log: Log
}

const KEY = utf8('handed-over')

export class Leftovers {
  readonly #components: LeftoversComponents
  /** Slots that are not owned and of which nothing is to be handed over any more; kept in the store. */
  readonly #done = new Set<number>()
  /**
   * Slots with rows that are not owned and not done, under the placement they were worked out from.
   * Nothing is written to them under it.
   */
  #foreign: number[] = []
  #placed: Pick<View, 'current' | 'next'> | undefined

  constructor(components: LeftoversComponents) {
    this.#components = components
    components.store.get('meta', KEY)?.forEach((flag, slot) => {
      if (flag !== 0 && slot < SLOTS) this.#done.add(slot)
    })
  }

  /** Hands over what is left, to each owner that is alive in turn. */
  async turn(signal: AbortSignal): Promise<void> {
    const { membership, liveness, meter, log } = this.#components
    await this.#follow()
    for (const peer of membership.peers) {
      if (!liveness.isAlive(peer)) continue
      const slots = this.#leftFor(peer)
      if (slots.length === 0) continue
      signal.throwIfAborted()
      try {
        await this.#handOver(peer, slots, signal)
      } catch (error) {
        signal.throwIfAborted()
        meter.count('leftovers.failed')
        log.debug('leftovers-failed', { peer, error: String(error) })
      }
    }
  }

  /**
   * Hands over all that is here of those slots that are the peer's and not this node's, done with or
   * not: the peer has lost what it held. False when that is not done after one turn; rejects when the
   * peer cannot be reached.
   */
  async give(peer: NodeId, slots: readonly number[], signal: AbortSignal): Promise<boolean> {
    const { membership, replica } = this.#components
    const { view, id } = membership
    const isOf = (node: NodeId) => {
      const [now, then] = [view.current.owned(node), view.next.owned(node)]
      return (slot: number) => now[slot] === 1 || then[slot] === 1
    }
    const [isOwn, isTheirs] = [isOf(id), isOf(peer)]
    const left = slots.filter(
      slot => !isOwn(slot) && isTheirs(slot) && replica.forest.rows(slot) > 0
    )
    return left.length === 0 || this.#handOver(peer, Uint16Array.from(left), signal)
  }

  /** Resolves with whether all was moved that differed. */
  async #handOver(peer: NodeId, slots: Uint16Array, signal: AbortSignal): Promise<boolean> {
    const { antiEntropy, meter, log } = this.#components
    const same: number[] = []
    const onSame = (some: Uint16Array) => same.push(...some)
    try {
      const { rowsSent, complete } = await antiEntropy.handOver(peer, slots, { onSame, signal })
      log.info('handed-over', { peer, slots: same.length, rows: rowsSent })
      return complete
    } finally {
      meter.count('leftovers.slots', same.length)
      for (const slot of same) this.#done.add(slot)
      this.#foreign = this.#foreign.filter(slot => !this.#done.has(slot))
      if (same.length > 0) await this.#save()
    }
  }

  /** What is owned again is not done with: it may be written here, and lost again. */
  async #follow(): Promise<void> {
    const { membership, replica } = this.#components
    const { view, id } = membership
    if (view.current === this.#placed?.current && view.next === this.#placed.next) return
    const { current, next } = view
    const [now, then] = [current.owned(id), next.owned(id)]
    const isOwned = (slot: number) => now[slot] === 1 || then[slot] === 1
    const back = [...this.#done].filter(isOwned)
    for (const slot of back) this.#done.delete(slot)
    if (back.length > 0) await this.#save()
    this.#foreign = []
    for (let slot = 0; slot < SLOTS; slot++) {
      const isLeft = !isOwned(slot) && !this.#done.has(slot) && replica.forest.rows(slot) > 0
      if (isLeft) this.#foreign.push(slot)
    }
    this.#placed = { current, next }
  }

  /** Those of them that are the peer's now. */
  #leftFor(peer: NodeId): Uint16Array {
    if (this.#foreign.length === 0) return Uint16Array.of()
    const owned = this.#components.membership.view.current.owned(peer)
    return Uint16Array.from(this.#foreign.filter(slot => owned[slot] === 1))
  }

  async #save(): Promise<void> {
    const flags = new Uint8Array(SLOTS)
    for (const slot of this.#done) flags[slot] = 1
    const value = this.#done.size === 0 ? undefined : flags
    await this.#components.store.commit([{ space: 'meta', key: KEY, value }])
  }
}
