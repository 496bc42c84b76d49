/**
 * Rows that cannot be used, kept aside with the reason so that nothing is lost and nobody is blocked:
 * damaged on disk, malformed on arrival, or from too far in the future. The slot of a damaged row is
 * being filled from then on, and so does not vote "absent" (see filling.ts); the row itself does not
 * until something is stored in its place, for where nobody else had a copy filling brings none.
 */
import { decodeChange, hasAllOf, type Change } from '../lattice/change.ts'
import type { Row } from '../lattice/row.ts'
import type { Clock, Log, Meter, Store, StoreWrite } from '../ports.ts'
import { equal, nameOf } from '../util/bytes.ts'
import { isBytes, isCount, isTuple, pack, unpack } from '../util/msgpack.ts'

export type Reason = 'damaged' | 'malformed' | 'ahead'

export interface Quarantined {
  readonly reason: Reason
  readonly atMs: number
  readonly delta: boolean
  readonly bytes: Uint8Array
}

/** A row or a delta as it came. */
interface Encoded {
  readonly kind: 'row' | 'delta'
  readonly bytes: Uint8Array
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

  /** Whether something is kept of the row whose id has this name. */
  hasNamed(name: string): boolean {
    return this.#sizes.has(name)
  }

  /** Whether what was here of a row was damaged, and nothing has made up for it yet. */
  hasDamaged(id: Uint8Array): boolean {
    return this.#entry(id)?.reason === 'damaged'
  }

  /**
   * What to commit to keep a row aside; nothing when there is no room (the row is then dropped), or
   * when it would take the place of a damaged one.
   */
  add(id: Uint8Array, reason: Reason, delta: boolean, bytes: Uint8Array): StoreWrite[] {
    const { clock, log, meter } = this.#components
    meter.count(`quarantine.${reason}`)
    log.warn('row-quarantined', { reason, bytes: bytes.length })
    const row = { reason, atMs: clock.wallMs(), delta, bytes }
    const full = this.size >= QUARANTINE_ROWS_MAX || this.#bytes > QUARANTINE_BYTES_MAX
    if (reason !== 'damaged' && (full || this.hasDamaged(id))) return []
    const value = pack([reason, row.atMs, delta, bytes])
    return [{ space: 'quarantine', key: id, value }]
  }

  /** What is kept of a row until its time has come. */
  waiting(id: Uint8Array): Change | undefined {
    const row = this.#entry(id)
    return row?.reason === 'ahead' ? decodeChange(row.delta, row.bytes) : undefined
  }

  /**
   * What to commit with a change that was joined: a whole row makes up for a damaged or malformed
   * one; what was too far ahead is done with once it has been joined itself, or was replaced.
   */
  joined(id: Uint8Array, change: Encoded, row: () => Row): StoreWrite[] {
    const kept = this.#entry(id)
    if (kept === undefined) return []
    const isAhead = kept.reason === 'ahead'
    if (isAhead && !equal(kept.bytes, change.bytes)) return this.replaced(id, row())
    const isDone = isAhead || change.kind === 'row'
    return isDone ? [{ space: 'quarantine', key: id, value: undefined }] : []
  }

  /** The same with a row that has come out of a client's write: it may have replaced what waited. */
  replaced(id: Uint8Array, row: Row): StoreWrite[] {
    const waiting = this.waiting(id)
    const isDone = waiting !== undefined && hasAllOf(row, waiting)
    return isDone ? [{ space: 'quarantine', key: id, value: undefined }] : []
  }

  /** Has what `add` and `joined` gave take effect, once it is committed. */
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
  if (!isTuple(fields, 4)) return undefined
  const [reason, atMs, delta, bytes] = fields
  if (!reasons.includes(reason) || !isCount(atMs, Number.MAX_SAFE_INTEGER)) return undefined
  if (typeof delta !== 'boolean' || !isBytes(bytes)) return undefined
  return { reason: reason as Reason, atMs, delta, bytes }
}
