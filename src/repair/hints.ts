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
import type { Clock, Log, Meter, Range, Store, Timers } from '../ports.ts'
import { ROW_BYTES_MAX, rowSizeError } from '../replica/refusals.ts'
import type { Replica } from '../replica/replica.ts'
import { slotOf } from '../ring/slot.ts'
import { nameOf } from '../util/bytes.ts'
import type { NodeId } from '../util/node-id.ts'
import { sleep } from '../util/sleep.ts'
import { decodeRefusals, encodeApply, type ApplyItem } from '../wire/rows.ts'
import { HintIndex, type Writing } from './hint-index.ts'
import { carriedRow, idOf, knownOf, makeHint, rangeOf, readHint, type Hint } from './hint-record.ts'
import { pauseAfter, type Rates, type Sent } from './rate.ts'

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

export interface HintsInit {
  /**
   * How long a hint is kept for an absent owner. Longer survives longer outages and costs disk here;
   * past it, anti-entropy carries the row instead.
   *
   * @default 10_800_000
   */
  readonly ageMaxMs?: number
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
  /**
   * How many rows a second one owner is sent. More brings it up to date sooner and leaves less of it
   * and of this node to clients meanwhile.
   *
   * @default 2_000
   */
  readonly rowsPerSecondMax?: number
  /**
   * How many bytes of rows a second one owner is sent.
   *
   * @default 8_388_608
   */
  readonly bytesPerSecondMax?: number
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

const BATCH_HINTS = 128
const BATCH_BYTES = 1024 * 1024
/** Then owners that came back meanwhile get their turn. */
const TURN_MS = 5_000
/** A store may need room for each removal: all of them in one commit might not fit any more. */
const REMOVALS_A_COMMIT = 1_000
const DEADLINE_MS = 5_000
/** Writes that are being kept at this moment. */
const KEEPING_MAX = 1_024

export class Hints {
  readonly #components: HintsComponents
  readonly #ageMaxMs: number
  readonly #bytesMax: number
  readonly #ownerBytesMax: number
  readonly #rates: Rates
  readonly #index = new HintIndex()
  /** By key: what is kept of one key is kept one after the other. */
  readonly #keeping = new Map<string, Promise<unknown>>()
  #waiting = 0
  /** By owner: the hint up to which it was asked, where it refused some, so that they hold up no others. */
  readonly #askedTo = new Map<NodeId, Uint8Array>()
  #sequence = 0
  /** Under which view the hints that carry a row were last addressed. */
  #addressedUnder: string | undefined

  constructor(components: HintsComponents, init: HintsInit = {}) {
    this.#components = components
    this.#ageMaxMs = init.ageMaxMs ?? 10_800_000
    this.#bytesMax = init.bytesMax ?? 64 * 1024 * 1024
    this.#ownerBytesMax = init.ownerBytesMax ?? 32 * 1024 * 1024
    this.#rates = {
      rowsPerSecondMax: init.rowsPerSecondMax ?? 2_000,
      bytesPerSecondMax: init.bytesPerSecondMax ?? 8 * 1024 * 1024
    }
    for (const hint of this.#all()) {
      this.#index.set(hint.id, knownOf(hint))
      this.#sequence = Math.max(this.#sequence, hint.sequence + 1)
    }
    this.#index.sort()
  }

  /** Resolves when the hint is durable; with `false` when there was no room, which is counted. */
  async add(owner: NodeId, key: Uint8Array): Promise<boolean> {
    const hint = this.#write(owner, key, undefined)
    if (this.#index.get(hint.id) === undefined && !this.#hasRoom([hint])) {
      this.#components.meter.count('hints.no-room')
      return false
    }
    await this.#commit([hint], false)
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
    await this.#remove(this.#outdated())
    await this.#readdress()
    const { membership, clock } = this.#components
    const endMs = clock.monoMs() + TURN_MS
    await Promise.all(membership.peers.map(owner => this.#replayTo(owner, endMs, signal)))
  }

  /** Removes every hint but those that carry a row; resolves with how many there were. */
  async drop(): Promise<number> {
    return this.#remove(this.#index.droppable())
  }

  /** For whom a hint of the key is kept. */
  owners(key: Uint8Array): NodeId[] {
    return [...this.#index.owners].filter(owner => this.#keepsFor(owner, key))
  }

  status(): HintStatus[] {
    const now = this.#components.clock.wallMs()
    return this.#index.sums().map(({ owner, count, bytes, oldestAtMs }) => {
      return { owner, count, bytes, oldestMs: Math.max(0, now - oldestAtMs) }
    })
  }

  #keepsFor(owner: NodeId, key: Uint8Array): boolean {
    return [false, true].some(carries => this.#index.get(idOf(owner, key, carries)) !== undefined)
  }

  async #keep({ key, owners, change, flush }: Keeping): Promise<Row> {
    const held = owners.flatMap(owner => this.#carried(owner, key) ?? [])
    const row = change(held.reduce(join, ROW_EMPTY))
    const bytes = encodeRow(row)
    if (bytes.length > ROW_BYTES_MAX) throw rowSizeError(bytes.length, key)
    const hints = owners.map(owner => this.#write(owner, key, bytes))
    if (!this.#hasRoom(hints)) throw noRoom()
    await this.#commit(hints, flush)
    const now = this.#ownersOf(key)
    // The view may have changed while it waited.
    if (!owners.every(owner => now.includes(owner))) this.#addressedUnder = undefined
    return row
  }

  #carried(owner: NodeId, key: Uint8Array): Row | undefined {
    const id = idOf(owner, key, true)
    const value = this.#components.store.get('hints', id)
    return value && carriedRow(readHint(id, value))
  }

  /** The sequence tells this writing of a hint from an earlier one whose replay is under way. */
  #write(owner: NodeId, key: Uint8Array, carried: Uint8Array | undefined): Hint {
    const atMs = this.#components.clock.wallMs()
    return makeHint({ owner, key, atMs, sequence: this.#sequence++, carried })
  }

  /** Of each its size less that of the writing before. */
  #hasRoom(hints: readonly Hint[]): boolean {
    let all = this.#index.bytes
    for (const hint of hints) {
      const more = knownOf(hint).size - (this.#index.get(hint.id)?.size ?? 0)
      all += more
      if (this.#index.bytesFor(hint.owner) + more > this.#ownerBytesMax) return false
    }
    return all <= this.#bytesMax
  }

  async #commit(hints: readonly Hint[], flush: boolean): Promise<void> {
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

  /** Gives what hints carry to the owners of now; a hint for somebody else ends with that. */
  async #readdress(): Promise<void> {
    const { membership, store, log } = this.#components
    const { fingerprint } = membership.view
    if (this.#addressedUnder === fingerprint) return
    this.#addressedUnder = fingerprint
    let left = 0
    for (const { id } of [...this.#index.carrying()]) {
      const value = store.get('hints', id)
      const hint = value && readHint(id, value)
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
    await this.keep({ key: hint.key, owners: others, change, flush: false })
    if (owners.length > others.length) await replica.apply(hint.key, 'row', encodeRow(row))
    await this.#remove([hint])
  }

  #ownersOf(key: Uint8Array): readonly NodeId[] {
    const { current, next } = this.#components.membership.view.ownersOf(slotOf(key))
    return [...new Set([...current, ...next])]
  }

  async #replayTo(owner: NodeId, endMs: number, signal?: AbortSignal): Promise<void> {
    const { liveness, clock, timers } = this.#components
    while (liveness.isAlive(owner) && clock.monoMs() < endMs) {
      const beganMs = clock.monoMs()
      const sent = await this.#replayBatch(owner, signal)
      if (sent === undefined) return
      const pauseMs = pauseAfter(sent, clock.monoMs() - beganMs, this.#rates)
      if (pauseMs > 0) await sleep(timers, pauseMs, signal)
    }
  }

  /** What was sent, while hints for this owner come to an end and there may be more of them. */
  async #replayBatch(owner: NodeId, signal?: AbortSignal): Promise<Sent | undefined> {
    const { membership, meter, log } = this.#components
    const batch = this.#take(owner)
    const items = batch.flatMap(({ item }) => item ?? [])
    if (batch.length === 0) {
      // The next turn begins at the front again.
      this.#askedTo.delete(owner)
      return undefined
    }
    try {
      const request = encodeApply({ flush: false, items })
      const answer = await membership.ask(owner, 'apply', request, {
        deadlineMs: DEADLINE_MS,
        signal
      })
      const refusals = decodeRefusals(answer)
      if (refusals === undefined) throw unreadable(owner)
      const refused = new Set(refusals.map(({ index }) => items[index]))
      const done = batch.filter(({ item }) => item === undefined || !refused.has(item))
      meter.count('hints.replayed', items.length - refused.size)
      const removed = await this.#remove(done.map(({ hint }) => hint))
      if (refused.size > 0) this.#askedTo.set(owner, (batch.at(-1) as { hint: Hint }).hint.id)
      else if (removed === 0) return undefined
      const bytes = items.reduce((sum, item) => sum + item.bytes.length, 0)
      return { rows: items.length, bytes }
    } catch (error) {
      log.debug('hint-replay-failed', { owner, error: String(error) })
      return undefined
    }
  }

  #take(owner: NodeId): { hint: Hint; item: ApplyItem | undefined }[] {
    const batch = []
    let bytes = 0
    for (const hint of this.#all(rangeOf(owner, this.#askedTo.get(owner)))) {
      const item = this.#itemOf(hint)
      // What is lost here or still on its way may come back: its hint waits.
      if (item === 'unknown') continue
      bytes += item ? item.key.length + item.bytes.length : 0
      if (batch.length > 0 && bytes > BATCH_BYTES) break
      batch.push({ hint, item })
      if (batch.length === BATCH_HINTS) break
    }
    return batch
  }

  /**
   * The row that the hint carries, or as it is here now; one that is absent, or lost for good, has
   * nothing to replay.
   * What is carried for somebody who owns the key no more waits for its new address: there, nobody
   * would look for it.
   */
  #itemOf({ owner, key, carried }: Hint): ApplyItem | undefined | 'unknown' {
    if (carried !== undefined) {
      return this.#ownersOf(key).includes(owner) ? { key, kind: 'row', bytes: carried } : 'unknown'
    }
    const { replica } = this.#components
    const held = replica.read(key)
    if (held.answer === 'unknown') return replica.isLost(key) ? undefined : 'unknown'
    return held.answer === 'row' ? { key, kind: 'row', bytes: encodeRow(held.row) } : undefined
  }

  *#all(range: Range = {}): Iterable<Hint> {
    for (const [id, value] of this.#components.store.range('hints', range)) {
      const hint = readHint(id, value)
      if (hint !== undefined) yield hint
    }
  }

  #outdated(): Iterable<Writing> {
    const { clock, membership } = this.#components
    const isLeft = (owner: NodeId) => membership.view.table.get(owner)?.state === 'left'
    const left = new Set([...this.#index.owners].filter(isLeft))
    return this.#index.outdated(clock.wallMs() - this.#ageMaxMs, left)
  }

  /** Removes hints that have not been written again since they were read; resolves with how many. */
  async #remove(hints: Iterable<Writing>): Promise<number> {
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

function unreadable(owner: NodeId): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `Hearsay could not read an answer of ${owner}.`)
}

function noRoom(): HearsayError {
  return new HearsayError(
    'ERR_OVERLOADED',
    'No owner of this key can be reached and there is no room to keep the write for them; nothing ' +
      'was stored. Start the missing nodes, or try again later.'
  )
}
