/** When what a row shows expires, and what is left of a row then. */
import { compareDots, type Dot } from './dot.ts'
import { entriesOf, kindOf, shownEntry } from './kinds.ts'
import { versionOf, winner, type Entry, type Row } from './row.ts'
import { flooredAt, isCounting, isExpired, type Lapse, type Mark, type Total } from './totals.ts'

export type Expiry = Omit<Lapse, keyof Mark>

/** The latest word on it: of the highest version, for a counter also of what its totals were told. */
export function expiryOf(row: Row, nowMs: number): Expiry | undefined {
  const words = row.totals
    .filter(each => isCounting(each, nowMs) && each.lapse && !isExpired(each.lapse, nowMs))
    .map(({ lapse }) => lapse as Lapse)
  const shown = newestShown(row, nowMs)
  const all = shown === undefined ? words : [...words, { stamp: shown.dot, ...shown }]
  const [latest] = all.sort((a, b) => compareDots(b.stamp, a.stamp))
  if (latest === undefined) return undefined
  const { stamp, expiresAt } = latest
  return { stamp, ...(expiresAt !== undefined && { expiresAt }) }
}

/** The row without what has expired, as readers judge it: for these nothing of it ever expires. */
export function aliveAt(row: Row, nowMs: number): Row {
  const entries = row.entries.filter(entry => !isExpired(entry, nowMs))
  const totals = row.totals.map(each => lapsed(each, nowMs))
  return { ...row, entries, totals }
}

/** What has expired does not hide the version of what shows in its place. */
export function shownVersion(row: Row, nowMs: number): Dot | undefined {
  return versionOf(kindOf(row, nowMs) === undefined ? row : aliveAt(row, nowMs))
}

function lapsed(each: Total, nowMs: number): Total {
  if (each.lapse === undefined || !isExpired(each.lapse, nowMs)) return each
  return { actor: each.actor, total: each.total, floor: flooredAt(each, nowMs) }
}

function newestShown(row: Row, nowMs: number): Entry | undefined {
  const kind = kindOf(row, nowMs)
  if (kind !== 'set' && kind !== 'map') return shownEntry(row, nowMs)
  return winner({ ...row, entries: entriesOf(row, kind, nowMs) })
}
