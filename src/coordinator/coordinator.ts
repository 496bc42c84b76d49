/**
 * The node that runs a client's request. Reads are coordinated by whoever is asked. A write is
 * always coordinated by an owner of its slot, because only an owner's own row can give it a dot that
 * says what it replaces; other nodes pass it on, to the nearest owner that is alive. What was passed
 * on here is done once, however often it arrives.
 */
import { HearsayError } from '../errors.ts'
import type { Replica } from '../replica/replica.ts'
import { slotOf } from '../ring/slot.ts'
import type { NodeId } from '../util/node-id.ts'
import {
  decodeForward,
  encodeFailure,
  encodeWritten,
  type Forward,
  type Written
} from '../wire/forward.ts'
import {
  decodePassing,
  encodePassed,
  ID_BYTES,
  type Passed,
  type Passing
} from '../wire/passing.ts'
import type { Blind } from './blind.ts'
import type { CatchUp } from './catch-up.ts'
import {
  Forwarding,
  isUndone,
  malformed,
  notWhole,
  type ForwardingComponents
} from './forwarding.ts'
import { Outcomes } from './outcomes.ts'
import type { Writer } from './writer.ts'

export interface CoordinatorComponents extends ForwardingComponents {
  readonly replica: Replica
  readonly writer: Writer
  readonly catchUp: CatchUp
  readonly blind: Blind
}

/** Of the time of a write at level `any`; the rest is for keeping it here. */
const PASSING_PART = 0.75

export class Coordinator {
  readonly #components: CoordinatorComponents
  readonly #outcomes: Outcomes

  constructor(components: CoordinatorComponents) {
    this.#components = components
    this.#outcomes = new Outcomes(components.clock, { life: components.random.bytes(ID_BYTES) })
    components.membership.serve('forward', async (from, body) => this.#forwarded(from, body))
  }

  async write(write: Forward, signal?: AbortSignal): Promise<Written> {
    signal?.throwIfAborted()
    if (this.#coordinates(write.key)) return this.#run(write, signal)
    return write.level === 'any' && canBeBlind(write)
      ? this.#passOnOrKeep(write, signal)
      : new Forwarding(this.#components, write, signal).run()
  }

  /** Kept here only when it is certain that no owner has done anything. */
  async #passOnOrKeep(write: Forward, signal?: AbortSignal): Promise<Written> {
    const passingMs = Math.max(1, Math.floor(write.timeoutMs * PASSING_PART))
    const passing = { ...write, timeoutMs: passingMs }
    try {
      return await new Forwarding(this.#components, passing, signal).run()
    } catch (error) {
      if (!isUndone(error)) throw error
      signal?.throwIfAborted()
      const { timeoutMs: givenMs } = write
      const timeoutMs = givenMs - passingMs
      return this.#components.blind.write({ ...write, timeoutMs, givenMs, signal })
    }
  }

  /** Only on a current owner's whole row can a dot say what it replaces. */
  #coordinates(key: Uint8Array): boolean {
    const { membership, replica } = this.#components
    const { current } = membership.view.ownersOf(slotOf(key))
    return current.includes(membership.id) && replica.isWhole(key)
  }

  async #run(write: Forward, signal?: AbortSignal): Promise<Written> {
    const { writer, catchUp } = this.#components
    const request = await catchUp.before(write, signal)
    // That took a while, in which this may have ceased to be its place.
    if (request !== write && !this.#coordinates(write.key)) throw notWhole(write.key)
    return writer.write({ ...request, givenMs: write.timeoutMs, signal })
  }

  async #forwarded(from: NodeId, body: Uint8Array): Promise<Uint8Array> {
    // A copy: what is left to do for a write outlives the request that brought it.
    const passing = decodePassing(body.slice())
    if (passing === undefined) throw malformed(from)
    return encodePassed(await this.#passed(from, passing))
  }

  async #passed(from: NodeId, { id, again, write }: Passing): Promise<Passed> {
    if (write === undefined) return this.#outcomes.ask(from, id)
    const forward = decodeForward(write)
    if (forward === undefined) throw malformed(from)
    const isKnown = again === undefined || this.#outcomes.surelyKnows(again)
    return isKnown
      ? this.#outcomes.once(from, id, () => this.#take(forward))
      : this.#outcomes.ask(from, id)
  }

  /** What comes of it, encoded: also that it was refused, so that it is refused again. */
  async #take(write: Forward): Promise<Uint8Array> {
    try {
      if (!this.#coordinates(write.key)) throw notWhole(write.key)
      return encodeWritten(await this.#run(write))
    } catch (error) {
      if (error instanceof HearsayError) return encodeFailure(error)
      throw error
    }
  }
}

/** Whether it means the same to one who has not seen the row. */
function canBeBlind({ operation }: Forward): boolean {
  if (operation.do === 'delete') return operation.seen !== undefined
  return ['put', 'increment', 'set-add', 'map-set'].includes(operation.do)
}
