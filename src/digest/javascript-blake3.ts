/**
 * BLAKE3 in plain TypeScript, plain and keyed, always 32 bytes out: the twin of the WebAssembly
 * core, against which it is tested and measured. Written for speed as far as that is plain: words
 * in typed arrays, read four bytes at a time, and nothing allocated for a row of up to one chunk.
 *
 * One caution for whoever changes it: a single read beyond the end of a typed array makes V8
 * compile the loops several times slower for the rest of the process.
 */
import {
  compress,
  loadBlock,
  loadLast,
  setBlock,
  setValue,
  storeValue,
  takeValue
} from './javascript-compress.ts'

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
const stack = new Int32Array(24 * 8)
const row = new Uint8Array(CHUNK_BYTES)
const rowView = new DataView(row.buffer)
const hash = new Uint8Array(32)
const hashView = new DataView(hash.buffer)

/** Whether this host stores words the way BLAKE3 reads them. */
const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/** The words of bytes in little endian. `bytes.length` must be a multiple of 4. */
export function toWords(bytes: Uint8Array): Words {
  const words = new Int32Array(bytes.length >>> 2)
  setWords(words, 0, bytes)
  return words
}

/** Sets the words from `at` on to these bytes, a multiple of 4, in little endian. */
export function setWords(words: Int32Array, at: number, bytes: Uint8Array): void {
  new Uint8Array(words.buffer, words.byteOffset).set(bytes, 4 * at)
  readWords(words, at, bytes.length >>> 2)
}

/** Makes words of their own bytes, which were written little endian, on a host that is not. */
export function readWords(words: Words, at: number, count: number): void {
  if (LITTLE_ENDIAN) return
  const view = new DataView(words.buffer, words.byteOffset)
  for (let i = at; i < at + count; i++) words[i] = view.getInt32(4 * i, true)
}

/** Makes little endian bytes of those of words, on a host that is not. */
export function writeWords(bytes: Uint8Array): void {
  if (LITTLE_ENDIAN) return
  const view = viewOf(bytes)
  for (let at = 0; at < bytes.length; at += 4) view.setUint32(at, view.getUint32(at), true)
}

/** Writes `count` words from `at` on to the bytes from `to` on, little endian. */
export function storeWords(
  words: Words,
  at: number,
  count: number,
  view: DataView,
  to: number
): void {
  for (let i = 0; i < count; i++) view.setInt32(to + 4 * i, words[at + i] as number, true)
}

/** Writes the hash, 32 bytes, to `out` from `to` on. */
export function hashInto(bytes: Uint8Array, out: Uint8Array, to: number): void {
  hashOne(IV, 0, bytes, out, to)
}

/** As `hashInto`, under a key. */
export function keyedHashInto(key: Words, bytes: Uint8Array, out: Uint8Array, to: number): void {
  hashOne(key, KEYED_HASH, bytes, out, to)
}

/** The keyed hashes of packed rows, 32 bytes each, to `out` from `to` on; see `digestPacked`. */
export function keyedHashPacked(
  key: Words,
  rows: Uint8Array,
  offsets: Uint32Array,
  out: DataView,
  to: number
): void {
  const view = viewOf(rows)
  for (let i = 1; i < offsets.length; i++, to += 32) {
    hashBytes(key, KEYED_HASH, view, offsets[i - 1] as number, offsets[i] as number)
    storeValue(out, to)
  }
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** The keyed hash of `length` <= 64 bytes in the 16 words at `at`; eight words to `out`. */
export function keyedHashBlock(
  key: Words,
  words: Int32Array,
  at: number,
  length: number,
  out: Int32Array,
  outAt: number
): void {
  setValue(key)
  setBlock(words, at)
  compress(length, 0, KEYED_HASH | WHOLE)
  takeValue(out, outAt)
}

/** A short row is copied to where a view is at hand: making one takes longer. */
function hashOne(key: Words, mode: number, bytes: Uint8Array, out: Uint8Array, to: number): void {
  if (bytes.length <= CHUNK_BYTES) {
    row.set(bytes)
    hashBytes(key, mode, rowView, 0, bytes.length)
  } else hashBytes(key, mode, viewOf(bytes), 0, bytes.length)
  storeValue(hashView, 0)
  out.set(hash, to)
}

/** Hashes the bytes `from` to `end`; `storeValue` takes the hash. */
function hashBytes(key: Words, mode: number, view: DataView, from: number, end: number): void {
  if (end - from <= CHUNK_BYTES) chunk(key, mode, view, from, end, 0, ROOT)
  else chunks(key, mode, view, from, end)
}

/** One chunk; `last` are the flags that only its last block gets. */
function chunk(
  key: Words,
  mode: number,
  view: DataView,
  from: number,
  end: number,
  counter: number,
  last: number
): void {
  setValue(key)
  let flags = mode | CHUNK_START
  for (; end - from > BLOCK_BYTES; from += BLOCK_BYTES) {
    loadBlock(view, from)
    compress(BLOCK_BYTES, counter, flags)
    flags = mode
  }
  loadLast(view, from, end - from)
  compress(end - from, counter, flags | CHUNK_END | last)
}

/** See assembly/chunks.ts: complete subtrees are joined as soon as more input follows. */
function chunks(key: Words, mode: number, view: DataView, from: number, end: number): void {
  let top = 0
  let counter = 0
  for (; end - from > CHUNK_BYTES; from += CHUNK_BYTES) {
    chunk(key, mode, view, from, from + CHUNK_BYTES, counter++, 0)
    takeValue(stack, top)
    for (let rest = counter; (rest & 1) === 0; rest >>>= 1) join(key, mode, (top -= 8))
    top += 8
  }
  chunk(key, mode, view, from, end, counter, 0)
  takeValue(stack, top)
  for (; top > 8; top -= 8) join(key, mode, top - 8)
  join(key, mode | ROOT, 0)
}

/** Replaces two chaining values on the stack by their parent. */
function join(key: Words, mode: number, at: number): void {
  setValue(key)
  setBlock(stack, at)
  compress(BLOCK_BYTES, 0, mode | PARENT)
  takeValue(stack, at)
}
