/**
 * Anti-entropy: runs the exchange with every peer that shares slots, by itself, every few seconds, one
 * after the other and each only for so long, so that one with much to say does not keep the others
 * from theirs. What answers the exchanges that peers begin is in answering.ts.
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import type { ExchangeReport, ExchangeStatus } from '../options.ts'
import type { Clock, Log, Meter, Timers } from '../ports.ts'
import type { Replica } from '../replica/replica.ts'
import { Verified } from '../ring/verified.ts'
import type { NodeId } from '../util/node-id.ts'
import { Answering } from './answering.ts'
import { Doubts } from './doubts.ts'
import { countMalformed } from './exchange-errors.ts'
import { ExchangeRun, type Ran, type Sums } from './exchange-run.ts'
import { Pace, type PaceInit } from './pace.ts'
import type { ExchangeProgress } from './progress.ts'
import { SharedSlots } from './shared-slots.ts'

export interface AntiEntropyComponents {
  readonly replica: Replica
  readonly membership: Membership
  readonly liveness: Liveness
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  readonly meter: Meter
  /** Whether clients are being served, or were a moment ago. Without it: never. */
  readonly busy?: () => boolean
}

export interface AntiEntropyInit extends PaceInit {
  /**
   * How long leaves must stay different before their rows are compared: what is shorter than a
   * write takes looks like divergence and is none.
   *
   * @default 200
   */
  readonly settleMs?: number
  /**
   * How long an exchange with one peer may take before the next peer has its turn; what is left is
   * for the next round. Longer compares the same trees less often when much differs.
   *
   * @default 10_000
   */
  readonly exchangeMs?: number
}

export interface ExchangeOptions {
  /** How long it may take. Default: as long as it takes. */
  readonly exchangeMs?: number
  /** Skips the pause: where one side is known to be behind. */
  readonly settleMs?: number
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: (progress: ExchangeProgress) => void
}

export interface Exchanged extends Omit<ExchangeReport, 'reached'>, Ran {
  /** What `Filling.generation` was when it began: it proves nothing of slots that began to be filled since. */
  readonly generation: number
}

interface Seen {
  lastMs: number
  equalMs: number | undefined
}

export class AntiEntropy {
  readonly #components: AntiEntropyComponents
  readonly #settleMs: number
  readonly #exchangeMs: number
  readonly #pace: Pace
  readonly #doubts: Doubts
  readonly #shared: SharedSlots
  #verified = new Verified()
  /** Of what is filling here, when that was last looked at. */
  #generation = 0
  /** The exchanges that were begun with each peer; resolves when the last of them is over. */
  readonly #turns = new Map<NodeId, Promise<void>>()
  /** The same for what is handed over, which is no comparison of what both own. */
  readonly #gifts = new Map<NodeId, Promise<void>>()
  #runs = 0
  readonly #seen = new Map<NodeId, Seen>()
  readonly #listeners: ((report: Exchanged) => void)[] = []

  constructor(components: AntiEntropyComponents, init: AntiEntropyInit = {}) {
    this.#components = components
    this.#settleMs = init.settleMs ?? 200
    this.#exchangeMs = init.exchangeMs ?? 10_000
    this.#pace = new Pace({ ...components, busy: components.busy ?? (() => false) }, init)
    this.#doubts = new Doubts(components)
    this.#shared = new SharedSlots(components)
    const answering = new Answering({ ...components, pace: this.#pace, shared: this.#shared })
    components.membership.serve('exchange', (...request) => answering.answer(...request))
    components.membership.onView(() => this.#forgetOthers())
    for (const name of [...EVENTS, ...COUNTED.map(([name]) => name)]) {
      components.meter.count(`exchange.${name}`, 0)
    }
  }

  /** What the exchanges that it began have proven equal, on this node's monotonic clock. */
  get verified(): Verified {
    const { generation } = this.#components.replica.filling
    // A slot that begins to be filled is no longer what was compared.
    if (generation !== this.#generation) this.#verified = new Verified()
    this.#generation = generation
    return this.#verified
  }

  /** One exchange with every peer that is alive and shares slots, one after the other. */
  async round(signal?: AbortSignal): Promise<readonly Exchanged[]> {
    const { liveness, membership, meter, log } = this.#components
    const done: Exchanged[] = []
    for (const peer of membership.peers) {
      signal?.throwIfAborted()
      // One that was asked for, and may take long, does for a turn.
      if (!liveness.isAlive(peer) || this.#turns.has(peer)) continue
      if (this.sharedSlots(peer).length === 0) continue
      try {
        done.push(await this.exchange(peer, { exchangeMs: this.#exchangeMs, signal }))
      } catch (error) {
        meter.count('exchange.failed')
        log.debug('exchange-failed', { peer, error: String(error) })
      }
    }
    return done
  }

  /**
   * Finds and moves what differs. Rejects when the peer cannot be reached or the view changes. One at a
   * time with each peer: two at once would move every row twice.
   */
  async exchange(peer: NodeId, options: ExchangeOptions = {}): Promise<Exchanged> {
    return inTurn(this.#turns, peer, options.signal, () => this.#exchange(peer, options))
  }

  async #exchange(peer: NodeId, options: ExchangeOptions): Promise<Exchanged> {
    const { generation } = this.#components.replica.filling
    const report = { peer, generation, ...(await this.#run(peer, options, generation)) }
    const now = this.#components.clock.monoMs()
    const equalMs = report.equal ? now : this.#seen.get(peer)?.equalMs
    this.#seen.set(peer, { lastMs: now, equalMs })
    this.#count(report)
    for (const listener of this.#listeners) listener(report)
    await this.#doubts.settle(peer, report.unexplained)
    return report
  }

  async #run(peer: NodeId, options: ExchangeOptions, generation: number): Promise<Ran> {
    const { filling, keeper } = this.#components.replica
    const run = new ExchangeRun(
      { ...this.#components, pace: this.#pace },
      {
        peer,
        group: this.#shared.group(peer),
        settleMs: options.settleMs ?? this.#settleMs,
        salt: this.#runs++,
        turnMs: options.exchangeMs ?? Infinity,
        signal: options.signal,
        // Slots that are being filled since were the same without what they lack.
        onSame: (slots, atMs) => {
          if (generation === filling.generation) this.verified.note(peer, keeper.sound(slots), atMs)
        },
        onProgress: options.onProgress
      }
    )
    try {
      return await run.run()
    } catch (error) {
      countMalformed(this.#components.meter, error)
      throw error
    } finally {
      this.#countSums(run.sums)
    }
  }

  /**
   * Gives the peer all that is here of slots that it owns and this node does not, or no more; nothing
   * comes back. It is not ended by time: there is no more of it than was once left here.
   */
  async handOver(peer: NodeId, slots: Uint16Array, signal?: AbortSignal): Promise<Ran> {
    return inTurn(this.#gifts, peer, signal, () => this.#handOver(peer, slots, signal))
  }

  async #handOver(peer: NodeId, slots: Uint16Array, signal: AbortSignal | undefined): Promise<Ran> {
    const group = this.#components.replica.forest.group(slots)
    const [salt, turnMs, settleMs, onSame] = [this.#runs++, Infinity, 0, () => {}]
    const init = { peer, group, isGift: true, salt, turnMs, settleMs, signal, onSame }
    const run = new ExchangeRun({ ...this.#components, pace: this.#pace }, init)
    try {
      return await run.run()
    } catch (error) {
      countMalformed(this.#components.meter, error)
      throw error
    } finally {
      this.#countSums(run.sums)
      group.free()
    }
  }

  /** Called after every exchange that this node began and that came to its end. */
  onExchange(listener: (report: Exchanged) => void): void {
    this.#listeners.push(listener)
  }

  sharedSlots(peer: NodeId): Uint16Array {
    return this.#shared.group(peer).slots
  }

  status(): ExchangeStatus[] {
    const now = this.#components.clock.monoMs()
    return this.#components.membership.peers.map(peer => {
      const seen = this.#seen.get(peer)
      return {
        peer,
        sharedSlots: this.sharedSlots(peer).length,
        lastMs: seen && now - seen.lastMs,
        equalMs: seen?.equalMs === undefined ? undefined : now - seen.equalMs
      }
    })
  }

  /** With whom the slot was ever proven equal, and how long ago. */
  matched(slot: number): { peer: NodeId; agoMs: number }[] {
    const { membership, clock } = this.#components
    return membership.peers
      .map(peer => ({ peer, agoMs: clock.monoMs() - this.verified.at(slot, peer) }))
      .filter(({ agoMs }) => agoMs < Infinity)
      .map(({ peer, agoMs }) => ({ peer, agoMs: Math.max(0, Math.round(agoMs)) }))
  }

  /** What is kept of those who are no longer members; the groups in WebAssembly memory are given back. */
  #forgetOthers(): void {
    const { peers } = this.#components.membership
    this.verified.retain(peers)
    this.#shared.retain(peers)
    for (const peer of this.#seen.keys()) if (!peers.includes(peer)) this.#seen.delete(peer)
  }

  #countSums(sums: Sums): void {
    for (const [name, of] of COUNTED) this.#components.meter.count(`exchange.${name}`, of(sums))
  }

  #count(report: Exchanged): void {
    const { meter, log } = this.#components
    meter.count('exchange.runs')
    meter.count('exchange.equal', report.equal ? 1 : 0)
    if (report.rowsSent + report.rowsReceived === 0) return
    const { peer, rowsSent, rowsReceived, rowsDiffered, bytesDiffered, rowsRead } = report
    const { bytesSent, bytesReceived } = report
    const moved = { rowsSent, rowsReceived, rowsDiffered, rowsRead }
    log.info('exchange-moved', { peer, ...moved, bytesDiffered, bytesSent, bytesReceived })
  }
}

/** Counted from the start, as the sums below are, so that each has a series before the first one. */
const EVENTS = ['runs', 'equal', 'failed', 'rows-refused', 'malformed']

const COUNTED: readonly [name: string, of: (report: Sums) => number][] = [
  ['rows-sent', report => report.rowsSent],
  ['rows-received', report => report.rowsReceived],
  ['rows-differed', report => report.rowsDiffered],
  ['bytes-differed', report => report.bytesDiffered],
  ['rows-read', report => report.rowsRead],
  ['row-bytes', report => report.rowBytes],
  ['overhead-bytes', report => report.overheadBytes],
  ['bytes-sent', report => report.bytesSent],
  ['bytes-received', report => report.bytesReceived]
]

/** After what was begun with this peer before. */
async function inTurn<T>(
  turns: Map<NodeId, Promise<void>>,
  peer: NodeId,
  signal: AbortSignal | undefined,
  work: () => Promise<T>
): Promise<T> {
  const before = turns.get(peer) ?? Promise.resolve()
  const mine = unlessAborted(before, signal).then(work)
  const over = Promise.allSettled([before, mine]).then(() => {
    if (turns.get(peer) === over) turns.delete(peer)
  })
  turns.set(peer, over)
  return mine
}

/** Waits for it, but no longer than the signal allows. */
function unlessAborted(before: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return before
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error)
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    void before.then(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    })
  })
}
