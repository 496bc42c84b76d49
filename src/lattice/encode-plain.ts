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
