/**
 * The Merkle tree of one slot in plain TypeScript, the twin of assembly/tree.ts and nodes.ts: node
 * 1 is the root, node i has the children 2i and 2i + 1, marks are one bit a node, and sweeping goes
 * from the highest marked node to the lowest.
 */
import { keyedHashBlock, storeWords, viewOf, type Words } from './javascript-blake3.ts'

/** A leaf's sum, its count and zeros, while it is hashed. */
const leafBlock = new Int32Array(16)

/** Hashes of a complete binary tree with 2^depth leaves, and which of them are out of date. */
export class Nodes {
  readonly depth: number
  readonly words: Int32Array
  readonly #key: Words
  readonly #marks: Uint32Array

  constructor(key: Words, depth: number) {
    this.depth = depth
    this.words = new Int32Array(16 << depth)
    this.#key = key
    this.#marks = new Uint32Array(((2 << depth) + 31) >>> 5)
  }

  mark(index: number): void {
    const word = index >>> 5
    this.#marks[word] = (this.#marks[word] as number) | (1 << (index & 31))
  }

  markAll(): void {
    for (let i = 1; i < 2 << this.depth; i++) this.mark(i)
  }

  /** Takes the mark of a node that was brought up to date over to its parent. */
  passMark(index: number): void {
    const word = index >>> 5
    this.#marks[word] = (this.#marks[word] as number) & ~(1 << (index & 31))
    if (index > 1) this.mark(index >>> 1)
  }

  /** The highest marked node below `end`, or 0. */
  highestMark(end: number): number {
    let word = (end - 1) >>> 5
    let bits = (this.#marks[word] as number) & (0xffffffff >>> (31 - ((end - 1) & 31)))
    while (bits === 0) {
      if (word === 0) return 0
      bits = this.#marks[--word] as number
    }
    return word * 32 + 31 - Math.clz32(bits)
  }

  sweepParents(): void {
    for (let i = this.highestMark(1 << this.depth); i > 0; i = this.highestMark(i)) {
      keyedHashBlock(this.#key, this.words, 16 * i, 64, this.words, 8 * i)
      this.passMark(i)
    }
  }

  /** Marks the parents of these leaves. */
  markAbove(first: number, count: number): void {
    if (this.depth === 0 || count === 0) return
    const last = (2 ** this.depth + first + count - 1) >>> 1
    for (let i = (2 ** this.depth + first) >>> 1; i <= last; i++) this.mark(i)
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
    this.nodes.markAll()
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
    this.nodes.mark((1 << this.depth) + leaf)
    this.#stale = true
  }

  /** Brings every hash up to date. */
  refresh(): void {
    if (!this.#stale) return
    const leaves = 1 << this.depth
    let i = this.nodes.highestMark(2 * leaves)
    for (; i >= leaves; i = this.nodes.highestMark(i)) {
      this.#hashLeaf(i - leaves, 8 * i)
      this.nodes.passMark(i)
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
