/**
 * Messages of more than one chunk: their chunks are jobs like any others, so several long rows, and
 * the short ones between them, share the queues. The chaining values are kept here and joined once
 * all chunks are hashed, level by level and again through the queues. Pairing neighbours level by
 * level, and taking an odd one over, makes the tree that BLAKE3 prescribes.
 *
 * A message longer than a piece (1,024 chunks) is hashed piece by piece, and the values of whole
 * pieces are kept as a stack.
 */
import { CHUNK_END, CHUNK_START, compress, PARENT, ROOT } from './compress'
import { flush, push } from './jobs'

const CHUNK_BYTES: u32 = 1024
const VALUE_BYTES: usize = 32

/** Chunks whose values are kept at a time; a power of two. */
const PIECE_CHUNKS: u32 = 1024
const PIECE_BYTES: u32 = PIECE_CHUNKS * CHUNK_BYTES
const VALUES: usize = memory.data(1024 * 32, 64)

/** Messages that are waiting to be joined: where their values lie, how many, and the output. */
const WAITING_MAX: u32 = 64
const WAITING: usize = memory.data(64 * 12, 16)
const VALUES_AT: usize = 0
const COUNT_AT: usize = 4
const OUT_AT: usize = 8
const ENTRY_BYTES: usize = 12

let waiting: usize = 0
let used: u32 = 0

/** A value for each level of the tallest tree of pieces that 32-bit lengths allow, and one more. */
const STACK: usize = memory.data(16 * 32, 16)

/** Queues a message of more than one chunk. Its hash is there after `settle`. */
export function pushLong(key: usize, mode: u32, input: usize, length: u32, out: usize): void {
  if (length > PIECE_BYTES) return hashPieces(key, mode, input, length, out)
  const count = chunksIn(length)
  if (used + count > PIECE_CHUNKS || waiting === WAITING_MAX) settle(mode)
  pushChunks(mode, input, length, 0, out)
}

function valueAt(values: usize, index: u32): usize {
  return values + ((<usize>index) << 5)
}

function chunksIn(length: u32): u32 {
  return (length + CHUNK_BYTES - 1) / CHUNK_BYTES
}

function pushChunks(mode: u32, input: usize, length: u32, counter: u32, out: usize): void {
  const values = valueAt(VALUES, used)
  const entry = WAITING + waiting++ * ENTRY_BYTES
  store<usize>(entry, values, VALUES_AT)
  store<u32>(entry, chunksIn(length), COUNT_AT)
  store<usize>(entry, out, OUT_AT)
  used += chunksIn(length)
  let to = length <= CHUNK_BYTES ? out : values
  for (; length > CHUNK_BYTES; length -= CHUNK_BYTES) {
    push(input, 16, 64, counter++, mode | CHUNK_END, to)
    input += CHUNK_BYTES
    to += VALUE_BYTES
  }
  const blocks = (length + 63) >> 6
  const start: u32 = blocks === 1 ? CHUNK_START : 0
  push(input, blocks, length - ((blocks - 1) << 6), counter, mode | start | CHUNK_END, to)
}

/** Hashes all that waits, here and in the queues. */
export function settle(mode: u32): void {
  flush()
  join(mode, ROOT)
}

/** Joins the values of each waiting message to one; `last` are flags of the last join. */
function join(mode: u32, last: u32): void {
  for (let busy = waiting > 0; busy;) {
    for (let i: usize = 0; i < waiting; i++) pushPairs(WAITING + i * ENTRY_BYTES, mode, last)
    flush()
    busy = false
    for (let i: usize = 0; i < waiting; i++) {
      if (closeLevel(WAITING + i * ENTRY_BYTES)) busy = true
    }
  }
  waiting = 0
  used = 0
}

/** Parents go where the values of the left half are: each is read before it is written over. */
function pushPairs(entry: usize, mode: u32, last: u32): void {
  const values = load<usize>(entry, VALUES_AT)
  const pairs = load<u32>(entry, COUNT_AT) >> 1
  if (pairs === 1 && load<u32>(entry, COUNT_AT) === 2) {
    return push(values, 1, 64, 0, mode | PARENT | last, load<usize>(entry, OUT_AT))
  }
  for (let i: u32 = 0; i < pairs; i++) {
    push(valueAt(values, 2 * i), 1, 64, 0, mode | PARENT, valueAt(values, i))
  }
}

/** Takes an odd value over to the next level. True while there is more than one. */
function closeLevel(entry: usize): bool {
  const values = load<usize>(entry, VALUES_AT)
  const count = load<u32>(entry, COUNT_AT)
  const next = (count + 1) >> 1
  if ((count & 1) !== 0 && count > 1) {
    memory.copy(valueAt(values, next - 1), valueAt(values, count - 1), VALUE_BYTES)
  }
  store<u32>(entry, next, COUNT_AT)
  return next > 1
}

/**
 * Pieces that are complete are joined as soon as more input follows; whatever is left at the end is
 * joined from the right, and the last join is the root.
 */
function hashPieces(key: usize, mode: u32, input: usize, length: u32, out: usize): void {
  settle(mode)
  let top = STACK
  let piece: u32 = 0
  for (; length > PIECE_BYTES; length -= PIECE_BYTES) {
    hashPiece(mode, input, PIECE_BYTES, piece++, top)
    for (let rest = piece; (rest & 1) === 0; rest >>= 1) {
      top -= VALUE_BYTES
      compress(key, top, 64, 0, mode | PARENT, top)
    }
    top += VALUE_BYTES
    input += PIECE_BYTES
  }
  hashPiece(mode, input, length, piece, top)
  for (; top > STACK + VALUE_BYTES; top -= VALUE_BYTES) {
    compress(key, top - VALUE_BYTES, 64, 0, mode | PARENT, top - VALUE_BYTES)
  }
  compress(key, STACK, 64, 0, mode | PARENT | ROOT, out)
}

/** The chaining value of a piece; nothing else may be waiting. */
function hashPiece(mode: u32, input: usize, length: u32, piece: u32, out: usize): void {
  pushChunks(mode, input, length, piece * PIECE_CHUNKS, out)
  flush()
  join(mode, 0)
}
