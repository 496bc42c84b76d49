/**
 * The Merkle tree of one slot in plain TypeScript, the twin of assembly/tree.ts and nodes.ts: node
 * 1 is the root, node i has the children 2i and 2i + 1, and marks are one bit a node. Sweeping goes
 * level by level from the lowest one up, through the words of marks that are not empty. Only nodes
 * of one level, and that the lowest, may be marked from outside.
 */
import type { Leaves } from './forest.ts'
import { lowestBit, Marks } from './javascript-marks.ts'
import { keyedHashBlock, storeWords, toWords, viewOf, writeWords } from './javascript-blake3.ts'
import type { Words } from './javascript-blake3.ts'

/** A leaf's sum, its count and zeros, while it is hashed. */
const leafBlock = new Int32Array(16)

/** Hashes of a complete binary tree with 2^depth leaves, and which of them are out of date. */
export class Nodes {
  readonly depth: number
  readonly words: Int32Array
  readonly marks: Marks
  readonly #key: Words
  /** The bytes of `words`. Kept, because making a view takes longer than copying a hash. */
  readonly #bytes: Uint8Array

  constructor(key: Words, depth: number) {
    this.depth = depth
    this.words = new Int32Array(16 << depth)
    this.#bytes = new Uint8Array(this.words.buffer)
    this.marks = new Marks((2 << depth) - 1)
    this.#key = key
  }

  /** Rehashes the marked parents and all above them. */
  sweepParents(): void {
    const end = 1 << this.depth
    let from = this.marks.nextWord(end >>> 6, (end - 1) >>> 5)
    let last = this.marks.previousWord(from, (end - 1) >>> 5)
    for (let first = end >>> 1; first > 0 && from <= last; first >>>= 1) {
      this.#sweepLevel(first, from, last)
      from >>>= 1
      last >>>= 1
    }
  }

  /** Of the level that begins with node `first`, the marked nodes in these words. */
  #sweepLevel(first: number, from: number, last: number): void {
    const { marks, words } = this
    for (let word = from; word <= last; word = marks.nextWord(word + 1, last)) {
      let bits = marks.takeOfLevel(word, first)
      for (; bits !== 0; bits &= bits - 1) {
        const i = word * 32 + lowestBit(bits)
        keyedHashBlock(this.#key, words, 16 * i, 64, words, 8 * i)
      }
    }
  }

  /** Marks the parents of these leaves. */
  markAbove(first: number, count: number): void {
    if (this.depth === 0 || count === 0) return
    const leaf = (1 << this.depth) + first
    this.marks.markRange(leaf >>> 1, (leaf + count - 1) >>> 1)
  }

  /** A copy of `count` hashes as bytes. */
  read(level: number, first: number, count: number): Uint8Array {
    const at = (1 << level) + first
    const bytes = this.#bytes.slice(32 * at, 32 * (at + count))
    writeWords(bytes)
    return bytes
  }
}

export class Tree {
  readonly depth: number
  readonly nodes: Nodes
  rows = 0
  readonly #key: Words
  readonly #sums: Int32Array
  readonly #counts: Uint32Array
  #stale = true

  constructor(key: Words, depth: number) {
    this.depth = depth
    this.nodes = new Nodes(key, depth)
    this.nodes.marks.markRange(1 << depth, (2 << depth) - 1)
    this.#key = key
    this.#sums = new Int32Array(8 << depth)
    this.#counts = new Uint32Array(1 << depth)
  }

  add(tokenHigh: number, digest: Words): void {
    const leaf = this.#leafOf(tokenHigh)
    addSum(this.#sums, 8 * leaf, digest, 0)
    this.#change(leaf, 1)
  }

  /** False, and nothing changes, when the leaf has no rows. */
  remove(tokenHigh: number, digest: Words): boolean {
    const leaf = this.#leafOf(tokenHigh)
    if (this.#counts[leaf] === 0) return false
    subtractSum(this.#sums, 8 * leaf, digest)
    this.#change(leaf, -1)
    return true
  }

  /** Shifting by 32 would shift by nothing. */
  #leafOf(tokenHigh: number): number {
    return this.depth === 0 ? 0 : tokenHigh >>> (32 - this.depth)
  }

  #change(leaf: number, by: number): void {
    this.#counts[leaf] = (this.#counts[leaf] as number) + by
    this.rows += by
    this.nodes.marks.mark((1 << this.depth) + leaf)
    this.#stale = true
  }

  /** Copies of sums and counts. */
  leaves(first: number, count: number): Leaves {
    const sums = new Uint8Array(32 * count)
    storeWords(this.#sums, 8 * first, 8 * count, viewOf(sums), 0)
    return { counts: this.#counts.slice(first, first + count), sums }
  }

  /** Of a tree without any rows: takes over sums and counts. */
  restore({ counts, sums }: Leaves): void {
    this.#counts.set(counts)
    this.#sums.set(toWords(sums))
    this.rows = counts.reduce((sum, count) => sum + count, 0)
  }

  /** Brings every hash up to date. */
  refresh(): void {
    if (!this.#stale) return
    const leaves = 1 << this.depth
    const last = (2 * leaves - 1) >>> 5
    const { marks } = this.nodes
    for (let word = leaves >>> 5; word <= last; word = marks.nextWord(word + 1, last)) {
      let bits = marks.takeOfLevel(word, leaves)
      for (; bits !== 0; bits &= bits - 1) this.#hashLeaf(word * 32 + lowestBit(bits) - leaves)
    }
    this.nodes.sweepParents()
    this.#stale = false
  }

  #hashLeaf(leaf: number): void {
    for (let i = 0; i < 8; i++) leafBlock[i] = this.#sums[8 * leaf + i] as number
    leafBlock[8] = this.#counts[leaf] as number
    const out = 8 * ((1 << this.depth) + leaf)
    keyedHashBlock(this.#key, leafBlock, 0, 36, this.nodes.words, out)
  }

  /** A new tree of fewer leaves with the same rows. */
  fold(depth: number): Tree {
    const folded = new Tree(this.#key, depth)
    for (let leaf = 0; leaf < 1 << this.depth; leaf++) {
      const target = leaf >>> (this.depth - depth)
      addSum(folded.#sums, 8 * target, this.#sums, 8 * leaf)
      folded.#counts[target] = (folded.#counts[target] as number) + (this.#counts[leaf] as number)
    }
    folded.rows = this.rows
    return folded
  }
}

function addSum(sums: Int32Array, at: number, digest: Int32Array, from: number): void {
  let carry = 0
  for (let i = 0; i < 8; i++) {
    const total = ((sums[at + i] as number) >>> 0) + ((digest[from + i] as number) >>> 0) + carry
    sums[at + i] = total | 0
    carry = total > 0xffffffff ? 1 : 0
  }
}

function subtractSum(sums: Int32Array, at: number, digest: Int32Array): void {
  let borrow = 0
  for (let i = 0; i < 8; i++) {
    const rest = ((sums[at + i] as number) >>> 0) - ((digest[i] as number) >>> 0) - borrow
    sums[at + i] = rest | 0
    borrow = rest < 0 ? 1 : 0
  }
}
