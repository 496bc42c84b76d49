/**
 * One tree for each slot. A slot without rows and without a depth of its own costs nothing: it
 * answers from one shared empty tree.
 *
 * Every slot has a stamp that changes with its rows, by which groups and the folded copy know what
 * they have seen. (It wraps after 2^32 changes; two readings exactly that far apart look the same.)
 */
import { allocate, openArena } from './arena'
import {
  addRow,
  clearTree,
  createTree,
  depthOf,
  fold,
  freeTree,
  recount,
  refresh,
  removeRow
} from './tree'

/** The key space has this many slots. */
export const SLOTS: u32 = 16384

/** For each slot the address of its tree (0: empty) and its stamp. */
let table: usize = 0
let emptyTree: usize = 0

/** Changes with every stamp: while it is the same, so are all of them. Wraps as they do. */
let stamped: u32 = 0

/** A slot's tree as it was asked for last with fewer leaves than it has; 0 for none. */
let folded: usize = 0
let foldedSlot: u32 = 0
let foldedStamp: u32 = 0

/** False when out of memory. */
export function openForest(arenaBytes: u32): bool {
  if (!openArena(arenaBytes)) return false
  table = allocate(SLOTS << 3)
  if (table === 0) return false
  memory.fill(table, 0, SLOTS << 3)
  emptyTree = createTree(0)
  return emptyTree !== 0
}

function treeOf(slot: u32): usize {
  return load<usize>(table + (slot << 3))
}

function setTree(slot: u32, tree: usize): void {
  store<usize>(table + (slot << 3), tree)
}

export function stampOf(slot: u32): u32 {
  return load<u32>(table + (slot << 3), 4)
}

export function lastStamp(): u32 {
  return stamped
}

function stamp(slot: u32): void {
  stamped++
  store<u32>(table + (slot << 3), stampOf(slot) + 1, 4)
}

/** For reading only: it may be the shared one. */
export function readTree(slot: u32): usize {
  assert(slot < SLOTS)
  const tree = treeOf(slot)
  return tree !== 0 ? tree : emptyTree
}

/** The root of the slot, up to date. */
export function rootOf(slot: u32): usize {
  const tree = readTree(slot)
  refresh(tree)
  return tree + 32
}

/** False, and nothing changes, when out of memory. */
export function addTo(slot: u32, tokenHigh: u32, digest: usize): bool {
  assert(slot < SLOTS)
  let tree = treeOf(slot)
  if (tree === 0) {
    tree = createTree(0)
    if (tree === 0) return false
    setTree(slot, tree)
  }
  addRow(tree, tokenHigh, digest)
  stamp(slot)
  return true
}

/** False, and nothing changes, when there is no row where this one should be. */
export function removeFrom(slot: u32, tokenHigh: u32, digest: usize): bool {
  assert(slot < SLOTS)
  const tree = treeOf(slot)
  if (tree === 0 || !removeRow(tree, tokenHigh, digest)) return false
  stamp(slot)
  return true
}

/** Empties the slot and gives it 2^depth leaves. False, and nothing changes, when out of memory. */
export function resetTo(slot: u32, depth: u32): bool {
  assert(slot < SLOTS)
  const old = treeOf(slot)
  if (old !== 0 && depth !== 0 && depthOf(old) === depth) clearTree(old)
  else {
    const tree: usize = depth === 0 ? 0 : createTree(depth)
    if (tree === 0 && depth !== 0) return false
    if (old !== 0) freeTree(old)
    setTree(slot, tree)
  }
  stamp(slot)
  return true
}

/**
 * As `resetTo`, but the slot has a tree of its own also when that has a single leaf, so that sums
 * and counts can be written into it. `restored` has to follow. False, and the slot is empty or as
 * it was, when out of memory.
 */
export function restoreTo(slot: u32, depth: u32): bool {
  if (!resetTo(slot, depth)) return false
  if (treeOf(slot) !== 0) return true
  const tree = createTree(0)
  setTree(slot, tree)
  return tree !== 0
}

export function restored(slot: u32): void {
  assert(slot < SLOTS && treeOf(slot) !== 0)
  recount(treeOf(slot))
  stamp(slot)
}

/** The slot's tree as if it had `depth`, at most its own, up to date; 0 when out of memory. */
export function treeAt(slot: u32, depth: u32): usize {
  let tree = readTree(slot)
  assert(depth <= depthOf(tree))
  if (depth < depthOf(tree)) tree = foldedTree(slot, tree, depth)
  if (tree !== 0) refresh(tree)
  return tree
}

/** Kept until another one is asked for, because an exchange reads a tree level by level. */
function foldedTree(slot: u32, tree: usize, depth: u32): usize {
  if (folded !== 0 && foldedSlot === slot && depthOf(folded) === depth) {
    if (foldedStamp === stampOf(slot)) return folded
  }
  if (folded !== 0) freeTree(folded)
  folded = createTree(depth)
  if (folded === 0) return 0
  fold(tree, folded)
  foldedSlot = slot
  foldedStamp = stampOf(slot)
  return folded
}
