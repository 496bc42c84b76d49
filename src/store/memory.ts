/**
 * A store in memory: sorted arrays. A commit takes effect at once and is as durable as the process.
 * What is stored outlives the store object in its `MemoryDisk`, so that a restart can be played.
 */
import type { Range, Space, Store, StoreWrite } from '../ports.ts'
import { compare } from '../util/bytes.ts'
import { checkWrites, closedError, spaces } from './limits.ts'

export interface MemoryStoreComponents {
  /** @default a new, empty one */
  readonly disk?: MemoryDisk
}

/** What a `MemoryStore` keeps its rows on. Not for two open stores at a time. */
export class MemoryDisk {
  readonly place: string
  readonly #spaces = new Map(spaces.map(space => [space, new SortedBytes()]))

  constructor(place = 'memory') {
    this.place = place
  }

  space(name: Space): SortedBytes {
    return this.#spaces.get(name) as SortedBytes
  }
}

export class MemoryStore implements Store {
  readonly place: string
  readonly #disk: MemoryDisk
  #open = true

  constructor(components: MemoryStoreComponents = {}) {
    this.#disk = components.disk ?? new MemoryDisk()
    this.place = this.#disk.place
  }

  get(space: Space, key: Uint8Array): Uint8Array | undefined {
    this.#assertOpen()
    return this.#disk.space(space).get(key)?.slice()
  }

  range(space: Space, range: Range = {}): Iterable<readonly [Uint8Array, Uint8Array]> {
    this.#assertOpen()
    return this.#disk.space(space).range(range)
  }

  async commit(writes: readonly StoreWrite[]): Promise<void> {
    this.#assertOpen()
    checkWrites(writes)
    for (const { space, key, value } of writes) this.#disk.space(space).set(key, value)
  }

  async close(): Promise<void> {
    this.#open = false
  }

  #assertOpen(): void {
    if (!this.#open) throw closedError()
  }
}

/** Keys in ascending order and, beside them, their values. */
class SortedBytes {
  readonly #keys: Uint8Array[] = []
  readonly #values: Uint8Array[] = []

  /** Not a copy. */
  get(key: Uint8Array): Uint8Array | undefined {
    const at = this.#find(key)
    return this.#holds(at, key) ? this.#values[at] : undefined
  }

  set(key: Uint8Array, value: Uint8Array | undefined): void {
    const at = this.#find(key)
    const known = this.#holds(at, key) ? 1 : 0
    if (value === undefined) {
      this.#keys.splice(at, known)
      this.#values.splice(at, known)
    } else {
      this.#keys.splice(at, known, Uint8Array.from(key))
      this.#values.splice(at, known, Uint8Array.from(value))
    }
  }

  *range({ from, to, limit = Infinity }: Range): Generator<[Uint8Array, Uint8Array]> {
    const start = from === undefined ? 0 : this.#find(from)
    const end = to === undefined ? this.#keys.length : this.#find(to)
    for (let at = start; at < Math.min(end, start + limit); at++) {
      yield [(this.#keys[at] as Uint8Array).slice(), (this.#values[at] as Uint8Array).slice()]
    }
  }

  #holds(at: number, key: Uint8Array): boolean {
    const found = this.#keys[at]
    return found !== undefined && compare(found, key) === 0
  }

  /** The position of the first key that is not before `key`. */
  #find(key: Uint8Array): number {
    let low = 0
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compare(this.#keys[middle] as Uint8Array, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
