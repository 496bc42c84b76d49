/**
 * Batches of packed rows: one array of bytes and where each row begins in it. They go into linear
 * memory as many as fit at a time, with one copy, and are hashed in one call.
 */
import { DIGEST_BYTES } from './limits.ts'
import { STAGE_BYTES, type Core } from './wasm.ts'

/** Where the parts of a batch lie in the stage: offsets, hashes, rows. */
export const BATCH_ROWS = 512
export const HASHES_AT = 4 * (BATCH_ROWS + 4)
export const ROWS_AT = HASHES_AT + DIGEST_BYTES * BATCH_ROWS

/** Bytes of rows that the stage takes. */
export function stageRoom(core: Core): number {
  return STAGE_BYTES - ROWS_AT - core.exports.PADDING_BYTES.value
}

/** Where the hashes of a part of a batch go in linear memory, and what happens then. */
export interface Sink {
  /** Room for the hashes of the rows from `first` on: as many as rows are staged at a time. */
  place(first: number): number
  /** The hashes of rows `first` to `first + count` are in their place. */
  taken(first: number, count: number): void
}

/**
 * Offsets must be in ascending order and within `rows`. Memory for the longest row is taken before
 * anything is hashed: when there is none, nothing has been written.
 */
export function hashPacked(
  core: Core,
  mode: number,
  rows: Uint8Array,
  offsets: Uint32Array,
  sink: Sink
): void {
  const room = stageRoom(core)
  const longest = longestRow(offsets)
  const block = longest > room ? new LongRows(core, longest) : undefined
  const count = offsets.length - 1
  for (let first = 0; first < count;) {
    const end = batchEnd(offsets, first, room)
    const out = sink.place(first)
    if (end > first) hashBatch(core, mode, rows, offsets.subarray(first, end + 1), out)
    else (block as LongRows).hash(mode, rows.subarray(offsets[first], offsets[first + 1]), out)
    const next = Math.max(first + 1, end)
    sink.taken(first, next - first)
    first = next
  }
  block?.free()
}

function longestRow(offsets: Uint32Array): number {
  let longest = 0
  for (let i = 1; i < offsets.length; i++) {
    const length = (offsets[i] as number) - (offsets[i - 1] as number)
    if (length > longest) longest = length
  }
  return longest
}

/** The first row that does not fit with those from `first` on; `first` when it is too long. */
function batchEnd(offsets: Uint32Array, first: number, room: number): number {
  const from = offsets[first] as number
  let end = Math.min(offsets.length - 1, first + BATCH_ROWS)
  while ((offsets[end] as number) - from > room) end--
  return end
}

function hashBatch(
  core: Core,
  mode: number,
  rows: Uint8Array,
  offsets: Uint32Array,
  out: number
): void {
  const base = stageBatch(core, rows, offsets)
  core.exports.hashRows(mode, base, core.stage, offsets.length - 1, out)
}

/** Copies rows that fit into the stage. Returns where byte 0 of `rows` would be. */
export function stageBatch(core: Core, rows: Uint8Array, offsets: Uint32Array): number {
  const from = offsets[0] as number
  core.storeWords(offsets, core.stage)
  core.bytes().set(rows.subarray(from, offsets[offsets.length - 1]), core.stage + ROWS_AT)
  return core.stage + ROWS_AT - from
}

/** Hashes one row of any length, in a block of its own for the time of the call. */
export function hashLong(core: Core, mode: number, row: Uint8Array, out: number): void {
  const block = new LongRows(core, row.length)
  block.hash(mode, row, out)
  block.free()
}

/** A block of linear memory for rows of up to `bytesMax` bytes, one at a time, until `free`. */
class LongRows {
  readonly #core: Core
  readonly #length: number
  readonly #block: number

  constructor(core: Core, bytesMax: number) {
    this.#core = core
    this.#length = bytesMax + core.exports.PADDING_BYTES.value
    this.#block = core.allocate(this.#length)
  }

  hash(mode: number, row: Uint8Array, out: number): void {
    this.#core.bytes().set(row, this.#block)
    this.#core.exports.hashRow(mode, this.#block, row.length, out)
  }

  free(): void {
    this.#core.exports.release(this.#block, this.#length)
  }
}
