/**
 * Arrival: the second step by which a newcomer comes to count (ring/view.ts has both, and why). While it
 * is `filled` requests are decided as if it were an owner, and as if it were not. It is `up` once nobody
 * is left who could decide one without it:
 *
 *   filled ──every member that counts has noted it──▶ ──all that they hold is here──▶ up
 *
 * Noted means on disk, so that a restart forgets nothing of it. What they hold is looked at once more
 * because one who had not noted it yet may have answered with what never reached its level, and was
 * never sent here.
 *
 * A slot in which one of them has a row from too far ahead, which is only kept aside here, is filled on.
 *
 * A member that is away is waited for, however long: it may be standing still, and answer the next
 * read from its own disk without asking anybody.
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import type { Log } from '../ports.ts'
import type { Replica } from '../replica/replica.ts'
import type { NodeId } from '../util/node-id.ts'
import type { AntiEntropy } from './anti-entropy.ts'

export interface ArrivalComponents {
  readonly replica: Pick<Replica, 'filling'>
  readonly membership: Membership
  readonly liveness: Liveness
  readonly antiEntropy: Pick<AntiEntropy, 'exchange' | 'sharedSlots'>
  readonly log: Log
}

export class Arrival {
  readonly #components: ArrivalComponents
  #waitingFor = ''

  constructor(components: ArrivalComponents) {
    this.#components = components
  }

  /** Makes this node `up` if it is filled and nothing stands against it any more. */
  async turn(signal: AbortSignal): Promise<void> {
    const { membership, replica, log } = this.#components
    if (membership.self?.state !== 'filled') return
    const { fingerprint } = membership.view
    const members = this.#counting()
    const without = await this.#notNotedBy(members, signal)
    this.#tell(without)
    if (without.length > 0) return
    const withheld = new Set<number>()
    for (const peer of members) {
      signal.throwIfAborted()
      const exchanged = await this.#compareWith(peer, signal)
      if (exchanged === undefined) return
      for (const slot of exchanged) withheld.add(slot)
    }
    // Somebody may have come to count meanwhile who was not asked.
    if (membership.view.fingerprint !== fingerprint) return
    if (withheld.size > 0) await replica.filling.begin(withheld)
    await membership.announce('up')
    log.info('up', { members: members.length })
  }

  /** Members whose answers could decide a request without this node. */
  #counting(): readonly NodeId[] {
    const { membership } = this.#components
    const isCounted = ({ state }: { readonly state: string }) =>
      state === 'filled' || state === 'up' || state === 'leaving'
    return [...membership.view.table]
      .filter(member => member.id !== membership.id && isCounted(member))
      .map(({ id }) => id)
  }

  async #notNotedBy(members: readonly NodeId[], signal: AbortSignal): Promise<readonly NodeId[]> {
    const { membership, liveness } = this.#components
    const away = members.filter(peer => !liveness.isAlive(peer))
    if (away.length > 0) return away
    const results = await Promise.allSettled(members.map(peer => membership.compare(peer, signal)))
    signal.throwIfAborted()
    const hasNoted = (result: PromiseSettledResult<boolean> | undefined) =>
      result?.status === 'fulfilled' && result.value
    return members.filter((_, i) => !hasNoted(results[i]))
  }

  /** Resolves with the slots of which this node was not sent all; `undefined` when that is not known. */
  async #compareWith(peer: NodeId, signal: AbortSignal): Promise<Iterable<number> | undefined> {
    const { antiEntropy, log } = this.#components
    if (antiEntropy.sharedSlots(peer).length === 0) return []
    try {
      const exchanged = await antiEntropy.exchange(peer, { settleMs: 0, signal })
      if (exchanged.complete) return exchanged.withheld
      log.info('arrival-incomplete', { peer, refusal: exchanged.refusal?.message })
      return undefined
    } catch (error) {
      signal.throwIfAborted()
      log.info('arrival-failed', { peer, error: String(error) })
      return undefined
    }
  }

  #tell(without: readonly NodeId[]): void {
    const names = without.join(' ')
    if (names !== this.#waitingFor && names !== '') {
      this.#components.log.info('arrival-waits', { members: names })
    }
    this.#waitingFor = names
  }
}
