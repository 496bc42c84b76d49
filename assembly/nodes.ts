/**
 * The hashes of a complete binary tree in one block, 32 bytes each: node 1 is the root, node i has
 * the children 2i and 2i + 1, so the two lie together as the 64 bytes of which i is the hash, and a
 * level is one run of bytes. The place of node 0 is free for a header.
 *
 * Marks are one bit a node: set where the hash is out of date. Sweeping goes from the highest
 * node to the lowest, level by level, which puts every child before its parent; the nodes of a level
 * are hashed beside each other.
 */
import { beginBlocks, flushBlocks, pushBlock } from './blake3'

/** Bytes of the block for 2^depth leaves. */
export function nodesBytes(depth: u32): usize {
  return (<usize>64) << depth
}

/** Bytes of marks for nodes up to `last`; a multiple of 8. */
export function marksBytes(last: u32): usize {
  return ((last >> 6) + 1) << 3
}

export function node(nodes: usize, index: u32): usize {
  return nodes + (index << 5)
}

export function mark(marks: usize, index: u32): void {
  const word = marks + ((index >> 6) << 3)
  store<u64>(word, load<u64>(word) | ((<u64>1) << (index & 63)))
}

function unmark(marks: usize, index: u32): void {
  const word = marks + ((index >> 6) << 3)
  store<u64>(word, load<u64>(word) & ~((<u64>1) << (index & 63)))
}

/** Marks the nodes 1 to `last`, which is one less than a power of two, and no other. */
export function markAll(marks: usize, last: u32): void {
  if (last < 63) return store<u64>(marks, ((<u64>2) << last) - 2)
  memory.fill(marks, 0xff, marksBytes(last))
  unmark(marks, 0)
}

/** The highest marked node below `end`, or 0. */
export function highestMark(marks: usize, end: u32): u32 {
  if (end === 0) return 0
  let word = (end - 1) >> 6
  let bits = load<u64>(marks + (word << 3)) & (~(<u64>0) >> (63 - ((end - 1) & 63)))
  while (bits === 0) {
    if (word === 0) return 0
    bits = load<u64>(marks + (--word << 3))
  }
  return (word << 6) + 63 - <u32>clz<u64>(bits)
}

/** Takes the mark of a node that was brought up to date over to its parent. */
export function passMark(marks: usize, index: u32): void {
  unmark(marks, index)
  if (index > 1) mark(marks, index >> 1)
}

/** Marks the nodes `from` to `last`, too. */
export function markRange(marks: usize, from: u32, last: u32): void {
  for (; from <= last && (from & 63) !== 0; from++) mark(marks, from)
  for (; from + 63 <= last; from += 64) store<u64>(marks + ((from >> 6) << 3), ~(<u64>0))
  for (; from <= last; from++) mark(marks, from)
}

/** Levels above `count` leaves: the logarithm of their number, rounded up. */
export function levelsAbove(count: u32): u32 {
  return count < 2 ? 0 : 32 - clz<u32>(count - 1)
}

/** Rehashes the marked parents below node `end` and clears their marks. */
export function sweepParents(nodes: usize, marks: usize, end: u32): void {
  let top = highestMark(marks, end)
  while (top > 0) {
    const first: u32 = (<u32>1) << (31 - clz<u32>(top))
    beginBlocks()
    for (let word = top >> 6; word > first >> 6; word--) sweepWord(nodes, marks, word, ~(<u64>0))
    sweepWord(nodes, marks, first >> 6, ~(<u64>0) << (first & 63))
    flushBlocks()
    top = highestMark(marks, first)
  }
}

/** Rehashes those of 64 nodes that are marked and in `wanted`, and passes their marks on. */
function sweepWord(nodes: usize, marks: usize, word: u32, wanted: u64): void {
  const at = marks + (word << 3)
  let bits = load<u64>(at) & wanted
  if (bits === 0) return
  store<u64>(at, load<u64>(at) ^ bits)
  let parents: u64 = 0
  while (bits !== 0) {
    const bit = (<u32>clz<u64>(bits)) ^ 63
    bits ^= (<u64>1) << bit
    parents |= (<u64>1) << (bit >> 1)
    const index = (word << 6) + bit
    pushBlock(node(nodes, index << 1), 64, node(nodes, index))
  }
  const above = marks + ((word >> 1) << 3)
  store<u64>(above, (load<u64>(above) | (parents << ((word & 1) << 5))) & noneAbove(word))
}

/** The root has no parent to take its mark. */
function noneAbove(word: u32): u64 {
  return word === 0 ? ~(<u64>1) : ~(<u64>0)
}
