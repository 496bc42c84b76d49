/**
 * One row as a batch has left it so far: what is stored of it, and what is to be stored in its place.
 * A row that is stored just as it came is not decoded unless a later change of the batch needs it, and
 * it is hashed with the others of its batch.
 */
import { decodeRow } from '../lattice/encode.ts'
import { isJustLater, type PlainRow } from '../lattice/encode-plain.ts'
import { ROW_EMPTY, type Row } from '../lattice/row.ts'
import type { Encoded, Held, Place, Sealed } from './rows.ts'
import { isTombstone } from './tombstones.ts'

const EMPTY = new Uint8Array()

export class Staged {
  readonly place: Place
  /** The digest of what is stored; `undefined` where nothing is. */
  readonly before: Uint8Array | undefined
  /** Who is answered once it is committed. */
  readonly settles: (() => void)[] = []
  readonly #isPlain: boolean
  readonly #wasTombstone: boolean
  #isTombstone: boolean
  #row: Row | undefined
  #bytes: Uint8Array
  #digest: Uint8Array | undefined
  #value: Uint8Array | undefined
  #isSealed = true

  constructor(place: Place, held: Held | undefined) {
    this.place = place
    this.before = held?.digest
    this.#row = held === undefined ? ROW_EMPTY : held.row
    this.#bytes = held?.bytes ?? EMPTY
    this.#isPlain = held?.plain !== undefined
    this.#wasTombstone = this.#isTombstone = held?.plain?.isTombstone ?? isTombstone(this.row)
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

  /** Whether its join with a plain row is that row. */
  isReplacedBy(bytes: Uint8Array): boolean {
    if (!this.#isSealed || this.#value !== undefined) return false
    return this.before === undefined || (this.#isPlain && isJustLater(this.#bytes, bytes))
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

  /** Stages a row that replaces what was here, in its canonical bytes. To be sealed. */
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
