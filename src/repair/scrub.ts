/**
 * The scrub: reads every row on disk, proves it, and compares it with the Merkle forest. A damaged row
 * is set aside and fetched from the other owners; where a tree disagrees with its rows, some may be
 * gone: the slot is filled again, and the tree laid out anew. Bit rot is found this way before the row is asked for, while others still hold it.
 *
 * It runs slowly by itself, pass after pass: one slot a turn, and more of them while that is less than
 * ROWS_A_TURN rows, so that a pass ends within 16,384 turns however much there is. Where it is is kept in the store. And it runs
 * at once when told to. Not promised: that rows are proven while it is paused.
 */
import { HearsayError } from '../errors.ts'
import type { ScrubProgress, ScrubReport, ScrubStatus } from '../options.ts'
import type { Clock, Log, Meter, Store, Timers } from '../ports.ts'
import { VERIFIED, type Replica } from '../replica/replica.ts'
import { START, type Position, type Verified } from '../replica/verify.ts'
import { SLOTS } from '../ring/slot.ts'
import { headIn } from '../ring/row-key.ts'
import { nameOf, utf8 } from '../util/bytes.ts'
import { isCount, isTuple, pack, unpack } from '../util/msgpack.ts'
import { sleep } from '../util/sleep.ts'

export interface ScrubComponents {
  readonly replica: Replica
  readonly store: Store
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  readonly meter: Meter
  /** Compares with the other owners. Resolves with whether doing it again may bring more. */
  readonly heal: (signal?: AbortSignal) => Promise<boolean>
}

export interface ScrubOptions {
  readonly signal?: AbortSignal | undefined
  /** Called after every part. */
  readonly onProgress?: ((progress: ScrubProgress) => void) | undefined
}

const KEY = utf8('scrub')
const ROWS_A_TURN = 1_000
/** More than one only where there are few rows. */
const SLOTS_A_TURN_MAX = 256
/** A position that is lost costs so many turns again. */
const TURNS_UNSAVED_MAX = 16

/** How long a scrub on demand waits for the other owners. */
const HEAL_MS = 30_000
const HEAL_PAUSE_MS = 500

/** What one scrub on demand has found. */
class Findings {
  readonly #replica: Replica
  readonly #damaged = new Set<string>()
  #slots = 0
  #rows = 0
  #bytes = 0
  #rebuilt = 0
  /** Rows that are gone, by slot. */
  readonly #lost = new Map<number, number>()
  /** Slots whose tree was wrong. */
  readonly #doubted = new Set<number>()

  constructor(replica: Replica) {
    this.#replica = replica
  }

  add({ slots, rows, bytes, damaged, wrong, lost }: Verified): void {
    this.#slots += slots
    this.#rows += rows
    this.#bytes += bytes
    this.#rebuilt += wrong.length
    for (const slot of wrong) this.#doubted.add(slot)
    for (const [slot, rows] of lost) this.#lost.set(slot, (this.#lost.get(slot) ?? 0) + rows)
    for (const id of damaged) this.#damaged.add(nameOf(headIn(id)))
  }

  /** Whether something that was found has yet to be made good. */
  get open(): boolean {
    const { filling } = this.#replica
    return this.report().missing > 0 || [...this.#doubted].some(slot => filling.has(slot))
  }

  report(): ScrubReport {
    const { quarantine, filling } = this.#replica
    let [missing, lost, away] = [0, 0, 0]
    for (const name of this.#damaged) if (quarantine.hasNamed(name)) missing++
    for (const [slot, rows] of this.#lost) {
      lost += rows
      if (filling.has(slot)) away += rows
    }
    return {
      slots: this.#slots,
      rows: this.#rows,
      bytes: this.#bytes,
      damagedRows: this.#damaged.size,
      lostRows: lost,
      treesRebuilt: this.#rebuilt,
      healed: this.#damaged.size - missing,
      missing: missing + away
    }
  }
}

export class Scrub {
  readonly #components: ScrubComponents
  #position = START
  #lastPassMs: number | undefined
  #unsavedTurns = 0
  #isRunning = false
  #isHealing = false

  constructor(components: ScrubComponents) {
    this.#components = components
    const fields = unpack(components.store.get('meta', KEY) ?? new Uint8Array())
    if (!isTuple(fields, 2)) return
    const [slot, lastPassMs] = fields
    if (isCount(slot, SLOTS - 1)) this.#position = { slot, tokenHigh: 0 }
    if (isCount(lastPassMs, Number.MAX_SAFE_INTEGER)) this.#lastPassMs = lastPassMs || undefined
  }

  /** One turn of the slow pass: to the end of a slot, and further while there are few rows. */
  async turn(signal: AbortSignal): Promise<void> {
    const { slot } = this.#position
    let [rows, slots] = [0, 0]
    do {
      const verified = await this.#verify(this.#position)
      rows += verified.rows
      slots += verified.slots
      this.#position = verified.next ?? START
      if (verified.next === undefined) return this.#passed()
      await sleep(this.#components.timers, 0, signal)
    } while (this.#position.slot === slot || (rows < ROWS_A_TURN && slots < SLOTS_A_TURN_MAX))
    if (++this.#unsavedTurns >= TURNS_UNSAVED_MAX) await this.#save()
  }

  /**
   * A whole pass now, and then the healing of what it found. Rejects with the signal's reason when
   * aborted: what the last progress told is then done. One at a time: `ERR_OVERLOADED`.
   */
  async run({ signal, onProgress }: ScrubOptions = {}): Promise<ScrubReport> {
    if (this.#isRunning) throw runningError()
    this.#isRunning = true
    const findings = new Findings(this.#components.replica)
    const tell = () => onProgress?.(this.#progressOf(findings))
    try {
      await this.#pass(findings, tell, signal)
      await this.#heal(findings, tell, signal)
    } finally {
      this.#isRunning = this.#isHealing = false
    }
    const report = findings.report()
    this.#components.log.info('scrubbed', { ...report })
    return report
  }

  status(): ScrubStatus {
    const { slot } = this.#position
    const ago = this.#lastPassMs && this.#components.clock.wallMs() - this.#lastPassMs
    return { slot, lastPassMs: ago && Math.max(0, ago), running: this.#isRunning }
  }

  async #pass(findings: Findings, tell: () => void, signal?: AbortSignal): Promise<void> {
    for (let at: Position | undefined = START; at !== undefined;) {
      signal?.throwIfAborted()
      const verified: Verified = await this.#verify(at)
      findings.add(verified)
      tell()
      at = verified.next
      await sleep(this.#components.timers, 0, signal)
    }
    this.#position = START
    await this.#passed()
  }

  async #heal(findings: Findings, tell: () => void, signal?: AbortSignal): Promise<void> {
    const { clock, heal, replica, timers } = this.#components
    const end = clock.monoMs() + HEAL_MS
    // What is damaged is set aside by now.
    await replica.between(() => {})
    this.#isHealing = findings.open
    while (findings.open) {
      tell()
      const more = await heal(signal)
      tell()
      if (!more || clock.monoMs() >= end) return
      await sleep(timers, HEAL_PAUSE_MS, signal)
    }
  }

  async #verify(at: Position): Promise<Verified> {
    const { replica, meter } = this.#components
    const verified = await replica.verify(at, VERIFIED)
    meter.count('scrub.slots', verified.slots)
    meter.count('scrub.rows', verified.rows)
    meter.count('scrub.bytes', verified.bytes)
    meter.count('scrub.damaged-rows', verified.damaged.length)
    return verified
  }

  #passed(): Promise<void> {
    this.#components.meter.count('scrub.passes')
    this.#lastPassMs = this.#components.clock.wallMs()
    return this.#save()
  }

  async #save(): Promise<void> {
    this.#unsavedTurns = 0
    const value = pack([this.#position.slot, this.#lastPassMs ?? 0])
    await this.#components.store.commit([{ space: 'meta', key: KEY, value }])
  }

  #progressOf(findings: Findings): ScrubProgress {
    const rowsTotal = this.#components.replica.keeper.rows
    return { ...findings.report(), slotsTotal: SLOTS, rowsTotal, healing: this.#isHealing }
  }
}

function runningError(): HearsayError {
  return new HearsayError(
    'ERR_OVERLOADED',
    'A scrub is under way on this node already; wait until it has ended.'
  )
}
