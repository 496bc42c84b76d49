import type { Network } from '../ports.ts'
import type { NodeId } from '../util/node-id.ts'
import type { Membership } from './membership.ts'

export class Liveness {
  readonly #network: Network
  readonly #listeners: (() => void)[] = []
  constructor({ network }: { network: Network; membership: Membership }) {
    this.#network = network
    network.onPeer((_, up) => {
      if (up) for (const fn of this.#listeners) fn()
    })
  }
  start() {}
  stop() {}
  onAlive(fn: () => void) {
    this.#listeners.push(fn)
  }
  opinion(id: NodeId): 'alive' | 'suspect' | 'down' {
    return this.isAlive(id) ? 'alive' : 'down'
  }
  isAlive(id: NodeId) {
    return id === this.#network.self || this.#network.connected().includes(id)
  }
  inOrder(owners: readonly NodeId[]): NodeId[] {
    const self = owners.filter(id => id === this.#network.self)
    return [...self, ...owners.filter(id => id !== this.#network.self && this.isAlive(id))]
  }
}
