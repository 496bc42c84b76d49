/**
 * The bytes of what moves rows between owners: `apply` (writes, hints, read repair) and `read`.
 * Malformed bytes decode to `undefined`. Decoded fields are views of the bytes given.
 */
import { decodeRow, encodeRow } from '../lattice/encode.ts'
import type { ReplicaAnswer } from '../quorum/read.ts'
import { KEY_BYTES_MAX } from '../ring/row-key.ts'
import { isBytes, isCount, isTuple, pack, readList, unpack } from '../util/msgpack.ts'

export const ITEMS_MAX = 4_096
/** Of the digest of a row. */
export const DIGEST_BYTES = 32
const BYTES_MAX = 2 ** 32

/** A row or a delta under its key, still encoded: what cannot be decoded is the receiver's to keep. */
export interface ApplyItem {
  readonly key: Uint8Array
  readonly kind: 'row' | 'delta'
  readonly bytes: Uint8Array
}

export interface ApplyRequest {
  /** Acknowledge only what would survive the loss of power. */
  readonly flush: boolean
  readonly items: readonly ApplyItem[]
}

/** An item that was not applied, and why. The others were. */
export interface Refusal {
  readonly index: number
  readonly code: string
  readonly message: string
}

export function encodeApply({ flush, items }: ApplyRequest): Uint8Array {
  return pack([flush, items.map(({ key, kind, bytes }) => [key, kind === 'delta', bytes])])
}

export function decodeApply(bytes: Uint8Array): ApplyRequest | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 2) || typeof fields[0] !== 'boolean') return undefined
  const items = readList(fields[1], ITEMS_MAX, readItem)
  return items && { flush: fields[0], items }
}

export function encodeRefusals(refusals: readonly Refusal[]): Uint8Array {
  return pack(refusals.map(({ index, code, message }) => [index, code, message]))
}

export function decodeRefusals(bytes: Uint8Array): Refusal[] | undefined {
  return readList(unpack(bytes), ITEMS_MAX, readRefusal)
}

export interface ReadRequest {
  readonly key: Uint8Array
  /** A row of more bytes is answered with its digest; `undefined` asks for it whatever its size. */
  readonly digestAboveBytes: number | undefined
}

export function encodeReadRequest({ key, digestAboveBytes }: ReadRequest): Uint8Array {
  return pack([key, digestAboveBytes ?? null])
}

export function decodeReadRequest(bytes: Uint8Array): ReadRequest | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 2)) return undefined
  const [key, above] = fields
  if (!isBytes(key) || key.length === 0 || key.length > KEY_BYTES_MAX) return undefined
  if (above === null) return { key, digestAboveBytes: undefined }
  return isCount(above, BYTES_MAX) ? { key, digestAboveBytes: above } : undefined
}

/** A row as its bytes, a digest as the only one in a list, anything else by its name. */
export function encodeReadAnswer(answer: ReplicaAnswer): Uint8Array {
  if (answer.answer === 'row') return pack(answer.bytes ?? encodeRow(answer.row))
  if (answer.answer === 'digest') return pack([answer.digest])
  return pack(answer.answer === 'unknown' && answer.isLost ? 'lost' : answer.answer)
}

export function decodeReadAnswer(bytes: Uint8Array): ReplicaAnswer | undefined {
  const field = unpack(bytes)
  if (field === 'absent' || field === 'unknown') return { answer: field }
  if (field === 'lost') return { answer: 'unknown', isLost: true }
  if (isTuple(field, 1)) {
    const [digest] = field
    const isDigest = isBytes(digest) && digest.length === DIGEST_BYTES
    return isDigest ? { answer: 'digest', digest } : undefined
  }
  const row = isBytes(field) ? decodeRow(field) : undefined
  return row && { answer: 'row', row }
}

function readItem(fields: unknown): ApplyItem | undefined {
  if (!isTuple(fields, 3)) return undefined
  const [key, delta, bytes] = fields
  if (!isBytes(key) || key.length === 0 || key.length > KEY_BYTES_MAX) return undefined
  if (typeof delta !== 'boolean' || !isBytes(bytes)) return undefined
  return { key, kind: delta ? 'delta' : 'row', bytes }
}

function readRefusal(fields: unknown): Refusal | undefined {
  if (!isTuple(fields, 3)) return undefined
  const [index, code, message] = fields
  if (!isCount(index, ITEMS_MAX)) return undefined
  if (typeof code !== 'string' || typeof message !== 'string') return undefined
  return { index, code, message }
}
