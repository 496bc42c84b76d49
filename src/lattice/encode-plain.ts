/**
 * The rows of which most are one: a register or a tombstone, written by actors whose every earlier
 * dot it has seen, and that does not expire. Whether bytes are exactly what `encodeRow` makes of such a
 * row is told without decoding them, in a fraction of the time: where nothing else is held of its key,
 * they can be stored as they are.
 *
 *   94 01 | vector: actor, time, … ascending | 90 | 91 [95 | actor | time | c0 | value | c0]  or  90
 *
 * Not promised: that every such row is told. What is not goes the long way, and gives the same.
 */
import { equal } from '../util/bytes.ts'
import type { Time } from './hlc.ts'

export interface PlainRow {
  /** The newest time it has seen. */
  readonly newest: Time
  readonly isTombstone: boolean
}

/** An array of four, and the format in its one byte. */
const HEAD = [0x94, 0x01] as const
const NONE = 0x90
const ONE = 0x91
const FIVE = 0x95
const NULL = 0xc0
const INT64 = 0xd3
const UINT64 = 0xcf
const BIN8 = 0xc4
const BIN16 = 0xc5
const BIN32 = 0xc6
const WIDE_BYTES = 9
/** A longer vector has a head of another form. */
const VECTOR_MAX = 15
const ENTRY_HEAD_BYTES = 2 + 2 * WIDE_BYTES + 1

/** `undefined` for whatever is not surely the canonical encoding of a plain row. */
export function readPlainRow(bytes: Uint8Array): PlainRow | undefined {
  const length = (bytes[2] ?? 0) - NONE
  const end = 3 + length * WIDE_BYTES
  if (bytes[0] !== HEAD[0] || bytes[1] !== HEAD[1]) return undefined
  if (length < 2 || length > VECTOR_MAX || length % 2 !== 0 || bytes[end] !== NONE) return undefined
  const isTombstone = bytes.length === end + 2 && bytes[end + 1] === NONE
  if (!isTombstone && !isOneEntry(bytes, end + 1)) return undefined
  const newest = newestOf(bytes, length / 2)
  return newest === undefined ? undefined : { newest, isTombstone }
}

/**
 * Whether the join of two plain rows is the second, byte for byte, and another than the first: it has
 * seen all that the first one shows, and what it shows the first has not seen.
 */
export function isJustLater(before: Uint8Array, after: Uint8Array): boolean {
  const [old, young] = [partsOf(before), partsOf(after)]
  const isSeen = old.vector.every(dot => timeIn(young.vector, dot.actor) >= dot.time)
  if (!isSeen || equal(before, after)) return false
  const [gone, shown] = [old.entry, young.entry]
  const isGone = gone === undefined || timeIn(young.vector, gone.actor) >= gone.time
  const isNew = shown === undefined || timeIn(old.vector, shown.actor) < shown.time
  const isOther = gone?.time !== shown?.time || gone?.actor !== shown?.actor
  return isGone && isNew && (isOther || gone === undefined)
}

interface BareDot {
  readonly actor: bigint
  readonly time: bigint
}

/** Of a plain row. */
function partsOf(bytes: Uint8Array): { vector: BareDot[]; entry: BareDot | undefined } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const dotAt = (at: number) => ({
    actor: view.getBigUint64(at + 1),
    time: view.getBigUint64(at + WIDE_BYTES + 1)
  })
  const dots = ((bytes[2] as number) - NONE) / 2
  const vector = Array.from({ length: dots }, (_, i) => dotAt(3 + 2 * i * WIDE_BYTES))
  const entryAt = 3 + 2 * dots * WIDE_BYTES + 3
  return { vector, entry: bytes[entryAt - 2] === ONE ? dotAt(entryAt) : undefined }
}

/** 0 for an actor that it has seen nothing of. */
function timeIn(vector: readonly BareDot[], actor: bigint): bigint {
  return vector.find(dot => dot.actor === actor)?.time ?? 0n
}

/** The highest time of a vector in normal form: actors ascending, no time of 0. */
function newestOf(bytes: Uint8Array, dots: number): Time | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let [newest, last] = [0n, -1n]
  for (let i = 0, at = 3; i < dots; i++, at += 2 * WIDE_BYTES) {
    if (!isWide(bytes, at) || !isWide(bytes, at + WIDE_BYTES)) return undefined
    const actor = view.getBigUint64(at + 1)
    const time = view.getBigUint64(at + WIDE_BYTES + 1)
    if (actor <= last || time === 0n) return undefined
    last = actor
    if (time > newest) newest = time
  }
  return newest as Time
}

/** A list of one entry that has a value, no field and no end, and nothing behind it. */
function isOneEntry(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] !== ONE || bytes[at + 1] !== FIVE) return false
  if (!isWide(bytes, at + 2) || !isWide(bytes, at + 2 + WIDE_BYTES)) return false
  const value = at + ENTRY_HEAD_BYTES
  if (bytes[value - 1] !== NULL || bytes[bytes.length - 1] !== NULL) return false
  return endOfBinary(bytes, value) === bytes.length - 1
}

/** 64 bits behind the byte that fits their highest. */
function isWide(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === ((bytes[at + 1] as number) < 0x80 ? INT64 : UINT64)
}

/** Where a binary ends that begins here in its shortest form; `undefined` for anything else. */
function endOfBinary(bytes: Uint8Array, at: number): number | undefined {
  const byte = (i: number) => bytes[at + i] ?? 0
  if (byte(0) === BIN8) return at + 2 + byte(1)
  const [high, low] = [byte(1) * 2 ** 8 + byte(2), byte(3) * 2 ** 8 + byte(4)]
  if (byte(0) === BIN16) return high < 2 ** 8 ? undefined : at + 3 + high
  if (byte(0) === BIN32) return high === 0 ? undefined : at + 5 + high * 2 ** 16 + low
  return undefined
}
