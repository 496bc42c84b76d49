/**
 * The changes of one commit: each is joined into its row as the ones before it have left it, and what
 * comes out is told: the rows to store, what else goes with them, and who is answered afterwards.
 * Nothing is stored here.
 */
import { decodeChange, hasAllOf, joinChange, newestSeen, newestShown } from '../lattice/change.ts'
import { newestDot } from '../lattice/context.ts'
import type { Dot } from '../lattice/dot.ts'
import { readPlainRow } from '../lattice/encode-plain.ts'
import { isRefusal } from '../lattice/kinds.ts'
import { newLosers, overflown } from '../lattice/losers.ts'
import { mutate, type Mutation } from '../lattice/mutate.ts'
import type { Operation } from '../lattice/operation.ts'
import { joinDelta, type Delta, type Row } from '../lattice/row.ts'
import { bounded } from '../lattice/siblings.ts'
import type { Clock, StoreWrite } from '../ports.ts'
import { equal, nameOf } from '../util/bytes.ts'
import { Aside } from './aside.ts'
import type { KeyedLoser } from './conflicts.ts'
import type { Identity } from './identity.ts'
import type { Quarantine } from './quarantine.ts'
import {
  lostError,
  onlyCopyError,
  refusalError,
  refusalOf,
  ROW_BYTES_MAX,
  rowSizeError
} from './refusals.ts'
import type { Place, Rows, Sealed } from './rows.ts'
import { Staged } from './staged.ts'

export interface Applied {
  readonly key: Uint8Array
  /** The row as it is stored now, encoded. */
  readonly bytes: Uint8Array
}

export interface Mutated extends Applied, Mutation {}

interface Encoded {
  readonly kind: 'row' | 'delta'
  readonly bytes: Uint8Array
}

export type Change = Encoded | { readonly kind: 'operation'; readonly operation: Operation }

export interface Job {
  readonly place: Place
  readonly change: Change
  readonly flush: boolean
  resolve(applied: Mutated | Applied): void
  reject(error: Error): void
}

export interface BatchComponents {
  readonly rows: Rows
  readonly identity: Identity
  readonly quarantine: Quarantine
  readonly clock: Clock
  readonly isDamaged: (id: Uint8Array) => boolean
  readonly isWhole: (place: Place) => boolean
}

export class Batch {
  /** What lost to a concurrent write by these changes. */
  readonly losers: KeyedLoser[] = []
  readonly #components: BatchComponents
  readonly #staged = new Map<string, Staged>()
  readonly #aside: Aside

  constructor(components: BatchComponents) {
    this.#components = components
    this.#aside = new Aside(components.quarantine)
  }

  /** What goes into quarantine or out of it. */
  get quarantined(): readonly StoreWrite[] {
    return this.#aside.writes
  }

  /** Rows that are not what they were. */
  get changed(): readonly Staged[] {
    return [...this.#staged.values()].filter(each => each.value !== undefined)
  }

  /** By how many the tombstones become more. */
  get tombstones(): number {
    return this.changed.reduce((sum, { tombstones }) => sum + tombstones, 0)
  }

  /** Returns how many bytes the job adds. One that cannot be joined is rejected and adds nothing. */
  add(job: Job): number {
    try {
      const current = this.#rowOf(job.place)
      this.#join(current, job)
      return current.bytes.length
    } catch (error) {
      job.reject(error as Error)
      return 0
    }
  }

  /** Answers every job that was joined. */
  settle(): void {
    for (const each of this.#staged.values()) for (const settle of each.settles) settle()
  }

  /** Hashes what was staged as it came. To be called when every job is added. */
  seal(): void {
    const { rows } = this.#components
    const open = [...this.#staged.values()].filter(each => !each.isSealed)
    const sealed = rows.seal(open)
    for (const [i, each] of open.entries()) each.seal(sealed[i] as Sealed)
  }

  #join(current: Staged, job: Job): void {
    const { place, change } = job
    if (this.#components.isDamaged(place.id)) throw lostError(place.key)
    if (change.kind === 'operation') {
      const mutation = this.#mutate(current, change.operation)
      current.settles.push(() => job.resolve({ key: place.key, bytes: current.bytes, ...mutation }))
      return
    }
    if (!this.#take(current, change)) {
      const joined = this.#joined(current.row, change)
      if (typeof joined === 'string') {
        const isKept = this.#aside.add(place.id, joined, change)
        // It says whether the change is kept: so not before it is.
        current.settles.push(() => job.reject(refusalOf(joined, place.key, isKept)))
        return
      }
      this.#stage(current, joined)
    }
    current.settles.push(() => job.resolve({ key: place.key, bytes: current.bytes }))
    const isWhole = change.kind === 'row'
    this.#aside.joined(place.id, { isWhole, bytes: change.bytes, row: () => current.row })
  }

  /** Stages a row as it came, when that is what its join with what is here would be. */
  #take(current: Staged, { kind, bytes }: Encoded): boolean {
    const plain = kind === 'row' ? readPlainRow(bytes) : undefined
    if (plain === undefined || !current.isReplacedBy(bytes)) return false
    if (!this.#components.identity.observe(plain.newest)) return false
    current.stagePlain(plain, bytes)
    return true
  }

  #mutate(current: Staged, operation: Operation): Mutation {
    const { isWhole, identity, clock, rows } = this.#components
    if (!isWhole(current.place)) throw lostError(current.place.key)
    if (current.before === undefined && this.#isLost(current, operation)) {
      throw onlyCopyError(current.place.key)
    }
    this.#observe(newestDot(current.row.context))
    if ('seen' in operation) this.#observe(operation.seen && newestDot(operation.seen.context))
    const dot = identity.nextDot()
    const mutation = mutate(this.#known(current, operation), operation, dot, clock.wallMs())
    const { key } = current.place
    if (isRefusal(mutation)) throw refusalError(key, mutation)
    this.#follow(dot, mutation.delta)
    const row = joinDelta(current.row, mutation.delta)
    const { bytes } = rows.encode(key, row)
    // Concurrent writes may have joined to more: what makes it smaller is always taken.
    const isTooLarge = bytes.length > ROW_BYTES_MAX && bytes.length > current.bytes.length
    if (isTooLarge) throw rowSizeError(bytes.length, key)
    this.#stage(current, row)
    this.#aside.joined(current.place.id, { isWhole: replacesAll(operation), row: () => row })
    return mutation
  }

  /**
   * The row that a write replaces or adds to. What replaces everything also replaces what waits for its
   * time to come: one write is enough to be rid of what a clock that was far ahead has left behind.
   */
  #known({ place, row }: Staged, operation: Operation): Row {
    if (!replacesAll(operation) || ('seen' in operation && operation.seen)) return row
    const waiting = this.#aside.waiting(place.id)
    return waiting === undefined ? row : joinChange(row, waiting)
  }

  /** What builds on a row that was damaged, and that no other owner had, has nothing to build on. */
  #isLost({ place }: Staged, operation: Operation): boolean {
    return !replacesAll(operation) && this.#components.quarantine.hasDamaged(place.id)
  }

  #observe(dot: Dot | undefined): void {
    if (dot !== undefined) this.#components.identity.observe(dot.time)
  }

  /** An operation of several entries takes a dot for each: none of them is given out again. */
  #follow(first: Dot, { dot }: Delta): void {
    let last = first
    while (last.time < dot.time) last = this.#components.identity.nextDot()
  }

  #joined(row: Row, change: Encoded): Row | 'malformed' | 'ahead' {
    const decoded = decodeChange(change.kind === 'delta', change.bytes)
    const seen = decoded && newestSeen(decoded)
    if (decoded === undefined || seen === undefined) return 'malformed'
    const { identity } = this.#components
    // What it has seen from far ahead and shows no more harms nobody, and is not followed.
    const isNow = identity.observe(seen) || identity.observe(newestShown(decoded))
    return isNow || hasAllOf(row, decoded) ? joinChange(row, decoded) : 'ahead'
  }

  #rowOf(place: Place): Staged {
    const name = nameOf(place.id)
    const known = this.#staged.get(name)
    if (known !== undefined) return known
    const fresh = new Staged(place, this.#components.rows.hold(place))
    this.#staged.set(name, fresh)
    return fresh
  }

  #stage(current: Staged, joined: Row): void {
    const { key } = current.place
    const { row, dropped } = bounded(joined)
    const encoded = this.#components.rows.encode(key, row)
    if (current.digest !== undefined && equal(current.digest, encoded.digest)) return
    const losers = [...newLosers(current.row, row), ...overflown(row, dropped)]
    for (const loser of losers) this.losers.push({ key, loser })
    current.stage(row, encoded)
  }
}

function replacesAll({ do: what }: Operation): boolean {
  return what === 'put' || what === 'delete'
}

/** What a waiting change keeps in memory, beyond what its caller keeps anyway. */
export function sizeOf(change: Change): number {
  return change.kind === 'operation' ? sizeOfOperation(change.operation) : change.bytes.length
}

function sizeOfOperation(operation: Operation): number {
  const lengths = (all: readonly Uint8Array[]) => all.reduce((sum, { length }) => sum + length, 0)
  switch (operation.do) {
    case 'put':
      return operation.value.length
    case 'set-add':
    case 'set-remove':
    case 'map-delete':
      return lengths(operation.fields)
    case 'map-set':
      return lengths(operation.pairs.flat())
    default:
      return 0
  }
}
