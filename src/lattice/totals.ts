/**
 * The increments of a counter. Each actor keeps one running total of all it has ever added to this
 * row; who replaces a counter remembers how far it saw each of them (the floor). What an actor adds
 * to the value is its total less its floor, so an increment counts exactly as long as no SET or
 * DELETE has seen it. Neither ever goes back:
 *
 *   total   the latest by time    only its actor writes it, and everything earlier is in it
 *   floor   the latest by time    how far the writes that replaced the counter had seen the total
 *   lapse   the latest by stamp   a floor that takes effect at its `expiresAt`
 *
 * Each of the three is a maximum, so totals form a join-semilattice beside the entries of the row,
 * and do not depend on the order in which deltas arrive. (Totals as entries that a SET removes are
 * not exact: an increment that comes in late brings back those before it.)
 *
 * Not promised: that anything is ever forgotten. A row keeps one total per actor that ever added to
 * it, as its context keeps one time.
 *
 * Source of the problem: Baquero, Almeida, Lerche, "The Problem with Embedded CRDT Counters and a
 * Solution", 2016.
 */
import { compareDots, type Actor, type Dot } from './dot.ts'
import { TIME_ZERO, type Time } from './hlc.ts'

/** How much an actor had added at a time. */
export interface Mark {
  readonly time: Time
  readonly amount: bigint
}

export interface Lapse extends Mark {
  /** The dot of the write that set the expiry; the highest decides. */
  readonly stamp: Dot
  /** Milliseconds since the epoch; without it the total does not expire. */
  readonly expiresAt?: number
}

export interface Total {
  readonly actor: Actor
  /** Never before the floor or the lapse. */
  readonly total: Mark
  readonly floor: Mark
  readonly lapse?: Lapse
}

export const TOTALS_NONE: readonly Total[] = []
export const MARK_ZERO: Mark = { time: TIME_ZERO, amount: 0n }

/** In the order of actors, each once. */
export function joinTotals(a: readonly Total[], b: readonly Total[]): readonly Total[] {
  if (a.length === 0 || b.length === 0) return a.length === 0 ? b : a
  const byActor = new Map(a.map(total => [total.actor, total]))
  for (const total of b) {
    const known = byActor.get(total.actor)
    byActor.set(total.actor, known === undefined ? total : joinTotal(known, total))
  }
  return inOrder([...byActor.values()])
}

export function inOrder(totals: readonly Total[]): readonly Total[] {
  return [...totals].sort((a, b) => (a.actor < b.actor ? -1 : 1))
}

export function later(a: Mark, b: Mark): Mark {
  return compareMarks(a, b) < 0 ? b : a
}

/** How much of a total is replaced or expired. */
export function flooredAt(total: Total, nowMs: number): Mark {
  const { floor, lapse } = total
  if (lapse === undefined || !isExpired(lapse, nowMs)) return floor
  // A mark and no more: what a lapse has besides is not a floor's to keep.
  return later(floor, { time: lapse.time, amount: lapse.amount })
}

/** Whether there is an increment that is neither replaced nor expired. */
export function isCounting(total: Total, nowMs: number): boolean {
  return total.total.time > flooredAt(total, nowMs).time
}

/** What the totals add to the value of the counter. */
export function sumAt(totals: readonly Total[], nowMs: number): bigint {
  return totals.reduce((sum, each) => sum + each.total.amount - flooredAt(each, nowMs).amount, 0n)
}

/** The dot of the latest increment that counts. */
export function newestIncrement(totals: readonly Total[], nowMs: number): Dot | undefined {
  let newest: Dot | undefined
  for (const each of totals) {
    if (!isCounting(each, nowMs)) continue
    const dot = { actor: each.actor, time: each.total.time }
    if (newest === undefined || compareDots(dot, newest) > 0) newest = dot
  }
  return newest
}

/** Whether `after` has an increment that counts and that `before` has not seen. */
export function hasNewer(
  before: readonly Total[],
  after: readonly Total[],
  nowMs: number
): boolean {
  const times = new Map(before.map(({ actor, total }) => [actor, total.time]))
  return after.some(
    each => isCounting(each, nowMs) && each.total.time > (times.get(each.actor) ?? TIME_ZERO)
  )
}

/**
 * The totals with all that they hold replaced. Also those that hold nothing here any more: where the
 * write arrives, what replaced them may be missing.
 */
export function floorAll(totals: readonly Total[]): readonly Total[] {
  return totals.map(({ actor, total }) => ({ actor, total, floor: total }))
}

/** What has an instant after which reading passes over it. */
export function isExpired(what: { readonly expiresAt?: number }, nowMs: number): boolean {
  return what.expiresAt !== undefined && what.expiresAt <= nowMs
}

function joinTotal(a: Total, b: Total): Total {
  const lapse = laterLapse(a.lapse, b.lapse)
  return {
    actor: a.actor,
    total: later(a.total, b.total),
    floor: later(a.floor, b.floor),
    ...(lapse !== undefined && { lapse })
  }
}

function laterLapse(a: Lapse | undefined, b: Lapse | undefined): Lapse | undefined {
  if (a === undefined || b === undefined) return a ?? b
  // Of one stamp the actor itself moves the mark on, with every increment that saw the expiry.
  const order = compareDots(a.stamp, b.stamp) || compareMarks(a, b)
  return order < 0 ? b : a
}

function compareMarks(a: Mark, b: Mark): number {
  if (a.time !== b.time) return a.time < b.time ? -1 : 1
  return a.amount === b.amount ? 0 : a.amount < b.amount ? -1 : 1
}
