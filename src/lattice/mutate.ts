/**
 * Turns an operation into the delta that does it to a row. The first dot is given; entries after the
 * first take the times that follow it, so the caller's clock has to go on after `delta.dot`.
 *
 *   put, delete          replace all that the row holds, or all that their context has seen
 *   increment            adds to the own total; leaves base and siblings, replaces what has expired
 *   set-*, map-*         replace the entries of the fields they name
 *   expire               writes everything that lives anew, with another expiry; of a counter only
 *                        what may be its base, or what lost to its increments would win over them
 *
 * A write of one kind also replaces what it saw of another kind and what had expired, so that a row
 * does not keep for ever what nothing shows. New members, fields and increments take over the expiry
 * of what they are added to, as in Redis.
 */
import { nameOf } from '../util/bytes.ts'
import { contextOf, joinContexts } from './context.ts'
import { compareDots, type Dot } from './dot.ts'
import type { Time } from './hlc.ts'
import { expiryOf } from './expiry.ts'
import { increment } from './increment.ts'
import { entriesOf, fieldsOf, kindOf, refusalFor, type Refusal } from './kinds.ts'
import type { Operation, Seen } from './operation.ts'
import { assign, erase, joinDelta, type Delta, type Entry, type Row } from './row.ts'
import { SIBLINGS_MAX } from './siblings.ts'
import { flooredAt, floorAll, isCounting, isExpired, type Total } from './totals.ts'

export interface Mutation {
  readonly delta: Delta
  /**
   * Of an increment the value after it; of set and map calls how many members or fields they made or
   * removed; of a delete and an expiry 1 if there was something, or 0.
   */
  readonly number?: bigint
}

export function mutate(
  row: Row,
  operation: Operation,
  dot: Dot,
  nowMs: number
): Mutation | Refusal {
  switch (operation.do) {
    case 'put':
      return put(row, operation, dot, nowMs)
    case 'delete':
      return {
        delta: replace(row, erase(row, dot), operation.seen, nowMs),
        number: exists(row, nowMs)
      }
    case 'increment':
      return increment(row, operation.by, dot, nowMs)
    case 'set-add':
      return edit(
        row,
        'set',
        operation.fields.map(field => ({ field })),
        dot,
        nowMs
      )
    case 'map-set':
      return edit(
        row,
        'map',
        operation.pairs.map(([field, value]) => ({ field, value })),
        dot,
        nowMs
      )
    case 'set-remove':
      return remove(row, 'set', operation.fields, dot, nowMs)
    case 'map-delete':
      return remove(row, 'map', operation.fields, dot, nowMs)
    case 'expire':
      return expire(row, operation.expiresAt, dot, nowMs)
  }
}

type Put = Extract<Operation, { do: 'put' }>

function put(row: Row, operation: Put, dot: Dot, nowMs: number): Mutation | Refusal {
  const { value, expiresAt, seen } = operation
  const plain = assign(row, value, dot)
  const entries = expiresAt === undefined ? plain.entries : [{ dot, value, expiresAt }]
  const delta = replace(row, { ...plain, entries }, seen, nowMs)
  if (seen === undefined) return { delta }
  const siblings = entriesOf(joinDelta(row, delta), 'register', nowMs)
  return siblings.length > SIBLINGS_MAX
    ? { refused: 'siblings', siblings: siblings.length }
    : { delta }
}

/** Narrows a delta that replaces everything to what its writer has seen, and to what has expired. */
function replace(row: Row, delta: Delta, seen: Seen | undefined, nowMs: number): Delta {
  if (seen === undefined) return delta
  const expired = contextOf(row.entries.filter(e => isExpired(e, nowMs)).map(({ dot }) => dot))
  const totals = seen.marks.map(({ actor, time, amount }): Total => {
    const mark = { time, amount }
    return { actor, total: mark, floor: mark }
  })
  return { ...delta, replaced: joinContexts(seen.context, expired), totals }
}

type FieldKind = 'set' | 'map'
type NewEntry = Pick<Entry, 'field' | 'value'> & { readonly field: Uint8Array }

function edit(
  row: Row,
  kind: FieldKind,
  given: readonly NewEntry[],
  first: Dot,
  nowMs: number
): Mutation | Refusal {
  const refusal = refusalFor(row, kind, nowMs)
  if (refusal !== undefined) return refusal
  const known = fieldsOf(row, kind, nowMs)
  // Of a field that is given twice the last value counts.
  const byName = new Map(given.map(entry => [nameOf(entry.field), entry]))
  const expiresAt = expiryOf(row, nowMs)?.expiresAt
  const entries = [...byName.values()].map((entry, i) => ({
    dot: dotAfter(first, i),
    ...entry,
    ...(expiresAt !== undefined && { expiresAt })
  }))
  const number = BigInt([...byName.keys()].filter(name => !known.has(name)).length)
  return { delta: deltaOf(row, kind, byName, entries, first, nowMs), number }
}

function remove(
  row: Row,
  kind: FieldKind,
  fields: readonly Uint8Array[],
  dot: Dot,
  nowMs: number
): Mutation | Refusal {
  const refusal = refusalFor(row, kind, nowMs)
  if (refusal !== undefined) return refusal
  const known = fieldsOf(row, kind, nowMs)
  const names = new Map(fields.map(field => [nameOf(field), field]))
  const number = BigInt([...names.keys()].filter(name => known.has(name)).length)
  return { delta: deltaOf(row, kind, names, [], dot, nowMs), number }
}

/** Replaces the entries of the named fields, of other kinds, and what has expired. */
function deltaOf(
  row: Row,
  kind: FieldKind,
  named: ReadonlyMap<string, unknown>,
  entries: readonly Entry[],
  first: Dot,
  nowMs: number
): Delta {
  const stays = entriesOf(row, kind, nowMs).filter(
    ({ field }) => !named.has(nameOf(field as Uint8Array))
  )
  const kept = new Set(stays)
  const replaced = row.entries.filter(entry => !kept.has(entry)).map(({ dot }) => dot)
  return {
    dot: dotAfter(first, Math.max(0, entries.length - 1)),
    base: row.context,
    replaced: contextOf(replaced),
    entries,
    totals: floorAll(row.totals)
  }
}

function expire(row: Row, expiresAt: number | undefined, first: Dot, nowMs: number): Mutation {
  const living =
    kindOf(row, nowMs) === 'counter'
      ? entriesOf(row, 'counter', nowMs)
      : row.entries.filter(entry => !isExpired(entry, nowMs))
  // In the order of their dots, so that winners stay winners.
  const inOrder = [...living].sort((a, b) => compareDots(a.dot, b.dot))
  const dot = dotAfter(first, Math.max(0, living.length - 1))
  const expiry = expiresAt === undefined ? {} : { expiresAt }
  const entries = inOrder.map(({ field, value }, i) => ({
    dot: dotAfter(first, i),
    ...(field !== undefined && { field }),
    ...(value !== undefined && { value }),
    ...expiry
  }))
  const totals = row.totals
    .filter(total => isCounting(total, nowMs))
    .map((each): Total => {
      const lapse = { ...each.total, stamp: dot, ...expiry }
      return { actor: each.actor, total: each.total, floor: flooredAt(each, nowMs), lapse }
    })
  const replaced = contextOf(row.entries.map(entry => entry.dot))
  return {
    delta: { dot, base: row.context, replaced, entries, totals },
    number: exists(row, nowMs)
  }
}

function exists(row: Row, nowMs: number): bigint {
  return kindOf(row, nowMs) === undefined ? 0n : 1n
}

function dotAfter({ actor, time }: Dot, i: number): Dot {
  return { actor, time: (time + BigInt(i)) as Time }
}
