/**
 * The node that runs a client's request. Reads are coordinated by whoever is asked. A write is
 * always coordinated by an owner of its slot, because only an owner's own row can give it a dot that
 * says what it replaces; other nodes pass it on, to the nearest owner that is alive.
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import { HearsayError, NetworkError, TimeoutError, UnavailableError } from '../errors.ts'
import { assign, erase } from '../lattice/row.ts'
import { needed } from '../quorum/level.ts'
import type { Mutation, Replica } from '../replica/replica.ts'
import { slotOf } from '../ring/slot.ts'
import type { NodeId } from '../util/node-id.ts'
import {
  decodeForward,
  decodeWritten,
  encodeFailure,
  encodeForward,
  encodeWritten,
  type Forward,
  type Written
} from '../wire/forward.ts'
import type { Writer } from './writer.ts'

export interface CoordinatorComponents {
  readonly replica: Replica
  readonly membership: Membership
  readonly liveness: Liveness
  readonly writer: Writer
}

/** How much longer than the write itself the request that carries it may take. */
const FORWARD_GRACE_MS = 500

interface Asking {
  readonly wanted: number
  readonly signal: AbortSignal | undefined
}

export class Coordinator {
  readonly #components: CoordinatorComponents

  constructor(components: CoordinatorComponents) {
    this.#components = components
    components.membership.serve('forward', async (from, body) => this.#forwarded(from, body))
  }

  async write(write: Forward, signal?: AbortSignal): Promise<Written> {
    signal?.throwIfAborted()
    return this.#coordinates(write.key) ? this.#run(write, signal) : this.#forward(write, signal)
  }

  /** Only on a current owner's whole row can a dot say what it replaces. */
  #coordinates(key: Uint8Array): boolean {
    const { membership, replica } = this.#components
    const { current } = membership.view.ownersOf(slotOf(key))
    return current.includes(membership.id) && replica.isWhole(key)
  }

  #run(write: Forward, signal?: AbortSignal): Promise<Written> {
    return this.#components.writer.write({ ...write, mutation: mutationOf(write), signal })
  }

  async #forward(write: Forward, signal?: AbortSignal): Promise<Written> {
    const { membership, liveness } = this.#components
    const owners = membership.view.ownersOf(slotOf(write.key)).current
    const others = liveness.inOrder(owners).filter(node => node !== membership.id)
    const wanted = Math.max(1, needed(write.level, owners.length))
    let refusal: Error | undefined
    for (const node of others) {
      const result = await this.#ask(node, write, { wanted, signal })
      if (!(result instanceof Error)) return result
      if (!(result instanceof NetworkError)) refusal = result
    }
    throw refusal ?? new UnavailableError('write', String(write.level), wanted, 0)
  }

  /**
   * What came of it at this owner. An error is returned when it is certain that nothing was done
   * there, so that another may be asked; otherwise it is thrown.
   */
  async #ask(node: NodeId, write: Forward, { wanted, signal }: Asking): Promise<Written | Error> {
    const { membership } = this.#components
    const { timeoutMs } = write
    try {
      const options = { deadlineMs: timeoutMs + FORWARD_GRACE_MS, signal }
      const answer = await membership.ask(node, 'forward', encodeForward(write), options)
      const result = decodeWritten(answer)
      if (result === undefined) throw malformed(node)
      if (!(result instanceof HearsayError) || isNotWhole(result)) return result
      throw result
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error
      signal?.throwIfAborted()
      if (error.unsent) return error
      throw new TimeoutError('write', wanted, [], timeoutMs)
    }
  }

  async #forwarded(from: NodeId, body: Uint8Array): Promise<Uint8Array> {
    // A copy: what is left to do for a write outlives the request that brought it.
    const write = decodeForward(body.slice())
    if (write === undefined) throw malformed(from)
    try {
      if (!this.#coordinates(write.key)) throw notWhole()
      return encodeWritten(await this.#run(write))
    } catch (error) {
      if (error instanceof HearsayError) return encodeFailure(error)
      throw error
    }
  }
}

function mutationOf({ value }: Forward): Mutation {
  return value === undefined ? (row, dot) => erase(row, dot) : (row, dot) => assign(row, value, dot)
}

function isNotWhole(error: HearsayError): boolean {
  return error.code === 'ERR_CORRUPT'
}

function notWhole(): HearsayError {
  return new HearsayError(
    'ERR_CORRUPT',
    'The owner does not hold the whole row of this key at the moment and cannot take a write for it; ' +
      'try again in a moment.'
  )
}

function malformed(node: NodeId): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `Hearsay could not read a write passed on with ${node}.`)
}
