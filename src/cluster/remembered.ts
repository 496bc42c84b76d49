/**
 * How far nodes have come, as they tell each other with every message: the highest mark that this
 * node has heard of each other one, and what others remember of this one. Whoever remembers more of
 * this node than is on its own disk has seen what the disk has forgotten.
 *
 * Memory first; on disk with the next
 * batch of changes, in the same transaction, or seconds later. So whoever applied a row remembers how
 * far its coordinator had come for as long as the row itself is remembered.
 *
 * Bounded by the member table: only marks of members are kept.
 */
import type { Log, Store, StoreWrite } from '../ports.ts'
import { text, utf8 } from '../util/bytes.ts'
import type { NodeId } from '../util/node-id.ts'
import { isTuple, pack, unpack } from '../util/msgpack.ts'
import { isBefore, MARK_NONE, markFields, readMark, type Mark, type Marks } from '../wire/mark.ts'

export interface RememberedComponents {
  readonly store: Store
  readonly log: Log
  /** How far this node has come, as far as that is on disk. */
  readonly mark: () => Mark
  /** Whether this node went through that moment of its directory. */
  readonly knows: (mark: Mark) => boolean
}

const PREFIX = 'mark of '
const RANGE = { from: utf8(PREFIX), to: utf8('mark of!') }

export class Remembered {
  readonly #components: RememberedComponents
  readonly #marks = new Map<NodeId, Mark>()
  readonly #unsaved = new Map<NodeId, Mark>()

  constructor(components: RememberedComponents) {
    this.#components = components
    for (const [key, value] of components.store.range('meta', RANGE)) {
      const mark = readStored(value)
      if (mark) this.#marks.set(text(key.subarray(PREFIX.length)) as NodeId, mark)
    }
  }

  /** What to tell a peer. */
  tell(peer: NodeId): Marks {
    return { mine: this.#components.mark(), yours: this.#of(peer) }
  }

  /** Takes a peer's word for how far it has come itself. */
  see(peer: NodeId, mark: Mark): void {
    if (!isBefore(this.#of(peer), mark)) return
    this.#marks.set(peer, mark)
    this.#unsaved.set(peer, mark)
  }

  /** True when a peer remembers more of this node than is here. */
  isForgotten(peer: NodeId, mark: Mark): boolean {
    const { knows, log } = this.#components
    if (knows(mark)) return false
    log.warn('rolled-back', { peer, life: mark.life, count: mark.count })
    return true
  }

  #of(peer: NodeId): Mark {
    return this.#marks.get(peer) ?? MARK_NONE
  }

  /** What to commit at once; `saved` follows. */
  writes(): StoreWrite[] {
    return [...this.#unsaved].map(([peer, mark]) => {
      return { space: 'meta', key: utf8(PREFIX + peer), value: pack(markFields(mark)) }
    })
  }

  /** Has what `writes` gave count as saved, once it is committed. */
  saved(writes: readonly StoreWrite[]): void {
    for (const { key, value } of writes) {
      const peer = text(key.subarray(PREFIX.length)) as NodeId
      const [known, saved] = [this.#unsaved.get(peer), value && readStored(value)]
      if (known && saved && !isBefore(saved, known)) this.#unsaved.delete(peer)
    }
  }

  /** Resolves when everything heard so far is on disk. */
  async save(): Promise<void> {
    const writes = this.writes()
    if (writes.length === 0) return
    await this.#components.store.commit(writes)
    this.saved(writes)
  }
}

function readStored(value: Uint8Array): Mark | undefined {
  const fields = unpack(value)
  return isTuple(fields, 2) ? readMark(fields) : undefined
}
