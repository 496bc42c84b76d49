/**
 * A tree over hashes that the host gives, filled up with zero hashes to a power of two. Unlike the
 * tree of a slot it knows nothing of rows: a leaf is a hash. Parents are hashed under the key when
 * a level is asked for, those above leaves that were set, and no others.
 */
import { allocate, release } from './arena'
import { mark, markAll, markRange, marksBytes } from './marks'
import { levelsAbove, node, nodesBytes, sweepParents } from './nodes'

/** A tree has at most 2^24 leaves. */
export const LEAVES_MAX: u32 = 1 << 24

/** The header, in the place of node 0. */
const MARKS: usize = 0
const DEPTH: usize = 4

/** A tree of `leaves` >= 1 zero hashes, or 0 when out of memory. */
export function openTree(leaves: u32): usize {
  assert(leaves >= 1 && leaves <= LEAVES_MAX)
  const depth = levelsAbove(leaves)
  const last: u32 = (1 << depth) - 1
  const tree = allocate(nodesBytes(depth))
  const marks = allocate(marksBytes(last))
  if (tree === 0 || marks === 0) {
    release(tree, nodesBytes(depth))
    release(marks, marksBytes(last))
    return 0
  }
  memory.fill(tree, 0, nodesBytes(depth))
  store<usize>(tree, marks, MARKS)
  store<u32>(tree, depth, DEPTH)
  markAll(marks, last)
  return tree
}

export function freeTree(tree: usize): void {
  const depth = depthOf(tree)
  release(load<usize>(tree, MARKS), marksBytes((1 << depth) - 1))
  release(tree, nodesBytes(depth))
}

export function depthOf(tree: usize): u32 {
  return load<u32>(tree, DEPTH)
}

/** Where the hash of a leaf lies; those after it follow. */
export function leafAt(tree: usize, leaf: u32): usize {
  return node(tree, (1 << depthOf(tree)) + leaf)
}

/** Says that the `count` leaves from `first` on have changed. */
export function changed(tree: usize, first: u32, count: u32): void {
  if (count === 0 || depthOf(tree) === 0) return
  const from: u32 = (1 << depthOf(tree)) + first
  markRange(load<usize>(tree, MARKS), from >> 1, (from + count - 1) >> 1)
}

/** Sets the leaves at `count` positions (32 bits each) to as many hashes. */
export function setLeaves(tree: usize, positions: usize, hashes: usize, count: u32): void {
  const depth = depthOf(tree)
  const marks = load<usize>(tree, MARKS)
  for (let i: u32 = 0; i < count; i++) {
    const index: u32 = (1 << depth) + load<u32>(positions + ((<usize>i) << 2))
    assert(index < u32(2) << depth)
    const to = node(tree, index)
    const from = hashes + ((<usize>i) << 5)
    for (let at: usize = 0; at < 32; at += 8) store<u64>(to + at, load<u64>(from + at))
    if (depth > 0) mark(marks, index >> 1)
  }
}

/** Brings every hash up to date. */
export function refreshTree(tree: usize): void {
  const depth = depthOf(tree)
  if (depth > 0) sweepParents(tree, load<usize>(tree, MARKS), 1 << depth)
}
