/**
 * What a row shows. Its entries and totals say by their shape what they are:
 *
 *   register   an entry without a field         its value is bytes
 *   counter    totals, on a register as base    an integer: the base and what the actors add
 *   set        entries with a field, no value   add wins over a concurrent remove
 *   map        entries with field and value     one winner per field
 *
 * A row is of the kind of its highest version that is alive, and shows only what is of that kind;
 * what else concurrent writes left in it are losers (losers.ts). An integer in a register is also a
 * counter, and an increment on top of a text loses to the text if it is the lower version.
 *
 * Expiry is a rule of reading: at `nowMs` everything with an earlier `expiresAt` is passed over.
 * Nothing is removed, so replicas that hold the same row show the same at every instant.
 */
import { nameOf, text, utf8 } from '../util/bytes.ts'
import { compareDots } from './dot.ts'
import { winner, type Entry, type Row } from './row.ts'
import { isExpired, newestIncrement, sumAt } from './totals.ts'

/**
 * What a key holds: one value; an integer on which concurrent increments add up; members; fields, each
 * with a value.
 */
export type Kind = 'register' | 'counter' | 'set' | 'map'

/** Why a row does not take an operation or a reading. */
export type Refusal =
  | { readonly refused: 'kind'; readonly holds: Kind; readonly asked: Kind }
  | { readonly refused: 'number'; readonly why: 'text' | 'overflow' }
  | { readonly refused: 'siblings'; readonly siblings: number }

export const INTEGER_MAX = 2n ** 63n - 1n
export const INTEGER_MIN = -(2n ** 63n)

const INTEGER = /^(?:0|-?[1-9][0-9]{0,18})$/
const INTEGER_CHARACTERS_MAX = 20

export function isRefusal(value: unknown): value is Refusal {
  return typeof value === 'object' && value !== null && 'refused' in value
}

/** `undefined` for a row that shows nothing: deleted, expired, never written. */
export function kindOf(row: Row, nowMs: number): Kind | undefined {
  const increment = newestIncrement(row.totals, nowMs)
  const best = highest(row.entries, nowMs)
  if (best === undefined) return increment && 'counter'
  if (increment === undefined) return kindOfEntry(best)
  const isLower = compareDots(best.dot, increment) < 0
  if (isLower || (best.field === undefined && isInteger(best))) return 'counter'
  return kindOfEntry(best)
}

export function kindOfEntry({ field, value }: Entry): 'register' | 'set' | 'map' {
  if (field === undefined) return 'register'
  return value === undefined ? 'set' : 'map'
}

/** What is of a kind and has not expired. For a counter: what may be its base. */
export function entriesOf(row: Row, kind: Kind, nowMs: number): readonly Entry[] {
  const wanted = kind === 'counter' ? 'register' : kind
  return row.entries.filter(
    entry =>
      kindOfEntry(entry) === wanted &&
      !isExpired(entry, nowMs) &&
      (kind !== 'counter' || isInteger(entry))
  )
}

/** The entry of a register, or of the base of a counter, that shows. */
export function shownEntry(row: Row, nowMs: number): Entry | undefined {
  const kind = kindOf(row, nowMs)
  if (kind === undefined) return undefined
  return winner({ ...row, entries: entriesOf(row, kind, nowMs) })
}

/** The bytes of a register, the decimal text of a counter. */
export function readValue(row: Row, nowMs: number): Uint8Array | undefined | Refusal {
  const kind = kindOf(row, nowMs)
  if (kind === 'set' || kind === 'map') return { refused: 'kind', holds: kind, asked: 'register' }
  if (kind === 'counter') return utf8(String(counterValue(row, nowMs)))
  return shownEntry(row, nowMs)?.value
}

export function readCounter(row: Row, nowMs: number): bigint | undefined | Refusal {
  const kind = kindOf(row, nowMs)
  if (kind === undefined) return undefined
  if (kind === 'set' || kind === 'map') return { refused: 'kind', holds: kind, asked: 'counter' }
  if (kind === 'counter') return counterValue(row, nowMs)
  return integerOf(shownEntry(row, nowMs)?.value) ?? { refused: 'number', why: 'text' }
}

/** The members, in the order of bytes. Views of the row. */
export function readSet(row: Row, nowMs: number): readonly Uint8Array[] | Refusal {
  const refusal = refusalFor(row, 'set', nowMs)
  return refusal ?? [...fieldsOf(row, 'set', nowMs).values()].map(({ field }) => field)
}

/** The winner of each field, in the order of bytes. Views of the row. */
export function readMap(row: Row, nowMs: number): readonly MapEntry[] | Refusal {
  const refusal = refusalFor(row, 'map', nowMs)
  return refusal ?? ([...fieldsOf(row, 'map', nowMs).values()] as MapEntry[])
}

export interface FieldEntry extends Entry {
  readonly field: Uint8Array
}

export interface MapEntry extends FieldEntry {
  readonly value: Uint8Array
}

/** The entry with the highest version of each field or member, by name. */
export function fieldsOf(row: Row, kind: 'set' | 'map', nowMs: number): Map<string, FieldEntry> {
  const fields = new Map<string, FieldEntry>()
  // Entries are sorted by field and then by dot, so the last one of a field is the highest.
  for (const entry of entriesOf(row, kind, nowMs)) {
    fields.set(nameOf(entry.field as Uint8Array), entry as FieldEntry)
  }
  return fields
}

/** Every value of a register that is alive, highest version first. */
export function siblingsOf(row: Row, nowMs: number): readonly Entry[] {
  return [...entriesOf(row, 'register', nowMs)].sort((a, b) => compareDots(b.dot, a.dot))
}

export function refusalFor(row: Row, asked: 'set' | 'map', nowMs: number): Refusal | undefined {
  const holds = kindOf(row, nowMs)
  return holds === undefined || holds === asked ? undefined : { refused: 'kind', holds, asked }
}

/** A decimal signed 64-bit integer as Redis reads it: no sign but `-`, no zeros in front. */
export function integerOf(value: Uint8Array | undefined): bigint | undefined {
  if (value === undefined || value.length > INTEGER_CHARACTERS_MAX) return undefined
  const digits = text(value)
  const integer = INTEGER.test(digits) ? BigInt(digits) : undefined
  return integer !== undefined && isInRange(integer) ? integer : undefined
}

export function isInRange(integer: bigint): boolean {
  return integer >= INTEGER_MIN && integer <= INTEGER_MAX
}

/** Concurrent increments may take it past 64 bits; it is exact all the same. */
function counterValue(row: Row, nowMs: number): bigint {
  const base = winner({ ...row, entries: entriesOf(row, 'counter', nowMs) })
  return (integerOf(base?.value) ?? 0n) + sumAt(row.totals, nowMs)
}

function isInteger({ value }: Entry): boolean {
  return integerOf(value) !== undefined
}

function highest(entries: readonly Entry[], nowMs: number): Entry | undefined {
  let best: Entry | undefined
  for (const entry of entries) {
    if (isExpired(entry, nowMs)) continue
    if (best === undefined || compareDots(entry.dot, best.dot) > 0) best = entry
  }
  return best
}
