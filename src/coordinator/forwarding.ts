/**
 * Passes one write on to an owner of its key, to the best one first:
 *
 *   ask an owner ──answer──▶ what came of it there
 *     ▲      └──certain that nothing was done──▶ the next owner, while there is time
 *     └───────────────────────────────────────────────┘
 *
 * All of it together takes no longer than the write may. Where something may have been done, nobody
 * else is asked: the same write twice could undo what was written in between.
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import {
  HearsayError,
  NetworkError,
  RemoteError,
  TimeoutError,
  UnavailableError
} from '../errors.ts'
import type { Clock, Network } from '../ports.ts'
import { needed } from '../quorum/level.ts'
import { slotOf } from '../ring/slot.ts'
import type { NodeId } from '../util/node-id.ts'
import { decodeWritten, encodeForward, type Forward, type Written } from '../wire/forward.ts'

export interface ForwardingComponents {
  readonly membership: Membership
  readonly liveness: Liveness
  readonly network: Network
  readonly clock: Clock
}

/** What the owner has less than this node to answer in, so that its answer is here in time. */
const WAY_BACK_MS_MAX = 250
const WAY_BACK_PART = 0.1

export class Forwarding {
  readonly #components: ForwardingComponents
  readonly #write: Forward
  readonly #signal: AbortSignal | undefined
  readonly #owners: readonly NodeId[]
  readonly #beganMs: number

  constructor(components: ForwardingComponents, write: Forward, signal?: AbortSignal) {
    this.#components = components
    this.#write = write
    this.#signal = signal
    this.#owners = components.membership.view.ownersOf(slotOf(write.key)).current
    this.#beganMs = components.clock.monoMs()
  }

  async run(): Promise<Written> {
    const { membership, liveness } = this.#components
    const others = liveness.inOrder(this.#owners).filter(node => node !== membership.id)
    let refusal = notWhole()
    for (const [i, node] of others.entries()) {
      const timeMs = this.#timeFor(node, others.length - i)
      if (timeMs < 1) break
      const result = await this.#ask(node, timeMs)
      if (!(result instanceof HearsayError)) return result
      refusal = result
    }
    throw this.#failure(refusal)
  }

  /** An owner that has to be dialled may be behind a wall: it leaves time for those after it. */
  #timeFor(node: NodeId, left: number): number {
    const timeMs = this.#write.timeoutMs - this.#elapsedMs
    return this.#components.network.connected().includes(node) ? timeMs : timeMs / left
  }

  /**
   * What came of it at this owner. An error is returned when it is certain that nothing was done
   * there, so that another may be asked; otherwise it is thrown.
   */
  async #ask(node: NodeId, deadlineMs: number): Promise<Written | HearsayError> {
    const wayBackMs = Math.min(WAY_BACK_MS_MAX, WAY_BACK_PART * deadlineMs)
    const timeoutMs = Math.max(1, Math.floor(deadlineMs - wayBackMs))
    const body = encodeForward({ ...this.#write, timeoutMs })
    const result = await this.#send(node, body, deadlineMs)
    if (!(result instanceof HearsayError) || isUntouched(result)) return result
    throw this.#retold(result)
  }

  async #send(node: NodeId, body: Uint8Array, deadlineMs: number) {
    const options = { deadlineMs, signal: this.#signal }
    try {
      const answer = await this.#components.membership.ask(node, 'forward', body, options)
      return decodeWritten(answer) ?? malformed(node)
    } catch (error) {
      if (!(error instanceof HearsayError)) throw error
      this.#signal?.throwIfAborted()
      return error
    }
  }

  /** With the time that has passed here, whatever it was that ended it. */
  #retold(error: HearsayError): HearsayError {
    if (error instanceof TimeoutError) {
      return new TimeoutError('write', error.needed, error.acknowledged, this.#elapsedMs)
    }
    if (error instanceof NetworkError) {
      return new TimeoutError('write', this.#needed, [], this.#elapsedMs)
    }
    return error
  }

  /** Nothing was done anywhere: why the last one that was asked did not. */
  #failure(refusal: HearsayError): HearsayError {
    const { liveness } = this.#components
    const alive = this.#owners.filter(node => liveness.isAlive(node)).length
    if (alive < this.#needed) {
      const level = String(this.#write.level)
      return new UnavailableError('write', level, this.#needed, alive, this.#owners.length)
    }
    return ['ERR_CORRUPT', 'ERR_OVERLOADED'].includes(refusal.code) ? refusal : notTaken(refusal)
  }

  get #needed(): number {
    return Math.max(1, needed(this.#write.level, this.#owners.length))
  }

  get #elapsedMs(): number {
    return Math.round(this.#components.clock.monoMs() - this.#beganMs)
  }
}

/** Errors that only come before anything was done: not sent, not handled, or refused at the door. */
function isUntouched(error: HearsayError): boolean {
  if (error instanceof NetworkError) return error.unsent
  const code = error instanceof RemoteError ? error.remoteCode : error.code
  return ['ERR_NETWORK', 'ERR_CORRUPT', 'ERR_CLOSED', 'ERR_OVERLOADED'].includes(code)
}

/** An owner says it of the row, when asked to coordinate a write. */
export function notWhole(): HearsayError {
  return new HearsayError(
    'ERR_CORRUPT',
    'The owner does not hold the whole row of this key at the moment and cannot take a write for it; ' +
      'try again in a moment.'
  )
}

export function malformed(node: NodeId): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `Hearsay could not read a write passed on with ${node}.`)
}

function notTaken(cause: HearsayError): HearsayError {
  return new HearsayError(
    'ERR_NETWORK',
    `No owner of this key took the write and nothing was stored; try again. The last one: ${cause.message}`,
    { cause }
  )
}
