/**
 * How far nodes have come, as they tell each other with every message: the highest mark that this
 * node has heard of each other one, and what others remember of this one. Whoever remembers more of
 * this node than is on its own disk has seen what the disk has forgotten.
 *
 * A peer that has begun a new life may not know of what its last one did, so the mark of that one is
 * kept, and told, until the peer has answered to it: then it is durable there that it was told.
 *
 *   (3, 70) ──hears (4, 1)──▶ (3, 70) (4, 1), tells (3, 70) ──answered──▶ (4, 1)
 *
 * Memory first; on disk with the next batch of changes, in the same transaction, or seconds later. So
 * whoever applied a row remembers how far its coordinator had come for as long as the row itself is
 * remembered.
 *
 * Bounded by the member table: only marks of members are kept, and a few lives of each.
 */
import type { Log, Store, StoreWrite } from '../ports.ts'
import { equal, text, utf8 } from '../util/bytes.ts'
import type { NodeId } from '../util/node-id.ts'
import { pack, unpack } from '../util/msgpack.ts'
import { isBefore, MARK_NONE, markFields, readMark, type Mark, type Marks } from '../wire/mark.ts'

/** Of one peer, the oldest first: the one to tell it, and those of its later lives. */
type Marked = readonly [Mark, ...Mark[]]

export interface RememberedComponents {
  readonly store: Store
  readonly log: Log
  /** How far this node has come, as far as that is on disk. */
  readonly mark: () => Mark
  /** Whether this node went through that moment of its directory. */
  readonly knows: (mark: Mark) => boolean
}

/** Of one peer: those that begin while it cannot answer are as good as one. */
const LIVES_KEPT = 4

const PREFIX = 'mark of '
const RANGE = { from: utf8(PREFIX), to: utf8('mark of!') }

export class Remembered {
  readonly #components: RememberedComponents
  readonly #marks = new Map<NodeId, Marked>()
  readonly #unsaved = new Map<NodeId, Marked>()

  constructor(components: RememberedComponents) {
    this.#components = components
    for (const [key, value] of components.store.range('meta', RANGE)) {
      const marks = readStored(value)
      if (marks) this.#marks.set(text(key.subarray(PREFIX.length)) as NodeId, marks)
    }
  }

  /** What to tell a peer. */
  tell(peer: NodeId): Marks {
    return { mine: this.#components.mark(), yours: this.#of(peer) }
  }

  /** Takes a peer's word for how far it has come itself. */
  see(peer: NodeId, mark: Mark): void {
    const known = this.#marks.get(peer)
    if (known === undefined) return this.#keep(peer, [mark])
    const last = known.at(-1) as Mark
    if (!isBefore(last, mark)) return
    const before = last.life === mark.life ? known.slice(0, -1) : known
    const [first, ...others] = [...before, mark] as unknown as Marked
    this.#keep(peer, [first, ...others.slice(1 - LIVES_KEPT)])
  }

  /** The peer has answered to what it was told with `yours`. */
  answered(peer: NodeId, { yours }: Marks): void {
    const known = this.#marks.get(peer)
    if (known === undefined || isBefore(yours, known[0])) return
    const [, ...others] = known
    if (others.length > 0) this.#keep(peer, others as unknown as Marked)
  }

  #keep(peer: NodeId, marks: Marked): void {
    this.#marks.set(peer, marks)
    this.#unsaved.set(peer, marks)
  }

  /** True when a peer remembers more of this node than is here. */
  isForgotten(peer: NodeId, mark: Mark): boolean {
    const { knows, log } = this.#components
    if (knows(mark)) return false
    log.warn('rolled-back', { peer, life: mark.life, count: mark.count })
    return true
  }

  #of(peer: NodeId): Mark {
    return this.#marks.get(peer)?.[0] ?? MARK_NONE
  }

  /** What to commit at once; `saved` follows. */
  writes(): StoreWrite[] {
    return [...this.#unsaved].map(([peer, marks]) => {
      return { space: 'meta', key: utf8(PREFIX + peer), value: pack(marks.flatMap(markFields)) }
    })
  }

  /** Has what `writes` gave count as saved, once it is committed. */
  saved(writes: readonly StoreWrite[]): void {
    for (const { key, value } of writes) {
      const peer = text(key.subarray(PREFIX.length)) as NodeId
      const known = this.#unsaved.get(peer)
      const isSame = known && value && equal(value, pack(known.flatMap(markFields)))
      if (isSame) this.#unsaved.delete(peer)
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

function readStored(value: Uint8Array): Marked | undefined {
  const fields = unpack(value)
  if (!Array.isArray(fields) || fields.length === 0 || fields.length % 2 !== 0) return undefined
  const marks: (Mark | undefined)[] = []
  for (let at = 0; at < fields.length; at += 2) marks.push(readMark(fields.slice(at, at + 2)))
  return marks.includes(undefined) ? undefined : (marks as unknown as Marked)
}
