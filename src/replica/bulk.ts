/**
 * Many whole rows that are applied for one caller: each is a job like any other, and the caller is
 * answered once, when all of them are.
 */
import type { Applied, Change, Job } from './batch.ts'
import type { Place } from './rows.ts'
import { equal } from '../util/bytes.ts'

/** A row under its key, encoded. */
export interface KeyedRow {
  readonly key: Uint8Array
  readonly bytes: Uint8Array
}

export interface RefusedRow {
  readonly slot: number
  readonly error: Error
}

export interface BulkApplied {
  /** Those that came out of the join as something else than was given. */
  readonly joined: readonly KeyedRow[]
  /** One for every row that was not applied. */
  readonly refusals: readonly RefusedRow[]
}

export class Bulk {
  readonly jobs: readonly Job[]
  readonly done: Promise<BulkApplied>
  readonly #joined: KeyedRow[] = []
  readonly #refusals: RefusedRow[] = []
  #open: number
  #resolve: (applied: BulkApplied) => void = () => {}

  constructor(places: readonly Place[], rows: readonly KeyedRow[]) {
    this.jobs = places.map((place, i) => new BulkJob(this, place, (rows[i] as KeyedRow).bytes))
    this.#open = rows.length
    this.done = new Promise(resolve => (this.#resolve = resolve))
    if (this.#open === 0) this.#end()
  }

  /** One row is stored. */
  applied(row: KeyedRow, given: Uint8Array): void {
    if (row.bytes !== given && !equal(row.bytes, given)) this.#joined.push(row)
    this.#count()
  }

  refused(slot: number, error: Error): void {
    this.#refusals.push({ slot, error })
    this.#count()
  }

  #count(): void {
    if (--this.#open === 0) this.#end()
  }

  #end(): void {
    this.#resolve({ joined: this.#joined, refusals: this.#refusals })
  }
}

/** One of them. */
export class BulkJob implements Job {
  readonly place: Place
  readonly change: Change
  readonly flush = false
  readonly #bulk: Bulk
  readonly #given: Uint8Array
  /** One that was refused is refused again when its batch fails. */
  #isSettled = false

  constructor(bulk: Bulk, place: Place, bytes: Uint8Array) {
    this.#bulk = bulk
    this.#given = bytes
    this.place = place
    this.change = { kind: 'row', bytes }
  }

  resolve({ key, bytes }: Applied): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#bulk.applied({ key, bytes }, this.#given)
  }

  reject(error: Error): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#bulk.refused(this.place.slot, error)
  }
}
