/**
 * BLAKE3 over linear memory, plain and keyed, always 32 bytes out. A message of up to 1,024 bytes
 * is one chunk; a longer one is a binary tree of chunks, kept as a stack of chaining values.
 *
 * Not offered: key derivation, extended output, streams.
 */
import { CHUNK_END, CHUNK_START, compress, IV, KEYED_HASH, PARENT, ROOT } from './compress'

const BLOCK_BYTES: u32 = 64
const CHUNK_BYTES: u32 = 1024
const CV_BYTES: usize = 32

/** What a message of a single block is hashed with. */
const WHOLE: u32 = CHUNK_START | CHUNK_END | ROOT

/** The key of the forest; see `setKey`. */
const KEY: usize = memory.data(32, 16)

/** The last block of a message, filled up with zeros. */
const LAST: usize = memory.data(64, 16)

/** A chaining value for each level of the tallest tree that 32-bit lengths allow, and one more. */
const STACK: usize = memory.data(24 * 32, 16)

/** Copies 32 bytes. */
export function setKey(key: usize): void {
  memory.copy(KEY, key, 32)
}

/** Hash of `length` bytes at `input`; 32 bytes to `out`, which may overlap the input. */
export function hash(input: usize, length: u32, out: usize): void {
  hashWith(IV, 0, input, length, out)
}

/** As `hash`, under the key. */
export function keyedHash(input: usize, length: u32, out: usize): void {
  hashWith(KEY, KEYED_HASH, input, length, out)
}

/** The keyed hash of one whole block of 64 bytes: what a parent in a tree is. */
export function keyedHashBlock(input: usize, out: usize): void {
  compress(KEY, input, BLOCK_BYTES, 0, KEYED_HASH | WHOLE, out)
}

/** The keyed hash of `length` <= 64 bytes at `block`, which are followed by zeros up to 64. */
export function keyedHashPadded(block: usize, length: u32, out: usize): void {
  assert(length <= BLOCK_BYTES)
  compress(KEY, block, length, 0, KEYED_HASH | WHOLE, out)
}

function hashWith(key: usize, mode: u32, input: usize, length: u32, out: usize): void {
  if (length <= CHUNK_BYTES) chunk(key, mode, input, length, 0, ROOT, out)
  else chunks(key, mode, input, length, out)
}

/** Consumes at most one chunk; `last` are the flags that only its last block gets. */
function chunk(
  key: usize,
  mode: u32,
  input: usize,
  length: u32,
  counter: u64,
  last: u32,
  out: usize
): void {
  let cv = key
  let flags = mode | CHUNK_START
  for (; length > BLOCK_BYTES; length -= BLOCK_BYTES) {
    compress(cv, input, BLOCK_BYTES, counter, flags, out)
    cv = out
    flags = mode
    input += BLOCK_BYTES
  }
  compress(cv, padded(input, length), length, counter, flags | CHUNK_END | last, out)
}

/** `length` <= 64 bytes as a whole block. */
function padded(input: usize, length: u32): usize {
  if (length === BLOCK_BYTES) return input
  memory.fill(LAST, 0, BLOCK_BYTES)
  memory.copy(LAST, input, length)
  return LAST
}

/**
 * Subtrees are joined as soon as they are complete and more input follows; whatever is left at the
 * end is joined from the right, and the last join is the root.
 */
function chunks(key: usize, mode: u32, input: usize, length: u32, out: usize): void {
  let top = STACK
  let counter: u64 = 0
  for (; length > CHUNK_BYTES; length -= CHUNK_BYTES) {
    chunk(key, mode, input, CHUNK_BYTES, counter++, 0, top)
    for (let rest = counter; (rest & 1) === 0; rest >>= 1) {
      top -= CV_BYTES
      join(key, mode, top)
    }
    top += CV_BYTES
    input += CHUNK_BYTES
  }
  chunk(key, mode, input, length, counter, 0, top)
  for (; top > STACK + CV_BYTES; top -= CV_BYTES) join(key, mode, top - CV_BYTES)
  compress(key, STACK, BLOCK_BYTES, 0, mode | PARENT | ROOT, out)
}

/** Replaces the two chaining values at `pair` by their parent. */
function join(key: usize, mode: u32, pair: usize): void {
  compress(key, pair, BLOCK_BYTES, 0, mode | PARENT, pair)
}
