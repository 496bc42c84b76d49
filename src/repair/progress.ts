/**
 * How far one exchange is, and how long it will take if it goes on like this. Told a few times a second
 * and only to who asks: to say it, everything that is left has to be looked at.
 */
import type { Clock } from '../ports.ts'

/** Of one exchange. */
export interface ExchangeProgress {
  /** Of the shared slots, those that are compared and in which nothing is left to be moved. */
  readonly slots: number
  readonly slotsTotal: number
  /** Sent and received so far. */
  readonly rows: number
  /** Of messages, both ways. */
  readonly bytes: number
  /** Estimated from the slots that differed and are done; `undefined` before there is one. */
  readonly leftMs: number | undefined
}

/** What a walk says of itself. */
export interface Walking {
  readonly opened: number
  readonly left: number
}

const EVERY_MS = 100

export class Progress {
  readonly #clock: Clock
  readonly #tell: ((progress: ExchangeProgress) => void) | undefined
  readonly #slotsTotal: number
  readonly #beganMs: number
  #toldMs = -Infinity
  /** A later walk begins at the first slot again, and goes over them faster. */
  #slots = 0

  constructor(
    clock: Clock,
    slotsTotal: number,
    tell: ((progress: ExchangeProgress) => void) | undefined
  ) {
    this.#clock = clock
    this.#tell = tell
    this.#slotsTotal = slotsTotal
    this.#beganMs = clock.monoMs()
  }

  /** At the end of a walk it is told in any case. */
  note(walk: Walking, moved: { readonly rows: number; readonly bytes: number }, end = false): void {
    const now = this.#clock.monoMs()
    if (this.#tell === undefined || (!end && now - this.#toldMs < EVERY_MS)) return
    this.#toldMs = now
    const { opened, left } = walk
    this.#slots = Math.max(this.#slots, this.#slotsTotal - left)
    const done = opened - left
    const leftMs = done > 0 ? Math.round(((now - this.#beganMs) * left) / done) : undefined
    this.#tell({ slots: this.#slots, slotsTotal: this.#slotsTotal, ...moved, leftMs })
  }
}
