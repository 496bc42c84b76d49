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

/** What becomes of the hashes of rows `first` to `first + count`, which lie at `at` until then. */
export type Take = (at: number, first: number, count: number) => void

/** Offsets must be in ascending order and within `rows`. */
export function hashPacked(
  core: Core,
  mode: number,
  rows: Uint8Array,
  offsets: Uint32Array,
  take: Take
): void {
  const room = stageRoom(core)
  const count = offsets.length - 1
  for (let first = 0; first < count;) {
    const end = batchEnd(offsets, first, room)
    if (end > first) hashBatch(core, mode, rows, offsets.subarray(first, end + 1))
    else hashLong(core, mode, rows.subarray(offsets[first], offsets[first + 1]))
    take(core.stage + HASHES_AT, first, Math.max(1, end - first))
    first = Math.max(first + 1, end)
  }
}

/** The first row that does not fit with those from `first` on; `first` when it is too long. */
function batchEnd(offsets: Uint32Array, first: number, room: number): number {
  const from = offsets[first] as number
  let end = Math.min(offsets.length - 1, first + BATCH_ROWS)
  while ((offsets[end] as number) - from > room) end--
  return end
}

function hashBatch(core: Core, mode: number, rows: Uint8Array, offsets: Uint32Array): void {
  const { stage, exports } = core
  const count = offsets.length - 1
  const from = offsets[0] as number
  core.storeWords(offsets, stage)
  core.bytes().set(rows.subarray(from, offsets[count]), stage + ROWS_AT)
  exports.hashRows(mode, stage + ROWS_AT - from, stage, count, stage + HASHES_AT)
}

/**
 * Hashes one row of any length to the place of the first hash. What is too long for the stage gets
 * a block of its own for the time of the call.
 */
export function hashLong(core: Core, mode: number, row: Uint8Array): void {
  const length = row.length + core.exports.PADDING_BYTES.value
  const block = core.allocate(length)
  core.bytes().set(row, block)
  core.exports.hashRow(mode, block, row.length, core.stage + HASHES_AT)
  core.exports.release(block, length)
}
