/**
 * The node that runs a client's request. Reads are coordinated by whoever is asked. A write is
 * always coordinated by an owner of its slot, because only an owner's own row can give it a dot that
 * says what it replaces; other nodes pass it on, to the nearest owner that is alive.
 */
import { HearsayError } from '../errors.ts'
import { assign, erase } from '../lattice/row.ts'
import type { Mutation, Replica } from '../replica/replica.ts'
import { slotOf } from '../ring/slot.ts'
import type { NodeId } from '../util/node-id.ts'
import {
  decodeForward,
  encodeFailure,
  encodeWritten,
  type Forward,
  type Written
} from '../wire/forward.ts'
import { Forwarding, malformed, notWhole, type ForwardingComponents } from './forwarding.ts'
import type { Writer } from './writer.ts'

export interface CoordinatorComponents extends ForwardingComponents {
  readonly replica: Replica
  readonly writer: Writer
}

export class Coordinator {
  readonly #components: CoordinatorComponents

  constructor(components: CoordinatorComponents) {
    this.#components = components
    components.membership.serve('forward', async (from, body) => this.#forwarded(from, body))
  }

  async write(write: Forward, signal?: AbortSignal): Promise<Written> {
    signal?.throwIfAborted()
    return this.#coordinates(write.key)
      ? this.#run(write, signal)
      : new Forwarding(this.#components, write, signal).run()
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
