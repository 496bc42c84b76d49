/**
 * The hybrid logical clock: 48 bits of milliseconds since the epoch, then 16 bits of counter, in one
 * 64-bit integer whose order is the order of events. It follows the wall clock while that moves on,
 * and counts by itself while the wall clock stands still or goes back: a time is never given twice.
 * A full counter carries into the milliseconds, which is harmless: the order is kept.
 *
 * Source: Kulkarni, Demirbas et al., "Logical Physical Clocks", 2014.
 */
export type Time = bigint & { readonly __brand: 'Time' }

export const TIME_ZERO = 0n as Time

const COUNTER_BITS = 16n
const TIME_MAX = (1n << 64n) - 1n

/** The first time of a millisecond. */
export function timeOf(wallMs: number): Time {
  return (BigInt(Math.max(0, Math.floor(wallMs))) << COUNTER_BITS) as Time
}

export function millisecondsOf(time: Time): number {
  return Number(time >> COUNTER_BITS)
}

/** The next time after `last`, at or after `nowMs`. */
export function tick(last: Time, nowMs: number): Time {
  const now = timeOf(nowMs)
  return now > last ? now : ((last + 1n) as Time)
}

/**
 * The clock after a remote time was seen: later writes here are ordered after it. A time more than
 * `skewMaxMs` ahead of the wall clock is not followed (`undefined`), or one broken clock would drag
 * every other along.
 */
export function observe(
  last: Time,
  remote: Time,
  nowMs: number,
  skewMaxMs: number
): Time | undefined {
  if (remote <= last) return last
  return millisecondsOf(remote) > nowMs + skewMaxMs ? undefined : remote
}

export function isTime(value: unknown): value is Time {
  return typeof value === 'bigint' && value >= 0n && value <= TIME_MAX
}
