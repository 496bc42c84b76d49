/**
 * What one batch puts into quarantine and takes out of it. Of a row one thing waits for its time: what
 * comes in while another waits is kept together with it, so that what replaces one replaces both.
 */
import { decodeChange, joinChange, type Change } from '../lattice/change.ts'
import { encodeRow } from '../lattice/encode.ts'
import { ROW_EMPTY } from '../lattice/row.ts'
import type { StoreWrite } from '../ports.ts'
import { equal, nameOf } from '../util/bytes.ts'
import type { Encoded, Joining, Kept, Quarantine } from './quarantine.ts'
import { ROW_BYTES_MAX } from './refusals.ts'

export class Aside {
  readonly writes: StoreWrite[] = []
  readonly #quarantine: Quarantine
  /** By row, what this batch has left of what is kept beside it. */
  readonly #left = new Map<string, Kept | undefined>()

  constructor(quarantine: Quarantine) {
    this.#quarantine = quarantine
  }

  /** What waits of the row with this id. */
  waiting(id: Uint8Array): Change | undefined {
    return this.#kept(id)?.waiting
  }

  /** False for what is not kept: what would make too much of a row, and what there is no room for. */
  add(id: Uint8Array, reason: 'malformed' | 'ahead', encoded: Encoded): boolean {
    const change = decodeChange(encoded.kind === 'delta', encoded.bytes)
    const before = this.waiting(id)
    if (change === undefined || reason === 'malformed') {
      // What waits can be used one day.
      return before === undefined && this.#keep(id, encoded)
    }
    if (before === undefined) return this.#keep(id, encoded, change)
    const held = joinChange(ROW_EMPTY, before)
    const row = joinChange(held, change)
    const bytes = encodeRow(row)
    // Until its time has come it is offered again and again. A row stands for more than a delta does.
    const isHeld = equal(bytes, encodeRow(held)) && ('dot' in change || !('dot' in before))
    return isHeld || this.#keep(id, { kind: 'row', bytes }, row)
  }

  /** Something was joined into the row: what it makes up for is kept no more. */
  joined(id: Uint8Array, by: Joining): void {
    const done = this.#quarantine.joined(id, by, this.#kept(id))
    if (done.length === 0) return
    if (done.some(({ key }) => equal(key, id))) this.#left.set(nameOf(id), undefined)
    this.writes.push(...done)
  }

  #kept(id: Uint8Array): Kept | undefined {
    const name = this.#left.size > 0 ? nameOf(id) : ''
    return this.#left.has(name) ? this.#left.get(name) : this.#quarantine.kept(id)
  }

  #keep(id: Uint8Array, encoded: Encoded, waiting?: Change): boolean {
    if (waiting !== undefined && encoded.bytes.length > ROW_BYTES_MAX) return false
    const writes = this.#quarantine.add(id, waiting ? 'ahead' : 'malformed', encoded)
    if (writes.length === 0) return false
    this.#left.set(nameOf(id), { bytes: encoded.bytes, waiting })
    this.writes.push(...writes)
    return true
  }
}
