/**
 * How far this copy has come: which start of the directory this is (a *life*), and how many commits
 * it has made since. The count is committed with each batch of changes, in the same transaction; it
 * costs one small record and no sync of its own. Others are told the mark with every message and
 * remember it, and tell it back. A directory that was put back to an earlier state, however that was
 * done, is told by what it does not know of itself: a life it never had, or a life that went further.
 *
 *   on disk:  life 3 ended at 70, life 4 at 12 · now life 5
 *   others remember (4, 12): known       (4, 30) or (6, 1): forgotten, it was rolled back
 *
 * Promised: what others were told is on disk here, so a process that died is never taken for a
 * directory that was rolled back. What goes unnoticed is what nobody remembers.
 */
import type { Clock, Random, Store, StoreWrite } from '../ports.ts'
import { utf8 } from '../util/bytes.ts'
import { isTuple, pack, readList, unpack } from '../util/msgpack.ts'
import { isBefore, MARK_NONE, markFields, readMark, type Mark } from '../wire/mark.ts'

export interface MarkKeeperComponents {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
}

export interface StagedMark {
  readonly mark: Mark
  readonly write: StoreWrite
}

/** A life further back than this is not known any more: whoever remembers it has it refilled. */
export const LIVES_MAX = 64
/** Lives that begin in one millisecond on two copies of a directory still differ. */
const LIVES_A_MS = 1_024

const MARK_KEY = utf8('mark')
const LIVES_KEY = utf8('lives')

export class MarkKeeper {
  readonly #components: MarkKeeperComponents
  /** How far each earlier life went. */
  #lives = new Map<number, number>()
  #committed = MARK_NONE
  /** The last one given out, to be committed. */
  #given = MARK_NONE

  constructor(components: MarkKeeperComponents) {
    this.#components = components
  }

  /** False when the store knows of no life, or not how far it came. */
  get isSaved(): boolean {
    const { last, lives } = this.#saved()
    return last !== undefined && lives !== undefined
  }

  /** Begins a life. */
  async open(): Promise<void> {
    const { last, lives } = this.#saved()
    for (const { life, count } of lives ?? []) this.#lives.set(life, count)
    this.#committed = this.#given = last ?? MARK_NONE
    await this.#begin(this.#given)
  }

  /** What is surely on disk. */
  get committed(): Mark {
    return this.#committed
  }

  /** The mark of changes that are about to be committed, and the record to commit with them. */
  stage(): StagedMark {
    const mark = { life: this.#given.life, count: this.#given.count + 1 }
    this.#given = mark
    return { mark, write: { space: 'meta', key: MARK_KEY, value: pack(markFields(mark)) } }
  }

  /** Has a staged mark count, once it is committed. */
  reached({ mark }: StagedMark): void {
    if (isBefore(this.#committed, mark)) this.#committed = mark
  }

  /** Whether this copy went through that moment of its directory. */
  knows({ life, count }: Mark): boolean {
    if (life === 0) return true
    const went = life === this.#committed.life ? this.#committed.count : this.#lives.get(life)
    return went !== undefined && count <= went
  }

  /** Takes a forgotten mark as known from now on; not durable before `accept`. Returns what takes it back. */
  note({ life, count }: Mark): () => void {
    if (life === 0) return () => {}
    const before = this.#lives.get(life)
    this.#lives.set(life, Math.max(count, before ?? 0))
    return () => {
      if (before === undefined) this.#lives.delete(life)
      else this.#lives.set(life, before)
    }
  }

  /** Goes on above a forgotten mark; resolves when that is durable. */
  accept(mark: Mark): Promise<void> {
    this.note(mark)
    return this.#begin(mark)
  }

  #saved(): { last: Mark | undefined; lives: readonly Mark[] | undefined } {
    const { store } = this.#components
    const last = readMark(listOf(store.get('meta', MARK_KEY)))
    return { last, lives: readList(listOf(store.get('meta', LIVES_KEY)), LIVES_MAX, readLife) }
  }

  /** A new life, above the last one and above what others remember. */
  async #begin(above: Mark): Promise<void> {
    const { clock, random, store } = this.#components
    if (this.#given.life !== 0) this.note(this.#given)
    const now = Math.floor(Math.max(0, clock.wallMs())) * LIVES_A_MS + (random.u32() % LIVES_A_MS)
    this.#given = { life: Math.max(now, this.#given.life + 1, above.life + 1), count: 0 }
    const sorted = [...this.#lives].sort(([a], [b]) => a - b).slice(-LIVES_MAX)
    this.#lives = new Map(sorted)
    const lives = { space: 'meta' as const, key: LIVES_KEY, value: pack(sorted) }
    const staged = this.stage()
    await store.commit([staged.write, lives], 'flush')
    this.reached(staged)
  }
}

function listOf(bytes: Uint8Array | undefined): readonly unknown[] {
  const value = bytes && unpack(bytes)
  return Array.isArray(value) ? value : []
}

function readLife(value: unknown): Mark | undefined {
  return isTuple(value, 2) ? readMark(value) : undefined
}
