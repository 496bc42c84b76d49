/**
 * How a node becomes a member when it starts: as the founder of its cluster, by joining one, or again
 * after it was away. It hears what others know before it says anything of itself.
 */
import type { Membership } from '../cluster/membership.ts'
import { HearsayError } from '../errors.ts'
import type { Log, Network, Timers } from '../ports.ts'
import type { Replica } from '../replica/replica.ts'
import type { NodeId } from '../util/node-id.ts'
import { sleep } from '../util/sleep.ts'
import type { Arrival } from './arrival.ts'
import type { Handoff } from './handoff.ts'

export interface EntryComponents {
  readonly membership: Membership
  readonly handoff: Handoff
  readonly arrival: Pick<Arrival, 'turn'>
  readonly replica: Replica
  readonly network: Network
  readonly timers: Timers
  readonly log: Log
}

export interface EntryInit {
  /** A node that belongs to no cluster yet creates one. */
  readonly found: boolean
  /** Where to ask when it joins one. */
  readonly bootstrap: readonly string[]
}

const JOIN_ATTEMPTS = 5
const JOIN_RETRY_MS = 1_000

export class Entry {
  readonly #components: EntryComponents
  readonly #init: EntryInit

  constructor(components: EntryComponents, init: EntryInit) {
    this.#components = components
    this.#init = init
  }

  /** Becomes a member: again, as the founder, or by joining. */
  async enter(signal: AbortSignal): Promise<void> {
    const { membership, handoff, arrival, replica } = this.#components
    if (membership.self === undefined && this.#init.found) {
      await membership.announce('up')
      return handoff.settle(signal)
    }
    if (membership.self === undefined) await this.#meet(signal)
    else {
      const heard = await this.#returnTo(signal)
      replica.filling.release()
      if (!heard) return
    }
    // The others may remember more than its own directory does: then that is what it is.
    const joined = joinedAs(membership)
    if (joined !== undefined) await membership.announce(joined)
    else {
      await membership.announce('joining')
      await handoff.join(signal)
      await arrival.turn(signal)
    }
  }

  /**
   * Hears what the members know before saying anything, also of this node itself. False when a
   * member reached nobody: it then serves under a new actor, for its directory may be rolled back,
   * and says nothing of itself until it has met somebody.
   */
  async #returnTo(signal: AbortSignal): Promise<boolean> {
    const { membership, replica, timers, log } = this.#components
    for (;;) {
      const { peers } = membership
      const results = await Promise.allSettled(peers.map(peer => membership.compare(peer)))
      const reached = peers.filter(
        (peer, i) => results[i]?.status === 'fulfilled' && knowsBetter(membership, peer)
      ).length
      log.info('returned', { members: peers.length, reached })
      if (reached > 0 || peers.length === 0) return true
      if (joinedAs(membership) !== undefined) {
        await replica.identity.rotate('nobody-reached')
        membership.announceOnContact()
        return false
      }
      await sleep(timers, JOIN_RETRY_MS, signal)
    }
  }

  /** Finds one member of the cluster to join, and hears of the others from it. */
  async #meet(signal: AbortSignal): Promise<void> {
    const { membership, network, timers, log } = this.#components
    for (let attempt = 1; ; attempt++) {
      for (const address of this.#init.bootstrap) {
        try {
          await membership.compare(await network.dial(address, signal))
          if (knowsMembers(membership)) return
          log.info('met-no-member', { address })
        } catch (error) {
          if (isFinal(error)) throw error
          log.info('not-reached', { address, error: String(error) })
        }
      }
      if (attempt === JOIN_ATTEMPTS) throw unreachable(this.#init.bootstrap)
      await sleep(timers, JOIN_RETRY_MS, signal)
    }
  }
}

/**
 * Whoever was met may be on its way in itself. Two of those would be a cluster of their own, which
 * the members never hear of.
 */
function knowsMembers({ view }: Membership): boolean {
  return view.current.nodes.length > 0
}

/**
 * Whether it would know if this node had joined: to one that is joining itself nobody needs to have said so.
 * What has joined must not say that it is joining.
 */
function knowsBetter(membership: Membership, peer: NodeId): boolean {
  const isJoining = membership.view.table.get(peer)?.state === 'joining'
  return !isJoining || joinedAs(membership) !== undefined
}

/** `undefined` for one that has to join, or to go on with it. */
function joinedAs({ self }: Membership): 'filled' | 'up' | undefined {
  return self?.state === 'filled' || self?.state === 'up' ? self.state : undefined
}

/** Errors that a further attempt cannot mend. */
function isFinal(error: unknown): boolean {
  const final = [
    'ERR_CLUSTER_KEY',
    'ERR_CLUSTER_MISMATCH',
    'ERR_ARGUMENT',
    'ERR_CLOSED',
    'ERR_DUPLICATE_IDENTITY'
  ]
  return error instanceof HearsayError && final.includes(error.code)
}

function unreachable(addresses: readonly string[]): HearsayError {
  return new HearsayError(
    'ERR_NETWORK',
    `No member of the cluster answered at ${addresses.join(', ')}; check that one is running there and that its port ` +
      'is open, or take a fresh invite.'
  )
}
