/**
 * Bounds the values of a register that concurrent writes leave side by side. One write never makes
 * too many: it is refused. A join may, and then the lowest versions are dropped. Their dots stay in
 * the context, so a replica that joins the bounded row drops them too: to drop is to move up in the
 * lattice, and `bounded(join(a, b))` is the same on whichever side it is computed. So replicas still
 * converge, though one may for a while show fewer siblings than another.
 */
import type { Entry, Row } from './row.ts'
import { compareDots } from './dot.ts'

export const SIBLINGS_MAX = 64
export const SIBLING_BYTES_MAX = 2 * 1024 * 1024

export interface Bounded {
  readonly row: Row
  /** Highest version first. */
  readonly dropped: readonly Entry[]
}

export function bounded(row: Row): Bounded {
  if (row.entries.length < 2) return { row, dropped: [] }
  const siblings = row.entries
    .filter(({ field }) => field === undefined)
    .sort((a, b) => compareDots(b.dot, a.dot))
  const count = countWithin(siblings)
  if (count === siblings.length) return { row, dropped: [] }
  const dropped = siblings.slice(count)
  const gone = new Set(dropped)
  return { row: { ...row, entries: row.entries.filter(entry => !gone.has(entry)) }, dropped }
}

/** How many of the first fit. */
function countWithin(siblings: readonly Entry[]): number {
  let bytes = 0
  for (const [i, { value }] of siblings.entries()) {
    bytes += value?.length ?? 0
    if (i >= SIBLINGS_MAX || (i > 0 && bytes > SIBLING_BYTES_MAX)) return i
  }
  return siblings.length
}
