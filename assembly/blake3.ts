/**
 * BLAKE3 over linear memory, plain and keyed, always 32 bytes out: one row, a batch of rows, and
 * the blocks of a tree. Whatever can be hashed beside others goes through the queues of jobs.ts.
 *
 * 64 bytes after the end of every input must be readable. Not offered: key derivation, extended
 * output, streams.
 */
import { pushLong, settle } from './chunks'
import { CHUNK_END, CHUNK_START, IV, KEYED_HASH, ROOT } from './compress'
import { begin, flush, hashAlone, push, pushRun } from './jobs'

const CHUNK_BYTES: u32 = 1024

/** What a message of a single block is hashed with. */
const WHOLE: u32 = CHUNK_START | CHUNK_END | ROOT

/** The key of the forest; see `setKey`. */
const KEY: usize = memory.data(32, 16)

/** Copies 32 bytes. */
export function setKey(key: usize): void {
  memory.copy(KEY, key, 32)
}

/** Hash of one row; 32 bytes to `out`, which must not overlap a row of more than 64 bytes. */
export function hashRow(keyed: bool, row: usize, length: u32, out: usize): void {
  const mode = beginMode(keyed)
  if (length > CHUNK_BYTES) {
    pushLong(keyOf(keyed), mode, row, length, out)
    return settle(mode)
  }
  const blocks = blocksIn(length)
  hashAlone(row, blocks, length - ((blocks - 1) << 6), 0, lastFlags(mode, blocks), out)
}

/** Row i is the bytes `offsets[i]` to `offsets[i + 1]` after `rows`; hashes lie one by one. */
// prettier-ignore
export function hashRows(
  keyed: bool, rows: usize, offsets: usize, count: u32, out: usize
): void {
  const mode = beginMode(keyed)
  let from = load<u32>(offsets)
  for (const end = offsets + (<usize>count << 2); offsets < end; out += 32) {
    offsets += 4
    const to = load<u32>(offsets)
    const length = to - from
    if (length > CHUNK_BYTES) pushLong(keyOf(keyed), mode, rows + from, length, out)
    else {
      const blocks = blocksIn(length)
      push(rows + from, blocks, length - ((blocks - 1) << 6), 0, lastFlags(mode, blocks), out)
    }
    from = to
  }
  settle(mode)
}

function keyOf(keyed: bool): usize {
  return keyed ? KEY : IV
}

/** Opens the queues, and returns the flags of every block. */
function beginMode(keyed: bool): u32 {
  const mode: u32 = keyed ? KEYED_HASH : 0
  begin(keyOf(keyed), mode)
  return mode
}

/** An empty row has one block, too. */
function blocksIn(length: u32): u32 {
  return length === 0 ? 1 : (length + 63) >> 6
}

/** Of a row of one chunk. */
function lastFlags(mode: u32, blocks: u32): u32 {
  return mode | CHUNK_END | ROOT | (blocks === 1 ? CHUNK_START : 0)
}

/** Opens the queues for `pushBlock`. */
export function beginBlocks(): void {
  beginMode(true)
}

/** Queues the keyed hash of one block of `length` <= 64 bytes: a leaf or a parent in a tree. */
export function pushBlock(block: usize, length: u32, out: usize): void {
  push(block, 1, length, 0, KEYED_HASH | WHOLE, out)
}

/** Queues the keyed hashes of eight blocks of 64 bytes that follow each other. */
export function pushBlocks(blocks: usize, out: usize): void {
  pushRun(blocks, KEYED_HASH | WHOLE, out)
}

/** Hashes all blocks that wait. */
export function flushBlocks(): void {
  flush()
}
