/**
 * How much goes into one message of an exchange, and how much is read for it in one turn: a node has
 * other things to do, and a frame has an end. What does not fit is for a later message.
 */
import { HASHES_A_MESSAGE, LISTED_A_MESSAGE, type RowItem } from './exchange-message.ts'

export const ROW_BYTES_A_MESSAGE = 1024 * 1024
/** Two messages of them fit into the queue of a replica and leave room for what clients write. */
export const ROWS_A_MESSAGE = 4_096
/** A leaf of large rows takes long to read, however short its list is. */
export const READ_BYTES_A_MESSAGE = 16 * 1024 * 1024
/** What is read before the work can be interrupted. */
export const READ_ROWS_A_TURN = 128
export const READ_BYTES_A_TURN = 1024 * 1024

/** How much goes into one message: rows that are sent, rows that are listed, and hashes. */
export interface MessageSize {
  readonly rows: number
  readonly listed: number
  /** Of those that are asked about: each is answered with up to 2^LEVELS_A_MESSAGE. */
  readonly hashes: number
}

export const LARGE_MESSAGES: MessageSize = {
  rows: ROWS_A_MESSAGE,
  listed: LISTED_A_MESSAGE,
  hashes: HASHES_A_MESSAGE
}
/** A message is read and written in one go: these take a millisecond or two. */
export const SMALL_MESSAGES: MessageSize = { rows: 512, listed: 2_048, hashes: 512 }

/** Of keys and rows. */
export function bytesOf(rows: readonly RowItem[]): number {
  let bytes = 0
  for (const row of rows) bytes += row.key.length + row.bytes.length
  return bytes
}

/** Takes rows as long as they fit a message; into an empty one everything fits. */
export class RowBudget {
  readonly rows: RowItem[] = []
  readonly #rowsMax: number
  #bytes = 0

  /** @param rowsMax at most `ROWS_A_MESSAGE` */
  constructor(rowsMax = ROWS_A_MESSAGE) {
    this.#rowsMax = rowsMax
  }

  /** Takes all of these or, when they do not fit any more, none. */
  add(rows: readonly RowItem[]): boolean {
    const bytes = bytesOf(rows)
    if (!this.#fits(rows.length, bytes)) return false
    for (const row of rows) this.rows.push(row)
    this.#bytes += bytes
    return true
  }

  /** Takes this one, if it fits. */
  addOne(row: RowItem): boolean {
    const bytes = row.key.length + row.bytes.length
    if (!this.#fits(1, bytes)) return false
    this.rows.push(row)
    this.#bytes += bytes
    return true
  }

  #fits(rows: number, bytes: number): boolean {
    if (this.rows.length === 0) return true
    const many = this.rows.length + rows > this.#rowsMax
    return !many && this.#bytes + bytes <= ROW_BYTES_A_MESSAGE
  }
}
