/** The tree over given hashes in plain TypeScript: the twin of tree.ts, with the same refusals. */
import { keyedHashPacked, readWords, setWords, toWords, viewOf } from './javascript-blake3.ts'
import type { Words } from './javascript-blake3.ts'
import { Nodes } from './javascript-tree.ts'
import {
  checkHashes,
  checkKey,
  checkLeaves,
  checkLevel,
  checkPacked,
  checkPositions,
  checkRange,
  DIGEST_BYTES,
  freedTree,
  groupDepthFor
} from './limits.ts'
import type { HashTree } from './tree.ts'

/** As `createTree`, without WebAssembly. */
export function createJavaScriptTree(key: Uint8Array, leaves: number): HashTree {
  checkLeaves(leaves)
  checkKey(key)
  return new JavaScriptTree(toWords(key), leaves)
}

class JavaScriptTree implements HashTree {
  readonly leaves: number
  readonly depth: number
  readonly #key: Words
  /** Undefined after `free`. */
  #nodes: Nodes | undefined

  constructor(key: Words, leaves: number) {
    this.leaves = leaves
    this.depth = groupDepthFor(leaves)
    this.#key = key
    this.#nodes = new Nodes(key, this.depth)
    this.#nodes.markAbove(0, 1 << this.depth)
  }

  #open(): Nodes {
    if (this.#nodes === undefined) throw freedTree()
    return this.#nodes
  }

  set(first: number, hashes: Uint8Array): void {
    const count = checkHashes(hashes)
    checkRange(this.leaves, first, count)
    const nodes = this.#open()
    setWords(nodes.words, 8 * ((1 << this.depth) + first), hashes)
    nodes.markAbove(first, count)
  }

  setAt(positions: Uint32Array, hashes: Uint8Array): void {
    checkPositions(this.leaves, positions, hashes)
    const nodes = this.#open()
    const view = viewOf(hashes)
    for (let i = 0; i < positions.length; i++) {
      const leaf = positions[i] as number
      const to = 8 * ((1 << this.depth) + leaf)
      for (let j = 0; j < 8; j++) nodes.words[to + j] = view.getInt32(32 * i + 4 * j, true)
      nodes.markAbove(leaf, 1)
    }
  }

  setRows(first: number, rows: Uint8Array, offsets: Uint32Array): void {
    const count = checkPacked(rows, offsets)
    checkRange(this.leaves, first, count)
    const nodes = this.#open()
    const leaf = (1 << this.depth) + first
    const view = new DataView(nodes.words.buffer)
    keyedHashPacked(this.#key, rows, offsets, view, leaf * DIGEST_BYTES)
    readWords(nodes.words, 8 * leaf, 8 * count)
    nodes.markAbove(first, count)
  }

  level(level: number, first: number, count: number): Uint8Array {
    const nodes = this.#open()
    checkLevel(this.depth, level, first, count)
    nodes.sweepParents()
    return nodes.read(level, first, count)
  }

  root(): Uint8Array {
    return this.level(0, 0, 1)
  }

  free(): void {
    this.#nodes = undefined
  }
}
