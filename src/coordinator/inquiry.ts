/**
 * Has one owner do one write, once, though connections break:
 *
 *   send ──answer──▶ the outcome
 *    ▲ └─broke─▶ ask what came of it ──known──▶ the outcome
 *    │                 │ └─broke─▶ ask again after a pause, while there is time
 *    └──surely not done, and then only in this life of the owner
 *
 * All of it is asked of the process that it was first sent to: another one that has its identity, on a
 * copy of its directory, knows nothing of it and proves nothing.
 *
 * Surely not done means: the owner knows nothing of it, and has lived and remembered everything since
 * before the write was first sent. When that was by its clock is reckoned from how long ago it is,
 * and leans on nothing about how long a message may take. Otherwise the outcome stays unknown, as a
 * `NetworkError`.
 *
 * What it leans on: a message does not outlive the process that it was sent to.
 */
import type { Membership } from '../cluster/membership.ts'
import { HearsayError, NetworkError } from '../errors.ts'
import type { Clock, Meter, Timers } from '../ports.ts'
import type { NodeId } from '../util/node-id.ts'
import { sleep } from '../util/sleep.ts'
import { decodePassed, encodePassing, type Again, type Passed } from '../wire/passing.ts'

export interface InquiryComponents {
  readonly membership: Membership
  readonly clock: Clock
  readonly timers: Timers
  readonly meter: Meter
}

export interface InquiryInit {
  readonly node: NodeId
  readonly id: Uint8Array
  readonly deadlineMs: number
  readonly signal: AbortSignal | undefined
  /** The write, for an owner that has so long to answer. */
  readonly encode: (leftMs: number) => Uint8Array
}

/** The advice where nobody knows what was done. */
export const LOOK = 'The outcome is unknown: read the key to learn it, or write again.'
/** Between two questions, until the time is up. */
const PAUSE_MS = 50
const PAUSE_MS_MAX = 1_000
/** Two clocks do not run at quite the same pace: more than any two that work. */
const DRIFT = 0.01

export class Inquiry {
  readonly #components: InquiryComponents
  readonly #init: InquiryInit
  readonly #beganMs: number
  readonly #beganWallMs: number
  /** Which start of the owner it was sent to. */
  #epoch: string | undefined

  constructor(components: InquiryComponents, init: InquiryInit) {
    this.#components = components
    this.#init = init
    this.#beganMs = components.clock.monoMs()
    this.#beganWallMs = components.clock.wallMs()
  }

  /**
   * Resolves with the encoded outcome. Rejects with what the first sending rejected with: where that
   * may have been done, with a `NetworkError` that was not unsent.
   */
  async run(): Promise<Uint8Array> {
    try {
      return outcomeOf(await this.#pass(undefined))
    } catch (error) {
      if (!(error instanceof NetworkError) || error.unsent) throw error
      return this.#recover(error)
    }
  }

  /** From here on every failure leaves open what `broken` left open. */
  async #recover(broken: NetworkError): Promise<Uint8Array> {
    const { timers, meter } = this.#components
    this.#epoch = broken.epoch
    for (let pauseMs = PAUSE_MS; this.#leftMs > 0; pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX)) {
      await sleep(timers, Math.min(pauseMs, this.#leftMs), this.#init.signal)
      meter.count('forward.asked-again')
      const passed = await this.#tolerate(() => this.#tryAgain())
      if (passed === 'lost') break
      if (passed !== undefined) return outcomeOf(passed)
    }
    throw broken
  }

  /** What came of it; `lost` when that cannot be learned any more. */
  async #tryAgain(): Promise<Passed | 'lost'> {
    const { id } = this.#init
    const asked = await this.#request(encodePassing({ id, again: undefined, write: undefined }))
    if ('outcome' in asked) return asked
    const sentMs = Math.floor(asked.nowMs - this.#longestAgoMs)
    if (sentMs < 0) return 'lost'
    const passed = await this.#pass({ life: asked.life, sentMs })
    return 'outcome' in passed ? passed : 'lost'
  }

  /** `undefined` when the way to the owner is broken again, `lost` when another has its place. */
  async #tolerate<T>(work: () => Promise<T>): Promise<T | 'lost' | undefined> {
    try {
      return await work()
    } catch (error) {
      this.#init.signal?.throwIfAborted()
      if (this.#isOther(error)) return 'lost'
      if (error instanceof HearsayError) return undefined
      throw error
    }
  }

  #isOther(error: unknown): boolean {
    const isKnown = error instanceof NetworkError && error.epoch !== undefined
    return isKnown && error.epoch !== this.#epoch
  }

  #pass(again: Again | undefined): Promise<Passed> {
    const { id, encode } = this.#init
    return this.#request(encodePassing({ id, again, write: encode(this.#leftMs) }))
  }

  async #request(body: Uint8Array): Promise<Passed> {
    const { node, signal } = this.#init
    const options = { deadlineMs: Math.max(1, this.#leftMs), signal, epoch: this.#epoch }
    const answer = await this.#components.membership.ask(node, 'forward', body, options)
    const passed = decodePassed(answer)
    if (passed !== undefined) return passed
    throw unreadable(node)
  }

  get #leftMs(): number {
    return this.#init.deadlineMs - this.#elapsedMs
  }

  get #elapsedMs(): number {
    return this.#components.clock.monoMs() - this.#beganMs
  }

  /** A clock that never goes back may stand still while the machine sleeps; the other one does not. */
  get #longestAgoMs(): number {
    const wallMs = this.#components.clock.wallMs() - this.#beganWallMs
    return Math.max(this.#elapsedMs, wallMs) * (1 + DRIFT)
  }
}

export function unreadable(node: NodeId): HearsayError {
  return new HearsayError(
    'ERR_PROTOCOL',
    `Hearsay could not read what ${node} says of a write passed on to it. ${LOOK}`
  )
}

/** The first sending is always answered with an outcome. */
function outcomeOf(passed: Passed): Uint8Array {
  if ('outcome' in passed) return passed.outcome
  throw new NetworkError('The owner does not say what came of the write.', false)
}
