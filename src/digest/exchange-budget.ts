/**
 * How much goes into one message of an exchange, and how much is read for it in one turn: a node has
 * other things to do, and a frame has an end. What does not fit is for a later message.
 */
import type { LeafBlock, RowItem } from './exchange-message.ts'

export const ROW_BYTES_A_MESSAGE = 1024 * 1024
/** Rows that are listed in one message, give or take a part of a leaf. */
export const LISTED_A_MESSAGE = 8_192
/** A leaf of large rows takes long to read, however short its list is. */
export const READ_BYTES_AT_ONCE = 8 * 1024 * 1024

/** Takes lists of rows until they fill a message; one part of a leaf alone always fits. */
export class Page {
  readonly blocks: LeafBlock[] = []
  #weight = 0
  #bytesRead = 0

  get open(): boolean {
    return this.#weight < LISTED_A_MESSAGE && this.#bytesRead < READ_BYTES_AT_ONCE
  }

  /** A part without rows takes room too. `bytesRead`: what had to be read to make the list. */
  add(block: LeafBlock, bytesRead: number): void {
    this.blocks.push(block)
    this.#weight += block.rows.length + 4
    this.#bytesRead += bytesRead
  }
}

/** Takes rows as long as they fit a message; into an empty one everything fits. */
export class RowBudget {
  readonly rows: RowItem[] = []
  #bytes = 0

  /** Takes all of these or, when they do not fit any more, none. */
  add(rows: readonly RowItem[]): boolean {
    const bytes = rows.reduce((sum, { key, bytes }) => sum + key.length + bytes.length, 0)
    if (this.rows.length > 0 && this.#bytes + bytes > ROW_BYTES_A_MESSAGE) return false
    for (const { key, bytes } of rows) this.rows.push({ key, bytes })
    this.#bytes += bytes
    return true
  }
}
