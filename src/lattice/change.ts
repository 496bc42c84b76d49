/**
 * What arrives of a row from elsewhere: the whole of it, or a delta. And from what time it is, as far as
 * it matters to a clock that may not be dragged along: what something shows can win over what others
 * write, what it has merely seen cannot.
 */
import { CONTEXT_EMPTY, newestDot } from './context.ts'
import { decodeDelta, decodeRow, encodeRow } from './encode.ts'
import { TIME_ZERO, type Time } from './hlc.ts'
import { join, joinDelta, NOTHING_EXPIRED_MS, type Delta, type Row } from './row.ts'
import { isCounting } from './totals.ts'
import { equal } from '../util/bytes.ts'

export type Change = Row | Delta

/** `undefined` for bytes that are neither. */
export function decodeChange(isDelta: boolean, bytes: Uint8Array): Change | undefined {
  return isDelta ? decodeDelta(bytes) : decodeRow(bytes)
}

export function joinChange(row: Row, change: Change): Row {
  return 'dot' in change ? joinDelta(row, change) : join(row, change)
}

/** Whether a row shows everything that the change would have it show. */
export function hasAllOf(row: Row, change: Change): boolean {
  const shown = (each: Row) => encodeRow({ ...each, context: CONTEXT_EMPTY })
  return equal(shown(joinChange(row, change)), shown(row))
}

/** The newest time that it has seen; `undefined` for a row that has seen nothing. */
export function newestSeen(change: Change): Time | undefined {
  return 'dot' in change ? change.dot.time : newestDot(change.context)?.time
}

/** The newest time of what it shows or counts; zero where that is nothing. */
export function newestShown({ entries, totals }: Change): Time {
  const shown = entries.map(({ dot }) => dot.time)
  const counted = totals
    .filter(each => isCounting(each, NOTHING_EXPIRED_MS))
    .flatMap(({ total, lapse }) => [total.time, lapse?.stamp.time ?? TIME_ZERO])
  let newest = TIME_ZERO
  for (const time of [...shown, ...counted]) if (time > newest) newest = time
  return newest
}
