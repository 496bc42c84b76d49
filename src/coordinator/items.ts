/** Members, fields, numbers and times as callers give them. Bad input throws and nothing happens. */
import { HearsayError, NumberError } from '../errors.ts'
import { isInRange } from '../lattice/kinds.ts'
import { OPERATION_ITEMS_MAX, type Pair } from '../lattice/operation.ts'
import type { Bytes, ExpiryOptions, Fields } from '../options.ts'
import { printKey, ROW_BYTES_MAX, rowSizeError } from '../replica/refusals.ts'
import { shown } from '../util/shown.ts'
import { bytesOf } from './request.ts'

/** The last instant that JavaScript's dates know. */
const INSTANT_MS_MAX = 8_640_000_000_000_000

/** Copies. One may be given without a list. */
export function checkItems(
  key: Uint8Array,
  what: string,
  given: Bytes | readonly Bytes[]
): Uint8Array[] {
  const isOne = typeof given === 'string' || given instanceof Uint8Array
  if (!isOne && !Array.isArray(given)) {
    throw argument(`${what}s have to be a list of strings or Uint8Arrays, or one of them.`)
  }
  // Unlike map, this does not pass over the holes of a list.
  const items = Array.from(isOne ? [given] : (given as Bytes[]), item => bytesOf(what, item))
  checkCount(what, items.length)
  checkSize(key, items)
  return items
}

/** A copy of the only one that is asked for. */
export function checkItem(key: Uint8Array, what: string, given: Bytes): Uint8Array {
  const item = bytesOf(what, given)
  checkSize(key, [item])
  return item
}

/** Copies, from an object or from pairs. */
export function checkFields(key: Uint8Array, given: Fields): Pair[] {
  if (typeof given !== 'object' || given === null || given instanceof Uint8Array) {
    throw argument('Fields have to be an object, a Map or a list of pairs.')
  }
  const pairs = [...(Symbol.iterator in given ? given : Object.entries(given))].map(pairOf)
  checkCount('field', pairs.length)
  checkSize(key, pairs.flat())
  return pairs
}

export function checkBy(key: Uint8Array, by: number | bigint): bigint {
  if (typeof by === 'bigint' ? isInRange(by) : Number.isSafeInteger(by)) return BigInt(by)
  const shown = typeof by === 'number' || typeof by === 'bigint' ? String(by) : typeof by
  throw new NumberError(
    'amount',
    `The counter ${printKey(key)} is changed by a whole number (above 2^53 as a bigint, at most 64 ` +
      `bits), not ${shown}.`
  )
}

/**
 * The instant of an expiry. One that is over is taken as it is: what is written then was never to be
 * seen, and replaces what was there.
 */
export function checkExpiry(
  { ttlMs, expiresAt }: ExpiryOptions,
  nowMs: number
): { readonly expiresAt?: number } {
  if (ttlMs !== undefined && expiresAt !== undefined) {
    throw argument('Give ttlMs or expiresAt, not both.')
  }
  if (ttlMs !== undefined) return { expiresAt: instantAfter(ttlMs, nowMs) }
  if (expiresAt === undefined) return {}
  if (isInstant(expiresAt)) return { expiresAt }
  throw argument(
    `expiresAt is a whole number of milliseconds since 1970, at most ${INSTANT_MS_MAX}, not ${shown(expiresAt)}.`
  )
}

export function instantAfter(ttlMs: number, nowMs: number): number {
  const instant = typeof ttlMs === 'number' && ttlMs > 0 ? nowMs + Math.ceil(ttlMs) : NaN
  if (isInstant(instant)) return instant
  throw argument(
    `ttlMs is a number of milliseconds above 0 that ends before ${INSTANT_MS_MAX}, not ${shown(ttlMs)}.`
  )
}

function isInstant(ms: number): boolean {
  return Number.isSafeInteger(ms) && ms >= 0 && ms <= INSTANT_MS_MAX
}

function pairOf(pair: unknown): Pair {
  if (!Array.isArray(pair) || pair.length !== 2) throw argument('A field is given with its value.')
  const [field, value] = pair as [Bytes, Bytes]
  return [bytesOf('field', field), bytesOf('value', value)]
}

function checkCount(what: string, count: number): void {
  if (count === 0) throw argument(`Name at least one ${what}.`)
  if (count <= OPERATION_ITEMS_MAX) return
  throw argument(`One call takes at most ${OPERATION_ITEMS_MAX} ${what}s, not ${count}.`)
}

function checkSize(key: Uint8Array, items: readonly Uint8Array[]): void {
  const bytes = items.reduce((sum, { length }) => sum + length, 0)
  if (bytes > ROW_BYTES_MAX) throw rowSizeError(bytes, key)
}

function argument(message: string): HearsayError {
  return new HearsayError('ERR_ARGUMENT', message)
}
