/**
 * Anti-entropy: runs the exchange with every peer that shares slots, by itself, every few seconds,
 * one after the other. The machine in digest/exchange.ts says what to send; this sends it, applies what
 * comes back, and counts. It also answers the exchanges that peers begin.
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import { SLOT_TREE, type ExchangeRequest, type RowItem } from '../digest/exchange-message.ts'
import { Initiator, respond } from '../digest/exchange.ts'
import type { SlotGroup } from '../digest/forest.ts'
import { SLOTS } from '../digest/forest.ts'
import { HearsayError } from '../errors.ts'
import type { ExchangeReport, ExchangeStatus } from '../options.ts'
import type { Clock, Log, Meter, Timers } from '../ports.ts'
import type { Replica } from '../replica/replica.ts'
import type { Placement } from '../ring/placement.ts'
import { Verified } from '../ring/verified.ts'
import { equal } from '../util/bytes.ts'
import type { NodeId } from '../util/node-id.ts'
import { sleep } from '../util/sleep.ts'
import {
  decodeExchangeAnswer,
  decodeExchangeRequest,
  encodeExchangeAnswer,
  encodeExchangeRequest
} from '../wire/exchange.ts'

export interface AntiEntropyComponents {
  readonly replica: Replica
  readonly membership: Membership
  readonly liveness: Liveness
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  readonly meter: Meter
}

export interface AntiEntropyInit {
  /**
   * How long leaves must stay different before their rows are compared: what is shorter than a
   * write takes looks like divergence and is none.
   *
   * @default 200
   */
  readonly settleMs?: number
}

export interface ExchangeOptions {
  /** Skips the pause: where one side is known to be behind. */
  readonly settleMs?: number
  readonly signal?: AbortSignal | undefined
}

export interface Exchanged extends ExchangeReport {
  /** What `Filling.generation` was when it began: it proves nothing of slots that began to be filled since. */
  readonly generation: number
  /** At least one walk came to its end, and all that differed when it began was moved and taken. */
  readonly complete: boolean
  /** Why a row of the peer could not be taken, if one could not. */
  readonly refusal: Error | undefined
}

const DEADLINE_MS = 10_000
/** Walks in one exchange: each later one finds what was written during the one before. */
const PASSES_MAX = 4
const KEYS_REPORTED_MAX = 100

interface Shared {
  readonly current: Placement
  readonly next: Placement
  readonly group: SlotGroup
}

interface Seen {
  lastMs: number
  equalMs: number | undefined
}

export class AntiEntropy {
  /** What its exchanges have proven equal, on this node's monotonic clock. */
  readonly verified = new Verified()
  readonly #components: AntiEntropyComponents
  readonly #settleMs: number
  readonly #shared = new Map<NodeId, Shared>()
  readonly #seen = new Map<NodeId, Seen>()
  readonly #listeners: ((report: Exchanged) => void)[] = []

  constructor(components: AntiEntropyComponents, init: AntiEntropyInit = {}) {
    this.#components = components
    this.#settleMs = init.settleMs ?? 200
    components.membership.serve('exchange', (from, body) => this.#answer(from, body))
  }

  /** One exchange with every peer that is alive and shares slots, one after the other. */
  async round(signal?: AbortSignal): Promise<readonly Exchanged[]> {
    const { liveness, membership, meter, log } = this.#components
    const done: Exchanged[] = []
    for (const peer of membership.peers) {
      signal?.throwIfAborted()
      if (!liveness.isAlive(peer) || this.sharedSlots(peer).length === 0) continue
      try {
        done.push(await this.exchange(peer, { signal }))
      } catch (error) {
        meter.count('exchange.failed')
        log.debug('exchange-failed', { peer, error: String(error) })
      }
    }
    return done
  }

  /** Finds and moves what differs. Rejects when the peer cannot be reached or the view changes. */
  async exchange(peer: NodeId, options: ExchangeOptions = {}): Promise<Exchanged> {
    const run = new Run(this.#components, peer, this.#group(peer), {
      settleMs: options.settleMs ?? this.#settleMs,
      signal: options.signal
    })
    const { generation } = this.#components.replica.filling
    const report = { ...(await run.run()), generation }
    if (report.equal) this.verified.note(peer, run.slots, run.beganMs)
    const now = this.#components.clock.monoMs()
    const equalMs = report.equal ? now : this.#seen.get(peer)?.equalMs
    this.#seen.set(peer, { lastMs: now, equalMs })
    this.#count(report)
    for (const listener of this.#listeners) listener(report)
    return report
  }

  /** Called after every exchange that this node began and that came to its end. */
  onExchange(listener: (report: Exchanged) => void): void {
    this.#listeners.push(listener)
  }

  sharedSlots(peer: NodeId): Uint16Array {
    return this.#group(peer).slots
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

  async #answer(from: NodeId, body: Uint8Array): Promise<Uint8Array> {
    const request = decodeExchangeRequest(body)
    if (request === undefined) throw malformed(from)
    const { replica } = this.#components
    const group = this.#group(from)
    const began = this.#components.clock.monoMs()
    const finish = respond({ forest: replica.forest, rows: replica.rows, group }, request)
    const { joined } = await applyRows(this.#components, request.rows)
    const answer = finish(joined)
    if (asksForRoot(request) && answer.hashes.length === 0) {
      this.verified.note(from, group.slots, began)
    }
    return encodeExchangeAnswer(answer)
  }

  /** The tree over the slots that both own, now or after the change that is under way. */
  #group(peer: NodeId): SlotGroup {
    const { membership, replica } = this.#components
    const { view, id } = membership
    const known = this.#shared.get(peer)
    if (known?.current === view.current && known.next === view.next) return known.group
    known?.group.free()
    const slots: number[] = []
    for (let slot = 0; slot < SLOTS; slot++) {
      const { current, next } = view.ownersOf(slot)
      const owns = (node: NodeId) => current.includes(node) || next.includes(node)
      if (owns(peer) && owns(id)) slots.push(slot)
    }
    const group = replica.forest.group(Uint16Array.from(slots))
    this.#shared.set(peer, { current: view.current, next: view.next, group })
    return group
  }

  #count(report: Exchanged): void {
    const { meter, log } = this.#components
    meter.count('exchange.runs')
    meter.count('exchange.equal', report.equal ? 1 : 0)
    meter.count('exchange.rows-sent', report.rowsSent)
    meter.count('exchange.rows-received', report.rowsReceived)
    meter.count('exchange.bytes-sent', report.bytesSent)
    meter.count('exchange.bytes-received', report.bytesReceived)
    if (report.rowsSent + report.rowsReceived === 0) return
    const { peer, rowsSent, rowsReceived } = report
    log.info('exchange-moved', { peer, rowsSent, rowsReceived })
  }
}

type Walk = Pick<Exchanged, 'equal' | 'complete' | 'refusal'>

/** One exchange, from its first root to its last. */
class Run {
  readonly #components: AntiEntropyComponents
  readonly #peer: NodeId
  readonly #group: SlotGroup
  readonly #options: { settleMs: number; signal: AbortSignal | undefined }
  readonly #view: string
  /** When the walk that came last looked at the own root. */
  beganMs = -Infinity
  readonly #keys: Uint8Array[] = []
  readonly #sums = { rowsSent: 0, rowsReceived: 0, bytesSent: 0, bytesReceived: 0, roundTrips: 0 }

  constructor(
    components: AntiEntropyComponents,
    peer: NodeId,
    group: SlotGroup,
    options: { settleMs: number; signal: AbortSignal | undefined }
  ) {
    this.#components = components
    this.#peer = peer
    this.#group = group
    this.#options = options
    this.#view = components.membership.view.fingerprint
  }

  get slots(): Uint16Array {
    return this.#group.slots
  }

  async run(): Promise<Omit<Exchanged, 'generation'>> {
    let complete = false
    let equal = false
    let refusal: Error | undefined
    for (let pass = 0; pass < PASSES_MAX && !equal; pass++) {
      const moved = this.#moved
      const walk = await this.#walk()
      equal = walk.equal
      complete ||= walk.complete
      refusal ??= walk.refusal
      if (!equal && this.#moved === moved) break
    }
    return { peer: this.#peer, equal, complete, refusal, ...this.#sums, keys: this.#keys }
  }

  async #walk(): Promise<Walk> {
    const { replica, timers, clock } = this.#components
    this.beganMs = clock.monoMs()
    const walk = new Initiator({ forest: replica.forest, rows: replica.rows, group: this.#group })
    let refusal: Error | undefined
    for (let step = walk.next(); step.do !== 'done'; step = walk.next()) {
      if (step.do === 'settle') {
        await sleep(timers, this.#options.settleMs, this.#options.signal)
      } else {
        const received = walk.receive(await this.#send(step.message))
        this.#note(received, 'rowsReceived')
        const applied = await applyRows(this.#components, received)
        refusal ??= applied.refusal
        walk.joined(applied.joined)
      }
      this.#assertView()
    }
    return { equal: walk.equal, complete: walk.complete && refusal === undefined, refusal }
  }

  /** Under another view other slots are shared, and positions mean something else. */
  #assertView(): void {
    if (this.#components.membership.view.fingerprint === this.#view) return
    throw new HearsayError('ERR_NETWORK', 'The members changed during the exchange; run it again.')
  }

  async #send(request: ExchangeRequest) {
    const { membership } = this.#components
    const { signal } = this.#options
    const body = encodeExchangeRequest(request)
    const options = { deadlineMs: DEADLINE_MS, signal }
    const bytes = await membership.ask(this.#peer, 'exchange', body, options)
    const answer = decodeExchangeAnswer(bytes)
    if (answer === undefined) throw malformed(this.#peer)
    this.#assertView()
    this.#note(request.rows, 'rowsSent')
    this.#sums.roundTrips++
    this.#sums.bytesSent += body.length
    this.#sums.bytesReceived += bytes.length
    return answer
  }

  get #moved(): number {
    return this.#sums.rowsSent + this.#sums.rowsReceived
  }

  #note(rows: readonly RowItem[], direction: 'rowsSent' | 'rowsReceived'): void {
    this.#sums[direction] += rows.length
    for (const { key } of rows) {
      if (this.#keys.length >= KEYS_REPORTED_MAX) return
      if (!this.#keys.some(known => equal(known, key))) this.#keys.push(key)
    }
  }
}

/** The first message of a walk: equal roots are answered by nothing. */
function asksForRoot({ hashes }: ExchangeRequest): boolean {
  const [first] = hashes
  return hashes.length === 1 && first?.tree === SLOT_TREE && first.level === 0
}

interface AppliedRows {
  /** Those that came out of the join as something else than was sent. */
  readonly joined: readonly RowItem[]
  /** Why the disk or the replica refused one, if they did: it is not here now. */
  readonly refusal: Error | undefined
}

async function applyRows(
  { replica, meter }: AntiEntropyComponents,
  rows: readonly RowItem[]
): Promise<AppliedRows> {
  const results = await Promise.allSettled(
    rows.map(({ key, bytes }) => replica.apply(key, 'row', bytes))
  )
  const refusals = results.flatMap(result =>
    result.status === 'rejected' ? [result.reason as Error] : []
  )
  meter.count('exchange.rows-refused', refusals.length)
  const joined = results.flatMap((result, i) => {
    if (result.status === 'rejected' || equal(result.value.bytes, rows[i]?.bytes ?? EMPTY))
      return []
    return [{ key: result.value.key, bytes: result.value.bytes }]
  })
  return { joined, refusal: refusals[0] }
}

const EMPTY = new Uint8Array()

function malformed(peer: NodeId): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `Hearsay could not read an exchange message of ${peer}.`)
}
