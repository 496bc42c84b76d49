/**
 * Waits until owners are proven equal: runs exchanges and looks at what they prove, instead of hoping
 * that some time is enough. Only proofs count whose comparison this node began after the question was
 * asked: it looks at its own rows then, and the other owner at its own when it hears of it. So what an
 * owner that is counted had acknowledged before is on every owner that is counted.
 *
 * Not promised, where the level is below `all`: a write that so far only an owner has that was not
 * counted. One at `quorum` is on one that is counted; one at `one` may not be.
 *
 * A node can compare only what it owns; for other slots it asks an owner to do the same.
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import { HearsayError, SettleError } from '../errors.ts'
import type { Clock, Log, Timers } from '../ports.ts'
import { needed, type Level } from '../quorum/level.ts'
import { sumOfAll, type InSync } from '../ring/verified.ts'
import type { NodeId } from '../util/node-id.ts'
import { sleep } from '../util/sleep.ts'
import {
  decodeInSync,
  decodeSettled,
  decodeSettleRequest,
  encodeInSync,
  encodeSettled,
  encodeSettleRequest,
  type SettleRequest
} from '../wire/settle.ts'
import type { AntiEntropy } from './anti-entropy.ts'

export interface SettlingComponents {
  readonly antiEntropy: AntiEntropy
  readonly membership: Membership
  readonly liveness: Liveness
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
}

const RETRY_MS = 200
const SYNC_DEADLINE_MS = 2_000
/** What an owner that was asked has less to wait, so that its answer is here in time. */
const WAY_BACK_MS = 250

export class Settling {
  readonly #components: SettlingComponents

  constructor(components: SettlingComponents) {
    const { membership } = components
    this.#components = components
    membership.serve('settle', (from, body, signal) => this.#answer(from, body, signal))
    membership.serve('sync', () => Promise.resolve(encodeInSync(this.own())))
  }

  /** Throws `SettleError` when the time is up. */
  async settle(request: SettleRequest, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const parts = [...this.#byOwner(request.slots)]
    const left = await Promise.all(
      parts.map(([owner, slots]) => this.#at(owner, { ...request, slots }, signal))
    )
    signal?.throwIfAborted()
    const sum = left.reduce((all, each) => all + each, 0)
    if (sum > 0) throw new SettleError(sum, request.slots.length, request.timeoutMs)
  }

  /** How much of what this node owns is proven. */
  own(): InSync {
    const { antiEntropy, membership, clock } = this.#components
    const owners = (slot: number) => membership.view.ownersOf(slot).current
    return antiEntropy.verified.sum(membership.id, owners, clock.monoMs())
  }

  /** Of every member that answers, this one included; and of all of them together. */
  async cluster(signal?: AbortSignal): Promise<{ all: InSync; nodes: Map<NodeId, InSync> }> {
    const { membership } = this.#components
    const nodes = new Map<NodeId, InSync>([[membership.id, this.own()]])
    await Promise.all(
      membership.peers.map(async peer => {
        const sync = await this.#syncOf(peer, signal)
        if (sync !== undefined) nodes.set(peer, sync)
      })
    )
    signal?.throwIfAborted()
    return { all: sumOfAll([...nodes.values()]), nodes }
  }

  /** `undefined` when it does not answer. */
  async #syncOf(peer: NodeId, signal?: AbortSignal): Promise<InSync | undefined> {
    const { membership, log } = this.#components
    try {
      const options = { deadlineMs: SYNC_DEADLINE_MS, signal }
      return decodeInSync(await membership.ask(peer, 'sync', new Uint8Array(), options))
    } catch (error) {
      log.debug('sync-unknown', { peer, error: String(error) })
      return undefined
    }
  }

  /** This node for what it owns, otherwise the owner that answers best. */
  #byOwner(slots: readonly number[]): Map<NodeId, number[]> {
    const { membership, liveness } = this.#components
    const parts = new Map<NodeId, number[]>()
    for (const slot of slots) {
      const { current } = membership.view.ownersOf(slot)
      const owner = liveness.inOrder(current)[0] ?? current[0]
      if (owner === undefined) throw nobody()
      const part = parts.get(owner)
      if (part === undefined) parts.set(owner, [slot])
      else part.push(slot)
    }
    return parts
  }

  /** Resolves with how many slots are left when the time is up. */
  async #at(owner: NodeId, request: SettleRequest, signal?: AbortSignal): Promise<number> {
    const { membership, log } = this.#components
    if (owner === membership.id) return this.#here(request, signal)
    const { slots, timeoutMs } = request
    const part = { ...request, timeoutMs: Math.max(1, timeoutMs - WAY_BACK_MS) }
    try {
      const options = { deadlineMs: timeoutMs, signal }
      const answer = await membership.ask(owner, 'settle', encodeSettleRequest(part), options)
      return decodeSettled(answer) ?? slots.length
    } catch (error) {
      if (!(error instanceof HearsayError)) throw error
      log.debug('settle-unknown', { owner, error: String(error) })
      return slots.length
    }
  }

  async #answer(from: NodeId, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const request = decodeSettleRequest(body)
    if (request === undefined) throw malformed(from)
    return encodeSettled(await this.#here(request, signal))
  }

  async #here(request: SettleRequest, signal?: AbortSignal): Promise<number> {
    const { clock, timers } = this.#components
    const since = clock.monoMs()
    const end = new AbortController()
    const cancel = timers.after(request.timeoutMs, () => end.abort())
    const signals = signal === undefined ? [end.signal] : [end.signal, signal]
    const left = () => request.slots.filter(slot => !this.#isProven(slot, request.level, since))
    try {
      await this.#until(left, since, AbortSignal.any(signals))
    } catch (error) {
      signal?.throwIfAborted()
      if (!end.signal.aborted) throw error
    } finally {
      cancel()
    }
    return left().length
  }

  /** Compares until nothing is left, or until it is aborted. */
  async #until(left: () => number[], since: number, signal: AbortSignal): Promise<void> {
    for (let slots = left(); slots.length > 0; slots = left()) {
      await this.#compare(slots, since, signal)
      if (left().length > 0) await sleep(this.#components.timers, RETRY_MS, signal)
    }
  }

  #isProven(slot: number, level: Level, since: number): boolean {
    const others = this.#others(slot)
    const { verified } = this.#components.antiEntropy
    const peers = others.length === 0 ? 0 : needed(level, others.length + 1) - 1
    return verified.count(slot, others, since) >= peers
  }

  #others(slot: number): NodeId[] {
    const { membership } = this.#components
    const { current } = membership.view.ownersOf(slot)
    return current.filter(node => node !== membership.id)
  }

  /** One exchange with every peer whose proof is missing for one of the slots. */
  async #compare(slots: readonly number[], since: number, signal: AbortSignal): Promise<void> {
    const { antiEntropy, liveness, log } = this.#components
    const missing = (peer: NodeId, slot: number) => antiEntropy.verified.at(slot, peer) < since
    const peers = new Set<NodeId>()
    for (const slot of slots) {
      for (const peer of this.#others(slot)) if (missing(peer, slot)) peers.add(peer)
    }
    for (const peer of peers) {
      if (!liveness.isAlive(peer)) continue
      try {
        await antiEntropy.exchange(peer, { signal })
      } catch (error) {
        signal.throwIfAborted()
        log.debug('settling-failed', { peer, error: String(error) })
      }
    }
  }
}

function nobody(): HearsayError {
  return new HearsayError('ERR_UNAVAILABLE', 'There are no members yet; nobody owns anything.')
}

function malformed(from: NodeId): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `Hearsay could not read what ${from} asks to settle.`)
}
