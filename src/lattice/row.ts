/**
 * A row is everything stored under one key: live entries and the context of all that was ever seen.
 * Rows form a join-semilattice:
 *
 *   join(a, b) = join(b, a)    join(a, join(b, c)) = join(join(a, b), c)    join(a, a) = a
 *
 * so replicas may receive rows in any order, any number of times. An entry lives while nobody who
 * saw it dropped it; a row with a context and no entries is a tombstone.
 *
 * A mutation is a `Delta`: the new entries, what they replace, and the context it was made on.
 * An owner that covers that context, of itself or by what the delta replaces, folds the new dots just
 * as the coordinator did, and is byte for byte in step; one that does not keeps the dots loose until a
 * whole row is joined. What replaces everything is thus as good as a whole row.
 *
 * What the entries are (register, set, map) and the totals add up to is the matter of kinds.ts.
 * Not promised: that two concurrent values of a register both show. `winner` picks the highest.
 *
 * Source: Almeida, Shoker, Baquero, "Delta State Replicated Data Types", 2018 (causal CRDTs).
 */
import { compare } from '../util/bytes.ts'
import {
  CONTEXT_EMPTY,
  contextOf,
  covers,
  coversAll,
  fold,
  joinContexts,
  newestDot,
  type Context
} from './context.ts'
import { compareDots, sameDot, type Dot } from './dot.ts'
import { floorAll, joinTotals, newestIncrement, TOTALS_NONE, type Total } from './totals.ts'

export interface Entry {
  readonly dot: Dot
  /** The field of a map or the member of a set; a register has none. */
  readonly field?: Uint8Array
  /** The members of a set have none. */
  readonly value?: Uint8Array
  /** Milliseconds since the epoch from which on reading passes over the entry. */
  readonly expiresAt?: number
}

export interface Row {
  readonly context: Context
  /** By field, then by dot. */
  readonly entries: readonly Entry[]
  /** Of a counter, by actor; see totals.ts. */
  readonly totals: readonly Total[]
}

export interface Delta {
  /** The version of the write: the latest of its dots. Every entry has a dot of its own. */
  readonly dot: Dot
  /** What the coordinator's row had seen when the mutation was made. */
  readonly base: Context
  /** Entries with these dots live no more. */
  readonly replaced: Context
  readonly entries: readonly Entry[]
  readonly totals: readonly Total[]
}

/** Before every instant at which something expires. */
export const NOTHING_EXPIRED_MS = -Infinity

export const ROW_EMPTY: Row = { context: CONTEXT_EMPTY, entries: [], totals: TOTALS_NONE }

export function join(a: Row, b: Row): Row {
  const [inA, inB] = [finder(a.entries), finder(b.entries)]
  const entries = [
    ...a.entries.filter(({ dot }) => inB(dot) || !covers(b.context, dot)),
    ...b.entries.filter(({ dot }) => !inA(dot) && !covers(a.context, dot))
  ]
  return {
    context: joinContexts(a.context, b.context),
    entries: entries.sort(compareEntries),
    totals: joinTotals(a.totals, b.totals)
  }
}

/** Joins a mutation that may be late, early or a repetition. */
export function joinDelta(row: Row, delta: Delta): Row {
  const { dot, base, replaced, entries, totals } = delta
  const made = contextOf([dot, ...entries.map(entry => entry.dot)])
  const joined = join(row, { context: joinContexts(replaced, made), entries, totals })
  if (!coversAll(joined.context, base)) return joined
  return { ...joined, context: fold(joined.context, dot) }
}

/** Sets a register: the value replaces everything that the row holds. */
export function assign(row: Row, value: Uint8Array, dot: Dot): Delta {
  return { ...replaceAll(row, dot), entries: [{ dot, value }] }
}

/** Deletes whatever the row holds and leaves the context: a tombstone. */
export function erase(row: Row, dot: Dot): Delta {
  return { ...replaceAll(row, dot), entries: [] }
}

/** The entry that a reader of the register sees: the one with the highest version. */
export function winner(row: Row): Entry | undefined {
  let best: Entry | undefined
  for (const entry of row.entries) {
    if (best === undefined || compareDots(entry.dot, best.dot) > 0) best = entry
  }
  return best
}

/** The highest version that is alive, or for a tombstone the newest dot it has seen. */
export function versionOf(row: Row): Dot | undefined {
  const entry = winner(row)?.dot
  const increment = newestIncrement(row.totals, NOTHING_EXPIRED_MS)
  if (entry === undefined || increment === undefined) {
    return entry ?? increment ?? newestDot(row.context)
  }
  return compareDots(entry, increment) > 0 ? entry : increment
}

function replaceAll(row: Row, dot: Dot): Omit<Delta, 'entries'> {
  return { dot, base: row.context, replaced: row.context, totals: floorAll(row.totals) }
}

/** Below this many entries, looking at each is faster than an index of them. */
const INDEX_ENTRIES_MIN = 16

/** Tells whether an entry with a dot is among these. */
function finder(entries: readonly Entry[]): (dot: Dot) => boolean {
  if (entries.length < INDEX_ENTRIES_MIN) return dot => entries.some(e => sameDot(e.dot, dot))
  const times = new Map<bigint, Set<bigint>>()
  for (const { dot } of entries) {
    const known = times.get(dot.actor)
    if (known === undefined) times.set(dot.actor, new Set([dot.time]))
    else known.add(dot.time)
  }
  return dot => times.get(dot.actor)?.has(dot.time) ?? false
}

function compareEntries(a: Entry, b: Entry): number {
  return compareFields(a.field, b.field) || compareDots(a.dot, b.dot)
}

function compareFields(a: Uint8Array | undefined, b: Uint8Array | undefined): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined)
  return compare(a, b)
}
