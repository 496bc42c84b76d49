/**
 * The bytes with which one node shows another its Merkle tree of a slot, or the roots of all its
 * slots. Hashes are cut to `SHOWN_BYTES`: for people and for finding where two trees differ, not for
 * proving that they do not. Malformed bytes decode to `undefined`; decoded hashes are views.
 */
import { SLOTS } from '../ring/slot.ts'
import { isBytes, isCount, isTuple, pack, unpack } from '../util/msgpack.ts'

/** Of a hash, this much is shown. */
export const SHOWN_BYTES = 8
/** A tree that is deeper is folded to this many levels. */
export const SHOWN_DEPTH_MAX = 10
const ROWS_MAX = 2 ** 32

export interface TreeRequest {
  /** `undefined` asks for the roots of every slot. */
  readonly slot: number | undefined
  /** The answer is folded to this depth if it is deeper. */
  readonly depth: number
}

/** One slot's tree: every node, level by level from the root, `2^(depth + 1) - 1` hashes. */
export interface ShownTree {
  readonly rows: number
  readonly depth: number
  readonly hashes: Uint8Array
}

/** The root of every slot, at the depth of its own tree, and how many rows it has. */
export interface ShownRoots {
  readonly rows: Uint32Array
  readonly hashes: Uint8Array
}

export function encodeTreeRequest({ slot, depth }: TreeRequest): Uint8Array {
  return pack([slot ?? null, depth])
}

export function decodeTreeRequest(bytes: Uint8Array): TreeRequest | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 2)) return undefined
  const [slot, depth] = fields
  if (slot !== null && !isCount(slot, SLOTS - 1)) return undefined
  if (!isCount(depth, SHOWN_DEPTH_MAX)) return undefined
  return { slot: slot ?? undefined, depth }
}

export function encodeShownTree({ rows, depth, hashes }: ShownTree): Uint8Array {
  return pack([rows, depth, hashes])
}

export function decodeShownTree(bytes: Uint8Array): ShownTree | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 3)) return undefined
  const [rows, depth, hashes] = fields
  if (!isCount(rows, ROWS_MAX) || !isCount(depth, SHOWN_DEPTH_MAX)) return undefined
  if (!isBytes(hashes) || hashes.length !== (2 ** (depth + 1) - 1) * SHOWN_BYTES) return undefined
  return { rows, depth, hashes }
}

export function encodeShownRoots({ rows, hashes }: ShownRoots): Uint8Array {
  return pack([[...rows], hashes])
}

export function decodeShownRoots(bytes: Uint8Array): ShownRoots | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 2)) return undefined
  const [rows, hashes] = fields
  if (!isTuple(rows, SLOTS) || !rows.every(each => isCount(each, ROWS_MAX))) return undefined
  if (!isBytes(hashes) || hashes.length !== SLOTS * SHOWN_BYTES) return undefined
  return { rows: Uint32Array.from(rows), hashes }
}
