/**
 * The canonical bytes of rows, deltas and contexts: equal values give equal bytes on every node, on
 * disk, on the wire and under the hash. Arrays of msgpack, everything in the order that the normal
 * forms fix, 64-bit integers always as 64 bits. The first element is the format version; the totals
 * come last and only where there are any.
 *
 * Decoding takes any bytes: what is not of this shape comes back as `undefined`, never as a throw.
 * Decoded fields and values are views of the bytes given; the caller must not change those.
 */
import { coversAll, type Context } from './context.ts'
import { isActor, type Actor, type Dot } from './dot.ts'
import { isTime, type Time } from './hlc.ts'
import type { Delta, Entry, Row } from './row.ts'
import { readTotals, totalFields } from './encode-totals.ts'
import { isTuple, pack, packAfter, readList, unpack } from '../util/msgpack.ts'

export const ROW_FORMAT = 1

/** More than any honest row can hold in its bytes. */
const ENTRIES_MAX = 1 << 20

/** Owned by the caller. */
export function encodeRow(row: Row): Uint8Array {
  return encodeRowAfter(0, row)
}

/** As `encodeRow`, behind `head` bytes that are left free. */
export function encodeRowAfter(head: number, { context, entries, totals }: Row): Uint8Array {
  const fields = [...contextFields(context), entryFields(entries), ...totalsAtEnd(totals)]
  return packAfter(head, [ROW_FORMAT, ...fields])
}

export function decodeRow(bytes: Uint8Array): Row | undefined {
  const fields = unpack(bytes)
  if (!isOneLonger(fields, 4) || fields[0] !== ROW_FORMAT) return undefined
  const context = readContext(fields[1], fields[2])
  const entries = readEntries(fields[3])
  const totals = readTotals(fields[4])
  return context && entries && totals && { context, entries, totals }
}

/**
 * The newest time that an encoded row has seen, in a twentieth of the time that decoding it takes;
 * `undefined` for one that has seen nothing and for what `encodeRow` did not make.
 */
export function newestTimeIn(bytes: Uint8Array): Time | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let newest: bigint | undefined
  // Behind the array and the format come the dots of the vector and then the loose ones.
  for (let part = 0, at = 2; part < 2; part++) {
    const array = readArrayAt(view, at)
    if (array === undefined || array.at + array.length * WIDE_BYTES > bytes.length) return undefined
    for (let i = 1; i < array.length; i += 2) {
      const time = view.getBigUint64(array.at + i * WIDE_BYTES + 1)
      if (newest === undefined || time > newest) newest = time
    }
    at = array.at + array.length * WIDE_BYTES
  }
  return newest as Time | undefined
}

/** Of a 64-bit integer and the byte that says that it is one. */
const WIDE_BYTES = 9

/** How many elements an array has, and where the first one is. */
function readArrayAt(view: DataView, at: number): { length: number; at: number } | undefined {
  if (at + 5 > view.byteLength) {
    return at < view.byteLength && view.getUint8(at) === 0x90
      ? { length: 0, at: at + 1 }
      : undefined
  }
  const head = view.getUint8(at)
  if (head >> 4 === 9) return { length: head & 15, at: at + 1 }
  if (head === 0xdc) return { length: view.getUint16(at + 1), at: at + 3 }
  return head === 0xdd ? { length: view.getUint32(at + 1), at: at + 5 } : undefined
}

/** Owned by the caller. */
export function encodeDelta({ dot, base, replaced, entries, totals }: Delta): Uint8Array {
  return pack([
    ROW_FORMAT,
    ...contextFields(base),
    flatDots([dot]),
    ...(isSame(base, replaced) ? [null, null] : contextFields(replaced)),
    entryFields(entries),
    ...totalsAtEnd(totals)
  ])
}

export function decodeDelta(bytes: Uint8Array): Delta | undefined {
  const fields = unpack(bytes)
  if (!isOneLonger(fields, 7) || fields[0] !== ROW_FORMAT) return undefined
  const base = readContext(fields[1], fields[2])
  const dot = readDots(fields[3])?.[0]
  const isAll = fields[4] === null && fields[5] === null
  const replaced = isAll ? base : readContext(fields[4], fields[5])
  const entries = readEntries(fields[6])
  const totals = readTotals(fields[7])
  return base && dot && replaced && entries && totals && { dot, base, replaced, entries, totals }
}

/** Then the delta says so in two bytes instead of saying it twice. */
function isSame(base: Context, replaced: Context): boolean {
  return base === replaced || (coversAll(base, replaced) && coversAll(replaced, base))
}

function totalsAtEnd(totals: Row['totals']): unknown[][] {
  return totals.length === 0 ? [] : [totalFields(totals)]
}

/** Of the given length, or with one more element that may stand at the end. */
function isOneLonger(fields: unknown, length: number): fields is unknown[] {
  return isTuple(fields, length) || (isTuple(fields, length + 1) && fields[length] !== undefined)
}

/** What stands for a context inside a message: its vector, then its loose dots. */
export function contextFields(context: Context): [bigint[], bigint[]] {
  const vector = [...context.vector].sort(([a], [b]) => (a < b ? -1 : 1))
  return [vector.flat(), flatDots(context.loose)]
}

export function readContext(vector: unknown, loose: unknown): Context | undefined {
  const pairs = readDots(vector)
  const dots = readDots(loose)
  if (pairs === undefined || dots === undefined) return undefined
  return { vector: new Map(pairs.map(pair => [pair.actor, pair.time])), loose: dots }
}

function flatDots(dots: readonly Dot[]): bigint[] {
  return dots.flatMap(dot => [dot.actor, dot.time])
}

function readDots(flat: unknown): Dot[] | undefined {
  if (!Array.isArray(flat) || flat.length % 2 !== 0) return undefined
  const dots: Dot[] = []
  for (let i = 0; i < flat.length; i += 2) {
    const [actor, time] = [flat[i] as unknown, flat[i + 1] as unknown]
    if (!isActor(actor) || !isTime(time)) return undefined
    dots.push({ actor: actor as Actor, time: time as Time })
  }
  return dots
}

function entryFields(entries: readonly Entry[]): unknown[] {
  return entries.map(({ dot, field, value, expiresAt }) => [
    dot.actor,
    dot.time,
    field ?? null,
    value ?? null,
    expiresAt ?? null
  ])
}

function readEntries(list: unknown): Entry[] | undefined {
  return readList(list, ENTRIES_MAX, readEntry)
}

function readEntry(fields: unknown): Entry | undefined {
  if (!isTuple(fields, 5)) return undefined
  const [actor, time, field, value, expiresAt] = fields
  if (!isActor(actor) || !isTime(time)) return undefined
  if (!isBytesOrNull(field) || !isBytesOrNull(value)) return undefined
  if (expiresAt !== null && !Number.isSafeInteger(expiresAt)) return undefined
  return {
    dot: { actor, time },
    ...(field !== null && { field }),
    ...(value !== null && { value }),
    ...(expiresAt !== null && { expiresAt: expiresAt as number })
  }
}

function isBytesOrNull(value: unknown): value is Uint8Array | null {
  return value === null || value instanceof Uint8Array
}
