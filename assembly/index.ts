/**
 * The ABI: everything that the host may call or read, and nothing else. Integers and pointers only.
 *
 * Pointers are byte offsets into `memory`, unsigned. The host writes input into blocks that it got
 * from `allocate` and that stay its own; no export keeps a pointer that it is given. A pointer that
 * an export returns belongs to this module and is valid until the next call. Any call may grow the
 * memory, after which the host has to derive its views again.
 *
 * Arguments are the host's duty: slots below SLOTS, depths, levels and positions within their tree.
 * Debug builds assert them. What can fail says so by what it returns, and leaves all usable.
 */
import * as arena from './arena'
import * as blake3 from './blake3'
import * as forest from './forest'
import * as groups from './group'
import * as trees from './hash-tree'
import { setVector as setVectorOf, setWidth } from './jobs'
import { openMask } from './mask'
import { node } from './nodes'
import { runsOf as runsOfLanes } from './runs'
import { countsOf as treeCounts, sumsOf as treeSums } from './tree'
import { depthOf as treeDepth, DEPTH_MAX, rowsOf as treeRows } from './tree'

export { ARENA_BYTES_MAX } from './arena'
export { LANES_MAX } from './bucket'
export { SLOTS } from './forest'
export { LEAVES_MAX } from './hash-tree'
export { DEPTH_MAX } from './tree'

/** Goes up when an export changes its meaning, so that the host can refuse an old build. */
export const ABI: u32 = 4

/** Bytes of a digest, a hash or a key. */
export const DIGEST_BYTES: u32 = 32

/** So many readable bytes must follow a row, and the last one of a batch. */
export const PADDING_BYTES: u32 = 64

/** True in the builds that use SIMD; the others hash one row at a time. */
export const SIMD: bool = ASC_FEATURE_SIMD

/** Modes of `hashRow` and `hashRows`. */
export const PLAIN: u32 = 0
export const KEYED: u32 = 1

/**
 * Must be called first, once. `arenaBytes` is how much all blocks together may take, at most
 * ARENA_BYTES_MAX. False when that is not enough for an empty forest.
 */
export function open(arenaBytes: u32): bool {
  openMask()
  return forest.openForest(arenaBytes)
}

/** How many rows are hashed at once at most: 8 (at first), 4 or 1. The hashes are the same. */
export function setLanes(lanes: u32): void {
  setWidth(lanes)
}

/** Which of two ways a row alone is hashed, for builds with SIMD. The hashes are the same. */
export function setVector(wanted: bool): void {
  setVectorOf(wanted)
}

/** How often the kernel of so many lanes (8, 4 or 1) ran. In debug builds; 0 in the others. */
export function runsOf(lanes: u32): u32 {
  return runsOfLanes(lanes)
}

/** Copies the 32 bytes of the key of row digests and trees. To be called before rows are added. */
export function setKey(key: usize): void {
  blake3.setKey(key)
}

/** A block of at least `bytes` bytes, aligned to 16, the host's until released. 0: no memory. */
export function allocate(bytes: u32): usize {
  return arena.allocate(bytes)
}

/** Gives a block back; `bytes` is what was asked for. */
export function release(block: usize, bytes: u32): void {
  arena.release(block, bytes)
}

/** Bytes in use, in blocks of the host and of the trees. */
export function usedBytes(): u32 {
  return u32(arena.arenaUsed())
}

/** Hash of the `length` bytes at `row`; 32 bytes to `out`, which must not overlap them. */
export function hashRow(mode: u32, row: usize, length: u32, out: usize): void {
  blake3.hashRow(mode === KEYED, row, length, out)
}

/**
 * Hashes `count` rows into `out`, 32 bytes each. Row i is the bytes `offsets[i]` to
 * `offsets[i + 1]` (32 bits each, `count + 1` of them) after `rows`.
 */
export function hashRows(mode: u32, rows: usize, offsets: usize, count: u32, out: usize): void {
  blake3.hashRows(mode === KEYED, rows, offsets, count, out)
}

/**
 * Adds `count` rows to one slot: `tokens` are the upper halves of their tokens, 32 bits each,
 * `digests` 32 bytes each. Returns how many were added; fewer than `count`: out of memory.
 */
export function addRows(slot: u32, tokens: usize, digests: usize, count: u32): u32 {
  for (let i: u32 = 0; i < count; i++) {
    if (!forest.addTo(slot, load<u32>(tokens + (i << 2)), digests + (i << 5))) return i
  }
  return count
}

/** As `addRows`. Stops at a row whose leaf is empty already, which the host has got wrong. */
export function removeRows(slot: u32, tokens: usize, digests: usize, count: u32): u32 {
  for (let i: u32 = 0; i < count; i++) {
    if (!forest.removeFrom(slot, load<u32>(tokens + (i << 2)), digests + (i << 5))) return i
  }
  return count
}

/** Rows in the slot. */
export function rowsOf(slot: u32): u32 {
  return treeRows(forest.readTree(slot))
}

/** The slot's tree has 2^depth leaves. */
export function depthOf(slot: u32): u32 {
  return treeDepth(forest.readTree(slot))
}

/** Empties the slot and gives it 2^depth leaves. False: out of memory. */
export function reset(slot: u32, depth: u32): bool {
  assert(depth <= DEPTH_MAX)
  return forest.resetTo(slot, depth)
}

/**
 * Where the sums of the slot's leaves lie: 32 bytes each, the sum of the digests of the leaf's rows
 * modulo 2^256, little endian. For reading, unless `restore` came before.
 */
export function sumsOf(slot: u32): usize {
  return treeSums(forest.readTree(slot))
}

/** Where the counts of the slot's leaves lie: 32 bits each, the rows of the leaf. As `sumsOf`. */
export function countsOf(slot: u32): usize {
  return treeCounts(forest.readTree(slot))
}

/**
 * Empties the slot and gives it 2^depth leaves, whose sums and counts the host then writes where
 * `sumsOf` and `countsOf` say, before it calls `restored` and anything else. False: out of memory,
 * and the slot is empty or as it was.
 */
export function restore(slot: u32, depth: u32): bool {
  assert(depth <= DEPTH_MAX)
  return forest.restoreTo(slot, depth)
}

/** Has what was written after `restore` count. */
export function restored(slot: u32): void {
  forest.restored(slot)
}

/**
 * Where the hashes of a level begin, at node `first` (level 0: the root), of the slot's tree as if
 * it had `depth`, at most its own. The rest of the level follows. 0: out of memory.
 */
export function levelOf(slot: u32, depth: u32, level: u32, first: u32): usize {
  assert(level <= depth && first < u32(1) << level)
  const tree = forest.treeAt(slot, depth)
  return tree === 0 ? 0 : node(tree, (1 << level) + first)
}

/** A group over `count` slots, 16 bits each, until `freeGroup`. 0: out of memory. */
export function openGroup(slots: usize, count: u32): usize {
  assert(count <= forest.SLOTS)
  return groups.openGroup(slots, count)
}

export function groupDepth(group: usize): u32 {
  return groups.groupDepthOf(group)
}

/** As `levelOf`. */
export function groupLevel(group: usize, level: u32, first: u32): usize {
  assert(level <= groups.groupDepthOf(group) && first < u32(1) << level)
  groups.refreshGroup(group)
  return node(group, (1 << level) + first)
}

/**
 * Brings the roots of at most `most` changed slots up to date, so that `groupLevel` has less to do.
 * False while there are more.
 */
export function groupRefresh(group: usize, most: u32): bool {
  return groups.refreshSome(group, most)
}

export function freeGroup(group: usize): void {
  groups.freeGroup(group)
}

/** A tree over `leaves` zero hashes (1 to LEAVES_MAX), until `freeTree`. 0: out of memory. */
export function openTree(leaves: u32): usize {
  return trees.openTree(leaves)
}

export function freeTree(tree: usize): void {
  trees.freeTree(tree)
}

export function treeDepthOf(tree: usize): u32 {
  return trees.depthOf(tree)
}

/**
 * Where the hash of a leaf lies, 32 bytes, and those of the leaves after it. Valid as long as the
 * tree. The host may write there and calls `leavesChanged` before it asks for a level.
 */
export function leavesOf(tree: usize, first: u32): usize {
  return trees.leafAt(tree, first)
}

export function leavesChanged(tree: usize, first: u32, count: u32): void {
  trees.changed(tree, first, count)
}

/** Sets the leaves at `count` positions (32 bits each) to as many hashes (32 bytes each). */
export function setLeaves(tree: usize, positions: usize, hashes: usize, count: u32): void {
  trees.setLeaves(tree, positions, hashes, count)
}

/** As `levelOf`. */
export function treeLevel(tree: usize, level: u32, first: u32): usize {
  assert(level <= trees.depthOf(tree) && first < u32(1) << level)
  trees.refreshTree(tree)
  return node(tree, (1 << level) + first)
}

/** Compares hash by hash; writes the positions that differ (32 bits each) and returns how many. */
export function difference(a: usize, b: usize, count: u32, out: usize): u32 {
  let found: u32 = 0
  for (let i: u32 = 0; i < count; i++) {
    if (memory.compare(a + (i << 5), b + (i << 5), 32) === 0) continue
    store<u32>(out + (found++ << 2), i)
  }
  return found
}
