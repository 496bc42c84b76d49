/**
 * How fast the background may work. Work comes in slices and is done for a few milliseconds at a time;
 * then everything else has its turn. While clients are being served, the background rests so long
 * after each turn that it has only a share of the time: all of it together, however many exchanges are
 * under way.
 *
 * Not promised: that a turn is short where one slice is long.
 */
import { LARGE_MESSAGES, SMALL_MESSAGES, type MessageSize } from '../digest/exchange-budget.ts'
import type { Clock, Timers } from '../ports.ts'
import { sleep } from '../util/sleep.ts'
import type { Sliced } from '../util/sliced.ts'

export interface PaceComponents {
  readonly clock: Clock
  readonly timers: Timers
  /** Whether clients are being served, or were a moment ago. */
  readonly busy: () => boolean
}

export interface PaceInit {
  /**
   * How long the background works before everything else has its turn. Shorter delays a client's
   * request less; longer does more between two turns.
   *
   * @default 4
   */
  readonly turnMs?: number
  /**
   * The part of the time that the background may take while clients are being served. Less disturbs
   * them less and repairs more slowly.
   *
   * @default 0.2
   */
  readonly share?: number
}

/** What takes so long has mostly waited for the disk; and whoever asked waits for an answer. */
const REST_MS_MAX = 500
/** Rows that are applied at once while clients are being served: a few milliseconds with the commit. */
const BUSY_ROWS = 64
/** And while nobody is: as many as one message has. */
const QUIET_ROWS = 4_096

export class Pace {
  readonly #components: PaceComponents
  readonly #turnMs: number
  readonly #share: number
  /** Worked since the last rest. */
  #workedMs = 0
  /** When the last rest is over. */
  #freeAtMs = -Infinity

  constructor(components: PaceComponents, init: PaceInit = {}) {
    this.#components = components
    this.#turnMs = init.turnMs ?? 4
    this.#share = init.share ?? 0.2
  }

  /** How much goes into one message of an exchange. */
  get size(): MessageSize {
    return this.#components.busy() ? SMALL_MESSAGES : LARGE_MESSAGES
  }

  /** How many rows may be applied without a rest. */
  get rowsAtOnce(): number {
    return this.#components.busy() ? BUSY_ROWS : QUIET_ROWS
  }

  /** Does the work to its end. */
  async run<T>(work: Sliced<T>, signal?: AbortSignal): Promise<T> {
    const { clock, timers } = this.#components
    for (;;) {
      // Another one may have worked for this one's turn as well.
      for (let ms = this.#restMs; ms > 0; ms = this.#restMs) await sleep(timers, ms, signal)
      const from = clock.monoMs()
      const step = work.next()
      await this.worked(clock.monoMs() - from, signal)
      if (step.done === true) return step.value
    }
  }

  /** Notes work that was done elsewhere, and rests for it when it is time. */
  worked(ms: number, signal?: AbortSignal): Promise<void> | undefined {
    this.#workedMs += ms
    if (this.#workedMs < this.#turnMs) return undefined
    const restMs = Math.min(REST_MS_MAX, this.#workedMs * (1 / this.#share - 1))
    this.#workedMs = 0
    this.#freeAtMs = Math.max(this.#components.clock.monoMs(), this.#freeAtMs) + restMs
    return sleep(this.#components.timers, this.#restMs, signal)
  }

  get #restMs(): number {
    if (!this.#components.busy()) return 0
    return Math.max(0, this.#freeAtMs - this.#components.clock.monoMs())
  }
}
