/**
 * Filling: how a node that does not hold its slots yet comes to hold them, by the same exchange that
 * heals everything else. A joining node counts only afterwards:
 *
 *   joining ──every owner has seen it join, so that new writes reach it too──▶ exchange with each
 *      ▲                                                                            │
 *      └──a view changed, or too few owners answered: again                         ▼
 *                                                            each slot matched with a majority: up
 *
 * The writes that were acknowledged before the joining was seen are on a majority of the owners, so
 * matching with a majority finds them all.
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import { SLOTS } from '../digest/forest.ts'
import type { Log, Timers } from '../ports.ts'
import { needed } from '../quorum/level.ts'
import type { Replica } from '../replica/replica.ts'
import type { NodeId } from '../util/node-id.ts'
import { sleep } from '../util/sleep.ts'
import type { AntiEntropy, Exchanged } from './anti-entropy.ts'

export interface HandoffComponents {
  readonly replica: Replica
  readonly membership: Membership
  readonly liveness: Liveness
  readonly antiEntropy: AntiEntropy
  readonly timers: Timers
  readonly log: Log
}

const RETRY_MS = 500

export class Handoff {
  readonly #components: HandoffComponents

  constructor(components: HandoffComponents) {
    this.#components = components
  }

  /** Resolves when this node holds all it is about to own and has announced itself as up. */
  async join(signal: AbortSignal): Promise<void> {
    const { membership, timers, log } = this.#components
    log.info('joining', { members: membership.peers.length })
    while (!(await this.#fill(signal))) await sleep(timers, RETRY_MS, signal)
    await membership.announce('up')
    log.info('joined')
  }

  /**
   * After an exchange: the slots that are proven with enough other owners are no longer filling, nor
   * are those that this node does not own.
   */
  async settle(matched: ReadonlySet<NodeId>): Promise<void> {
    const { replica, membership } = this.#components
    const done: number[] = []
    for (let slot = 0; slot < SLOTS; slot++) {
      if (!replica.filling.has(slot)) continue
      const { current, next } = membership.view.ownersOf(slot)
      const owned = current.includes(membership.id) || next.includes(membership.id)
      const others = current.filter(node => node !== membership.id)
      const majority = Math.min(others.length, needed('quorum', others.length + 1))
      const proven = others.filter(node => matched.has(node)).length >= majority
      if (proven || !owned) done.push(slot)
    }
    await replica.filling.end(done)
  }

  /** True when every slot this node will own is matched under one view. */
  async #fill(signal: AbortSignal): Promise<boolean> {
    const { membership } = this.#components
    await this.#agree()
    const before = membership.view.fingerprint
    const matched = new Set<NodeId>()
    for (const peer of this.#sources()) {
      if ((await this.#exchange(peer, signal))?.complete) matched.add(peer)
    }
    return membership.view.fingerprint === before && this.#isFilled(matched)
  }

  /** Has every member that is alive see the view in which this node joins. */
  async #agree(): Promise<void> {
    const { membership, log } = this.#components
    const results = await Promise.allSettled(membership.peers.map(peer => membership.compare(peer)))
    const failed = results.filter(result => result.status === 'rejected').length
    if (failed > 0) log.info('members-not-reached', { failed })
  }

  #sources(): readonly NodeId[] {
    const { membership, liveness, antiEntropy } = this.#components
    return membership.view.current.nodes.filter(
      node =>
        node !== membership.id && liveness.isAlive(node) && antiEntropy.sharedSlots(node).length > 0
    )
  }

  async #exchange(peer: NodeId, signal: AbortSignal): Promise<Exchanged | undefined> {
    const { antiEntropy, log } = this.#components
    try {
      const report = await antiEntropy.exchange(peer, { settleMs: 0, signal })
      log.info('filled-from', { peer, rows: report.rowsReceived, bytes: report.bytesReceived })
      return report
    } catch (error) {
      signal.throwIfAborted()
      log.info('filling-failed', { peer, error: String(error) })
      return undefined
    }
  }

  #isFilled(matched: ReadonlySet<NodeId>): boolean {
    const { membership } = this.#components
    for (let slot = 0; slot < SLOTS; slot++) {
      const { current, next } = membership.view.ownersOf(slot)
      if (!next.includes(membership.id)) continue
      const others = current.filter(node => node !== membership.id)
      const count = others.filter(node => matched.has(node)).length
      if (count < needed('quorum', others.length)) return false
    }
    return true
  }
}
