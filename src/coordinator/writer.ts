/**
 * Coordinates one write on an owner of its key:
 *
 *   enough owners alive? ──▶ own row, new dot ──▶ delta to the other owners at once ──▶ level reached
 *          │ no                                        │ no answer, refused, down
 *          ▼                                           ▼
 *   Unavailable, nothing sent                     a hint is kept
 *
 * The own row is committed before anybody else hears of the dot. If the owners change meanwhile, the
 * write goes on until it has reached its level under the new ones too.
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import { QuorumFailedError, TimeoutError, UnavailableError } from '../errors.ts'
import { printDot } from '../lattice/dot.ts'
import { encodeDelta } from '../lattice/encode.ts'
import type { Operation } from '../lattice/operation.ts'
import type { Clock, Log, Timers } from '../ports.ts'
import type { Level } from '../quorum/level.ts'
import type { Tally } from '../quorum/tally.ts'
import { tallyOfWrite } from '../quorum/write.ts'
import type { Mutated, Replica } from '../replica/replica.ts'
import { slotOf } from '../ring/slot.ts'
import { sameVoters, type Voters } from '../ring/view.ts'
import type { NodeId } from '../util/node-id.ts'
import type { Written } from '../wire/forward.ts'
import { GRACE_MS, within } from './deadline.ts'
import type { Fanout } from './fanout.ts'

export interface WriterComponents {
  readonly replica: Replica
  readonly membership: Membership
  readonly liveness: Liveness
  readonly fanout: Fanout
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  /**
   * Keeps the row of a key for an owner that did not acknowledge it; resolves when that is durable,
   * and with `false` when there was no room for it.
   */
  readonly hint: (owner: NodeId, key: Uint8Array) => Promise<boolean>
}

export interface WriteRequest {
  readonly key: Uint8Array
  readonly operation: Operation
  readonly level: Level
  readonly flush: boolean
  readonly timeoutMs: number
  /** What the caller gave, where some of it has passed before: an error tells this. */
  readonly givenMs?: number
  readonly signal?: AbortSignal | undefined
}

export class Writer {
  readonly #components: WriterComponents

  constructor(components: WriterComponents) {
    this.#components = components
  }

  async write(request: WriteRequest): Promise<Written> {
    const { liveness, membership } = this.#components
    const { key, level } = request
    const tally = tallyOfWrite(membership.view.ownersOf(slotOf(key)).writes, level)
    const shortage = tally.shortage(node => liveness.isAlive(node))
    if (shortage !== undefined) {
      const { needed, alive, owners } = shortage
      throw new UnavailableError('write', String(level), needed, alive, owners)
    }
    return new Round(this.#components, request, tally).run()
  }
}

/** The part of a write that waits: for the own disk, then for other owners. */
class Round {
  readonly #components: WriterComponents
  readonly #request: WriteRequest
  readonly #sent = new Map<NodeId, Promise<Error | undefined>>()
  readonly #hinted = new Set<NodeId>()
  readonly #hinting: Promise<void>[] = []
  #tally: Tally

  constructor(components: WriterComponents, request: WriteRequest, tally: Tally) {
    this.#components = components
    this.#request = request
    this.#tally = tally
  }

  async run(): Promise<Written> {
    const { clock, timers } = this.#components
    const { timeoutMs, givenMs = timeoutMs, signal } = this.#request
    const end = clock.monoMs() + timeoutMs
    const onTimeout = () => {
      const { needed, acknowledged } = this.#tally.progress
      throw new TimeoutError('write', needed, acknowledged, givenMs)
    }
    const { delta, number } = await within(timers, this.#write(), { timeoutMs, signal, onTimeout })
    await this.#hintsKept(Math.max(0, end - clock.monoMs()))
    const { outcome, progress, acknowledged, failures } = this.#tally
    if (outcome !== 'reached') {
      throw new QuorumFailedError('write', progress.needed, progress.acknowledged, failures)
    }
    return {
      version: printDot(delta.dot),
      acknowledged: [...acknowledged],
      hinted: [...this.#hinted],
      ...(number !== undefined && { number })
    }
  }

  async #write(): Promise<Mutated> {
    const { key, operation, flush } = this.#request
    const mutated = await this.#components.replica.mutate(key, operation, flush)
    await this.#settle(mutated)
    return mutated
  }

  /** What is decided is told in time, also when the disk is slow to keep the hints. */
  async #hintsKept(timeoutMs: number): Promise<void> {
    const { signal } = this.#request
    const options = { timeoutMs, signal, onTimeout: () => [] }
    await within(this.#components.timers, Promise.all(this.#hinting), options)
  }

  /** Until the level is decided under the owners of that moment. */
  async #settle(mutated: Mutated): Promise<void> {
    const voters = this.#voters()
    const tally = tallyOfWrite(voters, this.#request.level)
    this.#tally = tally
    await this.#reach(tally, mutated)
    const reached = tally.outcome === 'reached'
    if (reached && !sameVoters(voters, this.#voters())) await this.#settle(mutated)
  }

  #voters(): Voters {
    return this.#components.membership.view.ownersOf(slotOf(this.#request.key)).writes
  }

  /** Resolves when the tally is decided; answers after that still become hints. */
  #reach(tally: Tally, mutated: Mutated): Promise<void> {
    return new Promise(resolve => {
      const decide = () => {
        if (tally.outcome !== 'pending') resolve()
      }
      for (const node of tally.voters.ranked) {
        void this.#send(node, mutated).then(failure => {
          if (failure === undefined) tally.acknowledge(node)
          else tally.refuse(node, failure)
          decide()
        })
      }
    })
  }

  /** Sends to a node once; what it did not acknowledge is hinted. */
  #send(node: NodeId, mutated: Mutated): Promise<Error | undefined> {
    let sent = this.#sent.get(node)
    if (sent === undefined) {
      sent = this.#deliver(node, mutated).catch((error: unknown) =>
        this.#hint(node, error as Error)
      )
      this.#sent.set(node, sent)
    }
    return sent
  }

  async #deliver(node: NodeId, { delta }: Mutated): Promise<undefined> {
    const { membership, liveness, fanout } = this.#components
    if (node === membership.id) return undefined
    if (!liveness.isAlive(node)) throw new Error('the node is down')
    const { key, flush, timeoutMs } = this.#request
    const bytes = encodeDelta(delta)
    const items = [{ key, kind: 'delta' as const, bytes }]
    await fanout.apply(node, { flush, items }, { deadlineMs: timeoutMs + GRACE_MS })
    return undefined
  }

  #hint(node: NodeId, failure: Error): Error {
    const { hint, log } = this.#components
    const kept = hint(node, this.#request.key).then(
      isKept => {
        if (isKept) this.#hinted.add(node)
      },
      // Without a hint the row still travels by anti-entropy; the write is not worse for it.
      (error: unknown) => log.warn('hint-not-kept', { owner: node, error: String(error) })
    )
    this.#hinting.push(kept)
    return failure
  }
}
