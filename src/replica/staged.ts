/**
 * One row as a batch has left it so far: what is stored of it, and what is to be stored in its place.
 * A row that is stored just as it came is not decoded unless a later change of the batch needs it, and
 * it is hashed with the others of its batch.
 */
import { decodeRow } from '../lattice/encode.ts'
import type { PlainRow } from '../lattice/encode-plain.ts'
import { ROW_EMPTY, type Row } from '../lattice/row.ts'
import type { Encoded, Place, Sealed, Stored } from './rows.ts'
import { isTombstone } from './tombstones.ts'

const EMPTY = new Uint8Array()

export class Staged {
  readonly place: Place
  /** The digest of what is stored; `undefined` where nothing is. */
  readonly before: Uint8Array | undefined
  /** Who is answered once it is committed. */
  readonly settles: (() => void)[] = []
  readonly #wasTombstone: boolean
  #isTombstone: boolean
  #row: Row | undefined
  #bytes: Uint8Array
  #digest: Uint8Array | undefined
  #value: Uint8Array | undefined
  #isSealed = true

  constructor(place: Place, stored: Stored | undefined) {
    this.place = place
    this.before = stored?.digest
    this.#row = stored === undefined ? ROW_EMPTY : stored.row
    this.#bytes = stored?.bytes ?? EMPTY
    this.#wasTombstone = this.#isTombstone = isTombstone(this.#row)
  }

  get key(): Uint8Array {
    return this.place.key
  }

  get row(): Row {
    return (this.#row ??= decodeRow(this.#bytes) as Row)
  }

  /** The row, encoded. */
  get bytes(): Uint8Array {
    return this.#bytes
  }

  /** Of the row as it is now; of one that is not sealed yet it is not known. */
  get digest(): Uint8Array | undefined {
    return this.#digest ?? this.before
  }

  /** What to store; `undefined` where nothing has changed. */
  get value(): Uint8Array | undefined {
    return this.#value
  }

  /** True while nothing is stored of the row, and nothing was staged. */
  get isNew(): boolean {
    return this.isSealed && this.before === undefined && this.#value === undefined
  }

  /** False for what was staged as it came and is not hashed yet. */
  get isSealed(): boolean {
    return this.#isSealed
  }

  /** By how many the tombstones become more. */
  get tombstones(): number {
    return Number(this.#isTombstone) - Number(this.#wasTombstone)
  }

  stage(row: Row, encoded: Encoded): void {
    this.#row = row
    this.#isTombstone = isTombstone(row)
    this.#bytes = encoded.bytes
    this.seal(encoded)
  }

  /** Stages a whole row of which nothing is held, in its canonical bytes. To be sealed. */
  stagePlain({ isTombstone }: PlainRow, bytes: Uint8Array): void {
    this.#row = undefined
    this.#isTombstone = isTombstone
    this.#bytes = bytes
    this.#isSealed = false
  }

  seal({ digest, value }: Sealed): void {
    this.#digest = digest
    this.#value = value
    this.#isSealed = true
  }
}
