/**
 * BLAKE3 of rows, in WebAssembly. Rows are copied into linear memory as many as fit at a time, and
 * hashed in one call, several at once where the machine has SIMD. Nothing is kept between calls.
 */
import { checkOut, checkPacked, DIGEST_BYTES } from './limits.ts'
import { BATCH_ROWS, hashLong, hashPacked, HASHES_AT, ROWS_AT, stageRoom } from './packed.ts'
import { HEAD_BYTES, rowOf, writeRow } from './row-bytes.ts'
import type { Core } from './wasm.ts'

export interface Hasher {
  /** Keyed BLAKE3 of `bytes`; 32 bytes, owned by the caller. */
  digest(bytes: Uint8Array): Uint8Array
  /** As `digest`, to `out` from byte `at` on. Allocates nothing. */
  digestInto(bytes: Uint8Array, out: Uint8Array, at?: number): void
  /**
   * Keyed BLAKE3 of a row under its key: of the length of `key` in two bytes, `key`, and `bytes`. To
   * `out` from byte `at` on. Allocates nothing, but for a row that is larger than the stage.
   */
  digestRow(key: Uint8Array, bytes: Uint8Array, out: Uint8Array, at?: number): void
  /**
   * Digests of many rows in one pass: 32 bytes each, in order, owned by the caller. Of no rows they
   * are no bytes.
   */
  digestMany(rows: readonly Uint8Array[]): Uint8Array
  /**
   * Digests of packed rows, which is the fastest way: row i is the bytes `offsets[i]` to
   * `offsets[i + 1]` of `rows`; its digest is written to `out` at 32 i. No rows are refused, as
   * they are more likely a mistake in the offsets; and nothing is written when any is refused.
   */
  digestPacked(rows: Uint8Array, offsets: Uint32Array, out: Uint8Array): void
  /** Plain BLAKE3 of `bytes`; 32 bytes, owned by the caller. */
  hash(bytes: Uint8Array): Uint8Array
}

export class WasmHasher implements Hasher {
  readonly #core: Core
  readonly #keyed: number
  readonly #plain: number
  readonly #room: number
  /** Where a single row and its hash go. */
  readonly #rowAt: number
  readonly #hashAt: number
  /** Kept, because finding an export takes longer than calling it. */
  readonly #hashRow: Core['exports']['hashRow']
  /** Where a single hash is left. */
  #result: Uint8Array

  constructor(core: Core) {
    this.#core = core
    this.#keyed = core.exports.KEYED.value
    this.#plain = core.exports.PLAIN.value
    this.#room = stageRoom(core)
    this.#rowAt = core.stage + ROWS_AT
    this.#hashAt = core.stage + HASHES_AT
    this.#hashRow = core.exports.hashRow
    this.#result = new Uint8Array(0)
  }

  digest(bytes: Uint8Array): Uint8Array {
    const out = new Uint8Array(DIGEST_BYTES)
    this.#hashOne(this.#keyed, bytes)
    out.set(this.#hashed(), 0)
    return out
  }

  digestInto(bytes: Uint8Array, out: Uint8Array, at = 0): void {
    checkOut(out, at, 1)
    this.#hashOne(this.#keyed, bytes)
    out.set(this.#hashed(), at)
  }

  digestRow(key: Uint8Array, bytes: Uint8Array, out: Uint8Array, at = 0): void {
    checkOut(out, at, 1)
    const length = HEAD_BYTES + key.length + bytes.length
    if (length > this.#room) this.#hashOne(this.#keyed, rowOf(key, bytes))
    else {
      writeRow(this.#core.bytes(), this.#rowAt, key, bytes)
      this.#hashRow(this.#keyed, this.#rowAt, length, this.#hashAt)
    }
    out.set(this.#hashed(), at)
  }

  hash(bytes: Uint8Array): Uint8Array {
    const out = new Uint8Array(DIGEST_BYTES)
    this.#hashOne(this.#plain, bytes)
    out.set(this.#hashed(), 0)
    return out
  }

  #hashOne(mode: number, bytes: Uint8Array): void {
    const length = bytes.length
    if (length > this.#room) return hashLong(this.#core, mode, bytes, this.#hashAt)
    this.#core.bytes().set(bytes, this.#rowAt)
    this.#hashRow(mode, this.#rowAt, length, this.#hashAt)
  }

  /** The hash of the last row. Kept as a view, because making one takes longer than copying it. */
  #hashed(): Uint8Array {
    if (this.#result.length === 0) {
      const at = this.#hashAt
      this.#result = this.#core.bytes().subarray(at, at + DIGEST_BYTES)
    }
    return this.#result
  }

  digestPacked(rows: Uint8Array, offsets: Uint32Array, out: Uint8Array): void {
    checkOut(out, 0, checkPacked(rows, offsets))
    const place = this.#core.stage + HASHES_AT
    hashPacked(this.#core, this.#keyed, rows, offsets, {
      place: () => place,
      taken: (first, count) => this.#take(out, first, count)
    })
  }

  /** Copies the first `count` hashes of the stage to their place in `out`. */
  #take(out: Uint8Array, first: number, count: number): void {
    const from = this.#core.stage + HASHES_AT
    const hashes = this.#core.bytes().subarray(from, from + count * DIGEST_BYTES)
    out.set(hashes, first * DIGEST_BYTES)
  }

  digestMany(rows: readonly Uint8Array[]): Uint8Array {
    const out = new Uint8Array(rows.length * DIGEST_BYTES)
    const hashes = this.#core.stage + HASHES_AT
    for (let first = 0; first < rows.length;) {
      const end = this.#fill(rows, first)
      if (end > first) this.#hashStaged(end - first)
      else hashLong(this.#core, this.#keyed, rows[first] as Uint8Array, hashes)
      this.#take(out, first, Math.max(1, end - first))
      first = Math.max(first + 1, end)
    }
    return out
  }

  #hashStaged(count: number): void {
    const { stage, exports } = this.#core
    exports.hashRows(this.#keyed, stage + ROWS_AT, stage, count, stage + HASHES_AT)
  }

  /** Stages the rows from `first` on that fit, and returns the first that does not. */
  #fill(rows: readonly Uint8Array[], first: number): number {
    const stage = this.#core.stage
    const bytes = this.#core.bytes()
    const data = this.#core.data()
    const last = Math.min(rows.length, first + BATCH_ROWS)
    let used = 0
    let next = first
    data.setUint32(stage, 0, true)
    for (; next < last; next++) {
      const row = rows[next] as Uint8Array
      if (used + row.length > this.#room) break
      bytes.set(row, stage + ROWS_AT + used)
      used += row.length
      data.setUint32(stage + 4 * (next - first + 1), used, true)
    }
    return next
  }
}
