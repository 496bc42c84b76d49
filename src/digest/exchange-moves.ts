/**
 * The rows that an initiator has still to move: of those found to differ each side that is ahead sends,
 * slots in which the peer has nothing are sent as they are, and joins that the peer lacks go back to it.
 */
import type { Sliced } from '../util/sliced.ts'
import { bytesOf, RowBudget } from './exchange-budget.ts'
import type { Difference } from './exchange-lists.ts'
import { WANTS_A_MESSAGE, type Part, type RowItem, type Want } from './exchange-message.ts'
import type { PartReader } from './exchange-rows.ts'

const MOVES_A_TURN = 64

/** What went into one message. */
export interface Moved {
  readonly rows: readonly RowItem[]
  readonly wants: readonly Want[]
  /** Rows that were sent without having been compared. */
  readonly streamed: number
  /** Of the rows, those that were found to differ: keys and rows. */
  readonly bytesDiffered: number
  /** The slots of these. */
  readonly trees: ReadonlySet<number>
}

export class Moves {
  readonly #reader: PartReader
  #found: (Difference & { readonly isJoin?: boolean })[] = []
  #joinBytes = 0
  #wants: Want[] = []
  #streams: Part[] = []

  constructor(reader: PartReader) {
    this.#reader = reader
  }

  get open(): boolean {
    return this.#found.length + this.#wants.length + this.#streams.length > 0
  }

  /** Of what is left, the slots. */
  get trees(): readonly number[] {
    return [...this.#found, ...this.#wants, ...this.#streams].map(({ tree }) => tree)
  }

  add(differences: readonly Difference[]): void {
    for (const each of differences) this.#found.push(each)
  }

  /** Sends a row as it is then: a join, of which the peer has sent its part before. */
  send({ tree, token }: Want): void {
    this.#found.push({ tree, token, own: 0n, theirs: undefined, isJoin: true })
  }

  want(wants: readonly Want[]): void {
    for (const each of wants) this.#wants.push(each)
  }

  /** Sends all of a part. */
  stream(part: Part): void {
    this.#streams.push(part)
  }

  /** Rows are read when there is a message with room for them: as they are then. */
  *move(rowsMax?: number): Sliced<Moved> {
    const budget = new RowBudget(rowsMax)
    this.#joinBytes = 0
    yield* this.#decideInto(budget)
    const compared = budget.rows.length
    const trees = new Set<number>()
    yield* this.#streamInto(budget, trees)
    const wants = this.#wants.splice(0, WANTS_A_MESSAGE)
    const { rows } = budget
    const bytesDiffered = bytesOf(rows) - this.#joinBytes
    return { rows, wants, streamed: rows.length - compared, bytesDiffered, trees }
  }

  *#decideInto(budget: RowBudget): Sliced<void> {
    let taken = 0
    for (const { tree, token, own, theirs, isJoin } of this.#found) {
      if (theirs !== undefined && own < theirs) this.#wants.push({ tree, token })
      else {
        const rows = this.#reader.byToken(tree, token)
        if (!budget.add(rows)) break
        if (isJoin) this.#joinBytes += bytesOf(rows)
      }
      taken++
      if (taken % MOVES_A_TURN === 0) yield
    }
    this.#found.splice(0, taken)
  }

  *#streamInto(budget: RowBudget, trees: Set<number>): Sliced<void> {
    for (let part = this.#streams[0]; part !== undefined; part = this.#streams[0]) {
      const { rows, next } = this.#reader.read(part)
      if (rows.length > 0) trees.add(part.tree)
      for (const row of rows) {
        if (budget.addOne(row)) continue
        this.#streams[0] = { ...part, from: row.token }
        return
      }
      if (next === undefined) this.#streams.shift()
      else this.#streams[0] = { ...part, from: next }
      yield
    }
  }
}
