/**
 * Coordinates one read. Any node can: it asks as many owners as the level needs, the fastest first,
 * joins what they say, and brings those that answered with less up to date before the caller gets
 * the answer (blocking read repair), so that a later read at the same level cannot go back. Where an
 * owner cannot be, another is asked in its place.
 *
 * One more owner is asked whenever one is later than nearly all its recent answers were. Large rows
 * are asked for once; the other owners send digests.
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import { QuorumFailedError, TimeoutError, UnavailableError } from '../errors.ts'
import { printDot } from '../lattice/dot.ts'
import { versionOf, type Row } from '../lattice/row.ts'
import type { Answer, ReadRepairMode } from '../options.ts'
import type { Clock, Meter, Timers } from '../ports.ts'
import { Latency } from '../quorum/latency.ts'
import type { Level } from '../quorum/level.ts'
import { Read, type HeldAnswer } from '../quorum/read.ts'
import { onlyCopyError } from '../replica/refusals.ts'
import { slotOf } from '../ring/slot.ts'
import { sameVoters, type Voters } from '../ring/view.ts'
import type { NodeId } from '../util/node-id.ts'
import { Asking } from './asking.ts'
import { GRACE_MS, within } from './deadline.ts'
import type { Fanout } from './fanout.ts'
import { ReadRepair } from './read-repair.ts'

export interface ReaderComponents {
  readonly membership: Membership
  readonly liveness: Liveness
  readonly fanout: Fanout
  readonly clock: Clock
  readonly timers: Timers
  readonly meter: Meter
}

export interface ReaderInit {
  /**
   * Rows above it are sent by one owner only, the others send a digest. Lower saves bytes while
   * owners agree, and costs a round trip where they do not.
   *
   * @default 2_048
   */
  readonly digestAboveBytes?: number
}

export interface ReadRequest {
  readonly key: Uint8Array
  readonly level: Level
  readonly timeoutMs: number
  readonly readRepair: ReadRepairMode
  readonly signal?: AbortSignal | undefined
}

/** The join of what the owners said, and who said what. */
export interface RowRead {
  readonly row: Row
  readonly answers: readonly Answer[]
  readonly repaired: readonly NodeId[]
}

export class Reader {
  readonly #components: ReaderComponents
  readonly #digestAboveBytes: number
  readonly #latency = new Latency()
  readonly #repair: ReadRepair

  constructor(components: ReaderComponents, init: ReaderInit = {}) {
    this.#components = components
    this.#digestAboveBytes = init.digestAboveBytes ?? 2_048
    this.#repair = new ReadRepair(components)
  }

  async read(request: ReadRequest): Promise<RowRead> {
    const { timers } = this.#components
    const { timeoutMs, signal } = request
    signal?.throwIfAborted()
    let read = this.#begin(request)
    const onTimeout = () => {
      // Then it has only waited to hear whether there is nothing left to read.
      if (read.outcome === 'impossible') throw failed(read)
      const { needed, acknowledged } = read.progress
      throw new TimeoutError('read', needed, acknowledged, timeoutMs)
    }
    const work = async (): Promise<RowRead> => {
      const asking = this.#asking(read, request)
      await asking.run()
      await this.#assertAnswered(read, asking, request.key)
      if (!sameVoters(read.voters, this.#voters(request.key))) {
        read = this.#begin(request)
        return work()
      }
      return this.#finish(read, asking, request)
    }
    return within(timers, work(), { timeoutMs, signal, onTimeout })
  }

  #begin({ key, level }: ReadRequest): Read {
    const voters = this.#voters(key)
    const candidates = this.#inOrder(key, voters)
    const read = new Read({ voters, level, candidates }, this.#components.fanout.digestOf(key))
    if (read.shortage !== undefined) {
      const { needed, alive, owners } = read.shortage
      throw new UnavailableError('read', String(level), needed, alive, owners)
    }
    return read
  }

  #voters(key: Uint8Array): Voters {
    return this.#components.membership.view.ownersOf(slotOf(key)).reads
  }

  /**
   * Those worth asking: this node if it can answer, the alive ones, first those whose answer counts for
   * everybody, the suspects, each the fastest first. A node that is still being filled asks itself last.
   */
  #inOrder(key: Uint8Array, { ranked, unsettled, n }: Voters): NodeId[] {
    const { liveness, membership, fanout, clock } = this.#components
    const isBlind = ranked.includes(membership.id) && !fanout.isWholeHere(key)
    const undisputed = ranked.slice(0, n).filter(node => !unsettled.has(node))
    const rank = (node: NodeId) => {
      if (node === membership.id) return isBlind ? 4 : 0
      if (liveness.opinion(node) !== 'alive') return 3
      return undisputed.includes(node) ? 1 : 2
    }
    const fastest = this.#latency.order(liveness.inOrder(ranked), clock.monoMs())
    return fastest.sort((a, b) => rank(a) - rank(b))
  }

  #asking(read: Read, { key, timeoutMs }: ReadRequest): Asking {
    const components = { ...this.#components, latency: this.#latency }
    const self = this.#components.membership.id
    const deadlineMs = timeoutMs + GRACE_MS
    const init = { self, key, deadlineMs, digestAboveBytes: this.#digestAboveBytes }
    return new Asking(components, init, read)
  }

  /** Until as many as the level needs hold what the read would answer, or were not to be repaired. */
  async #finish(read: Read, asking: Asking, request: ReadRequest): Promise<RowRead> {
    const { key, timeoutMs, readRepair: mode } = request
    const outcome = read.result()
    const { repaired, refusals } = await this.#repair.run(outcome, { key, timeoutMs, mode })
    if (!read.isEnough(outcome.answered.filter(node => !refusals.has(node)))) {
      // Whoever has answered during the repair is compared now.
      read.withdraw(refusals)
      await asking.goOn(refusals.size)
      if (read.outcome !== 'impossible' || !read.leaveOut()) {
        await this.#assertAnswered(read, asking, key)
      }
      return this.#finish(read, asking, request)
    }
    const answers = [...read.answers].map(([node, answer]) => describe(node, answer))
    return { row: outcome.row, answers, repaired }
  }

  /** Trying again does not bring back what is known to be lost. */
  async #assertAnswered(read: Read, asking: Asking, key: Uint8Array): Promise<void> {
    if (read.outcome !== 'impossible') return
    if (read.mayBeLost) await asking.untilLost()
    if (read.isLost && sameVoters(read.voters, this.#voters(key))) throw onlyCopyError(key)
    throw failed(read)
  }
}

function failed({ progress, failures }: Read): QuorumFailedError {
  return new QuorumFailedError('read', progress.needed, progress.acknowledged, failures)
}

function describe(node: NodeId, answer: HeldAnswer): Answer {
  const version = answer.answer === 'row' ? print(answer.row) : undefined
  return { node, answer: answer.answer, version }
}

function print(row: Row): string | undefined {
  const version = versionOf(row)
  return version && printDot(version)
}
