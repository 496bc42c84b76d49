/**
 * The Merkle tree of one slot in plain TypeScript, the twin of assembly/tree.ts and nodes.ts: node
 * 1 is the root, node i has the children 2i and 2i + 1, marks are one bit a node, and sweeping goes
 * from the highest marked node to the lowest.
 */
import type { Leaves } from './forest.ts'
import { Marks } from './javascript-marks.ts'
import { keyedHashBlock, storeWords, toWords, viewOf, type Words } from './javascript-blake3.ts'

/** A leaf's sum, its count and zeros, while it is hashed. */
const leafBlock = new Int32Array(16)

/** Hashes of a complete binary tree with 2^depth leaves, and which of them are out of date. */
export class Nodes {
  readonly depth: number
  readonly words: Int32Array
  readonly marks: Marks
  readonly #key: Words

  constructor(key: Words, depth: number) {
    this.depth = depth
    this.words = new Int32Array(16 << depth)
    this.marks = new Marks((2 << depth) - 1)
    this.#key = key
  }

  sweepParents(): void {
    const { marks, words } = this
    for (let i = marks.highest(1 << this.depth); i > 0; i = marks.highest(i)) {
      keyedHashBlock(this.#key, words, 16 * i, 64, words, 8 * i)
      marks.pass(i)
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
    const bytes = new Uint8Array(32 * count)
    storeWords(this.words, 8 * (2 ** level + first), 8 * count, viewOf(bytes), 0)
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
    this.nodes.marks.markRange(1, (2 << depth) - 1)
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
    const { marks } = this.nodes
    for (let i = marks.highest(2 * leaves); i >= leaves; i = marks.highest(i)) {
      this.#hashLeaf(i - leaves, 8 * i)
      marks.pass(i)
    }
    this.nodes.sweepParents()
    this.#stale = false
  }

  #hashLeaf(leaf: number, out: number): void {
    for (let i = 0; i < 8; i++) leafBlock[i] = this.#sums[8 * leaf + i] as number
    leafBlock[8] = this.#counts[leaf] as number
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
