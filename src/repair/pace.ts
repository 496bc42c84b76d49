/**
 * How fast the background may work. Work comes in slices and is done for a few milliseconds at a time;
 * then everything else has its turn. While clients are being served, the background rests so long
 * after each turn that it has only a share of the time.
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
    for (;;) {
      const from = this.#components.clock.monoMs()
      const step = work.next()
      await this.worked(this.#components.clock.monoMs() - from, signal)
      if (step.done === true) return step.value
    }
  }

  /** Notes work that was done elsewhere, and rests for it when it is time. */
  worked(ms: number, signal?: AbortSignal): Promise<void> | undefined {
    this.#workedMs += ms
    if (this.#workedMs < this.#turnMs) return undefined
    const restMs = this.#components.busy() ? this.#workedMs * (1 / this.#share - 1) : 0
    this.#workedMs = 0
    return sleep(this.#components.timers, restMs, signal)
  }
}
