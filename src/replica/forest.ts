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

  build(): void {
    const { forest, rows, log } = this.#components
    for (const { place, stored } of rows.scan({})) {
      forest.add(place.slot, tokenHigh(place.token), stored.digest)
      this.#rows++
      if (this.#rows % PROGRESS_ROWS === 0) log.info('forest-building', { rows: this.#rows })
    }
    for (let slot = 0; slot < SLOTS; slot++) this.#fit(slot)
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
    const { forest, rows } = this.#components
    const found = [...rows.scan(slotRange(slot))].map(({ place, stored }) => ({
      high: tokenHigh(place.token),
      digest: stored.digest
    }))
    this.#rows += found.length - forest.rows(slot)
    forest.reset(slot, depthFor(found.length))
    for (const { high, digest } of found) forest.add(slot, high, digest)
  }

  #fit(slot: number): void {
    const { forest } = this.#components
    if (depthFor(forest.rows(slot)) !== forest.depth(slot)) this.rebuild(slot)
  }
}
