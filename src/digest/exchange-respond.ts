/**
 * The answering end of an exchange. What to answer follows from the request and the own trees and rows
 * alone: nothing is kept between two messages, so that a broken exchange leaves nothing behind.
 */
import { compare } from '../util/bytes.ts'
import type { Sliced } from '../util/sliced.ts'
import { LARGE_MESSAGES, RowBudget, ROWS_A_MESSAGE, type MessageSize } from './exchange-budget.ts'
import { Comparison, freshRoot } from './exchange-comparison.ts'
import {
  SUMMARY_BYTES,
  type ExchangeAnswer,
  type ExchangeRequest,
  type Found,
  type HashBlock,
  type RowList,
  type Taken,
  type Want
} from './exchange-message.ts'
import { PartReader, summarize, type ExchangeComponents, type LeafRow } from './exchange-rows.ts'

/** Blocks that are compared in one turn. */
const BLOCKS_A_TURN = 128

const NOTHING_TAKEN: Taken = { joined: [], refused: 0, aside: 0 }

/**
 * The answer to one request, whose rows have been applied before; `taken` says what became of them. To
 * a request that names its slots, which is a gift, no rows are sent.
 */
export function* respond(
  own: ExchangeComponents,
  request: ExchangeRequest,
  { joined, refused, aside }: Taken = NOTHING_TAKEN,
  size: MessageSize = LARGE_MESSAGES
): Sliced<ExchangeAnswer> {
  const hashes = yield* compareHashes(own, request)
  const isGift = request.slots !== undefined
  const joins = isGift ? [] : joined
  // Joins are never left out for want of room in a small message: they were sent to come back.
  const budget = new RowBudget(Math.max(size.rows, Math.min(joins.length, ROWS_A_MESSAGE)))
  const partial = !joins.every(row => budget.addOne(row))
  const joinsSent = budget.rows.length
  const reader = new PartReader(own)
  const wantsDone = isGift ? 0 : yield* fetchInto(budget, reader, request.wants)
  const lists = new ListComparison(reader, isGift ? undefined : budget, request.salt)
  yield* lists.compare(request.lists)
  const { listsDone, from, found } = lists
  const rowsRead = reader.rowsRead + request.rows.length
  const { rows } = budget
  const done = { listsDone, from, found, wantsDone, joins: joinsSent, partial, refused, aside }
  return { hashes, ...done, rows, rowsRead }
}

function* compareHashes(
  own: ExchangeComponents,
  { salt, root, hashes }: ExchangeRequest
): Sliced<HashBlock[]> {
  const found = new Comparison(own, salt)
  if (root !== undefined && compare(root, yield* freshRoot(own.group)) !== 0) found.openAll()
  for (const [i, block] of hashes.entries()) {
    found.compare(block)
    if (i % BLOCKS_A_TURN === 0) yield
  }
  const blocks: HashBlock[] = []
  for (const at of found.differing) {
    blocks.push(found.below(at))
    if (blocks.length % BLOCKS_A_TURN === 0) yield
  }
  for (const leaf of found.leaves) {
    blocks.push(found.leaf(leaf))
    if (blocks.length % BLOCKS_A_TURN === 0) yield
  }
  return blocks
}

/** Reads rows until a message has no room for more; returns how many wants that were. */
function* fetchInto(budget: RowBudget, reader: PartReader, wants: readonly Want[]): Sliced<number> {
  for (const [i, { tree, token }] of wants.entries()) {
    if (!budget.add(reader.byToken(tree, token))) return i
    if (i % BLOCKS_A_TURN === 0) yield
  }
  return wants.length
}

/**
 * Compares lists of the other side with the own rows, until the rows it lacks fill a message; without a
 * budget for them none are sent.
 */
class ListComparison {
  readonly found: Found[] = []
  listsDone = 0
  from: Uint8Array | undefined
  readonly #reader: PartReader
  readonly #budget: RowBudget | undefined
  readonly #salt: number

  constructor(reader: PartReader, budget: RowBudget | undefined, salt: number) {
    this.#reader = reader
    this.#budget = budget
    this.#salt = salt
  }

  *compare(lists: readonly RowList[]): Sliced<void> {
    let index = 0
    for (const list of lists) {
      const before = this.found.length
      if (!(yield* this.#compare(list, index))) {
        // Which of a list was seen cannot be said by half: it is compared again, with less to send.
        if (list.rows.length > 0) this.found.length = before
        if (list.rows.length > 0) this.from = undefined
        return
      }
      this.listsDone++
      index += list.rows.length / SUMMARY_BYTES
    }
  }

  /** False when the message was full before the end. */
  *#compare(list: RowList, first: number): Sliced<boolean> {
    if (list.rows.length === 0 && this.#budget === undefined) return true
    const theirs = indexOf(list.rows)
    let part = list as Omit<RowList, 'rows'>
    for (;;) {
      const { rows, next } = this.#reader.read(part)
      const isFull =
        list.rows.length === 0 ? !this.#send(rows) : !this.#match(rows, list, theirs, first)
      if (isFull) return false
      yield
      if (next === undefined) break
      part = { ...part, from: next }
    }
    for (const at of theirs.values())
      for (const i of at) this.found.push({ index: first + i, newest: undefined })
    this.from = undefined
    return true
  }

  /** To a side that has nothing of a part; false when the message was full before the end. */
  #send(rows: readonly LeafRow[]): boolean {
    for (const row of rows) {
      this.from = row.token
      if (!this.#sendOne(row)) return false
    }
    return true
  }

  #sendOne(row: LeafRow): boolean {
    return this.#budget === undefined || this.#budget.addOne(row)
  }

  #match(
    rows: readonly LeafRow[],
    list: RowList,
    theirs: Map<number, number[]>,
    first: number
  ): boolean {
    const own = summarize(rows, this.#salt)
    return rows.every((row, i) => this.#row(row, own, i * SUMMARY_BYTES, theirs, list.rows, first))
  }

  #row(
    row: LeafRow,
    own: Uint8Array,
    place: number,
    theirs: Map<number, number[]>,
    listed: Uint8Array,
    first: number
  ): boolean {
    const name = nameAt(own, place)
    const at = theirs.get(name)?.shift()
    if (at === undefined) {
      this.from = row.token
      return this.#sendOne(row)
    }
    if (theirs.get(name)?.length === 0) theirs.delete(name)
    const check = at * SUMMARY_BYTES + SUMMARY_BYTES / 2
    if (nameAt(own, place + SUMMARY_BYTES / 2) !== nameAt(listed, check)) {
      this.found.push({ index: first + at, newest: row.newest })
    }
    return true
  }
}

/** Where each window of a token stands in a list. Nearly always once. */
function indexOf(rows: Uint8Array): Map<number, number[]> {
  const index = new Map<number, number[]>()
  for (let i = 0; i < rows.length / SUMMARY_BYTES; i++) {
    const name = nameAt(rows, i * SUMMARY_BYTES)
    const known = index.get(name)
    if (known === undefined) index.set(name, [i])
    else known.push(i)
  }
  return index
}

/** A window as a number. */
function nameAt(rows: Uint8Array, at: number): number {
  const [a, b] = [rows[at] as number, rows[at + 1] as number]
  return ((a << 24) | (b << 16) | ((rows[at + 2] as number) << 8) | (rows[at + 3] as number)) >>> 0
}
