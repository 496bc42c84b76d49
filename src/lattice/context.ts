/**
 * What a row has seen: a version vector, which claims every dot of an actor up to a time, plus
 * single "loose" dots beyond it. Contexts are values; nothing here changes its arguments.
 *
 * Normal form: no loose dot is covered by the vector, each stands once, in the order of dots.
 * `joinContexts` is commutative, associative and idempotent, and keeps the normal form.
 *
 * Folding a dot into the vector claims that nothing older of its actor is missing. See `fold`.
 */
import { compareDots, sameDot, type Actor, type Dot } from './dot.ts'
import { TIME_ZERO, type Time } from './hlc.ts'

export interface Context {
  readonly vector: ReadonlyMap<Actor, Time>
  readonly loose: readonly Dot[]
}

export const CONTEXT_EMPTY: Context = { vector: new Map(), loose: [] }

export function contextOf(dots: readonly Dot[]): Context {
  return { vector: CONTEXT_EMPTY.vector, loose: normalLoose(CONTEXT_EMPTY.vector, dots) }
}

export function covers(context: Context, dot: Dot): boolean {
  const time = context.vector.get(dot.actor)
  if (time !== undefined && dot.time <= time) return true
  return hasSorted(context.loose, dot)
}

/** True when everything `other` claims is surely claimed by `context` too. */
export function coversAll(context: Context, other: Context): boolean {
  for (const [actor, time] of other.vector) {
    if ((context.vector.get(actor) ?? TIME_ZERO) < time) return false
  }
  return other.loose.every(dot => covers(context, dot))
}

export function joinContexts(a: Context, b: Context): Context {
  const vector = new Map(a.vector)
  for (const [actor, time] of b.vector) raise(vector, actor, time)
  return { vector, loose: normalLoose(vector, [...a.loose, ...b.loose]) }
}

/**
 * Moves a dot into the vector. Sound only where every older dot of its actor has been seen: by the
 * actor itself, while its own copy is whole, and by an owner that covers the context on which the
 * dot was made.
 */
export function fold(context: Context, dot: Dot): Context {
  const vector = new Map(context.vector)
  raise(vector, dot.actor, dot.time)
  return { vector, loose: normalLoose(vector, context.loose) }
}

/** The highest dot that the context claims; `undefined` for the empty one. */
export function newestDot(context: Context): Dot | undefined {
  let newest = context.loose.at(-1)
  for (const [actor, time] of context.vector) {
    if (newest === undefined || compareDots({ actor, time }, newest) > 0) newest = { actor, time }
  }
  return newest
}

function hasSorted(dots: readonly Dot[], dot: Dot): boolean {
  let low = 0
  let high = dots.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareDots(dots[middle] as Dot, dot) < 0) low = middle + 1
    else high = middle
  }
  const found = dots[low]
  return found !== undefined && sameDot(found, dot)
}

function raise(vector: Map<Actor, Time>, actor: Actor, time: Time): void {
  if (time > (vector.get(actor) ?? TIME_ZERO)) vector.set(actor, time)
}

function normalLoose(vector: ReadonlyMap<Actor, Time>, dots: readonly Dot[]): readonly Dot[] {
  if (dots.length === 0) return dots
  return dots
    .filter(dot => dot.time > (vector.get(dot.actor) ?? TIME_ZERO))
    .sort(compareDots)
    .filter((dot, i, sorted) => i === 0 || !sameDot(dot, sorted[i - 1] as Dot))
}
