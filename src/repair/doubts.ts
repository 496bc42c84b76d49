/**
 * Trees that exchanges found no row to blame for: where hashes differ and rows do not, one of two trees
 * has drifted from its rows. Each side proves its own, and makes it anew if it was the wrong one.
 *
 * A write that arrives in the middle of a comparison can look the same, once. So a slot is only proven
 * when two exchanges with the same peer in a row came to nothing in it.
 */
import type { Log, Meter } from '../ports.ts'
import type { Replica } from '../replica/replica.ts'
import type { NodeId } from '../util/node-id.ts'

export interface DoubtsComponents {
  readonly replica: Pick<Replica, 'verifySlot'>
  readonly meter: Meter
  readonly log: Log
}

/** Trees proven after one exchange: each reads all rows of a slot. The others wait for the next. */
export const VERIFIED_MAX = 16

export class Doubts {
  readonly #components: DoubtsComponents
  /** Of each peer, what its last exchange left unexplained: no more than the slots there are. */
  readonly #last = new Map<NodeId, ReadonlySet<number>>()

  constructor(components: DoubtsComponents) {
    this.#components = components
  }

  /** Takes what an exchange left unexplained; resolves when what was so before, too, is proven. */
  async settle(peer: NodeId, slots: Uint16Array): Promise<void> {
    const before = this.#last.get(peer)
    const again = [...slots].filter(slot => before?.has(slot)).slice(0, VERIFIED_MAX)
    this.#remember(peer, new Set(slots), again)
    for (const slot of again) await this.#verify(peer, slot)
  }

  /** What is proven now is in no doubt, until two more exchanges say so. */
  #remember(peer: NodeId, slots: Set<number>, proven: readonly number[]): void {
    for (const slot of proven) slots.delete(slot)
    if (slots.size > 0) this.#last.set(peer, slots)
    else this.#last.delete(peer)
  }

  async #verify(peer: NodeId, slot: number): Promise<void> {
    const { replica, meter, log } = this.#components
    const wrong = await replica.verifySlot(slot)
    meter.count('exchange.trees-verified')
    if (wrong) log.warn('tree-was-wrong', { slot, peer })
  }
}
