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

/** The first node on the level of node `index`. */
export function levelOfNode(index: u32): u32 {
  return (<u32>1) << (31 - clz<u32>(index))
}

/** Rehashes the marked parents below node `end` and clears their marks. */
export function sweepParents(nodes: usize, marks: usize, end: u32): void {
  for (let i = highestMark(marks, end); i > 0; ) i = sweepLevel(nodes, marks, i)
}

/** Rehashes the marked parents from `i` down to the first of its level; returns the next mark. */
function sweepLevel(nodes: usize, marks: usize, i: u32): u32 {
  const first = levelOfNode(i)
  beginBlocks()
  for (; i >= first; i = highestMark(marks, i)) {
    pushBlock(node(nodes, i << 1), 64, node(nodes, i))
    passMark(marks, i)
  }
  flushBlocks()
  return i
}
