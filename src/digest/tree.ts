/**
 * A Merkle tree over hashes, in WebAssembly: a leaf is a hash that is given, a parent is the keyed
 * BLAKE3 of the 64 bytes of its two children. What is set is marked, and only marked paths are
 * hashed again when a level is asked for.
 *
 * The forest keeps the trees of a node; this one is for trees of any other kind, and bare of rows.
 */
import {
  checkHashes,
  checkLeaves,
  checkLevel,
  checkPacked,
  checkPositions,
  checkRange,
  DIGEST_BYTES,
  freedTree
} from './limits.ts'
import { hashPacked } from './packed.ts'
import { Core, type CoreInit } from './wasm.ts'

/**
 * Arguments out of range are refused with `ERR_ARGUMENT` and change nothing; using it after `free`
 * with `ERR_CLOSED`. Bytes passed in are copied, bytes handed out belong to the caller.
 */
export interface HashTree {
  readonly leaves: number
  /** The logarithm of the number of leaves, rounded up: they are filled up with zero hashes. */
  readonly depth: number
  /** Sets the leaves from `first` on to these hashes, 32 bytes each. */
  set(first: number, hashes: Uint8Array): void
  /** Sets the leaves at these positions to as many hashes. */
  setAt(positions: Uint32Array, hashes: Uint8Array): void
  /** Sets the leaves from `first` on to the keyed hashes of packed rows; see `digestPacked`. */
  setRows(first: number, rows: Uint8Array, offsets: Uint32Array): void
  /** `count` hashes from node `first` of `level` (0: the root, `depth`: the leaves). */
  level(level: number, first: number, count: number): Uint8Array
  root(): Uint8Array
  /** Gives its memory back. Freeing it again does nothing. */
  free(): void
}

/** A tree of `leaves` zero hashes, under `key` (32 bytes). Takes 64 bytes a leaf. */
export function createTree(key: Uint8Array, leaves: number, init: CoreInit = {}): HashTree {
  checkLeaves(leaves)
  return new WasmTree(new Core(key, init), leaves)
}

/** Hashes that are set in one call. */
const SET_AT_ONCE = 2_048

class WasmTree implements HashTree {
  readonly leaves: number
  readonly depth: number
  readonly #core: Core
  #tree: number

  constructor(core: Core, leaves: number) {
    this.leaves = leaves
    this.#core = core
    this.#tree = core.exports.openTree(leaves)
    if (this.#tree === 0) throw core.outOfMemory()
    this.depth = core.exports.treeDepthOf(this.#tree)
  }

  #open(): number {
    if (this.#tree === 0) throw freedTree()
    return this.#tree
  }

  set(first: number, hashes: Uint8Array): void {
    const count = checkHashes(hashes)
    checkRange(this.leaves, first, count)
    this.#core.bytes().set(hashes, this.#core.exports.leavesOf(this.#open(), first))
    this.#core.exports.leavesChanged(this.#tree, first, count)
  }

  setAt(positions: Uint32Array, hashes: Uint8Array): void {
    checkPositions(this.leaves, positions, hashes)
    this.#open()
    if (positions.length <= SET_AT_ONCE) return this.#setPart(positions, hashes)
    for (let from = 0; from < positions.length; from += SET_AT_ONCE) {
      const part = positions.subarray(from, from + SET_AT_ONCE)
      this.#setPart(part, hashes.subarray(from * DIGEST_BYTES, (from + part.length) * DIGEST_BYTES))
    }
  }

  #setPart(positions: Uint32Array, hashes: Uint8Array): void {
    const { stage, exports } = this.#core
    const hashesAt = stage + 4 * SET_AT_ONCE
    this.#core.storeWords(positions, stage)
    this.#core.bytes().set(hashes, hashesAt)
    exports.setLeaves(this.#tree, stage, hashesAt, positions.length)
  }

  setRows(first: number, rows: Uint8Array, offsets: Uint32Array): void {
    const { exports } = this.#core
    const count = checkPacked(rows, offsets)
    checkRange(this.leaves, first, count)
    const leaf = exports.leavesOf(this.#open(), first)
    hashPacked(this.#core, exports.KEYED.value, rows, offsets, {
      place: from => leaf + from * DIGEST_BYTES,
      taken: (from, hashed) => exports.leavesChanged(this.#tree, first + from, hashed)
    })
  }

  level(level: number, first: number, count: number): Uint8Array {
    const tree = this.#open()
    checkLevel(this.depth, level, first, count)
    if (count === 0) return new Uint8Array(0)
    const at = this.#core.exports.treeLevel(tree, level, first)
    return this.#core.copy(at, count * DIGEST_BYTES)
  }

  root(): Uint8Array {
    return this.level(0, 0, 1)
  }

  free(): void {
    if (this.#tree !== 0) this.#core.exports.freeTree(this.#tree)
    this.#tree = 0
  }
}
