/**
 * Keeps the Merkle forest true: every committed change of a row is one subtraction and one addition,
 * and a slot whose tree has become too shallow for its rows is laid out anew from the store. At the
 * start the whole forest is built by one pass over the rows.
 */
import { depthFor, SLOTS, type Forest, type SlotGroup } from '../digest/forest.ts'
import type { Log } from '../ports.ts'
import { slotRange, tokenHigh } from '../ring/row-key.ts'
import type { Place, Rows } from './rows.ts'

const PROGRESS_ROWS = 100_000

/** What a tree needs of a row. */
interface Digested {
  readonly token: Uint8Array
  readonly digest: Uint8Array
}

export interface ForestKeeperComponents {
  readonly forest: Forest
  readonly rows: Rows
  readonly log: Log
}

export class ForestKeeper {
  readonly #components: ForestKeeperComponents
  #rows = 0
  #everySlot: SlotGroup | undefined

  constructor(components: ForestKeeperComponents) {
    this.#components = components
  }

  /** Rows in all slots, tombstones among them. */
  get rows(): number {
    return this.#rows
  }

  /** Root over every slot: equal on two nodes that hold the same rows. */
  root(): Uint8Array {
    this.#everySlot ??= this.#components.forest.group(
      Uint16Array.from({ length: SLOTS }, (_, i) => i)
    )
    return this.#everySlot.root()
  }

  /** One pass over all rows, which lie in the order of slots. */
  build(): void {
    const { rows, log } = this.#components
    let slot = 0
    let found: Digested[] = []
    for (const row of rows.digests({})) {
      if (row.slot !== slot) {
        this.#lay(slot, found)
        slot = row.slot
        found = []
      }
      found.push(row)
      const seen = this.#rows + found.length
      if (seen % PROGRESS_ROWS === 0) log.info('forest-building', { rows: seen })
    }
    this.#lay(slot, found)
  }

  /** After the commit of a change; `fit` follows. `before` and `after` are row digests. */
  replace(place: Place, before: Uint8Array | undefined, after: Uint8Array): void {
    const { forest } = this.#components
    const high = tokenHigh(place.token)
    if (before === undefined) this.#rows++
    else forest.remove(place.slot, high, before)
    forest.add(place.slot, high, after)
  }

  /**
   * Lays out anew the trees that their rows have outgrown. Only once every change of the commit is in
   * the forest: the rows are read from the store, which has them all.
   */
  fit(slots: Iterable<number>): void {
    for (const slot of slots) this.#fit(slot)
  }

  /** Lays the tree of a slot out anew from the rows that are proven. */
  rebuild(slot: number): void {
    this.#lay(slot, [...this.#components.rows.digests(slotRange(slot))])
  }

  #lay(slot: number, found: readonly Digested[]): void {
    const { forest } = this.#components
    this.#rows += found.length - forest.rows(slot)
    forest.reset(slot, depthFor(found.length))
    for (const { token, digest } of found) forest.add(slot, tokenHigh(token), digest)
  }

  #fit(slot: number): void {
    const { forest } = this.#components
    if (depthFor(forest.rows(slot)) !== forest.depth(slot)) this.rebuild(slot)
  }
}
