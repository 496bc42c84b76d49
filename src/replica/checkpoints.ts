/**
 * Which trees are saved in the store, and which have changed since. A slot is marked on disk in the
 * same transaction as its first change after its checkpoint, and a checkpoint takes the mark away
 * in the transaction that stores it, so at every moment a slot without a mark has a checkpoint that
 * is true, or no rows. A start believes those and reads only the rows of the others.
 *
 * That a checkpoint is of what is committed is for the caller to see to: it makes and commits one
 * while no change is under way.
 */
import type { Forest } from '../digest/forest.ts'
import { SLOTS } from '../digest/limits.ts'
import type { Store, StoreWrite } from '../ports.ts'
import {
  checkpointKey,
  checkpointRange,
  decodeCheckpoint,
  encodeCheckpoint,
  encodeHeader,
  HEADER_KEY,
  isHeader,
  MARK,
  markKey,
  markRange,
  slotOfKey
} from './checkpoint.ts'

export interface CheckpointsComponents {
  readonly store: Store
  readonly forest: Forest
}

/** What one commit of checkpoints holds at most; a single one may be larger. */
export interface CommitSize {
  readonly slots: number
  readonly bytes: number
}

export class Checkpoints {
  readonly #components: CheckpointsComponents
  /** In the order in which they were marked. */
  readonly #marked = new Set<number>()
  /** Whose tree is known to be wrong: it is not saved. */
  readonly #wrong = new Set<number>()

  constructor(components: CheckpointsComponents) {
    this.#components = components
  }

  /** How many slots have changed since they were saved. */
  get size(): number {
    return this.#marked.size
  }

  /**
   * Brings every tree that is saved and not marked into the forest, and answers with the slots whose
   * rows have to be read: those marked, and those whose checkpoint is damaged.
   */
  load(): readonly number[] {
    const { store, forest } = this.#components
    if (!isHeader(forest, store.get('forest', HEADER_KEY))) return everySlot()
    for (const [key] of store.range('forest', markRange)) {
      const slot = slotOfKey(key)
      if (slot !== undefined) this.#marked.add(slot)
    }
    const unread = new Set(this.#marked)
    for (const [key, value] of store.range('forest', checkpointRange)) {
      const slot = slotOfKey(key)
      if (slot === undefined || unread.has(slot)) continue
      const saved = decodeCheckpoint(forest, slot, value)
      if (saved === undefined) unread.add(slot)
      else forest.restore(slot, saved.depth, saved.leaves)
    }
    return [...unread].sort((a, b) => a - b)
  }

  /**
   * What to commit once the slots that `load` gave were read: marks for those that it did not find
   * marked, so that they are saved anew. May be committed in parts, in this order.
   */
  afterLoad(unread: readonly number[]): StoreWrite[] {
    const { store, forest } = this.#components
    if (isHeader(forest, store.get('forest', HEADER_KEY))) return this.marks(unread)
    const foreign = [...store.range('forest')].map(([key]) => write(key, undefined))
    const held = unread.filter(slot => forest.rows(slot) > 0)
    return [...foreign, ...this.marks(held), write(HEADER_KEY, encodeHeader(forest))]
  }

  /** To be committed with changes of these slots. */
  marks(slots: Iterable<number>): StoreWrite[] {
    const fresh = [...slots].filter(slot => !this.#marked.has(slot))
    return fresh.map(slot => write(markKey(slot), MARK))
  }

  /** The slots that have been marked for longest, as they are in the forest now. */
  take(most: CommitSize): StoreWrite[] {
    const writes: StoreWrite[] = []
    let [slots, bytes] = [0, 0]
    for (const slot of this.#marked) {
      if (this.#wrong.has(slot)) continue
      const value = this.#encode(slot)
      writes.push(write(checkpointKey(slot), value), write(markKey(slot), undefined))
      bytes += value?.length ?? 0
      if (++slots >= most.slots || bytes >= most.bytes) break
    }
    return writes
  }

  /** Has what `marks`, `take` and `afterLoad` gave take effect, once it is committed. */
  committed(writes: readonly StoreWrite[]): void {
    for (const { space, key, value } of writes) {
      if (space !== 'forest' || key[0] !== MARK_BYTE) continue
      const slot = slotOfKey(key) as number
      if (value === undefined) this.#marked.delete(slot)
      else this.#marked.add(slot)
    }
  }

  /** The tree of the slot is, or is no longer, another than its rows have. */
  setWrong(slot: number, wrong: boolean): void {
    if (wrong) this.#wrong.add(slot)
    else this.#wrong.delete(slot)
  }

  isWrong(slot: number): boolean {
    return this.#wrong.has(slot)
  }

  /** How many trees are known to be wrong. */
  get wrong(): number {
    return this.#wrong.size
  }

  /** One whose tree is wrong, another one each time; `setWrong` says how it went. */
  takeWrong(): number | undefined {
    const [slot] = this.#wrong
    if (slot === undefined) return undefined
    this.#wrong.delete(slot)
    this.#wrong.add(slot)
    return slot
  }

  /** A slot without rows needs no checkpoint. */
  #encode(slot: number): Uint8Array | undefined {
    const { forest } = this.#components
    if (forest.rows(slot) === 0) return undefined
    const depth = forest.depth(slot)
    const leaves = forest.leaves(slot, 0, 2 ** depth)
    return encodeCheckpoint(forest, slot, { depth, leaves })
  }
}

const MARK_BYTE = markRange.from[0]

function write(key: Uint8Array, value: Uint8Array | undefined): StoreWrite {
  return { space: 'forest', key, value }
}

function everySlot(): readonly number[] {
  return Array.from({ length: SLOTS }, (_, slot) => slot)
}
