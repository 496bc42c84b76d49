/**
 * Passes one write on to an owner of its key, to the best one first:
 *
 *   ask an owner ──answer──▶ what came of it there
 *     ▲      ├──certain that nothing was done──▶ the next owner, while there is time
 *     │      └──the connection broke──▶ ask the same owner what came of it (see inquiry.ts)
 *     └──────────────────────────────────────┘
 *
 * All of it together takes no longer than the write may. Where something may have been done, nobody
 * else is asked: the same write twice could undo what was written in between, or count twice.
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
import type { Clock, Meter, Network, Random, Timers } from '../ports.ts'
import { needed } from '../quorum/level.ts'
import { printKey } from '../replica/refusals.ts'
import { slotOf } from '../ring/slot.ts'
import type { NodeId } from '../util/node-id.ts'
import { decodeWritten, encodeForward, type Forward, type Written } from '../wire/forward.ts'
import { ID_BYTES } from '../wire/passing.ts'
import { Inquiry, LOOK, unreadable } from './inquiry.ts'

export interface ForwardingComponents {
  readonly membership: Membership
  readonly liveness: Liveness
  readonly network: Network
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly meter: Meter
}

/** What the owner has less than this node to answer in, so that its answer is here in time. */
const WAY_BACK_MS_MAX = 250
const WAY_BACK_PART = 0.1

export class Forwarding {
  readonly #components: ForwardingComponents
  readonly #write: Forward
  readonly #signal: AbortSignal | undefined
  readonly #owners: readonly NodeId[]
  readonly #id: Uint8Array
  readonly #beganMs: number

  constructor(components: ForwardingComponents, write: Forward, signal?: AbortSignal) {
    this.#components = components
    this.#write = write
    this.#signal = signal
    this.#owners = components.membership.view.ownersOf(slotOf(write.key)).current
    this.#id = components.random.bytes(ID_BYTES)
    this.#beganMs = components.clock.monoMs()
  }

  /** Rejects with an error for which `isUndone` holds when nothing was done anywhere. */
  async run(): Promise<Written> {
    const { membership, liveness } = this.#components
    const others = liveness.inOrder(this.#owners).filter(node => node !== membership.id)
    let refusal = notWhole(this.#write.key)
    for (const [i, node] of others.entries()) {
      const timeMs = this.#timeFor(node, others.length - i)
      if (timeMs < 1) break
      const result = await this.#ask(node, timeMs)
      if (!(result instanceof HearsayError)) return result
      refusal = result
    }
    throw undone(this.#failure(refusal))
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
    const result = await this.#send(node, deadlineMs)
    if (!(result instanceof HearsayError) || isUntouched(result)) return result
    throw this.#retold(node, result)
  }

  /** An error of the owner and one of the way to it are both errors here. */
  async #send(node: NodeId, deadlineMs: number): Promise<Written | HearsayError> {
    const encode = (leftMs: number) => {
      const wayBackMs = Math.min(WAY_BACK_MS_MAX, WAY_BACK_PART * leftMs)
      const timeoutMs = Math.max(1, Math.floor(leftMs - wayBackMs))
      return encodeForward({ ...this.#write, timeoutMs })
    }
    const init = { node, id: this.#id, deadlineMs, signal: this.#signal, encode }
    try {
      const outcome = await new Inquiry(this.#components, init).run()
      return decodeWritten(outcome) ?? unreadable(node)
    } catch (error) {
      if (!(error instanceof HearsayError)) throw error
      this.#signal?.throwIfAborted()
      return error
    }
  }

  /** With the time that has passed here, and that the outcome is unknown where it is. */
  #retold(node: NodeId, error: HearsayError): HearsayError {
    if (error instanceof TimeoutError) {
      return new TimeoutError('write', error.needed, error.acknowledged, this.#elapsedMs)
    }
    if (error instanceof NetworkError) {
      return new TimeoutError('write', this.#needed, [], this.#elapsedMs)
    }
    return error instanceof RemoteError ? failedThere(node, error) : error
  }

  /** Nothing was done anywhere: why the last one that was asked did not. */
  #failure(refusal: HearsayError): HearsayError {
    const { liveness } = this.#components
    const alive = this.#owners.filter(node => liveness.isAlive(node)).length
    if (alive < this.#needed) {
      const level = String(this.#write.level)
      return new UnavailableError('write', level, this.#needed, alive, this.#owners.length)
    }
    return ['ERR_CORRUPT', 'ERR_OVERLOADED'].includes(refusal.code)
      ? refusal
      : notTaken(this.#write.key, refusal)
  }

  get #needed(): number {
    return Math.max(1, needed(this.#write.level, this.#owners.length))
  }

  get #elapsedMs(): number {
    return Math.round(this.#components.clock.monoMs() - this.#beganMs)
  }
}

const allUndone = new WeakSet<HearsayError>()

function undone(error: HearsayError): HearsayError {
  allUndone.add(error)
  return error
}

/** Whether it is certain that nothing was done anywhere, so that it may be done otherwise. */
export function isUndone(error: unknown): error is HearsayError {
  return error instanceof HearsayError && allUndone.has(error)
}

/** Errors that only come before anything was done: not sent, not handled, or refused at the door. */
function isUntouched(error: HearsayError): boolean {
  if (error instanceof NetworkError) return error.unsent
  if (error instanceof RemoteError) return UNTOUCHED_THERE.includes(error.remoteCode)
  return UNTOUCHED.includes(error.code)
}

const UNTOUCHED: readonly string[] = ['ERR_NETWORK', 'ERR_CORRUPT', 'ERR_CLOSED', 'ERR_OVERLOADED']
/** What a handler throws is what it could not read; what came of a write is an answer. */
const UNTOUCHED_THERE: readonly string[] = [...UNTOUCHED, 'ERR_PROTOCOL']

/** An owner says it of the row, when asked to coordinate a write. */
export function notWhole(key: Uint8Array): HearsayError {
  return new HearsayError(
    'ERR_CORRUPT',
    `The owner does not hold the whole row of ${printKey(key)} at the moment and cannot take a write ` +
      'for it; try again in a moment.'
  )
}

export function malformed(node: NodeId): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `Hearsay could not read a write passed on by ${node}.`)
}

function failedThere(node: NodeId, cause: RemoteError): HearsayError {
  const what = `${node} failed at a write passed on to it (${cause.message})`
  return new HearsayError('ERR_REMOTE', `${what}. ${LOOK}`, { cause })
}

function notTaken(key: Uint8Array, cause: HearsayError): HearsayError {
  return new HearsayError(
    'ERR_NETWORK',
    `No owner of ${printKey(key)} took the write and nothing was stored; try again. The last one: ` +
      cause.message,
    { cause }
  )
}
