/**
 * Which nodes of a tree are out of date: one bit a node, and above that one bit for every 64 of
 * them, so that a lone mark in a large tree is found without looking at all the others.
 *
 * Node numbers are those of nodes.ts; 0 is no node and never marked.
 */

/** The first 8 bytes say where the upper bits are, and the lower bits follow. */
const LOWER_AT: usize = 8

/** Bytes of the lower bits for nodes up to `last`. */
function lowerBytes(last: u32): usize {
  return ((last >> 6) + 1) << 3
}

/** Bytes of marks for nodes up to `last`; a multiple of 8. */
export function marksBytes(last: u32): usize {
  return LOWER_AT + lowerBytes(last) + (((last >> 12) + 1) << 3)
}

/** Marks the nodes 1 to `last`, which is one less than a power of two, and no other. */
export function markAll(marks: usize, last: u32): void {
  const upper = LOWER_AT + lowerBytes(last)
  memory.fill(marks, 0, marksBytes(last))
  store<u32>(marks, <u32>upper)
  markRange(marks, 1, last)
}

function lowerOf(marks: usize, word: u32): usize {
  return marks + LOWER_AT + ((<usize>word) << 3)
}

function upperOf(marks: usize, word: u32): usize {
  return marks + load<u32>(marks) + ((<usize>(word >> 6)) << 3)
}

/** Marks nodes of one word of 64: node 64 word + i where bit i is set. */
export function markBits(marks: usize, word: u32, bits: u64): void {
  const lower = lowerOf(marks, word)
  const upper = upperOf(marks, word)
  store<u64>(lower, load<u64>(lower) | bits)
  store<u64>(upper, load<u64>(upper) | ((<u64>1) << (word & 63)))
}

export function mark(marks: usize, index: u32): void {
  markBits(marks, index >> 6, (<u64>1) << (index & 63))
}

/** Marks the nodes `from` to `last`. */
export function markRange(marks: usize, from: u32, last: u32): void {
  for (; from <= last && (from & 63) !== 0; from++) mark(marks, from)
  for (; from + 63 <= last; from += 64) markBits(marks, from >> 6, ~(<u64>0))
  for (; from <= last; from++) mark(marks, from)
}

/** Whether all 64 nodes of a word are marked. */
export function isFull(marks: usize, word: u32): bool {
  return load<u64>(lowerOf(marks, word)) === ~(<u64>0)
}

/** Takes the marks of a word that are in `wanted` away, and returns them. */
export function takeBits(marks: usize, word: u32, wanted: u64): u64 {
  const lower = lowerOf(marks, word)
  const bits = load<u64>(lower) & wanted
  const left = load<u64>(lower) ^ bits
  store<u64>(lower, left)
  if (left === 0) {
    const upper = upperOf(marks, word)
    store<u64>(upper, load<u64>(upper) & ~((<u64>1) << (word & 63)))
  }
  return bits
}

/** The highest marked node below `end`, or 0. */
export function highestMark(marks: usize, end: u32): u32 {
  if (end === 0) return 0
  const word = (end - 1) >> 6
  const bits = load<u64>(lowerOf(marks, word)) & upTo(end - 1)
  if (bits !== 0) return (word << 6) + highestBit(bits)
  const below = highestWord(marks, word)
  return below < 0 ? 0 : (below << 6) + highestBit(load<u64>(lowerOf(marks, below)))
}

/** The highest word below `end` that has marks, or -1. */
function highestWord(marks: usize, end: u32): i32 {
  if (end === 0) return -1
  let group = (end - 1) >> 6
  let bits = load<u64>(upperOf(marks, end - 1)) & upTo(end - 1)
  while (bits === 0) {
    if (group === 0) return -1
    bits = load<u64>(upperOf(marks, --group << 6))
  }
  return (group << 6) + highestBit(bits)
}

/** The lowest word from `from` to `last` that has marks; above `last` when there is none. */
export function nextWord(marks: usize, from: u32, last: u32): u32 {
  if (from > last) return from
  let group = from >> 6
  let bits = load<u64>(upperOf(marks, from)) & (~(<u64>0) << (from & 63))
  while (bits === 0) {
    if (++group > last >> 6) return u32.MAX_VALUE
    bits = load<u64>(upperOf(marks, group << 6))
  }
  return (group << 6) + <u32>ctz<u64>(bits)
}

/** Ones from the lowest bit to that of `index` within its word. */
function upTo(index: u32): u64 {
  return ~(<u64>0) >> (63 - (index & 63))
}

function highestBit(bits: u64): u32 {
  return (<u32>clz<u64>(bits)) ^ 63
}
