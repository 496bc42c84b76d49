/**
 * How much goes into one message of an exchange, and how much is read for it in one turn: a node has
 * other things to do, and a frame has an end. What does not fit is for a later message.
 */
import type { RowItem } from './exchange-message.ts'

export const ROW_BYTES_A_MESSAGE = 1024 * 1024
/** Two messages of them fit into the queue of a replica and leave room for what clients write. */
export const ROWS_A_MESSAGE = 4_096
/** A leaf of large rows takes long to read, however short its list is. */
export const READ_BYTES_A_MESSAGE = 16 * 1024 * 1024
/** What is read before the work can be interrupted. */
export const READ_ROWS_A_TURN = 128
export const READ_BYTES_A_TURN = 1024 * 1024

/** Takes rows as long as they fit a message; into an empty one everything fits. */
export class RowBudget {
  readonly rows: RowItem[] = []
  #bytes = 0

  /** Takes all of these or, when they do not fit any more, none. */
  add(rows: readonly RowItem[]): boolean {
    const bytes = rows.reduce((sum, { key, bytes }) => sum + key.length + bytes.length, 0)
    const many = this.rows.length + rows.length > ROWS_A_MESSAGE
    const large = this.#bytes + bytes > ROW_BYTES_A_MESSAGE
    if (this.rows.length > 0 && (many || large)) return false
    for (const { key, bytes } of rows) this.rows.push({ key, bytes })
    this.#bytes += bytes
    return true
  }
}
