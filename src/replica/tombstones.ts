/**
 * How many of the rows are tombstones: rows that were deleted, and stay so that what was deleted does
 * not come back. The count is committed with the rows that change it, so a start need not read them.
 */
import { CONTEXT_EMPTY } from '../lattice/context.ts'
import { NOTHING_EXPIRED_MS, type Row } from '../lattice/row.ts'
import { newestIncrement } from '../lattice/totals.ts'
import type { Store, StoreWrite } from '../ports.ts'
import { utf8 } from '../util/bytes.ts'
import { isCount, pack, unpack } from '../util/msgpack.ts'
import type { Rows } from './rows.ts'

const KEY = utf8('tombstones')
const META = { space: 'meta', key: KEY } as const

export function isTombstone({ context, entries, totals }: Row): boolean {
  if (entries.length > 0 || context === CONTEXT_EMPTY) return false
  return newestIncrement(totals, NOTHING_EXPIRED_MS) === undefined
}

export class Tombstones {
  #count = 0
  /** Nothing is saved any more, so that the next start counts. */
  #forgotten = false

  get count(): number {
    return this.#count
  }

  /** Reads the count; where it is not known, every row is looked at once. Resolves with what to commit. */
  open(store: Store, rows: Rows): StoreWrite[] {
    const saved = store.get('meta', KEY)
    const count = saved && unpack(saved)
    if (isCount(count, Number.MAX_SAFE_INTEGER)) {
      this.#count = count
      return []
    }
    for (const { stored } of rows.scan({})) if (isTombstone(stored.row)) this.#count++
    return [this.#write(this.#count)]
  }

  /** To be committed with changes that make so many more (or, below 0, fewer) of them. */
  stage(more: number): StoreWrite[] {
    return more === 0 || this.#forgotten ? [] : [this.#write(Math.max(0, this.#count + more))]
  }

  /** Once that is committed. */
  reached(more: number): void {
    this.#count = Math.max(0, this.#count + more)
  }

  /** To be committed when rows went that could not be read: the next start counts anew. */
  forget(): StoreWrite {
    this.#forgotten = true
    return { ...META, value: undefined }
  }

  #write(count: number): StoreWrite {
    return { ...META, value: pack(count) }
  }
}
