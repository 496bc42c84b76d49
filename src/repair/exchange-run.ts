/**
 * One exchange that this node began, from its first root to its last: sends what the machine in
 * digest/exchange.ts says, applies what comes back, and counts.
 *
 * What was moved stays moved, whatever happens then: a run that breaks off, or whose time is over, is
 * gone on with by the next.
 */
import type { Membership } from '../cluster/membership.ts'
import type { ExchangeAnswer, ExchangeRequest, RowItem, Taken } from '../digest/exchange-message.ts'
import { Initiator } from '../digest/exchange.ts'
import type { SlotGroup } from '../digest/forest.ts'
import { HearsayError } from '../errors.ts'
import type { ExchangeReport } from '../options.ts'
import type { Clock, Meter, Timers } from '../ports.ts'
import type { RefusedRow } from '../replica/bulk.ts'
import type { Replica } from '../replica/replica.ts'
import { slotOf } from '../ring/slot.ts'
import { equal } from '../util/bytes.ts'
import type { NodeId } from '../util/node-id.ts'
import { sleep } from '../util/sleep.ts'
import { decodeExchangeAnswer, encodeExchangeRequest } from '../wire/exchange.ts'
import { malformed, membersChanged } from './exchange-errors.ts'
import type { Pace } from './pace.ts'
import { Progress, type ExchangeProgress } from './progress.ts'

export interface ExchangeRunComponents {
  readonly replica: Replica
  readonly membership: Membership
  readonly clock: Clock
  readonly timers: Timers
  readonly meter: Meter
  readonly pace: Pace
}

export interface ExchangeRunInit {
  readonly peer: NodeId
  readonly group: SlotGroup
  /** The group is not of the slots that both own: the peer is told of which, and sends nothing back. */
  readonly isGift?: boolean
  readonly settleMs: number
  /** Which parts of hashes are compared first. */
  readonly salt: number
  /** How long it may take. */
  readonly turnMs: number
  readonly signal: AbortSignal | undefined
  /** Told after each walk which slots were the same, and when it began. */
  readonly onSame: (slots: Uint16Array, atMs: number) => void
  readonly onProgress?: ((progress: ExchangeProgress) => void) | undefined
}

export type Ran = Omit<ExchangeReport, 'peer' | 'reached'> & {
  /**
   * At least one walk came to its end, and all that differed when it began was moved and taken, but for
   * what is kept aside or, of a gift, withheld.
   */
  readonly complete: boolean
  /** Why a row of the peer could not be taken, if one could not. */
  readonly refusal: Error | undefined
  /**
   * Slots of which a row was kept aside at either end, for its time: of those it may not have all. Of a
   * gift those of which the peer may not take a row, for it has a damaged one.
   */
  readonly withheld: ReadonlySet<number>
  /** Slots that still differed at the end of the last walk, and in which no row did. */
  readonly unexplained: Uint16Array
}

export type Sums = Omit<ExchangeReport, 'peer' | 'reached' | 'equal' | 'keys'>

const DEADLINE_MS = 30_000
/** Walks in one exchange: each later one finds what was written during the one before. */
const PASSES_MAX = 4
const KEYS_REPORTED_MAX = 100

type Flight = {
  readonly id: number
  readonly round: number
  readonly rows: readonly RowItem[]
} & ({ readonly answer: ExchangeAnswer } | { readonly error: unknown })

interface Walked {
  readonly equal: boolean
  readonly complete: boolean
  /** The peer did not take all that it was sent. */
  readonly refused: boolean
  readonly unexplained: Uint16Array
}

export const NOTHING_MOVED = {
  rowsSent: 0,
  rowsReceived: 0,
  rowsDiffered: 0,
  bytesDiffered: 0,
  rowsRead: 0,
  rowBytes: 0,
  bytesSent: 0,
  bytesReceived: 0,
  messages: 0,
  roundTrips: 0
} satisfies Omit<Sums, 'overheadBytes'>

export class ExchangeRun {
  readonly #components: ExchangeRunComponents
  readonly #init: ExchangeRunInit
  readonly #view: string
  readonly #endMs: number
  readonly #end = new AbortController()
  readonly #flights = new Map<number, Promise<Flight>>()
  readonly #keys: Uint8Array[] = []
  readonly #progress: Progress
  #refusal: Error | undefined
  /** For another reason than its time. */
  #isRefused = false
  readonly #withheld = new Set<number>()
  readonly #sums = { ...NOTHING_MOVED }

  constructor(components: ExchangeRunComponents, init: ExchangeRunInit) {
    this.#components = components
    this.#init = init
    this.#view = components.membership.view.fingerprint
    this.#endMs = components.clock.monoMs() + init.turnMs
    this.#progress = new Progress(components.clock, init.group.slots.length, init.onProgress)
  }

  async run(): Promise<Ran> {
    const abort = () => this.#end.abort(this.#init.signal?.reason)
    this.#init.signal?.addEventListener('abort', abort, { once: true })
    try {
      this.#init.signal?.throwIfAborted()
      return await this.#run()
    } catch (error) {
      // The group may have been given back in the middle of a slice: that is why, then.
      this.#assertView()
      throw error
    } finally {
      this.#init.signal?.removeEventListener('abort', abort)
      this.#end.abort()
    }
  }

  /** What it has cost and brought so far, whether it came to its end or not. */
  get sums(): Sums {
    const { bytesSent, bytesReceived, rowBytes } = this.#sums
    return { ...this.#sums, overheadBytes: bytesSent + bytesReceived - rowBytes }
  }

  async #run(): Promise<Ran> {
    let complete = false
    let same = false
    let unexplained: Uint16Array = NO_SLOTS
    for (let pass = 0; pass < PASSES_MAX && !same && !this.#over; pass++) {
      const moved = this.#moved
      const walked = await this.#walk(this.#init.salt + pass)
      same = walked.equal
      complete ||= walked.complete
      unexplained = walked.unexplained
      // All that is here has been given: where the peer has more it goes on to differ.
      if (this.#init.isGift && walked.complete) break
      // What one side does not take now differs as it did: it would only be sent again.
      if (this.#moved === moved || walked.refused || this.#refusal !== undefined) break
    }
    const report = { ...this.sums, keys: this.#keys }
    const [refusal, withheld] = [this.#refusal, this.#withheld]
    return { equal: same, complete, refusal, withheld, unexplained, ...report }
  }

  async #walk(salt: number): Promise<Walked> {
    const { replica, clock, pace } = this.#components
    const beganMs = clock.monoMs()
    const own = { forest: replica.forest, rows: replica.rows, group: this.#init.group }
    const { isGift = false } = this.#init
    const walk = new Initiator(own, { salt, isGift, size: () => pace.size })
    try {
      if (await this.#toEnd(walk)) this.#init.onSame(walk.same, beganMs)
    } finally {
      this.#sums.rowsDiffered += walk.rowsDiffered
      this.#sums.bytesDiffered += walk.bytesDiffered
      this.#sums.rowsRead += walk.rowsRead
      // Also on the way out: who ended it hears of all that was moved.
      this.#tell(walk, true)
    }
    const complete = walk.complete && !this.#over && !this.#isRefused
    const isTaken = complete && this.#refusal === undefined
    const unexplained = isTaken ? walk.unexplained : NO_SLOTS
    return { equal: walk.equal, complete, refused: walk.refused > 0, unexplained }
  }

  /** False when the time was over before. */
  async #toEnd(walk: Initiator): Promise<boolean> {
    const { timers, pace } = this.#components
    for (;;) {
      const over = this.#over
      if (over && this.#flights.size === 0) return false
      const step = over ? WAIT : await pace.run(walk.next(), this.#end.signal)
      this.#end.signal.throwIfAborted()
      if (step.do === 'done') return true
      if (step.do === 'settle') await sleep(timers, this.#init.settleMs, this.#end.signal)
      else if (step.do === 'send') this.#send(step.id, step.message)
      else await this.#receive(walk)
      this.#assertView()
      this.#tell(walk)
    }
  }

  #tell(walk: Initiator, end = false): void {
    const { bytesSent, bytesReceived } = this.#sums
    this.#progress.note(walk, { rows: this.#moved, bytes: bytesSent + bytesReceived }, end)
  }

  get #over(): boolean {
    return this.#components.clock.monoMs() >= this.#endMs
  }

  get #moved(): number {
    return this.#sums.rowsSent + this.#sums.rowsReceived
  }

  #send(id: number, message: ExchangeRequest): void {
    const round = this.#sums.roundTrips + 1
    const { rows } = message
    this.#note(rows, 'rowsSent')
    this.#flights.set(
      id,
      this.#ask(message).then(
        answer => ({ id, round, rows, answer }),
        (error: unknown) => ({ id, round, rows, error })
      )
    )
  }

  async #ask(message: ExchangeRequest): Promise<ExchangeAnswer> {
    const { membership } = this.#components
    const { group, isGift = false } = this.#init
    const body = encodeExchangeRequest(isGift ? { slots: group.slots, ...message } : message)
    this.#sums.messages++
    this.#sums.bytesSent += body.length
    const options = { deadlineMs: DEADLINE_MS, signal: this.#end.signal }
    const bytes = await membership.ask(this.#init.peer, 'exchange', body, options)
    this.#sums.bytesReceived += bytes.length
    const answer = decodeExchangeAnswer(bytes)
    if (answer === undefined) throw malformed(this.#init.peer)
    return answer
  }

  async #receive(walk: Initiator): Promise<void> {
    const { pace } = this.#components
    const flight = await Promise.race(this.#flights.values())
    this.#flights.delete(flight.id)
    if ('error' in flight) throw flight.error
    // Under another view positions mean something else.
    this.#assertView()
    this.#sums.roundTrips = Math.max(this.#sums.roundTrips, flight.round)
    this.#sums.rowsRead += flight.answer.rowsRead
    // What the peer does not join with its own it cannot send back: of one of these, whichever it is.
    if (flight.answer.aside > 0) {
      for (const { key } of flight.rows) this.#withheld.add(slotOf(key))
    }
    const received = await pace.run(walk.receive(flight.id, flight.answer), this.#end.signal)
    walk.joined(await this.#apply(received))
  }

  async #apply(rows: readonly RowItem[]): Promise<readonly RowItem[]> {
    if (rows.length === 0) return rows
    this.#sums.rowsRead += rows.length
    const note = (some: readonly RowItem[]) => this.#note(some, 'rowsReceived')
    const applied = await applyRows(this.#components, rows, this.#end.signal, note)
    for (const { slot, error } of applied.refusals) {
      this.#refusal ??= error
      if (isAhead(error)) this.#withheld.add(slot)
      else this.#isRefused = true
    }
    return applied.joined
  }

  #assertView(): void {
    if (this.#components.membership.view.fingerprint === this.#view) return
    throw membersChanged()
  }

  #note(rows: readonly RowItem[], direction: 'rowsSent' | 'rowsReceived'): void {
    this.#sums[direction] += rows.length
    for (const { key, bytes } of rows) this.#sums.rowBytes += key.length + bytes.length
    for (const { key } of rows) {
      if (this.#keys.length >= KEYS_REPORTED_MAX) return
      if (!this.#keys.some(known => equal(known, key))) this.#keys.push(key)
    }
  }
}

const WAIT = { do: 'wait' } as const
const NO_SLOTS = new Uint16Array()

export interface AppliedRows extends Taken {
  /** Why the disk or the replica refused some: they are not here now. */
  readonly refusals: readonly RefusedRow[]
}

/** `onApplied` hears of each part once it is done with: when the signal ends it, of no more than that. */
export async function applyRows(
  {
    replica,
    clock,
    pace,
    meter
  }: Pick<ExchangeRunComponents, 'replica' | 'clock' | 'pace' | 'meter'>,
  rows: readonly RowItem[],
  signal?: AbortSignal,
  onApplied: (rows: readonly RowItem[]) => void = () => {}
): Promise<AppliedRows> {
  const joined: RowItem[] = []
  const refusals: RefusedRow[] = []
  for (let first = 0; first < rows.length;) {
    const some = rows.slice(first, first + pace.rowsAtOnce)
    first += some.length
    const from = clock.monoMs()
    const applied = await replica.applyAll(some)
    for (const row of applied.joined) joined.push(row)
    for (const refused of applied.refusals) refusals.push(refused)
    meter.count('exchange.rows-refused', applied.refusals.length)
    onApplied(some)
    await pace.worked(clock.monoMs() - from, signal)
  }
  const aside = refusals.filter(({ error }) => isAhead(error)).length
  return { joined, refused: refusals.length, refusals, aside }
}

function isAhead(error: Error): boolean {
  return error instanceof HearsayError && error.code === 'ERR_CLOCK_SKEW'
}
