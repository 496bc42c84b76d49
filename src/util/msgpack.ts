/**
 * MessagePack in one fixed dialect: no records, 64-bit integers as bigint, binary as `Uint8Array`.
 * Reading foreign bytes never throws.
 */
import { Packr } from 'msgpackr'

const packr = new Packr({ useRecords: false, int64AsType: 'bigint' })

/** Owned by the caller. */
export function pack(value: unknown): Uint8Array {
  return new Uint8Array(packr.pack(value))
}

/** As `pack`, behind `head` bytes that are left free: one array where two would be joined. */
export function packAfter(head: number, value: unknown): Uint8Array {
  const packed = packr.pack(value)
  const out = new Uint8Array(head + packed.length)
  out.set(packed, head)
  return out
}

/** `undefined` for malformed bytes. Binary fields are views of `bytes`. */
export function unpack(bytes: Uint8Array): unknown {
  try {
    return packr.unpack(bytes)
  } catch {
    // Whatever the decoder makes of foreign bytes, to the caller they are malformed.
    return undefined
  }
}

export function isTuple(value: unknown, length: number): value is unknown[] {
  return Array.isArray(value) && value.length === length
}

export function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array
}

/** A whole number from 0 to `max`. */
export function isCount(value: unknown, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max
}

/** Every element read by `read`; `undefined` when it is no list, too long, or one is malformed. */
export function readList<T>(
  value: unknown,
  max: number,
  read: (element: unknown) => T | undefined
): T[] | undefined {
  if (!Array.isArray(value) || value.length > max) return undefined
  const list: T[] = []
  for (const element of value) {
    const item = read(element)
    if (item === undefined) return undefined
    list.push(item)
  }
  return list
}
