/**
 * The Merkle tree of one slot. A leaf stands for a range of tokens and holds the sum of the digests
 * of its rows modulo 2^256 (little endian) and their count, so a row comes and goes without its
 * neighbours being read. The hash of a leaf is the keyed BLAKE3 of sum and count (36 bytes), that
 * of a parent of its two children (64 bytes).
 *
 * A change marks its leaf; hashes are brought up to date by `refresh`, along marked paths only.
 *
 * Per leaf: 64 bytes of hashes, 32 of sum, 8 of count and marks: 104, and exactly so, because each
 * kind is a block of its own whose size is a power of two.
 */
import { allocate, release } from './arena'
import { beginBlocks, flushBlocks, pushBlock } from './blake3'
import { LANES_MAX } from './bucket'
import { mark, markAll, marksBytes, nextWord } from './marks'
import { node, nodesBytes, sweepParents, takeOfLevel } from './nodes'

/** A tree has at most 2^16 leaves. */
export const DEPTH_MAX: u32 = 16

/** The header, in the place of node 0. */
const SUMS: usize = 0
const COUNTS: usize = 4
const DEPTH: usize = 8
const ROWS: usize = 12
const STALE: usize = 16

/** Sum and count of a leaf are this many bytes. */
const LEAF_BYTES: u32 = 36

/** The leaves that wait to be hashed, 64 bytes each: one for every lane. */
const LEAVES: usize = memory.data(8 * 64, 16)
let nextPlace: u32 = 0

export function depthOf(tree: usize): u32 {
  return load<u32>(tree, DEPTH)
}

export function rowsOf(tree: usize): u32 {
  return load<u32>(tree, ROWS)
}

function sumsBytes(depth: u32): usize {
  return (<usize>32) << depth
}

/** Counts come first, on whole words, then the marks. */
function marksOffset(depth: u32): usize {
  return max<usize>(8, (<usize>4) << depth)
}

function countsBytes(depth: u32): usize {
  return marksOffset(depth) + marksBytes((2 << depth) - 1)
}

function marksOf(tree: usize): usize {
  return load<usize>(tree, COUNTS) + marksOffset(depthOf(tree))
}

/** Where the sums of the leaves lie, 32 bytes each. */
export function sumsOf(tree: usize): usize {
  return load<usize>(tree, SUMS)
}

/** Where the counts of the leaves lie, 32 bits each. */
export function countsOf(tree: usize): usize {
  return load<usize>(tree, COUNTS)
}

/** An empty tree of 2^depth leaves, or 0 when out of memory. */
export function createTree(depth: u32): usize {
  assert(depth <= DEPTH_MAX)
  const tree = allocate(nodesBytes(depth))
  const sums = allocate(sumsBytes(depth))
  const counts = allocate(countsBytes(depth))
  if (tree === 0 || sums === 0 || counts === 0) {
    release(tree, nodesBytes(depth))
    release(sums, sumsBytes(depth))
    release(counts, countsBytes(depth))
    return 0
  }
  store<usize>(tree, sums, SUMS)
  store<usize>(tree, counts, COUNTS)
  store<u32>(tree, depth, DEPTH)
  clearTree(tree)
  return tree
}

export function freeTree(tree: usize): void {
  const depth = depthOf(tree)
  release(load<usize>(tree, SUMS), sumsBytes(depth))
  release(load<usize>(tree, COUNTS), countsBytes(depth))
  release(tree, nodesBytes(depth))
}

export function clearTree(tree: usize): void {
  const depth = depthOf(tree)
  memory.fill(load<usize>(tree, SUMS), 0, sumsBytes(depth))
  memory.fill(load<usize>(tree, COUNTS), 0, countsBytes(depth))
  store<u32>(tree, 0, ROWS)
  staleAll(tree)
}

function staleAll(tree: usize): void {
  markAll(marksOf(tree), (2 << depthOf(tree)) - 1)
  store<u32>(tree, 1, STALE)
}

/** After sums and counts were written from outside: every hash has to be made anew. */
export function recount(tree: usize): void {
  const counts = countsOf(tree)
  let rows: u32 = 0
  for (let leaf: u32 = 0; leaf < u32(1) << depthOf(tree); leaf++) {
    rows += load<u32>(counts + (leaf << 2))
  }
  store<u32>(tree, rows, ROWS)
  staleAll(tree)
}

/** The leaf of a row: the first bits of its token, of which `tokenHigh` is the upper half. */
function leafOf(tree: usize, tokenHigh: u32): u32 {
  const depth = depthOf(tree)
  return depth === 0 ? 0 : tokenHigh >>> (32 - depth)
}

export function addRow(tree: usize, tokenHigh: u32, digest: usize): void {
  const leaf = leafOf(tree, tokenHigh)
  addSum(load<usize>(tree, SUMS) + (leaf << 5), digest)
  changeCount(tree, leaf, 1)
}

/** False, and nothing changes, when the leaf has no rows. */
export function removeRow(tree: usize, tokenHigh: u32, digest: usize): bool {
  const leaf = leafOf(tree, tokenHigh)
  if (load<u32>(load<usize>(tree, COUNTS) + (leaf << 2)) === 0) return false
  subtractSum(load<usize>(tree, SUMS) + (leaf << 5), digest)
  changeCount(tree, leaf, -1)
  return true
}

function changeCount(tree: usize, leaf: u32, by: i32): void {
  const count = load<usize>(tree, COUNTS) + (leaf << 2)
  store<u32>(count, load<u32>(count) + by)
  store<u32>(tree, rowsOf(tree) + by, ROWS)
  mark(marksOf(tree), (1 << depthOf(tree)) + leaf)
  store<u32>(tree, 1, STALE)
}

function addSum(sum: usize, digest: usize): void {
  let carry: u64 = 0
  for (let i: usize = 0; i < 32; i += 8) {
    const part = load<u64>(digest + i)
    const partial = load<u64>(sum + i) + part
    const total = partial + carry
    carry = u64(partial < part) | u64(total < partial)
    store<u64>(sum + i, total)
  }
}

function subtractSum(sum: usize, digest: usize): void {
  let borrow: u64 = 0
  for (let i: usize = 0; i < 32; i += 8) {
    const from = load<u64>(sum + i)
    const part = load<u64>(digest + i)
    const partial = from - part
    store<u64>(sum + i, partial - borrow)
    borrow = u64(from < part) | u64(partial < borrow)
  }
}

/** Brings every hash up to date. */
export function refresh(tree: usize): void {
  if (load<u32>(tree, STALE) === 0) return
  const leaves: u32 = 1 << depthOf(tree)
  const marks = marksOf(tree)
  beginBlocks()
  const last = ((leaves << 1) - 1) >> 6
  for (let word = leaves >> 6; word <= last; word = nextWord(marks, word + 1, last)) {
    pushLeaves(tree, word, takeOfLevel(marks, word, leaves))
  }
  flushBlocks()
  sweepParents(tree, marks, leaves)
  store<u32>(tree, 0, STALE)
}

/** Queues those of 64 nodes, all of them leaves, whose bits are set. */
function pushLeaves(tree: usize, word: u32, bits: u64): void {
  const leaves: u32 = 1 << depthOf(tree)
  while (bits !== 0) {
    const index = (word << 6) + <u32>ctz<u64>(bits)
    bits &= bits - 1
    pushLeaf(tree, index - leaves, node(tree, index))
  }
}

/** A place is free again when as many more leaves were pushed as there are lanes. */
function pushLeaf(tree: usize, leaf: u32, out: usize): void {
  const place = LEAVES + ((nextPlace++ % LANES_MAX) << 6)
  const sum = load<usize>(tree, SUMS) + (leaf << 5)
  const count = load<u32>(load<usize>(tree, COUNTS) + (leaf << 2))
  if (ASC_FEATURE_SIMD) {
    // Whole vectors, for that is how the kernels read them: parts would be waited for.
    v128.store(place, v128.load(sum))
    v128.store(place, v128.load(sum, 16), 16)
    v128.store(place, i32x4.replace_lane(i32x4.splat(0), 0, count), 32)
  } else {
    for (let i: usize = 0; i < 32; i += 8) store<u64>(place + i, load<u64>(sum + i))
    store<u32>(place, count, 32)
  }
  pushBlock(place, LEAF_BYTES, out)
}

/** Makes the empty tree `to` hold the rows of the deeper `from`: neighbouring sums are added. */
export function fold(from: usize, to: usize): void {
  const shift = depthOf(from) - depthOf(to)
  const counts = load<usize>(from, COUNTS)
  for (let leaf: u32 = 0; leaf < u32(1) << depthOf(from); leaf++) {
    const count = load<u32>(counts + (leaf << 2))
    if (count === 0) continue
    const target = leaf >> shift
    addSum(load<usize>(to, SUMS) + (target << 5), load<usize>(from, SUMS) + (leaf << 5))
    const total = load<usize>(to, COUNTS) + (target << 2)
    store<u32>(total, load<u32>(total) + count)
  }
  store<u32>(to, rowsOf(from), ROWS)
  staleAll(to)
}
