/**
 * What a row holds and does not show, because a concurrent write has the higher version: other values
 * of a register or of a field of a map, and everything of another kind. A loser that holds the same
 * value as its winner has lost nothing and is none. Expiry does not count here: what is or is not a
 * loser does not change by itself.
 */
import { equal, nameOf, utf8 } from '../util/bytes.ts'
import type { Dot } from './dot.ts'
import { entriesOf, fieldsOf, kindOf, type Kind } from './kinds.ts'
import { NOTHING_EXPIRED_MS, versionOf, winner, type Entry, type Row } from './row.ts'
import { hasNewer, newestIncrement, sumAt } from './totals.ts'

export interface Loser {
  readonly reason: 'concurrent' | 'other-kind' | 'overflow'
  readonly field?: Uint8Array
  readonly winner: Dot
  readonly loser: Dot
  /** Of increments, what they add up to; the members of a set have none. */
  readonly value?: Uint8Array
  readonly ofIncrements?: true
}

export function losersOf(row: Row): readonly Loser[] {
  const increment = newestIncrement(row.totals, NOTHING_EXPIRED_MS)
  if (row.entries.length + Number(increment !== undefined) < 2) return []
  const kind = kindOf(row, NOTHING_EXPIRED_MS) as Kind
  const own = entriesOf(row, kind, NOTHING_EXPIRED_MS)
  return [
    ...concurrent(row, kind, own),
    ...otherKinds(row, own),
    ...(increment !== undefined && kind !== 'counter' ? [increments(row, increment)] : [])
  ]
}

/**
 * What `after` has lost and `before` had not. A value that is written again, and loses again, loses
 * nothing new.
 */
export function newLosers(before: Row, after: Row): readonly Loser[] {
  const losers = losersOf(after)
  if (losers.length === 0) return losers
  // Together they are one loser, and there may be more of them than had lost before.
  const hasMore = hasNewer(before.totals, after.totals, NOTHING_EXPIRED_MS)
  const known = new Map<string, Loser[]>()
  for (const loser of losersOf(before)) {
    if (loser.ofIncrements && hasMore) continue
    const name = nameOfLoser(loser)
    const alike = known.get(name)
    if (alike === undefined) known.set(name, [loser])
    else alike.push(loser)
  }
  return losers.filter(loser => !known.get(nameOfLoser(loser))?.some(each => isSame(each, loser)))
}

/** What was dropped because there were too many beside it. */
export function overflown(row: Row, dropped: readonly Entry[]): readonly Loser[] {
  const version = versionOf(row)
  if (version === undefined) return []
  return dropped.map(entry => loserOf('overflow', entry, version))
}

function concurrent(row: Row, kind: Kind, own: readonly Entry[]): Loser[] {
  if (kind === 'set') return []
  const fields = kind === 'map' ? fieldsOf(row, 'map', NOTHING_EXPIRED_MS) : undefined
  const best = winner({ ...row, entries: own })
  return own.flatMap(entry => {
    const over = entry.field === undefined ? best : fields?.get(nameOf(entry.field))
    if (over === undefined || over.dot === entry.dot) return []
    const isSame = equal(over.value as Uint8Array, entry.value as Uint8Array)
    return isSame ? [] : [loserOf('concurrent', entry, over.dot)]
  })
}

function otherKinds(row: Row, own: readonly Entry[]): Loser[] {
  const version = versionOf(row) as Dot
  const kept = new Set(own)
  return row.entries
    .filter(entry => !kept.has(entry))
    .map(entry => loserOf('other-kind', entry, version))
}

/** All increments together are one loser, or each would be another. */
function increments(row: Row, loser: Dot): Loser {
  const value = utf8(String(sumAt(row.totals, NOTHING_EXPIRED_MS)))
  return { reason: 'other-kind', winner: versionOf(row) as Dot, loser, value, ofIncrements: true }
}

function loserOf(reason: Loser['reason'], entry: Entry, over: Dot): Loser {
  const { field, value, dot } = entry
  return {
    reason,
    winner: over,
    loser: dot,
    ...(field !== undefined && { field }),
    ...(value !== undefined && { value })
  }
}

/** The same for the same loss, and mostly another one for another. */
function nameOfLoser({ field, value, ofIncrements }: Loser): string {
  if (ofIncrements) return 'increments'
  const head = (bytes: Uint8Array | undefined) =>
    bytes && `${bytes.length} ${nameOf(bytes.subarray(0, HEAD_BYTES))}`
  return `${head(field)} ${head(value)}`
}

function isSame(a: Loser, b: Loser): boolean {
  if (a.ofIncrements || b.ofIncrements) return a.ofIncrements === b.ofIncrements
  return isEqual(a.field, b.field) && isEqual(a.value, b.value)
}

function isEqual(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equal(a, b)
}

const HEAD_BYTES = 64
