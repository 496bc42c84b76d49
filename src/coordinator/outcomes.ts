/**
 * What came of the writes that others passed on to this node, by their ids: one that arrives again is
 * not done again and gets the same answer, also while the first is still under way. In memory, and
 * bounded by count and age; how far back it surely reaches is part of what it knows.
 *
 * A life is one run of this process. Whoever was told "unknown" may have the write done in that life
 * only, so that it is never done in two.
 */
import type { Clock } from '../ports.ts'
import { equal, nameOf } from '../util/bytes.ts'
import type { NodeId } from '../util/node-id.ts'
import type { Again, Passed } from '../wire/passing.ts'

export interface OutcomesInit {
  /** Names this life: random bytes. */
  readonly life: Uint8Array
  /**
   * How many outcomes are remembered. More bears more writes a second before a broken connection
   * leaves an outcome unknown, and costs about 300 bytes each.
   *
   * @default 16_384
   */
  readonly countMax?: number
  /**
   * How long an outcome is remembered. Longer than a write may take is enough.
   *
   * @default 60_000
   */
  readonly ageMaxMs?: number
}

interface Known {
  readonly atMs: number
  readonly outcome: Promise<Uint8Array>
}

export class Outcomes {
  readonly #clock: Clock
  readonly #life: Uint8Array
  readonly #countMax: number
  readonly #ageMaxMs: number
  /** In the order in which they arrived. */
  readonly #known = new Map<string, Known>()
  /** Nothing that arrived after this moment has been forgotten. */
  #sinceMs: number

  constructor(clock: Clock, init: OutcomesInit) {
    this.#clock = clock
    this.#life = init.life
    this.#countMax = init.countMax ?? 16_384
    this.#ageMaxMs = init.ageMaxMs ?? 60_000
    this.#sinceMs = clock.monoMs()
  }

  get size(): number {
    return this.#known.size
  }

  /** Does the write if it is new, and resolves with what came of it then or before. */
  async once(from: NodeId, id: Uint8Array, work: () => Promise<Uint8Array>): Promise<Passed> {
    const name = nameIn(from, id)
    const known = this.#known.get(name)
    if (known !== undefined) return { outcome: await known.outcome }
    this.#forgetOld()
    const outcome = work()
    this.#known.set(name, { atMs: this.#clock.monoMs(), outcome })
    return { outcome: await outcome }
  }

  /** What came of it, waited for if it is under way; or that nothing is known of it. */
  async ask(from: NodeId, id: Uint8Array): Promise<Passed> {
    const known = this.#known.get(nameIn(from, id))
    if (known !== undefined) return { outcome: await known.outcome }
    return this.unknown
  }

  /** Whether one that is not known, sent first at that moment, was surely not done here. */
  surelyKnows({ life, sentMs }: Again): boolean {
    return equal(life, this.#life) && this.#sinceMs < sentMs
  }

  /** Rounded down: what was sent is then taken to be older than it is. */
  get unknown(): Passed {
    return { life: this.#life, nowMs: Math.floor(this.#clock.monoMs()) }
  }

  #forgetOld(): void {
    const now = this.#clock.monoMs()
    for (const [name, { atMs }] of this.#known) {
      if (this.#known.size < this.#countMax && now - atMs <= this.#ageMaxMs) return
      this.#known.delete(name)
      this.#sinceMs = atMs
    }
  }
}

function nameIn(from: NodeId, id: Uint8Array): string {
  return `${from} ${nameOf(id)}`
}
