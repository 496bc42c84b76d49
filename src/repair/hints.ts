/**
 * Hints: which rows an owner did not acknowledge. A hint names the key only; what is replayed is the
 * row as it is then, so a key has one hint an owner however often it was written, and a replay is
 * never older than the write it stands for. Replays are idempotent because rows are.
 *
 * A hint is removed only when the owner has acknowledged a row that was read after the hint was
 * written. Hints older than `ageMaxMs`, or beyond the bounds of bytes, are left to anti-entropy.
 *
 * A write at level `any` that no owner took is kept in hints that carry its row. Nobody else may have
 * it, so these stay until their owner has acknowledged them, whatever their age, and go to whoever
 * owns the key by then.
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import { HearsayError } from '../errors.ts'
import { encodeRow } from '../lattice/encode.ts'
import { join, ROW_EMPTY, type Row } from '../lattice/row.ts'
import type { HintStatus } from '../options.ts'
import type { Clock, Log, Meter, Store, Timers } from '../ports.ts'
import { ROW_BYTES_MAX, rowSizeError } from '../replica/refusals.ts'
import type { Replica } from '../replica/replica.ts'
import { slotOf } from '../ring/slot.ts'
import { nameOf } from '../util/bytes.ts'
import type { NodeId } from '../util/node-id.ts'
import { HintBook, type HintBookInit } from './hint-book.ts'
import type { Writing } from './hint-index.ts'
import { carriedRow, idOf, type Hint } from './hint-record.ts'
import { HintReplay, type HintReplayInit } from './hint-replay.ts'

export interface HintsComponents {
  readonly store: Store
  readonly replica: Replica
  readonly membership: Membership
  readonly liveness: Liveness
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  readonly meter: Meter
}

export interface HintsInit extends HintBookInit, HintReplayInit {
  /**
   * How long a hint is kept for an absent owner. Longer survives longer outages and costs disk here;
   * past it, anti-entropy carries the row instead.
   *
   * @default 10_800_000
   */
  readonly ageMaxMs?: number
}

/** One write that no owner took. */
export interface Keeping {
  readonly key: Uint8Array
  /** For whom it is kept. */
  readonly owners: readonly NodeId[]
  /** The row with the write, made from what is kept of the key already. */
  readonly change: (held: Row) => Row
  readonly flush: boolean
}

/** Writes that are being kept at this moment. */
const KEEPING_MAX = 1_024

export class Hints {
  readonly #components: HintsComponents
  readonly #ageMaxMs: number
  readonly #book: HintBook
  readonly #replay: HintReplay
  /** By key: what is kept of one key is kept one after the other. */
  readonly #keeping = new Map<string, Promise<unknown>>()
  #waiting = 0
  /** Under which view the hints that carry a row were last addressed. */
  #addressedUnder: string | undefined

  constructor(components: HintsComponents, init: HintsInit = {}) {
    this.#components = components
    this.#ageMaxMs = init.ageMaxMs ?? 10_800_000
    this.#book = new HintBook(components, init)
    this.#replay = new HintReplay({ ...components, book: this.#book }, init)
  }

  /** Resolves when the hint is durable; with `false` when there was no room, which is counted. */
  async add(owner: NodeId, key: Uint8Array): Promise<boolean> {
    const hint = this.#book.make(owner, key, undefined)
    if (!this.#book.has(hint.id) && !this.#book.hasRoom([hint])) {
      this.#components.meter.count('hints.no-room')
      return false
    }
    await this.#book.commit([hint], false)
    return true
  }

  /**
   * Keeps a write for owners of which none took it. Resolves with the row when that is durable for
   * all of them; rejects when it is for none, with `ERR_OVERLOADED` when there is no room.
   */
  async keep(keeping: Keeping): Promise<Row> {
    const name = nameOf(keeping.key)
    const before = this.#keeping.get(name)
    if (this.#waiting >= KEEPING_MAX) throw noRoom()
    const now = () => this.#keep(keeping)
    // How the one before ended is for its own caller to hear.
    const kept = before === undefined ? now() : before.then(now, now)
    this.#keeping.set(name, kept)
    this.#waiting++
    try {
      return await kept
    } finally {
      this.#waiting--
      if (this.#keeping.get(name) === kept) this.#keeping.delete(name)
    }
  }

  /** Replays to every owner that is alive, until nothing is left for it, it fails, or time is up. */
  async replay(signal?: AbortSignal): Promise<void> {
    await this.#book.remove(this.#outdated())
    await this.#readdress()
    await this.#replay.run(signal)
  }

  /** Removes every hint but those that carry a row; resolves with how many there were. */
  async drop(): Promise<number> {
    return this.#book.remove(this.#book.droppable())
  }

  /** For whom a hint of the key is kept. */
  owners(key: Uint8Array): NodeId[] {
    return [...this.#book.owners].filter(owner => this.#book.keepsFor(owner, key))
  }

  /** What is carried for the owners of the key. */
  carried(key: Uint8Array): Row | undefined {
    const rows = this.#carried(key, this.owners(key))
    return rows.length === 0 ? undefined : rows.reduce(join)
  }

  status(): HintStatus[] {
    const now = this.#components.clock.wallMs()
    return this.#book.sums().map(({ owner, count, bytes, oldestAtMs }) => {
      return { owner, count, bytes, oldestMs: Math.max(0, now - oldestAtMs) }
    })
  }

  async #keep({ key, owners, change, flush }: Keeping): Promise<Row> {
    const row = change(this.#carried(key, owners).reduce(join, ROW_EMPTY))
    const bytes = encodeRow(row)
    if (bytes.length > ROW_BYTES_MAX) throw rowSizeError(bytes.length, key)
    const hints = owners.map(owner => this.#book.make(owner, key, bytes))
    if (!this.#book.hasRoom(hints)) throw noRoom()
    await this.#book.commit(hints, flush)
    const now = this.#ownersOf(key)
    // The view may have changed while it waited.
    if (!owners.every(owner => now.includes(owner))) this.#addressedUnder = undefined
    return row
  }

  #carried(key: Uint8Array, owners: readonly NodeId[]): Row[] {
    return owners.flatMap(owner => carriedRow(this.#book.get(idOf(owner, key, true))) ?? [])
  }

  /** Gives what hints carry to the owners of now; a hint for somebody else ends with that. */
  async #readdress(): Promise<void> {
    const { membership, log } = this.#components
    const { fingerprint } = membership.view
    if (this.#addressedUnder === fingerprint) return
    this.#addressedUnder = fingerprint
    let left = 0
    for (const { id } of this.#book.carrying()) {
      const hint = this.#book.get(id)
      try {
        if (hint !== undefined) await this.#handOver(hint)
      } catch (error) {
        // It stays where it is until the next turn. What is replayed meanwhile makes room for it.
        left++
        log.warn('hint-not-readdressed', { owner: hint?.owner, error: String(error) })
      }
    }
    if (left > 0) this.#addressedUnder = undefined
  }

  async #handOver(hint: Hint): Promise<void> {
    const { membership, replica } = this.#components
    const row = carriedRow(hint)
    const owners = this.#ownersOf(hint.key)
    if (row === undefined || owners.length === 0 || owners.includes(hint.owner)) return
    const others = owners.filter(owner => owner !== membership.id)
    const change = (held: Row) => join(held, row)
    const flush = true
    await this.keep({ key: hint.key, owners: others, change, flush })
    if (owners.length > others.length) await replica.apply(hint.key, 'row', encodeRow(row), flush)
    await this.#book.remove([hint])
  }

  #ownersOf(key: Uint8Array): readonly NodeId[] {
    return this.#components.membership.view.ownersOf(slotOf(key)).all
  }

  #outdated(): Iterable<Writing> {
    const { membership } = this.#components
    const isLeft = (owner: NodeId) => membership.view.table.get(owner)?.state === 'left'
    return this.#book.outdated(this.#ageMaxMs, new Set([...this.#book.owners].filter(isLeft)))
  }
}

function noRoom(): HearsayError {
  return new HearsayError(
    'ERR_OVERLOADED',
    'No owner of this key can be reached and there is no room to keep the write for them; nothing ' +
      'was stored. Start the missing nodes, or try again later.'
  )
}
