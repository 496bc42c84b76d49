/**
 * A tree over the roots of an ordered list of slots, filled up with zero hashes to a power of two.
 * It remembers at which stamp it copied each root, and so rehashes only above slots that changed.
 */
import { allocate, release } from './arena'
import { lastStamp, rootOf, stampOf } from './forest'
import { mark, markAll, marksBytes } from './marks'
import { levelsAbove, node, nodesBytes, sweepParents } from './nodes'

/** The header, in the place of node 0. */
const MARKS: usize = 0
const STAMPS: usize = 4
const LIST: usize = 8
const COUNT: usize = 12
const DEPTH: usize = 16
const SEEN: usize = 20

/** Marks of the parents, then a stamp (32 bits) and the number (16 bits) of each slot. */
function sideBytes(depth: u32, count: u32): usize {
  return marksBytes((1 << depth) - 1) + count * 6
}

/** `slots` are `count` numbers of 16 bits, copied. 0 when out of memory. */
export function openGroup(slots: usize, count: u32): usize {
  const depth = levelsAbove(count)
  const group = allocate(nodesBytes(depth))
  const side = allocate(sideBytes(depth, count))
  if (group === 0 || side === 0) {
    release(group, nodesBytes(depth))
    release(side, sideBytes(depth, count))
    return 0
  }
  memory.fill(group, 0, nodesBytes(depth))
  layOut(group, side, depth, count)
  fillIn(group, slots)
  return group
}

function layOut(group: usize, side: usize, depth: u32, count: u32): void {
  const stamps = side + marksBytes((1 << depth) - 1)
  store<usize>(group, side, MARKS)
  store<usize>(group, stamps, STAMPS)
  store<usize>(group, stamps + (count << 2), LIST)
  store<u32>(group, count, COUNT)
  store<u32>(group, depth, DEPTH)
}

/** Nothing has been seen yet: every stamp is one that its slot does not have. */
function fillIn(group: usize, slots: usize): void {
  const count = load<u32>(group, COUNT)
  memory.copy(load<usize>(group, LIST), slots, count << 1)
  for (let i: u32 = 0; i < count; i++) {
    const stamp = stampOf(<u32>load<u16>(slots + (i << 1))) - 1
    store<u32>(load<usize>(group, STAMPS) + (i << 2), stamp)
  }
  markAll(load<usize>(group, MARKS), (1 << groupDepthOf(group)) - 1)
  store<u32>(group, lastStamp() - 1, SEEN)
}

export function freeGroup(group: usize): void {
  const depth = groupDepthOf(group)
  release(load<usize>(group, MARKS), sideBytes(depth, load<u32>(group, COUNT)))
  release(group, nodesBytes(depth))
}

export function groupDepthOf(group: usize): u32 {
  return load<u32>(group, DEPTH)
}

/** Brings every hash up to date. Costs next to nothing when no slot of the forest has changed. */
export function refreshGroup(group: usize): void {
  refreshSome(group, u32.MAX_VALUE)
  sweepParents(group, load<usize>(group, MARKS), 1 << groupDepthOf(group))
}

/** Takes the roots of at most `most` slots that have changed. False while there are more. */
export function refreshSome(group: usize, most: u32): bool {
  const last = lastStamp()
  if (load<u32>(group, SEEN) === last) return true
  const list = load<usize>(group, LIST)
  const stamps = load<usize>(group, STAMPS)
  for (let i: u32 = 0; i < load<u32>(group, COUNT); i++) {
    const slot = <u32>load<u16>(list + (i << 1))
    const seen = stamps + (i << 2)
    if (load<u32>(seen) === stampOf(slot)) continue
    if (most-- === 0) return false
    store<u32>(seen, stampOf(slot))
    copyRoot(group, i, slot)
  }
  store<u32>(group, last, SEEN)
  return true
}

function copyRoot(group: usize, leaf: u32, slot: u32): void {
  const index = (1 << groupDepthOf(group)) + leaf
  memory.copy(node(group, index), rootOf(slot), 32)
  if (index > 1) mark(load<usize>(group, MARKS), index >> 1)
}
