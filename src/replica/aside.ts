/**
 * What one batch puts into quarantine and takes out of it. Of a row one thing waits for its time: what
 * comes in while another waits is kept together with it, so that what replaces one replaces both.
 */
import { decodeChange, joinChange, type Change } from '../lattice/change.ts'
import { encodeRow } from '../lattice/encode.ts'
import { ROW_EMPTY } from '../lattice/row.ts'
import type { StoreWrite } from '../ports.ts'
import { equal, nameOf } from '../util/bytes.ts'
import type { Encoded, Joining, Quarantine } from './quarantine.ts'
import { ROW_BYTES_MAX } from './refusals.ts'

export class Aside {
  readonly writes: StoreWrite[] = []
  readonly #quarantine: Quarantine
  /** Put aside by this batch, and not committed yet. */
  readonly #waiting = new Map<string, Change>()

  constructor(quarantine: Quarantine) {
    this.#quarantine = quarantine
  }

  /** What waits of the row with this id. */
  waiting(id: Uint8Array): Change | undefined {
    const own = this.#waiting.size > 0 ? this.#waiting.get(nameOf(id)) : undefined
    return own ?? this.#quarantine.waiting(id)
  }

  /** False for what is not kept: what would make too much of a row, and what there is no room for. */
  add(id: Uint8Array, reason: 'malformed' | 'ahead', encoded: Encoded): boolean {
    const change = decodeChange(encoded.kind === 'delta', encoded.bytes)
    if (change === undefined || reason === 'malformed') {
      return this.#keep(this.#quarantine.add(id, reason, encoded))
    }
    const before = this.waiting(id)
    if (before === undefined) return this.#await(id, change, encoded)
    const held = joinChange(ROW_EMPTY, before)
    const row = joinChange(held, change)
    const bytes = encodeRow(row)
    // Until its time has come it is offered again and again. A row stands for more than a delta does.
    const isHeld = equal(bytes, encodeRow(held)) && ('dot' in change || !('dot' in before))
    return isHeld || this.#await(id, row, { kind: 'row', bytes })
  }

  #await(id: Uint8Array, change: Change, encoded: Encoded): boolean {
    if (encoded.bytes.length > ROW_BYTES_MAX) return false
    if (!this.#keep(this.#quarantine.add(id, 'ahead', encoded))) return false
    this.#waiting.set(nameOf(id), change)
    return true
  }

  #keep(writes: readonly StoreWrite[]): boolean {
    this.writes.push(...writes)
    return writes.length > 0
  }

  /** Something was joined into the row: what it makes up for is kept no more. */
  joined(id: Uint8Array, by: Joining): void {
    const done = this.#quarantine.joined(id, by, this.waiting(id))
    if (done.length === 0) return
    this.#waiting.delete(nameOf(id))
    this.writes.push(...done)
  }
}
