/**
 * Writes at level `any` while no owner can be reached: this node makes the write itself and keeps it,
 * row and all, in durable hints for every owner.
 *
 * It has not seen what the owners hold, so it must not claim to. The write is an event of an actor
 * that is drawn for it alone, on a row that holds nothing but what is kept here of the key already:
 * nothing older of that actor can be missing anywhere. To the owners it is concurrent with whatever
 * they hold and replaces nothing of it; which one is answered is for their versions to say. A delete
 * would therefore delete nothing, and is not taken. What an operation counts (the value after an
 * increment) is not known here and not told.
 */
import type { Membership } from '../cluster/membership.ts'
import { TimeoutError, UnavailableError } from '../errors.ts'
import { actorOf, printDot, type Dot } from '../lattice/dot.ts'
import { encodeRow } from '../lattice/encode.ts'
import { isRefusal } from '../lattice/kinds.ts'
import { mutate } from '../lattice/mutate.ts'
import type { Operation } from '../lattice/operation.ts'
import { joinDelta, type Row } from '../lattice/row.ts'
import type { Clock, Log, Random, Timers } from '../ports.ts'
import { refusalError } from '../replica/refusals.ts'
import type { Replica } from '../replica/replica.ts'
import { slotOf } from '../ring/slot.ts'
import type { NodeId } from '../util/node-id.ts'
import type { Written } from '../wire/forward.ts'
import { within } from './deadline.ts'

export interface BlindComponents {
  readonly replica: Replica
  readonly membership: Membership
  readonly random: Random
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  /** Keeps the changed row for each of the owners; resolves with it when it is durable for all. */
  readonly keep: (keeping: Keeping) => Promise<Row>
}

export interface Keeping {
  readonly key: Uint8Array
  readonly owners: readonly NodeId[]
  readonly change: (held: Row) => Row
  readonly flush: boolean
}

export interface BlindRequest {
  readonly key: Uint8Array
  readonly operation: Operation
  readonly flush: boolean
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

export class Blind {
  readonly #components: BlindComponents

  constructor(components: BlindComponents) {
    this.#components = components
  }

  async write(request: BlindRequest): Promise<Written> {
    const { timeoutMs, signal } = request
    const onTimeout = () => {
      throw new TimeoutError('write', 1, [], timeoutMs)
    }
    const work = this.#write(request)
    return within(this.#components.timers, work, { timeoutMs, signal, onTimeout })
  }

  async #write({ key, operation, flush }: BlindRequest): Promise<Written> {
    const { membership, keep, clock } = this.#components
    const { current, next } = membership.view.ownersOf(slotOf(key))
    const owners = [...new Set([...current, ...next])]
    const others = owners.filter(owner => owner !== membership.id)
    if (owners.length === 0) throw new UnavailableError('write', 'any', 1, 0, 0)
    const dot = this.#dot()
    let version = dot
    const change = (held: Row): Row => {
      const mutation = mutate(held, operation, dot, clock.wallMs())
      if (isRefusal(mutation)) throw refusalError(key, mutation)
      version = mutation.delta.dot
      return joinDelta(held, mutation.delta)
    }
    const row = await keep({ key, owners: others, change, flush })
    const isHere = owners.length > others.length && (await this.#apply(key, row, flush, others))
    const acknowledged = isHere ? [membership.id] : []
    return { version: printDot(version), acknowledged, hinted: others }
  }

  /** Later than all that was seen here, and of nobody's. */
  #dot(): Dot {
    const { replica, random } = this.#components
    return { actor: actorOf(random.bytes(8)), time: replica.identity.nextDot().time }
  }

  /**
   * An owner whose copy is not whole holds the write all the same. False when its disk refuses and
   * there are hints that hold it; without others that is all there is, and it rejects.
   */
  async #apply(
    key: Uint8Array,
    row: Row,
    flush: boolean,
    others: readonly NodeId[]
  ): Promise<boolean> {
    const { replica, log } = this.#components
    try {
      await replica.apply(key, 'row', encodeRow(row), flush)
      return true
    } catch (error) {
      if (others.length === 0) throw error
      log.warn('kept-but-not-applied', { error: String(error) })
      return false
    }
  }
}
