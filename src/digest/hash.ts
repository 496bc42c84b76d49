/**
 * BLAKE3 of rows, in WebAssembly. Rows are copied into linear memory as many as fit at a time, and
 * hashed in one call. Nothing is kept between calls.
 */
import { DIGEST_BYTES } from './limits.ts'
import { STAGE_BYTES, type Core } from './wasm.ts'

export interface Hasher {
  /** Keyed BLAKE3 of `bytes`; 32 bytes, owned by the caller. */
  digest(bytes: Uint8Array): Uint8Array
  /** Digests of many rows in one pass: 32 bytes each, in order, owned by the caller. */
  digestMany(rows: readonly Uint8Array[]): Uint8Array
  /** Plain BLAKE3 of `bytes`; 32 bytes, owned by the caller. */
  hash(bytes: Uint8Array): Uint8Array
}

/** Where the parts of a batch lie in the stage: offsets, hashes, rows. */
const BATCH_ROWS = 256
const HASHES_AT = 4 * (BATCH_ROWS + 4)
const ROWS_AT = HASHES_AT + DIGEST_BYTES * BATCH_ROWS

export class WasmHasher implements Hasher {
  readonly #core: Core
  readonly #keyed: number
  readonly #plain: number
  readonly #room: number

  constructor(core: Core) {
    this.#core = core
    this.#keyed = core.exports.KEYED.value
    this.#plain = core.exports.PLAIN.value
    this.#room = STAGE_BYTES - ROWS_AT - core.exports.PADDING_BYTES.value
  }

  digest(bytes: Uint8Array): Uint8Array {
    return this.#one(this.#keyed, bytes)
  }

  digestMany(rows: readonly Uint8Array[]): Uint8Array {
    const out = new Uint8Array(rows.length * DIGEST_BYTES)
    let at = 0
    while (at < rows.length) {
      const row = rows[at] as Uint8Array
      if (row.length > this.#room) out.set(this.#long(this.#keyed, row), at++ * DIGEST_BYTES)
      else at = this.#batch(rows, at, out)
    }
    return out
  }

  hash(bytes: Uint8Array): Uint8Array {
    return this.#one(this.#plain, bytes)
  }

  #one(mode: number, bytes: Uint8Array): Uint8Array {
    if (bytes.length > this.#room) return this.#long(mode, bytes)
    const rows = this.#core.stage + ROWS_AT
    this.#core.bytes().set(bytes, rows)
    return this.#hashAt(mode, rows, bytes.length)
  }

  /** A row that is too long for the stage gets a block of its own for the time of the call. */
  #long(mode: number, bytes: Uint8Array): Uint8Array {
    const length = bytes.length + this.#core.exports.PADDING_BYTES.value
    const block = this.#core.allocate(length)
    this.#core.bytes().set(bytes, block)
    const hash = this.#hashAt(mode, block, bytes.length)
    this.#core.exports.release(block, length)
    return hash
  }

  #hashAt(mode: number, row: number, length: number): Uint8Array {
    const stage = this.#core.stage
    const data = this.#core.data()
    data.setUint32(stage, 0, true)
    data.setUint32(stage + 4, length, true)
    this.#core.exports.hashRows(mode, row, stage, 1, stage + HASHES_AT)
    return this.#core.copy(stage + HASHES_AT, DIGEST_BYTES)
  }

  /** Hashes the rows from `first` on that fit, and returns the first that was not hashed. */
  #batch(rows: readonly Uint8Array[], first: number, out: Uint8Array): number {
    const { stage, exports } = this.#core
    const end = this.#fill(rows, first)
    const count = end - first
    exports.hashRows(this.#keyed, stage + ROWS_AT, stage, count, stage + HASHES_AT)
    const hashes = stage + HASHES_AT
    out.set(
      this.#core.bytes().subarray(hashes, hashes + count * DIGEST_BYTES),
      first * DIGEST_BYTES
    )
    return end
  }

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
