/**
 * Recovery: what this node has lost may be held by a member that owns it no more and has long handed
 * it over, to this very node. So whoever loses what it held asks every member for all that is there
 * of it, and each hands that over by an exchange (leftovers.ts):
 *
 *   lost ──every member that is alive was asked──▶ may count again ──all were asked──▶ no more lost
 *
 * One that is away is asked when it is back, however late. Whom it has asked, a node forgets when it
 * stops, and asks again; what it has lost it remembers (replica/filling.ts).
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import { HearsayError } from '../errors.ts'
import type { Log, Meter } from '../ports.ts'
import type { Replica } from '../replica/replica.ts'
import type { NodeId } from '../util/node-id.ts'
import { decodeRecover, decodeRecovered, encodeRecover, encodeRecovered } from '../wire/recover.ts'
import type { Leftovers } from './leftovers.ts'

export interface RecoveryComponents {
  readonly replica: Pick<Replica, 'filling'>
  readonly membership: Membership
  readonly liveness: Liveness
  readonly leftovers: Pick<Leftovers, 'give'>
  readonly meter: Meter
  readonly log: Log
}

/** Longer than a member takes for one turn of handing over. */
const DEADLINE_MS = 30_000

export class Recovery {
  readonly #components: RecoveryComponents
  /** Members that have handed over all they had, since the last loss. */
  readonly #asked = new Set<NodeId>()
  /** Of `Filling.losses`. */
  #losses = 0

  constructor(components: RecoveryComponents) {
    this.#components = components
    components.membership.serve('recover', (...request) => this.#answer(...request))
  }

  /** Whether a member that is alive has yet to be asked for what was lost. */
  get waits(): boolean {
    const { replica, membership, liveness } = this.#components
    if (replica.filling.lost.size === 0) return false
    this.#follow()
    return membership.peers.some(peer => !this.#asked.has(peer) && liveness.isAlive(peer))
  }

  /** Asks whoever is alive and was not asked, one after the other. */
  async turn(signal?: AbortSignal): Promise<void> {
    const { replica, membership, liveness } = this.#components
    const { filling } = replica
    if (filling.lost.size === 0) return
    this.#follow()
    const losses = this.#losses
    for (const peer of membership.peers) {
      if (this.#asked.has(peer) || !liveness.isAlive(peer)) continue
      signal?.throwIfAborted()
      const isAll = await this.#ask(peer, signal)
      // What was lost meanwhile it was not asked for.
      if (filling.losses !== losses) return
      if (isAll) this.#asked.add(peer)
    }
    if (membership.peers.every(peer => this.#asked.has(peer))) await filling.recovered(losses)
  }

  #follow(): void {
    const { losses } = this.#components.replica.filling
    if (losses !== this.#losses) this.#asked.clear()
    this.#losses = losses
  }

  async #ask(peer: NodeId, signal: AbortSignal | undefined): Promise<boolean> {
    const { replica, membership, meter, log } = this.#components
    const body = encodeRecover(replica.filling.lost)
    try {
      const answer = await membership.ask(peer, 'recover', body, {
        deadlineMs: DEADLINE_MS,
        signal
      })
      const isAll = decodeRecovered(answer)
      if (isAll === undefined) throw malformed(peer)
      return isAll
    } catch (error) {
      signal?.throwIfAborted()
      meter.count('recovery.failed')
      log.debug('recovery-failed', { peer, error: String(error) })
      return false
    }
  }

  async #answer(from: NodeId, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const slots = decodeRecover(body)
    if (slots === undefined) throw malformed(from)
    return encodeRecovered(await this.#components.leftovers.give(from, slots, signal))
  }
}

function malformed(peer: NodeId): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `Hearsay could not read what ${peer} says of lost rows.`)
}
