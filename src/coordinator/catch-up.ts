/**
 * Lets an owner learn what it has missed before it coordinates a write that takes away: a delete,
 * the removal of members or fields, an expiry. Such a write touches what its coordinator holds, so
 * what others acknowledged and has not reached this owner yet would survive it, and be read again.
 * Therefore the key is read first, at the level of the write: where `2w > n` that meets every
 * acknowledged write, and what comes of it is joined here.
 *
 * Not promised: anything of what is written meanwhile, nor of levels at which writes do not meet each
 * other; there nothing is read.
 */
import type { Membership } from '../cluster/membership.ts'
import { HearsayError, QuorumFailedError, TimeoutError, UnavailableError } from '../errors.ts'
import { newestDot } from '../lattice/context.ts'
import { encodeRow } from '../lattice/encode.ts'
import type { Operation } from '../lattice/operation.ts'
import { ROW_EMPTY, type Row } from '../lattice/row.ts'
import type { Clock } from '../ports.ts'
import { needed, overlaps } from '../quorum/level.ts'
import type { Replica } from '../replica/replica.ts'
import { slotOf } from '../ring/slot.ts'
import type { Forward } from '../wire/forward.ts'
import type { Reader } from './reader.ts'

export interface CatchUpComponents {
  readonly membership: Membership
  readonly replica: Pick<Replica, 'apply'>
  readonly reader: Pick<Reader, 'read'>
  readonly clock: Clock
}

export class CatchUp {
  readonly #components: CatchUpComponents

  constructor(components: CatchUpComponents) {
    this.#components = components
  }

  /** Resolves with the write and the time that is left for it. Errors are told as the write's. */
  async before(write: Forward, signal?: AbortSignal): Promise<Forward> {
    if (!this.#isNeeded(write)) return write
    const { clock } = this.#components
    const { timeoutMs } = write
    const beganMs = clock.monoMs()
    try {
      await this.#learn(write, await this.#look(write, signal))
    } catch (error) {
      throw error instanceof HearsayError ? asWrite(error) : error
    }
    const leftMs = timeoutMs - (clock.monoMs() - beganMs)
    return { ...write, timeoutMs: Math.max(1, Math.floor(leftMs)) }
  }

  /** Where no owner has the row any more there is nothing to learn, and a delete is how to go on. */
  async #look({ key, operation, level, timeoutMs }: Forward, signal?: AbortSignal): Promise<Row> {
    const { reader } = this.#components
    try {
      return (await reader.read({ key, level, timeoutMs, signal, readRepair: 'off' })).row
    } catch (error) {
      const isLost = error instanceof HearsayError && error.code === 'ERR_CORRUPT'
      if (isLost && operation.do === 'delete') return ROW_EMPTY
      throw error
    }
  }

  /** What is refused for its time waits in quarantine, and a delete replaces it there. */
  async #learn({ key, operation }: Forward, row: Row): Promise<void> {
    if (newestDot(row.context) === undefined) return
    try {
      await this.#components.replica.apply(key, 'row', encodeRow(row))
    } catch (error) {
      const waits = error instanceof HearsayError && error.code === 'ERR_CLOCK_SKEW'
      if (!waits || operation.do !== 'delete') throw error
    }
  }

  #isNeeded({ key, operation, level }: Forward): boolean {
    if (!takesAway(operation)) return false
    const { length } = this.#components.membership.view.ownersOf(slotOf(key)).current
    return needed(level, length) > 1 && overlaps(level, level, length)
  }
}

/** A delete that says itself what it has seen needs no look. */
function takesAway(operation: Operation): boolean {
  if (operation.do === 'delete') return operation.seen === undefined
  return ['set-remove', 'map-delete', 'expire'].includes(operation.do)
}

/** Nobody has anything of it, whoever answered the read. */
function asWrite(error: HearsayError): HearsayError {
  if (error instanceof UnavailableError) {
    const { level, needed, alive, owners } = error
    return new UnavailableError('write', level, needed, alive, owners)
  }
  if (error instanceof TimeoutError) {
    return new TimeoutError('write', error.needed, [], error.timeoutMs)
  }
  if (error instanceof QuorumFailedError) {
    return new QuorumFailedError('write', error.needed, [], error.failures)
  }
  return error
}
