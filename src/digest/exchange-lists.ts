/**
 * The leaves of an initiator that are to be compared row by row: which are left, and the lists of what
 * it holds of them, as many as fit a message.
 */
import { concat } from '../util/bytes.ts'
import type { Sliced } from '../util/sliced.ts'
import { READ_BYTES_A_MESSAGE } from './exchange-budget.ts'
import {
  LISTS_A_MESSAGE,
  SUMMARY_BYTES,
  type ExchangeAnswer,
  type Part,
  type RowList,
  type Want
} from './exchange-message.ts'
import { summarize, unexpected, type LeafRow, type PartReader } from './exchange-rows.ts'

/** What went into one message. */
export interface Listed {
  readonly lists: readonly RowList[]
  /** Every row of the lists, in order, as it was when it was listed. */
  readonly rows: readonly LeafRow[]
  /** Their trees. */
  readonly trees: readonly number[]
}

/** A row that differs: the newest time here and that of the peer's, `undefined` when it has none. */
export interface Difference extends Want {
  readonly own: bigint
  readonly theirs: bigint | undefined
}

/** What does not fit an answer is read and listed again: so little more is listed than has fitted. */
const SPARE = 1.25
const ROWS_MIN = 256
const GROWTH = 4
/** At first: so that not all of them wait for the first answer. */
const EMPTY_FIRST = 1_024
const EMPTY_MIN = 32
/** So that few messages go by until one of them is full, where slots have few rows or none. */
const EMPTY_GROWTH = 4

export class Lists {
  readonly #reader: PartReader
  readonly #salt: number
  #queue: Part[] = []
  /** Leaves of which nothing is here come as rows, and how many fit is known by how many did. */
  #emptyMax = EMPTY_FIRST
  /** Where most rows are here already more are compared than sent; where few are, it is the other way. */
  #rowsMax = Infinity

  constructor(reader: PartReader, salt: number) {
    this.#reader = reader
    this.#salt = salt
  }

  get open(): boolean {
    return this.#queue.length > 0
  }

  add(part: Part): void {
    this.#queue.push(part)
  }

  /** Of what is left, the slots. */
  get trees(): readonly number[] {
    return this.#queue.map(({ tree }) => tree)
  }

  /** Lists leaves until the message is full. */
  *list(listedMax: number): Sliced<Listed> {
    const page = new Page(Math.min(listedMax, this.#rowsMax))
    let taken = 0
    while (page.open && page.empty < this.#emptyMax && taken < this.#queue.length) {
      const left = yield* this.#listInto(page, this.#queue[taken++] as Part)
      if (left !== undefined) this.#queue[--taken] = left
    }
    this.#queue.splice(0, taken)
    return page
  }

  /** Returns what of the part did not fit. */
  *#listInto(page: Page, part: Part): Sliced<Part | undefined> {
    const windows: Uint8Array[] = []
    for (let at = part; ;) {
      const { rows, next } = this.#reader.read(at)
      windows.push(summarize(rows, this.#salt))
      page.note(part.tree, rows)
      yield
      const full = next !== undefined && !page.open
      if (next === undefined || full) {
        const to = next ?? part.to
        page.add({ ...part, to, rows: concat(windows) })
        return full ? { ...part, from: to } : undefined
      }
      at = { ...part, from: next }
    }
  }

  /**
   * Keeps what was not compared to its end. False for a peer that did nothing of what it was asked,
   * which is not asked again.
   */
  answered({ lists }: Listed, { listsDone, from, rows }: ExchangeAnswer): boolean {
    if (listsDone > lists.length) throw unexpected('compares more lists than it was sent')
    const left = lists.slice(listsDone)
    const compared = sum(lists.slice(0, listsDone))
    if (left.length === 0) this.#rowsMax *= GROWTH
    else this.#rowsMax = Math.max(ROWS_MIN, SPARE * compared)
    const emptyMax = Math.max(EMPTY_MIN, EMPTY_GROWTH * listsDone)
    this.#emptyMax = left.length > 0 ? emptyMax : Math.max(this.#emptyMax, emptyMax)
    if (left.length === 0) return true
    if (listsDone === 0 && rows.length === 0) return false
    const [first, ...others] = left.map(partOf) as [Part, ...Part[]]
    this.#queue.unshift({ ...first, from: from ?? first.from }, ...others)
    return true
  }
}

/** The lists of one message. */
class Page implements Listed {
  readonly lists: RowList[] = []
  readonly rows: LeafRow[] = []
  readonly trees: number[] = []
  empty = 0
  readonly #listedMax: number
  #bytes = 0

  constructor(listedMax: number) {
    this.#listedMax = listedMax
  }

  get open(): boolean {
    const room = this.lists.length < LISTS_A_MESSAGE && this.rows.length < this.#listedMax
    return room && this.#bytes < READ_BYTES_A_MESSAGE
  }

  note(tree: number, rows: readonly LeafRow[]): void {
    for (const row of rows) {
      this.rows.push(row)
      this.trees.push(tree)
      this.#bytes += row.byteLength
    }
  }

  add(list: RowList): void {
    if (list.rows.length === 0) this.empty++
    this.lists.push(list)
  }
}

function sum(lists: readonly RowList[]): number {
  return lists.reduce((rows, each) => rows + each.rows.length / SUMMARY_BYTES, 0)
}

function partOf({ tree, depth, leaf, from, to }: RowList): Part {
  return { tree, depth, leaf, from, to }
}

/** The rows that an answer is about, and what the peer has of them. */
export function foundIn({ rows, trees }: Listed, { found }: ExchangeAnswer): Difference[] {
  if (found.length > rows.length) throw unexpected('finds more rows than were listed')
  return found.map(({ index, newest }) => {
    const row = rows[index]
    if (row === undefined) throw unexpected('finds rows that were not listed')
    return { tree: trees[index] as number, token: row.token, own: row.newest, theirs: newest }
  })
}
