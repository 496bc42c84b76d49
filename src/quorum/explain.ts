/**
 * What the copies of one key add up to: what it is, which versions readers see and why, and who is
 * behind. Pure; the same join and the same order of versions that reads use, told in words.
 */
import { printActor, printDot } from '../lattice/dot.ts'
import { encodeRow } from '../lattice/encode.ts'
import { aliveAt, shownVersion } from '../lattice/expiry.ts'
import { millisecondsOf } from '../lattice/hlc.ts'
import { entriesOf, fieldsOf, kindOf, shownEntry, type Kind } from '../lattice/kinds.ts'
import { losersOf } from '../lattice/losers.ts'
import {
  join,
  NOTHING_EXPIRED_MS,
  ROW_EMPTY,
  versionOf,
  type Entry,
  type Row
} from '../lattice/row.ts'
import { isCounting, newestIncrement } from '../lattice/totals.ts'
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

/**
 * Of the copies that owners hold; one that is absent is the empty row. `unknown`: how many of those that
 * answered do not know what they should hold.
 */
export function judge(copies: readonly Row[], nowMs: number, unknown = 0): Verdict {
  const row = copies.reduce(join, ROW_EMPTY)
  const bytes = encodeRow(row)
  const dot = shownVersion(row, nowMs)
  return {
    kind: kindOf(row, nowMs),
    version: dot && printDot(dot),
    why: reasonOf(row, nowMs, unknown),
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

function reasonOf(row: Row, nowMs: number, unknown: number): string {
  const kind = kindOf(row, nowMs)
  if (kind !== undefined) return reasonOfShown(row, kind, nowMs)
  const newest = versionOf(row)
  if (newest === undefined) return reasonOfNothing(unknown)
  return row.entries.length > 0 || row.totals.some(each => isCounting(each, NOTHING_EXPIRED_MS))
    ? 'It has expired, so reads pass over it.'
    : `All that was there was deleted; the last that its context has seen is ${printDot(newest)}.`
}

function reasonOfNothing(unknown: number): string {
  if (unknown === 0) return 'Nobody that answered has ever seen the key.'
  const who = many(unknown, 'of them does not', 'of them do not')
  return `Nobody that answered has a row, and ${who} know: the copy is damaged, or being filled.`
}

/** What has expired takes part in nothing; that there is some is told beside. */
function reasonOfShown(row: Row, kind: Kind, nowMs: number): string {
  const alive = aliveAt(row, nowMs)
  const expired = countOf(row) - countOf(alive)
  const passed = expired === 0 ? '' : ` ${many(expired, 'entry has', 'entries have')} expired.`
  return reasons[kind](alive, expired) + ofOtherKinds(alive) + passed
}

/** Each is given a row of which nothing has expired. */
const reasons: Readonly<Record<Kind, (row: Row, expired: number) => string>> = {
  register: (row, expired) => {
    const all = entriesOf(row, 'register', NOTHING_EXPIRED_MS)
    const best = shownEntry(row, NOTHING_EXPIRED_MS) as Entry
    return againstOthers(all, best) ?? reasonOfOnly(countOfOtherKinds(row), expired)
  },
  counter: ({ totals }) => {
    const adding = totals.filter(total => isCounting(total, NOTHING_EXPIRED_MS)).length
    return `It is a counter: its base and what ${many(adding, 'actor adds', 'actors add')}.`
  },
  set: row => {
    const members = fieldsOf(row, 'set', NOTHING_EXPIRED_MS).size
    return `It is a set of ${many(members, 'member')}; adding wins over a removal that did not see it.`
  },
  map: row => {
    const all = entriesOf(row, 'map', NOTHING_EXPIRED_MS).length
    const fields = fieldsOf(row, 'map', NOTHING_EXPIRED_MS).size
    const lost = all === fields ? 'nothing is concurrent' : `${all - fields} concurrent lost`
    return `It is a map of ${many(fields, 'field')}; of each the highest version wins (${lost}).`
  }
}

function reasonOfOnly(ofOtherKinds: number, expired: number): string {
  if (expired > 0) return 'It is the only value left.'
  return ofOtherKinds > 0
    ? 'It is the only value, and the latest.'
    : 'It replaced all that was there before it; nothing is concurrent.'
}

/** `undefined` when there are none. */
function againstOthers(all: readonly Entry[], best: Entry): string | undefined {
  const others = all.filter(entry => entry !== best)
  const next = others.at(-1)
  if (next === undefined) return undefined
  const against = `It is concurrent with ${many(others.length, 'other')}`
  if (next.dot.time === best.dot.time) {
    return `${against}; of equal times the higher actor wins, ${printActor(best.dot.actor)}.`
  }
  const aheadMs = millisecondsOf(best.dot.time) - millisecondsOf(next.dot.time)
  return `${against} and has the latest time, ${aheadMs} ms after the next.`
}

/** Increments count as one. */
function countOf({ entries, totals }: Row): number {
  return entries.length + Number(newestIncrement(totals, NOTHING_EXPIRED_MS) !== undefined)
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
