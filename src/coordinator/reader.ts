/**
 * Coordinates one read. Any node can: it asks as many owners as the level needs, joins what they
 * say, and brings those that answered with less up to date before the caller gets the answer
 * (blocking read repair), so that a later read at the same level cannot go back.
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import { QuorumFailedError, TimeoutError, UnavailableError } from '../errors.ts'
import { printDot } from '../lattice/dot.ts'
import { encodeRow } from '../lattice/encode.ts'
import { versionOf, winner, type Row } from '../lattice/row.ts'
import type { Answer, ReadResult } from '../options.ts'
import type { Meter, Timers } from '../ports.ts'
import { needed, type Level } from '../quorum/level.ts'
import { Read, type ReadOutcome, type ReplicaAnswer } from '../quorum/read.ts'
import { slotOf } from '../ring/slot.ts'
import type { NodeId } from '../util/node-id.ts'
import { GRACE_MS, within } from './deadline.ts'
import type { Fanout } from './fanout.ts'

export interface ReaderComponents {
  readonly membership: Membership
  readonly liveness: Liveness
  readonly fanout: Fanout
  readonly timers: Timers
  readonly meter: Meter
}

export interface ReaderInit {
  /**
   * How long an owner may take before one more is asked. Shorter hides slow owners sooner and asks
   * more of them.
   *
   * @default 150
   */
  readonly hedgeMs?: number
}

export interface ReadRequest {
  readonly key: Uint8Array
  readonly level: Level
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

export class Reader {
  readonly #components: ReaderComponents
  readonly #hedgeMs: number

  constructor(components: ReaderComponents, init: ReaderInit = {}) {
    this.#components = components
    this.#hedgeMs = init.hedgeMs ?? 150
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    const { timers } = this.#components
    const { timeoutMs, signal } = request
    let read = this.#begin(request)
    const onTimeout = () => {
      throw new TimeoutError('read', read.needed, read.acknowledged, timeoutMs)
    }
    const work = async (): Promise<ReadResult> => {
      const owners = this.#owners(request.key)
      await this.#ask(read, request)
      if (owners.join() !== this.#owners(request.key).join()) {
        read = this.#begin(request)
        return work()
      }
      return this.#finish(read, request)
    }
    return within(timers, work(), { timeoutMs, signal, onTimeout })
  }

  #begin({ key, level }: ReadRequest): Read {
    const { liveness } = this.#components
    const owners = this.#owners(key)
    const count = needed(level, owners.length)
    const candidates = liveness.inOrder(owners)
    if (candidates.length < count || count === 0) {
      const [needed, alive] = [Math.max(1, count), candidates.length]
      throw new UnavailableError('read', String(level), needed, alive, owners.length)
    }
    return new Read(candidates, count)
  }

  #owners(key: Uint8Array): readonly NodeId[] {
    return this.#components.membership.view.ownersOf(slotOf(key)).current
  }

  /** Asks until there are enough answers; rejects when nobody is left to ask. */
  async #ask(read: Read, request: ReadRequest): Promise<void> {
    const { timers, meter } = this.#components
    await new Promise<void>(resolve => {
      const askNext = () => {
        const node = read.askNext()
        if (node !== undefined) ask(node)
        return node !== undefined
      }
      const cancel = timers.after(this.#hedgeMs, () => {
        if (askNext()) meter.count('read.hedged')
      })
      const ask = (node: NodeId) =>
        void this.#answer(node, request).then(answer => {
          read.answer(node, answer)
          if (answer.answer === 'unknown' || answer.answer === 'failed') askNext()
          if (read.outcome === 'pending') return
          cancel()
          resolve()
        })
      for (const node of read.start()) ask(node)
    })
    if (read.outcome === 'impossible') {
      throw new QuorumFailedError('read', read.needed, read.acknowledged, read.failures)
    }
  }

  #answer(node: NodeId, { key, timeoutMs }: ReadRequest): Promise<ReplicaAnswer> {
    return this.#components.fanout.read(node, key, { deadlineMs: timeoutMs + GRACE_MS })
  }

  async #finish(read: Read, request: ReadRequest): Promise<ReadResult> {
    const outcome = read.result()
    const repaired = await this.#repair(outcome, request)
    const stale = outcome.behind.filter(node => !repaired.includes(node))
    // Whoever answers during the repair is not counted: nobody has compared what it holds.
    const confirmed = outcome.answered.filter(node => !stale.includes(node))
    if (confirmed.length < read.needed) {
      const failures = new Map(stale.map(node => [node, new Error('it could not be repaired')]))
      throw new QuorumFailedError('read', read.needed, confirmed, failures)
    }
    const best = winner(outcome.row)
    return {
      value: best?.value && new Uint8Array(best.value),
      version: print(outcome.row),
      siblings: Math.max(0, outcome.row.entries.length - 1),
      answers: [...read.answers].map(([node, answer]) => describe(node, answer)),
      repaired
    }
  }

  /** Sends the joined row to those that answered with less; resolves with who has it now. */
  async #repair({ row, behind }: ReadOutcome, request: ReadRequest): Promise<NodeId[]> {
    if (behind.length === 0) return []
    const { fanout, meter } = this.#components
    const items = [{ key: request.key, kind: 'row' as const, bytes: encodeRow(row) }]
    const options = { deadlineMs: request.timeoutMs + GRACE_MS }
    const results = await Promise.allSettled(
      behind.map(node => fanout.apply(node, { flush: false, items }, options))
    )
    const repaired = behind.filter((_, i) => results[i]?.status === 'fulfilled')
    meter.count('read-repair.rows', repaired.length)
    meter.count('read-repair.failed', behind.length - repaired.length)
    return repaired
  }
}

function describe(node: NodeId, answer: ReplicaAnswer): Answer {
  const version = answer.answer === 'row' ? print(answer.row) : undefined
  return { node, answer: answer.answer, version }
}

function print(row: Row): string | undefined {
  const version = versionOf(row)
  return version && printDot(version)
}
