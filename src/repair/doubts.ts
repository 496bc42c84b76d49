/**
 * Trees that exchanges found no row to blame for: where hashes differ and rows do not, one of two trees
 * has drifted from its rows. Each side proves its own, and makes it anew if it was the wrong one.
 *
 * A write that arrives in the middle of a comparison can look the same. So a slot is only proven when
 * as many exchanges with the same peer in a row came to nothing in it as no writes will.
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

/** Two in a row have fallen on writes by chance, where many go to one slot (P16 in test/pitfalls.ts). */
const UNEXPLAINED_MIN = 3

export class Doubts {
  readonly #components: DoubtsComponents
  /** Of each peer, what its last exchange left unexplained, and how many in a row have. */
  readonly #times = new Map<NodeId, Map<number, number>>()

  constructor(components: DoubtsComponents) {
    this.#components = components
  }

  /** Takes what an exchange left unexplained; resolves when what has been so too often is proven. */
  async settle(peer: NodeId, slots: Uint16Array): Promise<void> {
    const before = this.#times.get(peer)
    const times = new Map([...slots].map(slot => [slot, (before?.get(slot) ?? 0) + 1]))
    const doubted = [...slots].filter(slot => (times.get(slot) ?? 0) >= UNEXPLAINED_MIN)
    const proven = doubted.slice(0, VERIFIED_MAX)
    // What is proven now is in no doubt until as many exchanges say so again.
    for (const slot of proven) times.delete(slot)
    if (times.size > 0) this.#times.set(peer, times)
    else this.#times.delete(peer)
    for (const slot of proven) await this.#verify(peer, slot)
  }

  async #verify(peer: NodeId, slot: number): Promise<void> {
    const { replica, meter, log } = this.#components
    const wrong = await replica.verifySlot(slot)
    meter.count('exchange.trees-verified')
    if (wrong) log.warn('tree-was-wrong', { slot, peer })
  }
}
