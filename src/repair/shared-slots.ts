/**
 * The trees over the slots that this node shares with each peer, now or after the change that is under
 * way. Both ends of an exchange look at the same one, and it is made anew with every view.
 *
 * Not promised: that a group outlives its view. Who works with one in turns may find it given back.
 */
import type { Membership } from '../cluster/membership.ts'
import type { SlotGroup } from '../digest/forest.ts'
import type { Replica } from '../replica/replica.ts'
import { sharedSlots, type Placement } from '../ring/placement.ts'
import type { NodeId } from '../util/node-id.ts'

export interface SharedSlotsComponents {
  readonly replica: Pick<Replica, 'forest'>
  readonly membership: Membership
}

interface Shared {
  readonly current: Placement
  readonly next: Placement
  readonly group: SlotGroup
}

export class SharedSlots {
  readonly #components: SharedSlotsComponents
  /** Of members alone: `retain` drops the others. */
  readonly #shared = new Map<NodeId, Shared>()

  constructor(components: SharedSlotsComponents) {
    this.#components = components
  }

  group(peer: NodeId): SlotGroup {
    const { current, next } = this.#components.membership.view
    const known = this.#shared.get(peer)
    if (known?.current === current && known.next === next) return known.group
    known?.group.free()
    const group = this.#components.replica.forest.group(this.#slots(peer))
    this.#shared.set(peer, { current, next, group })
    return group
  }

  /** Whether this is still the group of a peer. */
  isOf(peer: NodeId, group: SlotGroup): boolean {
    return this.#shared.get(peer)?.group === group
  }

  /** Gives back what is kept of all others. */
  retain(peers: readonly NodeId[]): void {
    for (const [peer, { group }] of this.#shared) {
      if (peers.includes(peer)) continue
      group.free()
      this.#shared.delete(peer)
    }
  }

  #slots(peer: NodeId): Uint16Array {
    const { view, id } = this.#components.membership
    return sharedSlots(view.all, peer, id)
  }
}
