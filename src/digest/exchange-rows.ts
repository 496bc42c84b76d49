/**
 * The rows behind the trees, as an exchange reads them: in parts that are short enough for one turn,
 * and counted. No reading is left open between two turns, since rows may be written then.
 */
import { HearsayError } from '../errors.ts'
import { compare, equal } from '../util/bytes.ts'
import { READ_BYTES_A_TURN, READ_ROWS_A_TURN } from './exchange-budget.ts'
import {
  SUMMARY_BYTES,
  WINDOW_BYTES,
  type Leaf,
  type Part,
  type RowItem
} from './exchange-message.ts'
import type { Forest, SlotGroup } from './forest.ts'

export interface LeafRow extends RowItem {
  readonly token: Uint8Array
  /** The newest time the row has seen. */
  readonly newest: bigint
  /** Of the row without its key. */
  readonly byteLength: number
  /** Writes what is listed of it; see `windowsInto`. */
  summarizeInto(out: Uint8Array, at: number, salt: number): void
}

/** The rows of a store. Everything handed out belongs to the caller. */
export interface LeafReader {
  /** In the order of tokens, from a token on. */
  leaf(slot: number, depth: number, leaf: number, from?: Uint8Array): Iterable<LeafRow>
  byToken(slot: number, token: Uint8Array): Iterable<LeafRow>
  /** Where the row of a key is, if it is. */
  locate(key: Uint8Array): { readonly slot: number; readonly token: Uint8Array }
}

export interface ExchangeComponents {
  readonly forest: Forest
  readonly group: SlotGroup
  readonly rows: LeafReader
}

/** Rows of a part, and the token at which the next turn goes on, if there are more. */
export interface Turn {
  readonly rows: readonly LeafRow[]
  readonly next: Uint8Array | undefined
}

const NO_ROWS: Turn = { rows: [], next: undefined }

export class PartReader {
  readonly #own: ExchangeComponents
  #rowsRead = 0

  constructor(own: ExchangeComponents) {
    this.#own = own
  }

  get rowsRead(): number {
    return this.#rowsRead
  }

  /** As many rows as one turn may read. Rows of one token are never torn apart. */
  read({ tree, depth, leaf, from, to }: Part): Turn {
    const slot = slotAt(this.#own, tree)
    // Opening a range of the store costs more than reading a few rows of it.
    if (this.#own.forest.rows(slot) === 0) return NO_ROWS
    const rows: LeafRow[] = []
    let bytes = 0
    for (const row of this.#own.rows.leaf(slot, depth, leaf, from)) {
      if (to !== undefined && compare(row.token, to) >= 0) break
      const full = rows.length >= READ_ROWS_A_TURN || bytes >= READ_BYTES_A_TURN
      if (full && !equal(row.token, (rows.at(-1) as LeafRow).token))
        return { rows, next: row.token }
      rows.push(row)
      bytes += row.byteLength
      this.#rowsRead++
    }
    return { rows, next: undefined }
  }

  /** The rows of one token: one, but for a collision. */
  byToken(tree: number, token: Uint8Array): LeafRow[] {
    const rows = [...this.#own.rows.byToken(slotAt(this.#own, tree), token)]
    this.#rowsRead += rows.length
    return rows
  }
}

/** Whether there is no row in any of the shared slots. */
export function isEmptyGroup({ forest, group }: ExchangeComponents): boolean {
  return group.slots.every(slot => forest.rows(slot) === 0)
}

/** The slot that a message means; throws `ERR_PROTOCOL` when it means none. */
export function slotAt({ group }: ExchangeComponents, tree: number): number {
  const slot = group.slots[tree]
  if (slot === undefined) throw unexpected('speaks of slots that are not shared')
  return slot
}

export function unexpected(what: string): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `The peer of an exchange ${what}; it is given up.`)
}

/** All of a leaf. */
export function whole({ tree, depth, leaf }: Leaf): Part {
  return { tree, depth, leaf, from: undefined, to: undefined }
}

/** Bytes from a place on. */
interface Bytes {
  readonly bytes: Uint8Array
  readonly from: number
}

/** Writes what is listed of a row. The bits that choose a leaf lie before the window of the token. */
export function windowsInto(
  out: Uint8Array,
  at: number,
  salt: number,
  token: Bytes,
  digest: Bytes
): void {
  const tokenAt = token.from + 2 + (salt % 3)
  const digestAt = digest.from + salt * WINDOW_BYTES
  for (let i = 0; i < WINDOW_BYTES; i++) {
    out[at + i] = token.bytes[tokenAt + i] as number
    out[at + WINDOW_BYTES + i] = digest.bytes[digestAt + i] as number
  }
}

export function summarize(rows: readonly LeafRow[], salt: number): Uint8Array {
  const out = new Uint8Array(rows.length * SUMMARY_BYTES)
  rows.forEach((row, i) => row.summarizeInto(out, i * SUMMARY_BYTES, salt))
  return out
}
