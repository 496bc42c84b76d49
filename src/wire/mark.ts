/** What a mark is on the wire and on disk; what it means is in replica/mark.ts. */
import { isCount } from '../util/msgpack.ts'

/** How far a data directory had come: which of its starts, and how many commits since. */
export interface Mark {
  /** Names a start; later ones of one directory are higher. 0: none. */
  readonly life: number
  readonly count: number
}

export const MARK_NONE: Mark = { life: 0, count: 0 }

/** What two nodes tell each other of how far they have come, with every message. */
export interface Marks {
  /** Of the one who sends it. */
  readonly mine: Mark
  /** The highest that the sender remembers of the one it is sent to. */
  readonly yours: Mark
}

export const MARKS_NONE: Marks = { mine: MARK_NONE, yours: MARK_NONE }

export function isBefore(a: Mark, b: Mark): boolean {
  return a.life !== b.life ? a.life < b.life : a.count < b.count
}

export function markFields({ life, count }: Mark): readonly unknown[] {
  return [life, count]
}

/** `undefined` for what is no mark. */
export function readMark([life, count]: readonly unknown[]): Mark | undefined {
  // Half of what there is, so that counting on from it never runs out.
  const max = Number.MAX_SAFE_INTEGER / 2
  return isCount(life, max) && isCount(count, max) ? { life, count } : undefined
}

/** Four fields. */
export function marksFields({ mine, yours }: Marks): readonly unknown[] {
  return [...markFields(mine), ...markFields(yours)]
}

/** `undefined` for what are no marks. */
export function readMarks(fields: readonly unknown[]): Marks | undefined {
  const mine = readMark(fields.slice(0, 2))
  const yours = readMark(fields.slice(2, 4))
  return mine && yours && { mine, yours }
}
