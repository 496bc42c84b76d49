/**
 * A row is everything stored under one key: live entries and the context of all that was ever seen.
 * Rows form a join-semilattice:
 *
 *   join(a, b) = join(b, a)    join(a, join(b, c)) = join(join(a, b), c)    join(a, a) = a
 *
 * so replicas may receive rows in any order, any number of times. An entry lives while nobody who
 * saw it dropped it; a row with a context and no entries is a tombstone.
 *
 * A mutation is a `Delta`: the new entries, the dots they replace, and the context it was made on.
 * An owner that covers that context folds the new dot just as the coordinator did, and is byte for
 * byte in step; one that does not keeps the dot loose until a whole row is joined.
 *
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

export interface Entry {
  readonly dot: Dot
  /** The field of a map or the member of a set; a register has none. */
  readonly field?: Uint8Array
  /** The members of a set have none. */
  readonly value?: Uint8Array
  /** Milliseconds since the epoch after which reading passes over the entry. */
  readonly expiresAt?: number
}

export interface Row {
  readonly context: Context
  /** By field, then by dot. */
  readonly entries: readonly Entry[]
}

export interface Delta {
  readonly dot: Dot
  /** What the coordinator's row had seen when the mutation was made. */
  readonly base: Context
  readonly replaced: readonly Dot[]
  readonly entries: readonly Entry[]
}

export const ROW_EMPTY: Row = { context: CONTEXT_EMPTY, entries: [] }

export function join(a: Row, b: Row): Row {
  const entries = [
    ...a.entries.filter(entry => survives(entry, b)),
    ...b.entries.filter(entry => !has(a, entry.dot) && !covers(a.context, entry.dot))
  ]
  return { context: joinContexts(a.context, b.context), entries: entries.sort(compareEntries) }
}

/** Joins a mutation that may be late, early or a repetition. */
export function joinDelta(row: Row, delta: Delta): Row {
  const seen = contextOf([delta.dot, ...delta.replaced])
  const joined = join(row, { context: seen, entries: delta.entries })
  if (!coversAll(row.context, delta.base)) return joined
  return { context: fold(joined.context, delta.dot), entries: joined.entries }
}

/** Sets a register: the value replaces every entry that the row holds. */
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

/** The dot of the winner, or for a tombstone the newest dot it has seen. */
export function versionOf(row: Row): Dot | undefined {
  return winner(row)?.dot ?? newestDot(row.context)
}

export function sameRow(a: Row, b: Row): boolean {
  return (
    coversAll(a.context, b.context) &&
    coversAll(b.context, a.context) &&
    a.entries.length === b.entries.length &&
    a.entries.every((entry, i) => sameDot(entry.dot, (b.entries[i] as Entry).dot))
  )
}

function replaceAll(row: Row, dot: Dot): Omit<Delta, 'entries'> {
  return { dot, base: row.context, replaced: row.entries.map(entry => entry.dot) }
}

function survives(entry: Entry, other: Row): boolean {
  return has(other, entry.dot) || !covers(other.context, entry.dot)
}

function has(row: Row, dot: Dot): boolean {
  return row.entries.some(entry => sameDot(entry.dot, dot))
}

function compareEntries(a: Entry, b: Entry): number {
  return compareFields(a.field, b.field) || compareDots(a.dot, b.dot)
}

function compareFields(a: Uint8Array | undefined, b: Uint8Array | undefined): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined)
  return compare(a, b)
}
