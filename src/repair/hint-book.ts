/**
 * Every hint of this node: in the store, and in an index of what is there or on its way there. Keeps
 * the bounds of bytes, and both true to each other when the disk refuses.
 */
import type { Clock, Meter, Range, Store } from '../ports.ts'
import type { NodeId } from '../util/node-id.ts'
import { HintIndex, type Sum, type Writing } from './hint-index.ts'
import { idOf, knownOf, makeHint, readHint, type Hint } from './hint-record.ts'

export interface HintBookComponents {
  readonly store: Store
  readonly clock: Clock
  readonly meter: Meter
}

export interface HintBookInit {
  /**
   * How much all hints together may take in the store; further ones are not kept.
   *
   * @default 67_108_864
   */
  readonly bytesMax?: number
  /**
   * How much the hints for one owner may take, so that one that is long away leaves room for others.
   *
   * @default 33_554_432
   */
  readonly ownerBytesMax?: number
}

/** A store may need room for each removal: all of them in one commit might not fit any more. */
const REMOVALS_A_COMMIT = 1_000

export class HintBook {
  readonly #components: HintBookComponents
  readonly #bytesMax: number
  readonly #ownerBytesMax: number
  readonly #index = new HintIndex()
  #sequence = 0

  constructor(components: HintBookComponents, init: HintBookInit = {}) {
    this.#components = components
    this.#bytesMax = init.bytesMax ?? 64 * 1024 * 1024
    this.#ownerBytesMax = init.ownerBytesMax ?? 32 * 1024 * 1024
    for (const hint of this.read()) {
      this.#index.set(hint.id, knownOf(hint))
      this.#sequence = Math.max(this.#sequence, hint.sequence + 1)
    }
    this.#index.sort()
  }

  get owners(): Iterable<NodeId> {
    return this.#index.owners
  }

  /** The sequence tells this writing of a hint from an earlier one whose replay is under way. */
  make(owner: NodeId, key: Uint8Array, carried: Uint8Array | undefined): Hint {
    const atMs = this.#components.clock.wallMs()
    return makeHint({ owner, key, atMs, sequence: this.#sequence++, carried })
  }

  has(id: Uint8Array): boolean {
    return this.#index.get(id) !== undefined
  }

  keepsFor(owner: NodeId, key: Uint8Array): boolean {
    return [false, true].some(carries => this.#index.get(idOf(owner, key, carries)) !== undefined)
  }

  /** Of each its size less that of the writing before. */
  hasRoom(hints: readonly Hint[]): boolean {
    let all = this.#index.bytes
    for (const hint of hints) {
      const more = knownOf(hint).size - (this.#index.get(hint.id)?.size ?? 0)
      all += more
      if (this.#index.bytesFor(hint.owner) + more > this.#ownerBytesMax) return false
    }
    return all <= this.#bytesMax
  }

  /** Resolves when they are durable. */
  async commit(hints: readonly Hint[], flush: boolean): Promise<void> {
    const { store, meter } = this.#components
    for (const hint of hints) this.#index.set(hint.id, knownOf(hint))
    const writes = hints.map(({ id, value }) => ({ space: 'hints' as const, key: id, value }))
    try {
      await store.commit(writes, flush ? 'flush' : 'commit')
    } catch (error) {
      for (const hint of hints) if (this.#index.has(hint)) this.#reread(hint.id)
      this.#index.sort()
      throw error
    }
    for (const hint of hints) {
      // One that came after it was refused, and what was on disk then was older.
      if ((this.#index.get(hint.id)?.sequence ?? Infinity) < hint.sequence) {
        this.#index.set(hint.id, knownOf(hint))
      }
    }
    meter.count('hints.kept', hints.length)
  }

  get(id: Uint8Array): Hint | undefined {
    const value = this.#components.store.get('hints', id)
    return value && readHint(id, value)
  }

  /** In the order of owners and keys. */
  *read(range: Range = {}): Iterable<Hint> {
    for (const [id, value] of this.#components.store.range('hints', range)) {
      const hint = readHint(id, value)
      if (hint !== undefined) yield hint
    }
  }

  /** Those that carry a row; may be removed meanwhile. */
  carrying(): Iterable<Writing> {
    return [...this.#index.carrying()]
  }

  droppable(): Iterable<Writing> {
    return this.#index.droppable()
  }

  outdated(ageMaxMs: number, left: ReadonlySet<NodeId>): Iterable<Writing> {
    const nowMs = this.#components.clock.wallMs()
    return this.#index.outdated({ beforeMs: nowMs - ageMaxMs, nowMs }, left)
  }

  sums(): Sum[] {
    return this.#index.sums()
  }

  /** Removes hints that have not been written again since they were read; resolves with how many. */
  async remove(hints: Iterable<Writing>): Promise<number> {
    let removed = 0
    for (const some of inParts(hints, REMOVALS_A_COMMIT)) removed += await this.#removeSome(some)
    return removed
  }

  async #removeSome(hints: readonly Writing[]): Promise<number> {
    const removed = hints
      .filter(writing => this.#index.has(writing))
      .map(({ id }) => ({ id, known: this.#index.get(id) }))
    if (removed.length === 0) return 0
    for (const { id } of removed) this.#index.delete(id)
    const writes = removed.map(({ id }) => ({ space: 'hints' as const, key: id, value: undefined }))
    try {
      await this.#components.store.commit(writes)
    } catch (error) {
      const gone = removed.filter(({ id }) => this.#index.get(id) === undefined)
      for (const { id } of gone) this.#reread(id)
      this.#index.sort()
      throw error
    }
    // A writing that was refused meanwhile may have found it on disk still.
    const stale = removed.filter(
      ({ id, known }) => this.#index.get(id)?.sequence === known?.sequence
    )
    for (const { id } of stale) this.#index.delete(id)
    return removed.length
  }

  /**
   * Has the index say what is on disk: the writing before may have been refused as well, so what was
   * remembered of it is no better.
   */
  #reread(id: Uint8Array): void {
    const value = this.#components.store.get('hints', id)
    const hint = value && readHint(id, value)
    if (hint === undefined) this.#index.delete(id)
    else this.#index.set(id, knownOf(hint))
  }
}

function* inParts<T>(all: Iterable<T>, size: number): Iterable<readonly T[]> {
  let part: T[] = []
  for (const each of all) {
    if (part.push(each) < size) continue
    yield part
    part = []
  }
  if (part.length > 0) yield part
}
