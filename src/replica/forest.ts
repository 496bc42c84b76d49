/**
 * Keeps the Merkle forest true: every committed change of a row is one subtraction and one addition,
 * and a slot whose tree has become too shallow for its rows is laid out anew from the store. At the
 * start the forest comes back from its checkpoints, and only the rows of slots that changed since
 * theirs are read: see checkpoints.ts.
 */
import { depthFor, SLOTS, type Forest, type SlotGroup } from '../digest/forest.ts'
import type { Log, Range, Store, StoreWrite } from '../ports.ts'
import { slotRange, tokenHigh } from '../ring/row-key.ts'
import { Checkpoints, type CommitSize } from './checkpoints.ts'
import type { Place, Rows } from './rows.ts'
import { verify, type Position, type Verified, type VerifyBudget } from './verify.ts'

const PROGRESS_ROWS = 100_000

/** What a tree needs of a row. */
interface Digested {
  readonly token: Uint8Array
  readonly digest: Uint8Array
}

export interface ForestKeeperComponents {
  readonly store: Store
  readonly forest: Forest
  readonly rows: Rows
  readonly log: Log
}

export class ForestKeeper {
  readonly #components: ForestKeeperComponents
  readonly #checkpoints: Checkpoints
  #rows = 0
  #everySlot: SlotGroup | undefined

  constructor(components: ForestKeeperComponents) {
    this.#components = components
    this.#checkpoints = new Checkpoints(components)
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

  /** How many slots would have to be read again if the process died now. */
  get unsaved(): number {
    return this.#checkpoints.size
  }

  /**
   * At the start: what was saved, and what has to be read of the rows. Answers with what is to be
   * committed, also in parts and in this order.
   */
  load(): StoreWrite[] {
    const { forest, log } = this.#components
    const unread = this.#checkpoints.load()
    for (let slot = 0; slot < SLOTS; slot++) this.#rows += forest.rows(slot)
    const saved = this.#rows
    for (const range of runsOf(unread)) this.#read(range)
    log.info('forest-loaded', { slotsRead: unread.length, rowsSaved: saved, rows: this.#rows })
    return this.#checkpoints.afterLoad(unread)
  }

  /** Into an empty forest: one pass over all rows, whatever was saved. */
  build(): void {
    this.#read({})
  }

  /** To be committed with changes of these slots, and then told to `committed`. */
  marks(slots: Iterable<number>): StoreWrite[] {
    return this.#checkpoints.marks(slots)
  }

  /**
   * Checkpoints of slots that have changed, those that wait longest first; none when there are none.
   * To be committed while no change is under way, and then told to `committed`.
   */
  checkpoint(most: CommitSize): StoreWrite[] {
    return this.#checkpoints.take(most)
  }

  committed(writes: readonly StoreWrite[]): void {
    this.#checkpoints.committed(writes)
  }

  /** After the commit of a change; `fit` follows. `before` and `after` are row digests. */
  replace(place: Place, before: Uint8Array | undefined, after: Uint8Array): void {
    const { forest } = this.#components
    const high = tokenHigh(place.token)
    if (before !== undefined) forest.remove(place.slot, high, before)
    forest.add(place.slot, high, after)
    if (before === undefined) this.#rows++
  }

  /**
   * Before rows are added, one for each of these slots: a tree without rows is given the depth for as
   * many at once, where otherwise `fit` would have to read them all again.
   */
  makeRoom(slots: Iterable<number>): void {
    const { forest } = this.#components
    const counts = new Map<number, number>()
    for (const slot of slots) counts.set(slot, (counts.get(slot) ?? 0) + 1)
    for (const [slot, rows] of counts) {
      const isNew = forest.rows(slot) === 0
      if (isNew && depthFor(rows) !== forest.depth(slot)) forest.reset(slot, depthFor(rows))
    }
  }

  /** These trees could not be brought up to date; they are not saved until they are laid out anew. */
  distrust(slots: Iterable<number>): void {
    for (const slot of slots) this.#checkpoints.setWrong(slot, true)
  }

  /**
   * Whether the tree of the slot is known to be another than its rows have: what it says proves nothing,
   * and that it disagrees with them is no news.
   */
  isWrong(slot: number): boolean {
    return this.#checkpoints.isWrong(slot)
  }

  /** Those whose trees are not known to be wrong: the same list where that is all. */
  sound(slots: Uint16Array): Uint16Array {
    return this.#checkpoints.wrong === 0 ? slots : slots.filter(slot => !this.isWrong(slot))
  }

  /** Compares rows with their trees, from `from` on. Only while no change is under way. */
  verify(from: Position, budget: VerifyBudget): Verified {
    return verify(this.#components, from, budget)
  }

  /** Lays out anew one of the trees that could not be brought up to date. Throws as before, if so. */
  mend(): void {
    const slot = this.#checkpoints.takeWrong()
    if (slot !== undefined) this.rebuild(slot)
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

  /** The rows of a range lie in the order of slots; each slot of it is read to its end. */
  #read(range: Range): void {
    let slot = -1
    let found: Digested[] = []
    for (const row of this.#components.rows.digests(range)) {
      if (row.slot !== slot) {
        this.#lay(slot, found)
        slot = row.slot
        found = []
      }
      found.push(row)
      const seen = this.#rows + found.length
      if (seen % PROGRESS_ROWS === 0) this.#components.log.info('forest-building', { rows: seen })
    }
    this.#lay(slot, found)
  }

  #lay(slot: number, found: readonly Digested[]): void {
    if (slot < 0) return
    const { forest } = this.#components
    const before = forest.rows(slot)
    this.#checkpoints.setWrong(slot, true)
    try {
      forest.reset(slot, depthFor(found.length))
      for (const { token, digest } of found) forest.add(slot, tokenHigh(token), digest)
      this.#checkpoints.setWrong(slot, false)
    } finally {
      this.#rows += forest.rows(slot) - before
    }
  }

  #fit(slot: number): void {
    const { forest } = this.#components
    if (depthFor(forest.rows(slot)) !== forest.depth(slot)) this.rebuild(slot)
  }
}

/** Slots, ascending, as ranges of neighbours. */
function* runsOf(slots: readonly number[]): Iterable<Range> {
  let first = 0
  for (let i = 1; i <= slots.length; i++) {
    if (slots[i] === (slots[i - 1] as number) + 1) continue
    const from = slotRange(slots[first] as number).from
    yield { from, to: slotRange(slots[i - 1] as number).to }
    first = i
  }
}
