/**
 * BLAKE3 in plain TypeScript, plain and keyed, always 32 bytes out: the twin of the WebAssembly
 * core, against which it is tested and measured. Written for speed as far as that is plain: words
 * in typed arrays, nothing allocated but what is asked for.
 *
 * One caution for whoever changes it: a single read beyond the end of a typed array makes V8
 * compile the loops several times slower for the rest of the process.
 */
import { compress } from './javascript-compress.ts'

const CHUNK_START = 1
const CHUNK_END = 2
const PARENT = 4
const ROOT = 8
const KEYED_HASH = 16

const BLOCK_BYTES = 64
const CHUNK_BYTES = 1024
const WHOLE = CHUNK_START | CHUNK_END | ROOT

/** Eight words of 32 bits: a key, a chaining value or a hash. */
export type Words = Int32Array

const IV: Words = Int32Array.of(
  0x6a09e667,
  0xbb67ae85,
  0x3c6ef372,
  0xa54ff53a,
  0x510e527f,
  0x9b05688c,
  0x1f83d9ab,
  0x5be0cd19
)

/** Scratch, used within one call only. */
const lastBlock = new Int32Array(16)
const stack = new Int32Array(24 * 8)

/** The words of bytes in little endian. `bytes.length` must be a multiple of 4. */
export function toWords(bytes: Uint8Array): Words {
  const words = new Int32Array(bytes.length >>> 2)
  loadWords(words, bytes, 0, bytes.length)
  return words
}

/** Writes `count` words from `at` on to `bytes`, little endian. */
export function storeWords(
  words: Words,
  at: number,
  count: number,
  bytes: Uint8Array,
  to: number
): void {
  for (let i = 0; i < count; i++, to += 4) {
    const word = words[at + i] as number
    bytes[to] = word
    bytes[to + 1] = word >>> 8
    bytes[to + 2] = word >>> 16
    bytes[to + 3] = word >>> 24
  }
}

/** Writes the hash, 32 bytes, to `out` from `to` on. */
export function hashInto(bytes: Uint8Array, out: Uint8Array, to: number): void {
  hashWith(IV, 0, bytes, out, to)
}

/** As `hashInto`, under a key. */
export function keyedHashInto(key: Words, bytes: Uint8Array, out: Uint8Array, to: number): void {
  hashWith(key, KEYED_HASH, bytes, out, to)
}

/** The keyed hash of `length` <= 64 bytes in the 16 words at `at`; eight words to `out`. */
export function keyedHashBlock(
  key: Words,
  block: Int32Array,
  at: number,
  length: number,
  out: Int32Array,
  outAt: number
): void {
  compress(key, 0, block, at, length, 0, KEYED_HASH | WHOLE, out, outAt)
}

function hashWith(key: Words, mode: number, bytes: Uint8Array, out: Uint8Array, to: number): void {
  if (bytes.length <= CHUNK_BYTES) chunk(key, mode, bytes, 0, bytes.length, ROOT, 0)
  else chunks(key, mode, bytes)
  storeWords(stack, 0, 8, out, to)
}

/** Chunk from byte `from` on; its chaining value goes to `top` on the stack. */
function chunk(
  key: Words,
  mode: number,
  bytes: Uint8Array,
  from: number,
  end: number,
  last: number,
  top: number
): void {
  const counter = from / CHUNK_BYTES
  let flags = mode | CHUNK_START
  let at = from
  for (; end - at > BLOCK_BYTES; at += BLOCK_BYTES) {
    loadWords(lastBlock, bytes, at, BLOCK_BYTES)
    if (at === from) compress(key, 0, lastBlock, 0, BLOCK_BYTES, counter, flags, stack, top)
    else compress(stack, top, lastBlock, 0, BLOCK_BYTES, counter, flags, stack, top)
    flags = mode
  }
  flags |= CHUNK_END | last
  loadWords(lastBlock, bytes, at, end - at)
  if (at === from) compress(key, 0, lastBlock, 0, end - at, counter, flags, stack, top)
  else compress(stack, top, lastBlock, 0, end - at, counter, flags, stack, top)
}

/** See assembly/blake3.ts: complete subtrees are joined as soon as more input follows. */
function chunks(key: Words, mode: number, bytes: Uint8Array): void {
  let top = 0
  let from = 0
  for (; bytes.length - from > CHUNK_BYTES; from += CHUNK_BYTES) {
    chunk(key, mode, bytes, from, from + CHUNK_BYTES, 0, top)
    for (let rest = from / CHUNK_BYTES + 1; (rest & 1) === 0; rest >>>= 1) {
      top -= 8
      join(key, mode, top)
    }
    top += 8
  }
  chunk(key, mode, bytes, from, bytes.length, 0, top)
  for (; top > 8; top -= 8) join(key, mode, top - 8)
  join(key, mode | ROOT, 0)
}

/** Replaces two chaining values on the stack by their parent. */
function join(key: Words, mode: number, at: number): void {
  compress(key, 0, stack, at, BLOCK_BYTES, 0, mode | PARENT, stack, at)
}

/** A block's words from `length` <= 64 bytes and zeros. */
function loadWords(words: Int32Array, bytes: Uint8Array, at: number, length: number): void {
  const whole = length >>> 2
  for (let i = 0; i < whole; i++, at += 4) {
    words[i] =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
  }
  if (whole === words.length) return
  for (let i = whole; i < words.length; i++) words[i] = 0
  for (let i = 0; i < (length & 3); i++) {
    words[whole] = (words[whole] as number) | ((bytes[at + i] as number) << (8 * i))
  }
}
