/**
 * The hashes of a complete binary tree in one block, 32 bytes each: node 1 is the root, node i has
 * the children 2i and 2i + 1, so the two lie together as the 64 bytes of which i is the hash, and a
 * level is one run of bytes. The place of node 0 is free for a header.
 *
 * Which hashes are out of date is kept as marks. Sweeping goes from the lowest level up, which puts
 * every child before its parent; the nodes of a level are hashed beside each other, from the first
 * to the last, for that is the order in which memory is read ahead.
 */
import { beginBlocks, flushBlocks, pushBlock, pushBlocks } from './blake3'
import { highestMark, isFull, markBits, nextWord, takeBits } from './marks'

/** Levels of at least so many nodes are swept in blocks of 512 where all is out of date. */
const BLOCK_NODES: u32 = 4096

/** Bytes of the block for 2^depth leaves. */
export function nodesBytes(depth: u32): usize {
  return (<usize>64) << depth
}

export function node(nodes: usize, index: u32): usize {
  return nodes + (index << 5)
}

/** Levels above `count` leaves: the logarithm of their number, rounded up. */
export function levelsAbove(count: u32): u32 {
  return count < 2 ? 0 : 32 - clz<u32>(count - 1)
}

/** The first node on the level of node `index`. */
function levelStart(index: u32): u32 {
  return (<u32>1) << (31 - clz<u32>(index))
}

/** Rehashes the marked parents below node `end` and clears their marks. */
export function sweepParents(nodes: usize, marks: usize, end: u32): void {
  for (let top = highestMark(marks, end); top > 0; top = highestMark(marks, top)) {
    const first = levelStart(top)
    const last = top >> 6
    beginBlocks()
    for (let word = first >> 6; word <= last; word = nextWord(marks, word + 1, last)) {
      if (isFullBlock(marks, word, first)) sweepBlock(nodes, marks, word)
      else pushParents(nodes, word, takeOfLevel(marks, word, first))
    }
    flushBlocks()
  }
}

/** Whether eight words begin here that are all marked, on a level that has many of them. */
function isFullBlock(marks: usize, word: u32, first: u32): bool {
  if ((word & 7) !== 0 || first < BLOCK_NODES) return false
  for (let i: u32 = 0; i < 8; i++) if (!isFull(marks, word + i)) return false
  return true
}

/** Rehashes a whole block and three levels above it, while they are near the processor. */
function sweepBlock(nodes: usize, marks: usize, word: u32): void {
  for (let words: u32 = 8; words > 0; words >>= 1) {
    flushBlocks()
    for (let i: u32 = 0; i < words; i++) {
      takeOfLevel(marks, word + i, 0)
      pushWord(nodes, (word + i) << 6)
    }
    word >>= 1
  }
}

/**
 * Takes the marks of those nodes of a word away that are not above the level which begins with node
 * `first`, and marks their parents.
 */
export function takeOfLevel(marks: usize, word: u32, first: u32): u64 {
  const bits = takeBits(marks, word, first >> 6 === word ? ~(<u64>0) << (first & 63) : ~(<u64>0))
  const parents = (halve(bits) << ((word & 1) << 5)) & (word === 0 ? ~(<u64>1) : ~(<u64>0))
  if (parents !== 0) markBits(marks, word >> 1, parents)
  return bits
}

/** Bit i of what is returned is set where bit 2i or 2i + 1 is: the parents of 64 nodes. */
function halve(bits: u64): u64 {
  bits = (bits | (bits >> 1)) & 0x5555555555555555
  bits = (bits | (bits >> 1)) & 0x3333333333333333
  bits = (bits | (bits >> 2)) & 0x0f0f0f0f0f0f0f0f
  bits = (bits | (bits >> 4)) & 0x00ff00ff00ff00ff
  bits = (bits | (bits >> 8)) & 0x0000ffff0000ffff
  return (bits | (bits >> 16)) & 0x00000000ffffffff
}

/** All 64 nodes from `first` on. */
function pushWord(nodes: usize, first: u32): void {
  for (let i = first; i < first + 64; i += 8) pushBlocks(node(nodes, i << 1), node(nodes, i))
}

function pushParents(nodes: usize, word: u32, bits: u64): void {
  if (bits === ~(<u64>0)) return pushWord(nodes, word << 6)
  while (bits !== 0) {
    const index = (word << 6) + <u32>ctz<u64>(bits)
    bits &= bits - 1
    pushBlock(node(nodes, index << 1), 64, node(nodes, index))
  }
}
