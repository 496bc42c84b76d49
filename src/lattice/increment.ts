/** The delta of an increment. See totals.ts for what makes it exact. */
import { contextOf } from './context.ts'
import type { Dot } from './dot.ts'
import { expiryOf } from './expiry.ts'
import { entriesOf, isInRange, isRefusal, readCounter, type Refusal } from './kinds.ts'
import type { Mutation } from './mutate.ts'
import type { Row } from './row.ts'
import { flooredAt, inOrder, MARK_ZERO, type Lapse, type Mark, type Total } from './totals.ts'

export function increment(row: Row, by: bigint, dot: Dot, nowMs: number): Mutation | Refusal {
  const current = readCounter(row, nowMs)
  if (isRefusal(current)) return current
  const number = (current ?? 0n) + by
  if (!isInRange(number)) return { refused: 'number', why: 'overflow' }
  const kept = new Set(entriesOf(row, 'register', nowMs))
  const replaced = row.entries.filter(entry => !kept.has(entry)).map(entry => entry.dot)
  const totals = inOrder([...expiredOthers(row, dot, nowMs), ownTotal(row, by, dot, nowMs)])
  const delta = { dot, base: row.context, replaced: contextOf(replaced), entries: [], totals }
  return { delta, number }
}

function ownTotal(row: Row, by: bigint, dot: Dot, nowMs: number): Total {
  const own = row.totals.find(({ actor }) => actor === dot.actor)
  const total = { time: dot.time, amount: (own?.total.amount ?? 0n) + by }
  const lapse = lapseOf(row, own, total, nowMs)
  return {
    actor: dot.actor,
    total,
    // What has expired stays so, whatever later writes say about the expiry.
    floor: own === undefined ? MARK_ZERO : flooredAt(own, nowMs),
    ...(lapse !== undefined && { lapse })
  }
}

/** What has expired of the others would otherwise come back if a concurrent write lifts the expiry. */
function expiredOthers(row: Row, { actor }: Dot, nowMs: number): Total[] {
  return row.totals
    .filter(each => each.actor !== actor && flooredAt(each, nowMs).time > each.floor.time)
    .map(each => ({ actor: each.actor, total: each.total, floor: flooredAt(each, nowMs) }))
}

/** The increment expires with what it adds to. */
function lapseOf(row: Row, own: Total | undefined, mark: Mark, nowMs: number): Lapse | undefined {
  const expiry = expiryOf(row, nowMs)
  if (expiry === undefined) return undefined
  const isLifted = expiry.expiresAt === undefined && own?.lapse === undefined
  return isLifted ? undefined : { ...mark, ...expiry }
}
