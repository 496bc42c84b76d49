/**
 * How a row is named in the store: `slot (2 bytes, big-endian) | token (8 bytes) | key`. Ordered by
 * bytes, so that a slot, and within it every leaf of its tree (a range of tokens), lies together.
 * Pure. Does not derive slot and token from the key: see slot.ts and the digest.
 */
import { SLOTS } from './slot.ts'

export const KEY_BYTES_MAX = 1_024
export const TOKEN_BYTES = 8

/** Before the token. */
export const SLOT_BYTES = 2
const HEAD_BYTES = SLOT_BYTES + TOKEN_BYTES
const DEPTH_MAX = 16

export interface RowKey {
  readonly slot: number
  readonly token: Uint8Array
  readonly key: Uint8Array
}

/** `from` is inclusive, `to` exclusive; fits the `Range` of a store. */
export interface KeyRange {
  readonly from: Uint8Array
  readonly to: Uint8Array
}

/** Owned by the caller. Its arguments are the engine's own, checked before: a slot, 8 bytes, a key. */
export function rowKey(slot: number, token: Uint8Array, key: Uint8Array): Uint8Array {
  const out = new Uint8Array(HEAD_BYTES + key.length)
  writeSlot(out, slot)
  out.set(token, SLOT_BYTES)
  out.set(key, HEAD_BYTES)
  return out
}

/** `undefined` for what `rowKey` did not make. `token` and `key` are views of the bytes given. */
export function parseRowKey(bytes: Uint8Array): RowKey | undefined {
  if (!isRowKey(bytes)) return undefined
  return { slot: slotIn(bytes), token: tokenIn(bytes), key: keyIn(bytes) }
}

/** Whether `rowKey` may have made it: then the next three say of what. */
export function isRowKey(bytes: Uint8Array): boolean {
  const isLong = bytes.length > HEAD_BYTES && bytes.length <= HEAD_BYTES + KEY_BYTES_MAX
  return isLong && slotIn(bytes) < SLOTS
}

export function slotIn(bytes: Uint8Array): number {
  return ((bytes[0] as number) << 8) | (bytes[1] as number)
}

/** A view. */
export function tokenIn(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(SLOT_BYTES, HEAD_BYTES)
}

/** A view. */
export function keyIn(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(HEAD_BYTES)
}

/** Slot and token: they name a row as surely as its key does, and may have outlived it. A view. */
export function headIn(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, HEAD_BYTES)
}

/** Every row of a slot. */
export function slotRange(slot: number): KeyRange {
  return { from: slotPrefix(slot), to: slotPrefix(slot + 1) }
}

/** The rows of leaf `leaf` (0 to 2^depth - 1) of the slot's tree of `depth` 0 to 16. */
export function leafRange(slot: number, depth: number, leaf: number): KeyRange {
  if (depth < 0 || depth > DEPTH_MAX || leaf < 0 || leaf >= 2 ** depth) {
    throw new RangeError(`A tree of depth ${depth} has no leaf ${leaf}.`)
  }
  return { from: leafStart(slot, depth, leaf), to: leafStart(slot, depth, leaf + 1) }
}

/** The rows of one token: one, but for a collision. */
export function tokenRange(slot: number, token: Uint8Array): KeyRange {
  const to = rowKey(slot, token, new Uint8Array())
  // The next number of as many bytes: there is one, since slots do not use all of theirs.
  for (let i = HEAD_BYTES - 1; (to[i] = (to[i] as number) + 1) > 255; i--);
  return { from: rowKey(slot, token, new Uint8Array()), to }
}

/** The upper 32 bits of a token, unsigned: all of it that a tree looks at. */
export function tokenHigh(token: Uint8Array): number {
  const [a = 0, b = 0, c = 0, d = 0] = token
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
}

/** The leaf a token falls into: its `depth` upper bits. */
export function leafOf(token: Uint8Array, depth: number): number {
  return depth === 0 ? 0 : tokenHigh(token) >>> (32 - depth)
}

/** The first key that a leaf could hold; past the last leaf that is the next slot. */
function leafStart(slot: number, depth: number, leaf: number): Uint8Array {
  if (leaf === 2 ** depth) return slotPrefix(slot + 1)
  const out = new Uint8Array(SLOT_BYTES + 2)
  writeSlot(out, slot)
  const upper = leaf << (DEPTH_MAX - depth)
  out[2] = upper >>> 8
  out[3] = upper
  return out
}

function slotPrefix(slot: number): Uint8Array {
  const out = new Uint8Array(SLOT_BYTES)
  writeSlot(out, slot)
  return out
}

function writeSlot(out: Uint8Array, slot: number): void {
  out[0] = slot >>> 8
  out[1] = slot
}
