/**
 * Writes at level `any` while no owner can be reached: this node makes the write itself and keeps it,
 * row and all, in durable hints for every owner.
 *
 * It has not seen what the owners hold, so it must not claim to. The write is an event of an actor
 * that is drawn for the key, on a row that holds nothing but what is kept here of it already, and all
 * that the actor has written: nothing older of it can be missing anywhere. Once that has left, the
 * next write draws a new one. To the owners it is concurrent with whatever
 * they hold and replaces nothing of it; which one is answered is for their versions to say. A delete
 * would therefore delete nothing, and is not taken. What an operation counts (the value after an
 * increment) is not known here and not told.
 */
import type { Membership } from '../cluster/membership.ts'
import { TimeoutError, UnavailableError } from '../errors.ts'
import { covers } from '../lattice/context.ts'
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
import { nameOf } from '../util/bytes.ts'
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
  /** What the caller gave, where some of it has passed before: an error tells this. */
  readonly givenMs?: number
  readonly signal?: AbortSignal | undefined
}

/** Keys of which the last write here is remembered, so that the next goes on under its actor. */
const ACTORS_MAX = 4_096

export class Blind {
  readonly #components: BlindComponents
  /** The last write of each key, the oldest first. */
  readonly #last = new Map<string, Dot>()

  constructor(components: BlindComponents) {
    this.#components = components
  }

  async write(request: BlindRequest): Promise<Written> {
    const { timeoutMs, givenMs = timeoutMs, signal } = request
    const onTimeout = () => {
      throw new TimeoutError('write', 1, [], givenMs)
    }
    const work = this.#write(request)
    return within(this.#components.timers, work, { timeoutMs, signal, onTimeout })
  }

  async #write({ key, operation, flush }: BlindRequest): Promise<Written> {
    const { membership, keep, clock } = this.#components
    const owners = membership.view.ownersOf(slotOf(key)).all
    const others = owners.filter(owner => owner !== membership.id)
    if (owners.length === 0) throw new UnavailableError('write', 'any', 1, 0, 0)
    const versions: Dot[] = []
    const change = (held: Row): Row => {
      const mutation = mutate(held, operation, this.#dot(key, held), clock.wallMs())
      if (isRefusal(mutation)) throw refusalError(key, mutation)
      versions.push(mutation.delta.dot)
      // Not later: the next write of this key is made before this one is kept.
      this.#remember(key, mutation.delta.dot)
      return joinDelta(held, mutation.delta)
    }
    const row = await keep({ key, owners: others, change, flush })
    const version = versions.at(-1) as Dot
    const isHere = owners.length > others.length && (await this.#apply(key, row, flush, others))
    const acknowledged = isHere ? [membership.id] : []
    return { version: printDot(version), acknowledged, hinted: others }
  }

  /**
   * Later than all that was seen here. Of the actor of the write before while that is still kept, and
   * with it all that the actor has ever written; else of a new one.
   */
  #dot(key: Uint8Array, held: Row): Dot {
    const { replica, random } = this.#components
    const last = this.#last.get(nameOf(key))
    let { time } = replica.identity.nextDot()
    if (last === undefined || !covers(held.context, last)) {
      return { actor: actorOf(random.bytes(8)), time }
    }
    // A write of many entries took as many times.
    while (time <= last.time) time = replica.identity.nextDot().time
    return { actor: last.actor, time }
  }

  #remember(key: Uint8Array, dot: Dot): void {
    const name = nameOf(key)
    this.#last.delete(name)
    this.#last.set(name, dot)
    const [oldest] = this.#last.keys()
    if (this.#last.size > ACTORS_MAX) this.#last.delete(oldest as string)
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
