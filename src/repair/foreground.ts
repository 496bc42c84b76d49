/**
 * Whether clients are being served: by this node, or by another for which it reads and applies rows.
 * The background asks before it takes its share of the time.
 */
import type { Clock } from '../ports.ts'

/** Requests follow each other with pauses; in one of these nothing has become quiet. */
const LINGER_MS = 50

export class Foreground {
  readonly #clock: Pick<Clock, 'monoMs'>
  #under = 0
  #lastMs = -Infinity

  constructor({ clock }: { readonly clock: Pick<Clock, 'monoMs'> }) {
    this.#clock = clock
  }

  get busy(): boolean {
    return this.#under > 0 || this.#clock.monoMs() - this.#lastMs < LINGER_MS
  }

  /** Counts a request for as long as it takes. */
  async during<T>(request: () => Promise<T>): Promise<T> {
    this.#under++
    try {
      return await request()
    } finally {
      this.#under--
      this.#lastMs = this.#clock.monoMs()
    }
  }
}
