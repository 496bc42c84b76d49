/**
 * What the copies of one key add up to: which version wins and why, and who is behind. Pure; the
 * same join and the same order of versions that reads use, told in words.
 */
import { printActor, printDot, type Dot } from '../lattice/dot.ts'
import { millisecondsOf } from '../lattice/hlc.ts'
import { encodeRow } from '../lattice/encode.ts'
import { newestDot } from '../lattice/context.ts'
import { join, ROW_EMPTY, winner, type Entry, type Row } from '../lattice/row.ts'
import { equal } from '../util/bytes.ts'

export interface Verdict {
  /** The join of all copies: what a read of all of them would see. */
  readonly row: Row
  readonly version: string | undefined
  readonly deleted: boolean
  readonly why: string
  /** For each copy whether it lacks something of the join. */
  readonly behind: readonly boolean[]
}

/** Of the copies that owners hold; one that is absent is the empty row. */
export function judge(copies: readonly Row[], nowMs: number): Verdict {
  const row = copies.reduce(join, ROW_EMPTY)
  const bytes = encodeRow(row)
  const behind = copies.map(copy => !equal(encodeRow(copy), bytes))
  const best = winner(row)
  const dot = best?.dot ?? newestDot(row.context)
  return {
    row,
    version: dot && printDot(dot),
    deleted: best === undefined && dot !== undefined,
    why: reasonOf(row, best, dot, nowMs),
    behind
  }
}

function reasonOf(row: Row, best: Entry | undefined, dot: Dot | undefined, nowMs: number): string {
  if (dot === undefined) return 'Nobody that answered has ever seen the key.'
  if (best === undefined) {
    return `It was deleted; the last of what its context has seen is ${printDot(dot)}.`
  }
  const expired = best.expiresAt !== undefined && best.expiresAt <= nowMs
  return againstOthers(row, best) + (expired ? ' It has expired, so reads pass over it.' : '')
}

function againstOthers(row: Row, best: Entry): string {
  const others = row.entries.filter(entry => entry !== best && sameField(entry, best))
  const next = others.at(-1)
  if (next === undefined) return 'It replaced all that was there before it; nothing is concurrent.'
  const many = `${others.length} other${others.length === 1 ? '' : 's'}`
  return next.dot.time === best.dot.time
    ? `It is concurrent with ${many}; of equal times the higher actor wins, ${printActor(best.dot.actor)}.`
    : `It is concurrent with ${many} and has the latest time, ` +
        `${millisecondsOf(best.dot.time) - millisecondsOf(next.dot.time)} ms after the next.`
}

function sameField(a: Entry, b: Entry): boolean {
  if (a.field === undefined || b.field === undefined) return a.field === b.field
  return equal(a.field, b.field)
}
