/** When what a row shows expires. */
import { compareDots } from './dot.ts'
import { entriesOf, kindOf, shownEntry } from './kinds.ts'
import { winner, type Entry, type Row } from './row.ts'
import { isCounting, isExpired, type Lapse, type Mark } from './totals.ts'

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

function newestShown(row: Row, nowMs: number): Entry | undefined {
  const kind = kindOf(row, nowMs)
  if (kind !== 'set' && kind !== 'map') return shownEntry(row, nowMs)
  return winner({ ...row, entries: entriesOf(row, kind, nowMs) })
}
