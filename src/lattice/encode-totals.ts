/**
 * The elements that stand for the totals of a row. Amounts are decimal text, because a running total
 * may outgrow 64 bits while the value of the counter does not. What is not in normal form (sorted by
 * actor, each once, no total before its floor or lapse) is malformed.
 */
import { isActor, type Actor, type Dot } from './dot.ts'
import { isTime, type Time } from './hlc.ts'
import { MARK_ZERO, TOTALS_NONE, type Lapse, type Mark, type Total } from './totals.ts'
import { isTuple, readList } from '../util/msgpack.ts'

/** More than any honest row can hold in its bytes. */
const TOTALS_MAX = 1 << 16
const AMOUNT = /^(?:0|-?[1-9][0-9]{0,37})$/

export function totalFields(totals: readonly Total[]): unknown[][] {
  return totals.map(({ actor, total, floor, lapse }) => [
    actor,
    ...markFields(total),
    ...markFields(floor),
    lapse ? lapseFields(lapse) : null
  ])
}

/** `undefined` reads as none; an empty list would be a second way to say so and is malformed. */
export function readTotals(list: unknown): readonly Total[] | undefined {
  if (list === undefined) return TOTALS_NONE
  const totals = readList(list, TOTALS_MAX, readTotal)
  if (totals === undefined || totals.length === 0) return undefined
  const isSorted = totals.every((each, i) => i === 0 || (totals[i - 1] as Total).actor < each.actor)
  return isSorted ? totals : undefined
}

export function markFields({ time, amount }: Mark): [bigint, string] {
  return [time, String(amount)]
}

export function readMark(time: unknown, amount: unknown): Mark | undefined {
  if (!isTime(time) || typeof amount !== 'string' || !AMOUNT.test(amount)) return undefined
  return { time, amount: BigInt(amount) }
}

function lapseFields({ stamp, time, amount, expiresAt }: Lapse): unknown[] {
  return [stamp.actor, stamp.time, time, String(amount), expiresAt ?? null]
}

function readTotal(fields: unknown): Total | undefined {
  if (!isTuple(fields, 6) || !isActor(fields[0])) return undefined
  const total = readMark(fields[1], fields[2])
  const floor = readMark(fields[3], fields[4])
  const lapse = fields[5] === null ? null : readLapse(fields[5])
  if (total === undefined || floor === undefined || lapse === undefined) return undefined
  if (total.time < floor.time || total.time < (lapse ?? MARK_ZERO).time) return undefined
  return { actor: fields[0] as Actor, total, floor, ...(lapse !== null && { lapse }) }
}

function readLapse(fields: unknown): Lapse | undefined {
  if (!isTuple(fields, 5)) return undefined
  const stamp = readStamp(fields[0], fields[1])
  const mark = readMark(fields[2], fields[3])
  const expiresAt = fields[4]
  if (expiresAt !== null && !Number.isSafeInteger(expiresAt)) return undefined
  return (
    stamp &&
    mark && { ...mark, stamp, ...(expiresAt !== null && { expiresAt: expiresAt as number }) }
  )
}

function readStamp(actor: unknown, time: unknown): Dot | undefined {
  if (!isActor(actor) || !isTime(time)) return undefined
  return { actor: actor as Actor, time: time as Time }
}
