/**
 * Recovery: what this node has lost may be held by a member that owns it no more and has long handed
 * it over, to this very node. So whoever loses what it held asks every member for all that is there
 * of it, and each gives it (leftovers.ts):
 *
 *   lost ──every member that is alive was asked──▶ may count again ──all were asked──▶ no more lost
 *
 * One that is away is asked when it is back, however late. What is lost and who was asked is kept in
 * the store (replica/filling.ts), and everybody is asked again when other slots are owned: who owned
 * a slot when it was asked had nothing left of it.
 *
 * Not promised: that what comes back is the newest that was ever acknowledged. Where everything that
 * had seen the newest is lost, what there was before it is all there is.
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import { HearsayError } from '../errors.ts'
import type { Log, Meter } from '../ports.ts'
import type { Replica } from '../replica/replica.ts'
import type { NodeId } from '../util/node-id.ts'
import { decodeSlots, encodeSlots } from '../wire/slots.ts'
import type { Leftovers } from './leftovers.ts'

export interface RecoveryComponents {
  readonly replica: Pick<Replica, 'filling'>
  readonly membership: Membership
  readonly liveness: Liveness
  readonly leftovers: Pick<Leftovers, 'give'>
  readonly meter: Meter
  readonly log: Log
}

/** Several times what a member takes for one turn of giving; it is asked for the rest again. */
const DEADLINE_MS = 30_000

export class Recovery {
  readonly #components: RecoveryComponents
  /** Of those that have given a part: which slots are left to ask for. */
  readonly #left = new Map<NodeId, readonly number[]>()
  /** The `Filling.losses` of which that is. */
  #losses = 0
  /** How often slots have changed hands. */
  #changes = 0

  constructor(components: RecoveryComponents) {
    this.#components = components
    components.membership.serve('recover', (...request) => this.#answer(...request))
  }

  /** Lost slots of which a member that is alive has yet to give what it has. */
  get waiting(): ReadonlySet<number> {
    const { filling } = this.#components.replica
    if (filling.lost.size === 0) return filling.lost
    this.#follow()
    const waiting = new Set<number>()
    for (const peer of this.#reachable()) {
      const left = this.#left.get(peer)
      if (left === undefined) return filling.lost
      for (const slot of left) waiting.add(slot)
    }
    return waiting
  }

  /** Asks whoever is alive and has not given all, one after the other. */
  async turn(signal?: AbortSignal): Promise<void> {
    const { replica, membership } = this.#components
    const { filling } = replica
    if (filling.lost.size === 0) return
    this.#follow()
    const { losses } = filling
    const changes = this.#changes
    for (const peer of this.#reachable()) {
      signal?.throwIfAborted()
      const left = await this.#ask(peer, signal)
      // What was lost meanwhile it was not asked for, nor for what it owned then and does no more.
      if (filling.losses !== losses || this.#changes !== changes) return
      if (left?.length === 0) await filling.noteAsked(peer, losses)
      else if (left !== undefined) this.#left.set(peer, left)
    }
    if (membership.peers.every(peer => filling.asked.has(peer))) await filling.recovered(losses)
  }

  /** Slots have changed hands: what was asked before says nothing of those. */
  async askAgain(): Promise<void> {
    this.#changes++
    this.#left.clear()
    await this.#components.replica.filling.askAgain()
  }

  #reachable(): NodeId[] {
    const { replica, membership, liveness } = this.#components
    const { asked } = replica.filling
    return membership.peers.filter(peer => !asked.has(peer) && liveness.isAlive(peer))
  }

  #follow(): void {
    const { losses } = this.#components.replica.filling
    if (losses !== this.#losses) this.#left.clear()
    this.#losses = losses
  }

  /** Resolves with the slots of which it has yet to give something; `undefined` when it does not say. */
  async #ask(
    peer: NodeId,
    signal: AbortSignal | undefined
  ): Promise<readonly number[] | undefined> {
    const { replica, membership, meter, log } = this.#components
    const body = encodeSlots(this.#left.get(peer) ?? replica.filling.lost)
    try {
      const answer = await membership.ask(peer, 'recover', body, {
        deadlineMs: DEADLINE_MS,
        signal
      })
      const left = decodeSlots(answer)
      if (left === undefined) throw malformed(peer)
      if (left.length > 0) log.info('recovery-goes-on', { peer, slots: left.length })
      return left
    } catch (error) {
      signal?.throwIfAborted()
      meter.count('recovery.failed')
      log.info('recovery-failed', { peer, error: String(error) })
      return undefined
    }
  }

  async #answer(from: NodeId, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const slots = decodeSlots(body)
    if (slots === undefined) throw malformed(from)
    return encodeSlots(await this.#components.leftovers.give(from, slots, signal))
  }
}

function malformed(peer: NodeId): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `Hearsay could not read which slots ${peer} means.`)
}
