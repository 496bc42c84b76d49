/**
 * Which start of each peer was seen last. A peer that is started again has a new epoch; an epoch
 * that comes back after another took its place means that two processes share one identity. Pure.
 */
import type { NodeId } from '../util/node-id.ts'
import { BOOK_PEERS_MAX } from './limits.ts'

const PAST_MAX = 8

export class Epochs {
  /** Oldest first; the last is current. */
  readonly #seen = new Map<NodeId, string[]>()

  note(peer: NodeId, epoch: string): 'first' | 'same' | 'new' | 'returned' {
    const seen = this.#seen.get(peer) ?? []
    if (seen.at(-1) === epoch) return 'same'
    const change = seen.length === 0 ? 'first' : seen.includes(epoch) ? 'returned' : 'new'
    const next = [...seen.filter(past => past !== epoch), epoch].slice(-PAST_MAX)
    this.#seen.delete(peer)
    this.#seen.set(peer, next)
    this.#bound()
    return change
  }

  #bound(): void {
    if (this.#seen.size <= BOOK_PEERS_MAX) return
    for (const oldest of this.#seen.keys()) {
      this.#seen.delete(oldest)
      return
    }
  }
}
