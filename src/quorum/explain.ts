/**
 * What the copies of one key add up to: what it is, which versions readers see and why, and who is
 * behind. Pure; the same join and the same order of versions that reads use, told in words.
 */
import { printActor, printDot } from '../lattice/dot.ts'
import { encodeRow } from '../lattice/encode.ts'
import { millisecondsOf } from '../lattice/hlc.ts'
import { entriesOf, fieldsOf, kindOf, shownEntry, type Kind } from '../lattice/kinds.ts'
import { losersOf } from '../lattice/losers.ts'
import { join, ROW_EMPTY, versionOf, type Entry, type Row } from '../lattice/row.ts'
import { isCounting } from '../lattice/totals.ts'
import { equal } from '../util/bytes.ts'

export interface Verdict {
  /** `undefined` when readers of all copies see nothing. */
  readonly kind: Kind | undefined
  readonly version: string | undefined
  readonly why: string
  /** The versions of the entries that readers see. */
  readonly shown: ReadonlySet<string>
  /** For each copy whether it lacks something of the join. */
  readonly behind: readonly boolean[]
}

/** Of the copies that owners hold; one that is absent is the empty row. */
export function judge(copies: readonly Row[], nowMs: number): Verdict {
  const row = copies.reduce(join, ROW_EMPTY)
  const bytes = encodeRow(row)
  const dot = versionOf(row)
  return {
    kind: kindOf(row, nowMs),
    version: dot && printDot(dot),
    why: reasonOf(row, nowMs),
    shown: new Set(shownIn(row, nowMs).map(({ dot }) => printDot(dot))),
    behind: copies.map(copy => !equal(encodeRow(copy), bytes))
  }
}

function shownIn(row: Row, nowMs: number): readonly Entry[] {
  const kind = kindOf(row, nowMs)
  if (kind === 'set' || kind === 'map') return [...fieldsOf(row, kind, nowMs).values()]
  const entry = shownEntry(row, nowMs)
  return entry === undefined ? [] : [entry]
}

function reasonOf(row: Row, nowMs: number): string {
  const kind = kindOf(row, nowMs)
  if (kind !== undefined) return reasons[kind](row, nowMs) + ofOtherKinds(row)
  const newest = versionOf(row)
  if (newest === undefined) return 'Nobody that answered has ever seen the key.'
  return row.entries.length > 0 || row.totals.some(each => isCounting(each, -Infinity))
    ? 'It has expired, so reads pass over it.'
    : `All that was there was deleted; the last that its context has seen is ${printDot(newest)}.`
}

const reasons: Readonly<Record<Kind, (row: Row, nowMs: number) => string>> = {
  register: (row, nowMs) => {
    const all = entriesOf(row, 'register', nowMs)
    return againstOthers(all, shownEntry(row, nowMs) as Entry, countOfOtherKinds(row))
  },
  counter: ({ totals }, nowMs) => {
    const adding = totals.filter(total => isCounting(total, nowMs)).length
    return `It is a counter: its base and what ${many(adding, 'actor adds', 'actors add')}.`
  },
  set: (row, nowMs) => {
    const members = fieldsOf(row, 'set', nowMs).size
    return `It is a set of ${many(members, 'member')}; adding wins over a removal that did not see it.`
  },
  map: (row, nowMs) => {
    const [all, fields] = [entriesOf(row, 'map', nowMs).length, fieldsOf(row, 'map', nowMs).size]
    const lost = all === fields ? 'nothing is concurrent' : `${all - fields} concurrent lost`
    return `It is a map of ${many(fields, 'field')}; of each the highest version wins (${lost}).`
  }
}

function againstOthers(all: readonly Entry[], best: Entry, ofOtherKinds: number): string {
  const others = all.filter(entry => entry !== best)
  const next = others.at(-1)
  if (next === undefined && ofOtherKinds > 0) return 'It is the only value, and the latest.'
  if (next === undefined) return 'It replaced all that was there before it; nothing is concurrent.'
  const against = `It is concurrent with ${many(others.length, 'other')}`
  if (next.dot.time === best.dot.time) {
    return `${against}; of equal times the higher actor wins, ${printActor(best.dot.actor)}.`
  }
  const aheadMs = millisecondsOf(best.dot.time) - millisecondsOf(next.dot.time)
  return `${against} and has the latest time, ${aheadMs} ms after the next.`
}

/** Increments count as one. */
function countOfOtherKinds(row: Row): number {
  return losersOf(row).filter(({ reason }) => reason === 'other-kind').length
}

function ofOtherKinds(row: Row): string {
  const other = countOfOtherKinds(row)
  return other === 0 ? '' : ` ${many(other, 'entry', 'entries')} of another kind lost to it.`
}

function many(count: number, one: string, more = `${one}s`): string {
  return `${count} ${count === 1 ? one : more}`
}
