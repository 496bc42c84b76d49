/**
 * The forest in plain TypeScript: the same promises, the same algorithm and the same refusals as
 * the one in WebAssembly, byte for byte. The oracle of the tests and the other side of the
 * benchmark.
 *
 * Not promised: a limit on memory.
 */
import type { Forest, Leaves, SlotGroup } from './forest.ts'
import { hashInto, keyedHashInto, keyedHashPacked, toWords, viewOf } from './javascript-blake3.ts'
import type { Words } from './javascript-blake3.ts'
import { Nodes, Tree } from './javascript-tree.ts'
import { rowOf } from './row-bytes.ts'
import {
  checkDepth,
  checkGroup,
  checkKey,
  checkLeafValues,
  checkLevel,
  checkOut,
  checkPacked,
  checkPair,
  checkRow,
  checkSlot,
  DEPTH_MAX,
  DIGEST_BYTES,
  freedGroup,
  groupDepthFor,
  missingRow,
  SLOTS
} from './limits.ts'

/** A forest without WebAssembly, hashing under `key` (32 bytes). */
export function createJavaScriptForest(key: Uint8Array): Forest {
  return new JavaScriptForest(key)
}

interface Folded {
  readonly slot: number
  readonly stamp: number
  readonly tree: Tree
}

class JavaScriptForest implements Forest {
  readonly #key: Words
  readonly #empty: Tree
  readonly #trees: (Tree | undefined)[] = Array.from({ length: SLOTS })
  readonly #stamps = new Float64Array(SLOTS)
  #folded: Folded | undefined

  constructor(key: Uint8Array) {
    checkKey(key)
    this.#key = toWords(key)
    this.#empty = new Tree(this.#key, 0)
  }

  digest(bytes: Uint8Array): Uint8Array {
    const out = new Uint8Array(DIGEST_BYTES)
    keyedHashInto(this.#key, bytes, out, 0)
    return out
  }

  digestInto(bytes: Uint8Array, out: Uint8Array, at = 0): void {
    checkOut(out, at, 1)
    keyedHashInto(this.#key, bytes, out, at)
  }

  digestRow(key: Uint8Array, bytes: Uint8Array, out: Uint8Array, at = 0): void {
    this.digestInto(rowOf(key, bytes), out, at)
  }

  digestPacked(rows: Uint8Array, offsets: Uint32Array, out: Uint8Array): void {
    checkOut(out, 0, checkPacked(rows, offsets))
    keyedHashPacked(this.#key, rows, offsets, viewOf(out), 0)
  }

  digestMany(rows: readonly Uint8Array[]): Uint8Array {
    const out = new Uint8Array(rows.length * DIGEST_BYTES)
    rows.forEach((row, i) => keyedHashInto(this.#key, row, out, i * DIGEST_BYTES))
    return out
  }

  hash(bytes: Uint8Array): Uint8Array {
    const out = new Uint8Array(DIGEST_BYTES)
    hashInto(bytes, out, 0)
    return out
  }

  add(slot: number, tokenHigh: number, digest: Uint8Array): void {
    checkRow(slot, tokenHigh, digest)
    const tree = (this.#trees[slot] ??= new Tree(this.#key, 0))
    tree.add(tokenHigh, toWords(digest))
    this.#stamp(slot)
  }

  remove(slot: number, tokenHigh: number, digest: Uint8Array): void {
    checkRow(slot, tokenHigh, digest)
    const removed = this.#trees[slot]?.remove(tokenHigh, toWords(digest)) ?? false
    if (!removed) throw missingRow(slot)
    this.#stamp(slot)
  }

  #stamp(slot: number): void {
    this.#stamps[slot] = this.stampOf(slot) + 1
  }

  /** Changes with the slot's rows. */
  stampOf(slot: number): number {
    return this.#stamps[slot] as number
  }

  #tree(slot: number): Tree {
    checkSlot(slot)
    return this.#trees[slot] ?? this.#empty
  }

  rows(slot: number): number {
    return this.#tree(slot).rows
  }

  depth(slot: number): number {
    return this.#tree(slot).depth
  }

  reset(slot: number, depth: number): void {
    checkSlot(slot)
    checkDepth(depth, DEPTH_MAX)
    this.#trees[slot] = depth === 0 ? undefined : new Tree(this.#key, depth)
    this.#stamp(slot)
  }

  leaves(slot: number, first: number, count: number): Leaves {
    const tree = this.#tree(slot)
    checkLevel(tree.depth, tree.depth, first, count)
    return tree.leaves(first, count)
  }

  restore(slot: number, depth: number, leaves: Leaves): void {
    checkSlot(slot)
    checkDepth(depth, DEPTH_MAX)
    checkLeafValues(depth, leaves.counts, leaves.sums)
    const tree = new Tree(this.#key, depth)
    tree.restore(leaves)
    this.#trees[slot] = tree
    this.#stamp(slot)
  }

  level(slot: number, depth: number, level: number, first: number, count: number): Uint8Array {
    const tree = this.#tree(slot)
    checkDepth(depth, tree.depth)
    checkLevel(depth, level, first, count)
    const asked = depth === tree.depth ? tree : this.#foldedTree(slot, tree, depth)
    asked.refresh()
    return asked.nodes.read(level, first, count)
  }

  /** Kept until another one is asked for, because an exchange reads a tree level by level. */
  #foldedTree(slot: number, tree: Tree, depth: number): Tree {
    const stamp = this.stampOf(slot)
    const kept = this.#folded
    if (kept?.slot === slot && kept.stamp === stamp && kept.tree.depth === depth) return kept.tree
    this.#folded = { slot, stamp, tree: tree.fold(depth) }
    return this.#folded.tree
  }

  root(slot: number): Uint8Array {
    return this.level(slot, this.depth(slot), 0, 0, 1)
  }

  /** The hash words of the slot's root, up to date; not to be changed. */
  rootWords(slot: number): Words {
    const tree = this.#tree(slot)
    tree.refresh()
    return tree.nodes.words.subarray(8, 16)
  }

  group(slots: Uint16Array): SlotGroup {
    checkGroup(slots)
    return new JavaScriptGroup(this, this.#key, slots.slice())
  }

  difference(a: Uint8Array, b: Uint8Array): Uint32Array {
    checkPair(a, b)
    const found: number[] = []
    for (let i = 0; i < a.length / DIGEST_BYTES; i++) if (!same(a, b, i)) found.push(i)
    return Uint32Array.from(found)
  }
}

class JavaScriptGroup implements SlotGroup {
  readonly slots: Uint16Array
  readonly depth: number
  readonly #forest: JavaScriptForest
  /** Undefined after `free`. */
  #nodes: Nodes | undefined
  /** The stamps of the roots that were copied; below 0 before the first time. */
  readonly #seen: Float64Array

  constructor(forest: JavaScriptForest, key: Words, slots: Uint16Array) {
    this.slots = slots
    this.depth = groupDepthFor(slots.length)
    this.#forest = forest
    this.#nodes = new Nodes(key, this.depth)
    this.#nodes.markAbove(0, 2 ** this.depth)
    this.#seen = new Float64Array(slots.length).fill(-1)
  }

  level(level: number, first: number, count: number): Uint8Array {
    if (this.#nodes === undefined) throw freedGroup()
    checkLevel(this.depth, level, first, count)
    this.refresh(this.slots.length)
    this.#nodes.sweepParents()
    return this.#nodes.read(level, first, count)
  }

  refresh(slotsMax: number): boolean {
    if (this.#nodes === undefined) throw freedGroup()
    let left = slotsMax
    for (let i = 0; i < this.slots.length; i++) {
      const slot = this.slots[i] as number
      const stamp = this.#forest.stampOf(slot)
      if (this.#seen[i] === stamp) continue
      if (left-- === 0) return false
      this.#copyRoot(this.#nodes, i, slot)
      this.#seen[i] = stamp
    }
    return true
  }

  #copyRoot(nodes: Nodes, leaf: number, slot: number): void {
    const index = (1 << this.depth) + leaf
    nodes.words.set(this.#forest.rootWords(slot), 8 * index)
    if (index > 1) nodes.marks.mark(index >>> 1)
  }

  root(): Uint8Array {
    return this.level(0, 0, 1)
  }

  free(): void {
    this.#nodes = undefined
  }
}

function same(a: Uint8Array, b: Uint8Array, hash: number): boolean {
  for (let i = hash * DIGEST_BYTES; i < (hash + 1) * DIGEST_BYTES; i++) {
    if (a[i] !== b[i]) return false
  }
  return true
}
