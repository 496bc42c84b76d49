/**
 * The Merkle forest of one node: one tree for each slot, and trees over groups of slots. Rows enter
 * as digests; which rows there are is for the store to know.
 *
 * Two forests with the same key that hold the same digests under the same tokens at the same depth
 * have the same hashes, in whatever order the digests came and went. Hashes are brought up to date
 * when they are asked for.
 */
import { WasmHasher, type Hasher } from './hash.ts'
import {
  checkDepth,
  checkGroup,
  checkLeafValues,
  checkLevel,
  checkPair,
  checkRow,
  checkSlot,
  DEPTH_MAX,
  DIGEST_BYTES,
  freedGroup,
  missingRow
} from './limits.ts'
import { Core, type CoreInit } from './wasm.ts'

export { depthFor, SLOTS } from './limits.ts'
export type { Hasher } from './hash.ts'

/** What a run of leaves holds: all of a tree that cannot be computed from the rest of it. */
export interface Leaves {
  /** Rows of each leaf. */
  readonly counts: Uint32Array
  /** 32 bytes for each leaf: the sum of the digests of its rows modulo 2^256, little endian. */
  readonly sums: Uint8Array
}

/**
 * A slot is 0 to 16,383; `tokenHigh` the upper 32 bits of a row's token, unsigned; a digest 32
 * bytes. Arguments out of range are refused with `ERR_ARGUMENT`, more rows than memory allows with
 * `ERR_OVERLOADED`; neither changes anything. Bytes passed in are copied, bytes handed out belong
 * to the caller.
 */
export interface Forest extends Hasher {
  add(slot: number, tokenHigh: number, digest: Uint8Array): void
  /** The row must have been added; only a leaf without any rows is noticed and refused. */
  remove(slot: number, tokenHigh: number, digest: Uint8Array): void
  rows(slot: number): number
  /** The slot's tree has 2^depth leaves; 0 at first. */
  depth(slot: number): number
  /** Empties the slot and gives its tree 2^depth leaves. The caller adds its rows again. */
  reset(slot: number, depth: number): void
  /** What `count` leaves from leaf `first` on hold. */
  leaves(slot: number, first: number, count: number): Leaves
  /**
   * Gives the slot's tree 2^depth leaves that hold this, in place of all it held. They are
   * believed: what `leaves` said, or as good.
   */
  restore(slot: number, depth: number, leaves: Leaves): void
  /**
   * `count` hashes, 32 bytes each, from node `first` of `level` (0: the root, `depth`: the leaves)
   * of the slot's tree as if it had `depth`, at most its own.
   */
  level(slot: number, depth: number, level: number, first: number, count: number): Uint8Array
  root(slot: number): Uint8Array
  /** A tree over the roots of these slots in this order. */
  group(slots: Uint16Array): SlotGroup
  /** Where two runs of equally many 32-byte hashes differ: positions, ascending. */
  difference(a: Uint8Array, b: Uint8Array): Uint32Array
}

/** Using it after `free` is refused with `ERR_CLOSED`; freeing it again does nothing. */
export interface SlotGroup {
  /** Not to be changed. */
  readonly slots: Uint16Array
  /** The logarithm of the number of slots, rounded up: they are filled up with zero hashes. */
  readonly depth: number
  level(level: number, first: number, count: number): Uint8Array
  root(): Uint8Array
  /**
   * Brings the roots of at most so many slots that have changed up to date; false while there are more.
   * Nothing has to be: the other calls do what is left.
   */
  refresh(slotsMax: number): boolean
  /** Gives its memory back. */
  free(): void
}

/** A forest in WebAssembly, hashing under `key` (32 bytes). */
export function createForest(key: Uint8Array, init: CoreInit = {}): Forest {
  return new WasmForest(new Core(key, init))
}

/** Hashes that are compared in one call. */
const COMPARED = 512

class WasmForest extends WasmHasher implements Forest {
  readonly #core: Core

  constructor(core: Core) {
    super(core)
    this.#core = core
  }

  add(slot: number, tokenHigh: number, digest: Uint8Array): void {
    const { exports, stage } = this.#stageRow(slot, tokenHigh, digest)
    if (exports.addRows(slot, stage, stage + 16, 1) === 0) throw this.#core.outOfMemory()
  }

  remove(slot: number, tokenHigh: number, digest: Uint8Array): void {
    const { exports, stage } = this.#stageRow(slot, tokenHigh, digest)
    if (exports.removeRows(slot, stage, stage + 16, 1) === 0) throw missingRow(slot)
  }

  #stageRow(slot: number, tokenHigh: number, digest: Uint8Array): Core {
    checkRow(slot, tokenHigh, digest)
    this.#core.data().setUint32(this.#core.stage, tokenHigh, true)
    this.#core.bytes().set(digest, this.#core.stage + 16)
    return this.#core
  }

  rows(slot: number): number {
    checkSlot(slot)
    return this.#core.exports.rowsOf(slot) >>> 0
  }

  depth(slot: number): number {
    checkSlot(slot)
    return this.#core.exports.depthOf(slot)
  }

  reset(slot: number, depth: number): void {
    checkSlot(slot)
    checkDepth(depth, DEPTH_MAX)
    if (this.#core.exports.reset(slot, depth) === 0) throw this.#core.outOfMemory()
  }

  leaves(slot: number, first: number, count: number): Leaves {
    const depth = this.depth(slot)
    checkLevel(depth, depth, first, count)
    const { exports } = this.#core
    const countsAt = exports.countsOf(slot) + 4 * first
    const sums = this.#core.copy(exports.sumsOf(slot) + DIGEST_BYTES * first, DIGEST_BYTES * count)
    const data = this.#core.data()
    const counts = Uint32Array.from({ length: count }, (_, i) =>
      data.getUint32(countsAt + 4 * i, true)
    )
    return { counts, sums }
  }

  restore(slot: number, depth: number, leaves: Leaves): void {
    checkSlot(slot)
    checkDepth(depth, DEPTH_MAX)
    checkLeafValues(depth, leaves.counts, leaves.sums)
    const { exports } = this.#core
    if (exports.restore(slot, depth) === 0) throw this.#core.outOfMemory()
    this.#core.storeWords(leaves.counts, exports.countsOf(slot))
    this.#core.bytes().set(leaves.sums, exports.sumsOf(slot))
    exports.restored(slot)
  }

  level(slot: number, depth: number, level: number, first: number, count: number): Uint8Array {
    checkDepth(depth, this.depth(slot))
    checkLevel(depth, level, first, count)
    if (count === 0) return new Uint8Array(0)
    const at = this.#core.exports.levelOf(slot, depth, level, first)
    if (at === 0) throw this.#core.outOfMemory()
    return this.#core.copy(at, count * DIGEST_BYTES)
  }

  root(slot: number): Uint8Array {
    return this.level(slot, this.depth(slot), 0, 0, 1)
  }

  group(slots: Uint16Array): SlotGroup {
    checkGroup(slots)
    return new WasmGroup(this.#core, slots.slice())
  }

  difference(a: Uint8Array, b: Uint8Array): Uint32Array {
    checkPair(a, b)
    const found: number[] = []
    const count = a.length / DIGEST_BYTES
    for (let first = 0; first < count; first += COMPARED) this.#compare(a, b, first, found)
    return Uint32Array.from(found)
  }

  #compare(a: Uint8Array, b: Uint8Array, first: number, found: number[]): void {
    const { exports, stage } = this.#core
    const from = first * DIGEST_BYTES
    const part = a.subarray(from, from + COMPARED * DIGEST_BYTES)
    const other = stage + COMPARED * DIGEST_BYTES
    const out = other + COMPARED * DIGEST_BYTES
    this.#core.bytes().set(part, stage)
    this.#core.bytes().set(b.subarray(from, from + part.length), other)
    const differing = exports.difference(stage, other, part.length / DIGEST_BYTES, out)
    const data = this.#core.data()
    for (let i = 0; i < differing; i++) found.push(first + data.getUint32(out + 4 * i, true))
  }
}

class WasmGroup implements SlotGroup {
  readonly slots: Uint16Array
  readonly depth: number
  readonly #core: Core
  #group: number

  constructor(core: Core, slots: Uint16Array) {
    this.#core = core
    this.slots = slots
    this.#group = open(core, slots)
    this.depth = core.exports.groupDepth(this.#group)
  }

  level(level: number, first: number, count: number): Uint8Array {
    if (this.#group === 0) throw freedGroup()
    checkLevel(this.depth, level, first, count)
    if (count === 0) return new Uint8Array(0)
    const at = this.#core.exports.groupLevel(this.#group, level, first)
    return this.#core.copy(at, count * DIGEST_BYTES)
  }

  root(): Uint8Array {
    return this.level(0, 0, 1)
  }

  refresh(slotsMax: number): boolean {
    if (this.#group === 0) throw freedGroup()
    return this.#core.exports.groupRefresh(this.#group, slotsMax) !== 0
  }

  free(): void {
    if (this.#group !== 0) this.#core.exports.freeGroup(this.#group)
    this.#group = 0
  }
}

/** The whole list fits into the stage: 16,384 numbers of 16 bits are an eighth of it. */
function open(core: Core, slots: Uint16Array): number {
  const data = core.data()
  slots.forEach((slot, i) => data.setUint16(core.stage + 2 * i, slot, true))
  const group = core.exports.openGroup(core.stage, slots.length)
  if (group === 0) throw core.outOfMemory()
  return group
}
