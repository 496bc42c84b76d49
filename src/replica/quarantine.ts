/**
 * Rows that cannot be used, kept aside with the reason so that nothing is lost and nobody is blocked:
 * damaged on disk, malformed on arrival, or from too far in the future. The slot of a damaged row is
 * being filled from then on, and so does not vote "absent" (see filling.ts); the row itself does not
 * until something is stored in its place, for where nobody else had a copy filling brings none.
 */
import { decodeChange, hasAllOf, type Change } from '../lattice/change.ts'
import type { Row } from '../lattice/row.ts'
import type { Clock, Log, Meter, Store, StoreWrite } from '../ports.ts'
import { headIn, keyIn, slotIn } from '../ring/row-key.ts'
import { equal, nameOf, text } from '../util/bytes.ts'
import { isBytes, isCount, isTuple, pack, unpack } from '../util/msgpack.ts'

import type { Damaged } from './rows.ts'

export type Reason = 'damaged' | 'malformed' | 'ahead'

export interface Quarantined {
  readonly reason: Reason
  readonly atMs: number
  readonly delta: boolean
  readonly bytes: Uint8Array
}

/** A row or a delta as it came. */
export interface Encoded {
  readonly kind: 'row' | 'delta'
  readonly bytes: Uint8Array
}

/** What is kept of a row beside it: what waits for its time, or cannot be read. */
export interface Kept {
  readonly bytes: Uint8Array
  /** Of what cannot be read: none. */
  readonly waiting: Change | undefined
}

/** What is to be kept, and under which key. */
interface Entry extends Omit<Quarantined, 'atMs'> {
  readonly key: Uint8Array
  readonly id: Uint8Array
}

export interface Joining {
  /** It stands for the whole row: a row, or a write that replaces everything. */
  readonly isWhole: boolean
  /** What was joined, if it came from elsewhere. */
  readonly bytes?: Uint8Array
  /** What came out. */
  readonly row: () => Row
}

export interface QuarantineComponents {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly meter: Meter
}

export const QUARANTINE_ROWS_MAX = 10_000
export const QUARANTINE_BYTES_MAX = 64 * 1024 * 1024

const reasons: readonly unknown[] = ['damaged', 'malformed', 'ahead'] satisfies Reason[]

export class Quarantine {
  readonly #components: QuarantineComponents
  readonly #sizes = new Map<string, number>()
  #bytes = 0

  constructor(components: QuarantineComponents) {
    this.#components = components
    for (const [id, row] of this.entries()) this.#admit(id, row)
  }

  get size(): number {
    return this.#sizes.size
  }

  /** Whether something is kept under the id of this name. */
  hasNamed(name: string): boolean {
    return this.#sizes.has(name)
  }

  /** Whether what was here of a row was damaged, and nothing has made up for it yet. */
  hasDamaged(id: Uint8Array): boolean {
    return this.size > 0 && this.hasNamed(nameOf(headIn(id)))
  }

  /** What was on disk, check and all, where a row was found damaged. */
  damaged(id: Uint8Array): Uint8Array | undefined {
    return this.#entry(headIn(id))?.bytes
  }

  /** What to commit to keep a row aside that was found damaged: under slot and token alone. */
  addDamaged({ id, value, home }: Damaged): StoreWrite[] {
    return [this.#write({ key: headIn(home), id, reason: 'damaged', delta: false, bytes: value })]
  }

  /** Why something of a row is kept aside, if it is. */
  reasonFor(id: Uint8Array): Reason | undefined {
    return this.hasDamaged(id) ? 'damaged' : this.#entry(id)?.reason
  }

  /**
   * What to commit to keep aside what came in; nothing when there is no room, and it is refused. Of one
   * row one thing is kept: what is ahead is to be given joined with what waits already.
   */
  add(id: Uint8Array, reason: 'malformed' | 'ahead', { kind, bytes }: Encoded): StoreWrite[] {
    const full = this.size >= QUARANTINE_ROWS_MAX || this.#bytes > QUARANTINE_BYTES_MAX
    return full ? [] : [this.#write({ key: id, id, reason, delta: kind === 'delta', bytes })]
  }

  kept(id: Uint8Array): Kept | undefined {
    const row = this.#entry(id)
    if (row === undefined) return undefined
    const { reason, delta, bytes } = row
    return { bytes, waiting: reason === 'ahead' ? decodeChange(delta, bytes) : undefined }
  }

  /**
   * What to commit with a row that something was joined into. A whole row, or what a client has put in
   * its place, makes up for a damaged or malformed one. What waits is done with once it has been joined
   * itself, or all of it was replaced. `kept` is what the batch has left of it so far.
   */
  joined(id: Uint8Array, by: Joining, kept: Kept | undefined): StoreWrite[] {
    const done: Uint8Array[] = by.isWhole && this.hasDamaged(id) ? [headIn(id)] : []
    if (kept !== undefined) {
      const { bytes, waiting } = kept
      const isItself = by.bytes !== undefined && equal(bytes, by.bytes)
      const isReplaced = waiting === undefined ? by.isWhole : hasAllOf(by.row(), waiting)
      if (isItself || isReplaced) done.push(id)
    }
    return done.map(key => ({ space: 'quarantine', key, value: undefined }))
  }

  /** Has what these gave take effect, once it is committed. */
  committed(writes: readonly StoreWrite[]): void {
    for (const { key, value } of writes) {
      const row = value && readRow(value)
      if (row === undefined) this.#forget(key)
      else this.#admit(key, row)
    }
  }

  *entries(): Iterable<[id: Uint8Array, row: Quarantined]> {
    for (const [id, value] of this.#components.store.range('quarantine')) {
      const row = readRow(value)
      if (row) yield [id, row]
    }
  }

  /** The id as it was found goes along: the key in it may be all that is left of a row. */
  #write({ key, id, reason, delta, bytes }: Entry): StoreWrite {
    const { clock, log, meter } = this.#components
    const what = { reason, bytes: bytes.length, slot: slotIn(id), key: text(keyIn(id)) }
    meter.count(`quarantine.${reason}`)
    log.warn('row-quarantined', what)
    return { space: 'quarantine', key, value: pack([reason, clock.wallMs(), delta, bytes, id]) }
  }

  #entry(id: Uint8Array): Quarantined | undefined {
    if (this.size === 0 || !this.#sizes.has(nameOf(id))) return undefined
    const value = this.#components.store.get('quarantine', id)
    return value && readRow(value)
  }

  #admit(id: Uint8Array, row: Quarantined): void {
    const name = nameOf(id)
    this.#bytes += row.bytes.length - (this.#sizes.get(name) ?? 0)
    this.#sizes.set(name, row.bytes.length)
  }

  #forget(id: Uint8Array): void {
    const name = nameOf(id)
    this.#bytes -= this.#sizes.get(name) ?? 0
    this.#sizes.delete(name)
  }
}

function readRow(value: Uint8Array): Quarantined | undefined {
  const fields = unpack(value)
  if (!isTuple(fields, 5)) return undefined
  const [reason, atMs, delta, bytes] = fields
  if (!reasons.includes(reason) || !isCount(atMs, Number.MAX_SAFE_INTEGER)) return undefined
  if (typeof delta !== 'boolean' || !isBytes(bytes)) return undefined
  return { reason: reason as Reason, atMs, delta, bytes }
}
