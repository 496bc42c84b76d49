/**
 * A tree as it is saved: what its leaves hold, from which all of it can be made again.
 *
 *   header               h                    version (1 byte) | check
 *   mark of a slot       m | slot (2 bytes)   nothing: the slot was changed since it was saved
 *   checkpoint of a slot t | slot (2 bytes)   version | depth (1 byte each) | counts | sums | check
 *
 * Numbers are little endian but in keys. A check is the beginning of the keyed digest of all before
 * it, the key of the entry among it: what is damaged, in another place or of another cluster is
 * noticed. Pure.
 */
import type { Hasher, Leaves } from '../digest/forest.ts'
import { DIGEST_BYTES, DEPTH_MAX, SLOTS } from '../digest/limits.ts'
import { concat, equal, utf8 } from '../util/bytes.ts'

export interface Checkpoint {
  readonly depth: number
  readonly leaves: Leaves
}

/** Goes up when a checkpoint changes its meaning: older ones are then made anew from the rows. */
const VERSION = 1

const HEAD_BYTES = 2
const CHECK_BYTES = 16
const COUNT_BYTES = 4
const LEAF_BYTES = COUNT_BYTES + DIGEST_BYTES

/** No other digest is of bytes that begin like this and are of this length or more. */
const DOMAIN = utf8('hearsay forest checkpoint')

export const HEADER_KEY = utf8('h')
export const MARK = new Uint8Array(0)

type Kind = 'm' | 't'

export const markKey = (slot: number) => keyOf('m', slot)
export const checkpointKey = (slot: number) => keyOf('t', slot)

/** Every mark; likewise `checkpointRange`. */
export const markRange = { from: utf8('m'), to: utf8('n') }
export const checkpointRange = { from: utf8('t'), to: utf8('u') }

function keyOf(kind: Kind, slot: number): Uint8Array {
  return Uint8Array.of(kind.charCodeAt(0), slot >>> 8, slot)
}

/** The slot of the key of a mark or checkpoint; `undefined` for any other key. */
export function slotOfKey(key: Uint8Array): number | undefined {
  const slot = ((key[1] ?? 0) << 8) | (key[2] ?? 0)
  return key.length === 3 && slot < SLOTS ? slot : undefined
}

export function encodeHeader(hasher: Hasher): Uint8Array {
  return sealed(hasher, HEADER_KEY, Uint8Array.of(VERSION))
}

/** Whether the other entries are of this version and under this key. */
export function isHeader(hasher: Hasher, value: Uint8Array | undefined): boolean {
  return value !== undefined && equal(value, encodeHeader(hasher))
}

export function encodeCheckpoint(hasher: Hasher, slot: number, checkpoint: Checkpoint): Uint8Array {
  const { depth, leaves } = checkpoint
  const countBytes = COUNT_BYTES * leaves.counts.length
  const body = new Uint8Array(HEAD_BYTES + countBytes + leaves.sums.length)
  body[0] = VERSION
  body[1] = depth
  const view = new DataView(body.buffer)
  leaves.counts.forEach((count, i) => view.setUint32(HEAD_BYTES + COUNT_BYTES * i, count, true))
  body.set(leaves.sums, HEAD_BYTES + countBytes)
  return sealed(hasher, checkpointKey(slot), body)
}

/** `undefined` for whatever is not what `encodeCheckpoint` made for this slot under this key. */
export function decodeCheckpoint(
  hasher: Hasher,
  slot: number,
  value: Uint8Array
): Checkpoint | undefined {
  const body = unsealed(hasher, checkpointKey(slot), value)
  const [version, depth = 0] = body ?? []
  const leaves = 2 ** depth
  if (body === undefined || version !== VERSION || depth > DEPTH_MAX) return undefined
  if (body.length !== HEAD_BYTES + LEAF_BYTES * leaves) return undefined
  const view = new DataView(body.buffer, body.byteOffset, body.length)
  const counts = Uint32Array.from({ length: leaves }, (_, i) =>
    view.getUint32(HEAD_BYTES + COUNT_BYTES * i, true)
  )
  return { depth, leaves: { counts, sums: body.subarray(HEAD_BYTES + COUNT_BYTES * leaves) } }
}

function sealed(hasher: Hasher, key: Uint8Array, body: Uint8Array): Uint8Array {
  return concat([body, checkOf(hasher, key, body)])
}

function unsealed(hasher: Hasher, key: Uint8Array, value: Uint8Array): Uint8Array | undefined {
  if (value.length <= CHECK_BYTES) return undefined
  const body = value.subarray(0, value.length - CHECK_BYTES)
  const check = value.subarray(value.length - CHECK_BYTES)
  return equal(check, checkOf(hasher, key, body)) ? body : undefined
}

function checkOf(hasher: Hasher, key: Uint8Array, body: Uint8Array): Uint8Array {
  return hasher.digest(concat([DOMAIN, key, body])).subarray(0, CHECK_BYTES)
}
