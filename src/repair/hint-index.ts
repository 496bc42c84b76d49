/**
 * What is remembered of every hint, on disk or on its way there, so that neither a status nor the
 * search for old ones reads the store. In the order in which they were written, as far as the clock
 * told it; sums by owner are kept along.
 */
import { bytesNamed, nameOf } from '../util/bytes.ts'
import type { NodeId } from '../util/node-id.ts'

export interface Known {
  readonly owner: NodeId
  /** Bytes in the store, of key and value. */
  readonly size: number
  readonly atMs: number
  /** Tells one writing of a hint from the next. */
  readonly sequence: number
  /** It carries the row itself, which may be nowhere else. */
  readonly carries: boolean
}

/** One writing of a hint: it is gone once the hint is written again. */
export interface Writing {
  readonly id: Uint8Array
  readonly sequence: number
}

export interface Sum {
  readonly owner: NodeId
  readonly count: number
  readonly bytes: number
  /** When the first of them was written. */
  readonly oldestAtMs: number
}

export class HintIndex {
  /** By name; the oldest first. */
  readonly #known = new Map<string, Known>()
  readonly #sums = new Map<NodeId, { count: number; bytes: number }>()
  #bytes = 0
  #carrying = 0

  get bytes(): number {
    return this.#bytes
  }

  get owners(): Iterable<NodeId> {
    return this.#sums.keys()
  }

  get(id: Uint8Array): Known | undefined {
    return this.#known.get(nameOf(id))
  }

  has({ id, sequence }: Writing): boolean {
    return this.get(id)?.sequence === sequence
  }

  /** The newest writing comes last. */
  set(id: Uint8Array, known: Known): void {
    this.delete(id)
    this.#known.set(nameOf(id), known)
    this.#count(known, 1)
  }

  delete(id: Uint8Array): void {
    const name = nameOf(id)
    const known = this.#known.get(name)
    if (known === undefined) return
    this.#known.delete(name)
    this.#count(known, -1)
  }

  /** After hints were set that are not new. */
  sort(): void {
    const sorted = [...this.#known].sort(([, a], [, b]) => a.atMs - b.atMs)
    this.#known.clear()
    for (const [name, known] of sorted) this.#known.set(name, known)
  }

  bytesFor(owner: NodeId): number {
    return this.#sums.get(owner)?.bytes ?? 0
  }

  /** Every hint there is now that carries no row, also while they are being removed. */
  *droppable(): Iterable<Writing> {
    for (const [name, { sequence, carries }] of [...this.#known]) {
      if (!carries) yield { id: bytesNamed(name), sequence }
    }
  }

  *carrying(): Iterable<Writing> {
    if (this.#carrying === 0) return
    for (const [name, { sequence, carries }] of this.#known) {
      if (carries) yield { id: bytesNamed(name), sequence }
    }
  }

  /**
   * Those that were written before, and those of owners that have left; none that carries a row. May
   * be removed meanwhile. Looks at no others, as long as nobody has left; only what a clock has dated
   * ahead of its time says nothing about those behind it.
   */
  *outdated(
    { beforeMs, nowMs }: { readonly beforeMs: number; readonly nowMs: number },
    left: ReadonlySet<NodeId>
  ): Iterable<Writing> {
    for (const [name, { owner, atMs, sequence, carries }] of this.#known) {
      if (carries) continue
      if (atMs < beforeMs || left.has(owner)) yield { id: bytesNamed(name), sequence }
      else if (left.size === 0 && atMs <= nowMs) return
    }
  }

  sums(): Sum[] {
    const oldest = new Map<NodeId, number>()
    for (const { owner, atMs } of this.#known.values()) {
      if (oldest.size === this.#sums.size) break
      if (!oldest.has(owner)) oldest.set(owner, atMs)
    }
    return [...this.#sums].map(([owner, sum]) => {
      return { owner, ...sum, oldestAtMs: oldest.get(owner) as number }
    })
  }

  #count({ owner, size, carries }: Known, by: 1 | -1): void {
    if (carries) this.#carrying += by
    const sum = this.#sums.get(owner) ?? { count: 0, bytes: 0 }
    sum.count += by
    sum.bytes += by * size
    this.#bytes += by * size
    if (sum.count === 0) this.#sums.delete(owner)
    else this.#sums.set(owner, sum)
  }
}
