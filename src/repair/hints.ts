/**
 * Hints: which rows an owner did not acknowledge. A hint names the key only; what is replayed is the
 * row as it is then, so a key has one hint an owner however often it was written, and a replay is
 * never older than the write it stands for. Replays are idempotent because rows are.
 *
 * A hint is removed only when the owner has acknowledged a row that was read after the hint was
 * written. Hints older than `ageMaxMs`, or beyond `bytesMax`, are left to anti-entropy.
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import { HearsayError } from '../errors.ts'
import { encodeRow } from '../lattice/encode.ts'
import type { HintStatus } from '../options.ts'
import type { Clock, Log, Meter, Range, Store } from '../ports.ts'
import type { ReplicaAnswer } from '../quorum/read.ts'
import type { Replica } from '../replica/replica.ts'
import { concat, text, utf8 } from '../util/bytes.ts'
import type { NodeId } from '../util/node-id.ts'
import { isCount, isTuple, pack, unpack } from '../util/msgpack.ts'
import { decodeRefusals, encodeApply, type ApplyItem } from '../wire/rows.ts'
import { HintIndex, type Known, type Writing } from './hint-index.ts'

export interface HintsComponents {
  readonly store: Store
  readonly replica: Replica
  readonly membership: Membership
  readonly liveness: Liveness
  readonly clock: Clock
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
}

const BATCH_HINTS = 128
const BATCH_BYTES = 1024 * 1024
/** A store may need room for each removal: all of them in one commit might not fit any more. */
const REMOVALS_A_COMMIT = 1_000
const DEADLINE_MS = 5_000
/** Between an owner's id and the key, in a hint's own key: no id contains it. */
const SEPARATOR = new Uint8Array([0])
const MAX = Number.MAX_SAFE_INTEGER

interface Hint {
  readonly id: Uint8Array
  readonly value: Uint8Array
  readonly owner: NodeId
  readonly key: Uint8Array
  readonly atMs: number
  readonly sequence: number
}

export class Hints {
  readonly #components: HintsComponents
  readonly #ageMaxMs: number
  readonly #bytesMax: number
  readonly #index = new HintIndex()
  #sequence = 0

  constructor(components: HintsComponents, init: HintsInit = {}) {
    this.#components = components
    this.#ageMaxMs = init.ageMaxMs ?? 10_800_000
    this.#bytesMax = init.bytesMax ?? 64 * 1024 * 1024
    for (const hint of this.#all()) {
      this.#index.set(hint.id, knownOf(hint))
      this.#sequence = Math.max(this.#sequence, hint.sequence + 1)
    }
    this.#index.sort()
  }

  /** Resolves when the hint is durable; one that finds no room is dropped and counted. */
  async add(owner: NodeId, key: Uint8Array): Promise<void> {
    const { store, clock, meter } = this.#components
    const id = idOf(owner, key)
    const before = this.#index.get(id)
    const atMs = clock.wallMs()
    // The sequence tells this writing of the hint from an earlier one whose replay is under way.
    const sequence = this.#sequence++
    const value = pack([atMs, sequence])
    if (!before && this.#index.bytes + id.length + value.length > this.#bytesMax) {
      meter.count('hints.no-room')
      return
    }
    this.#index.set(id, knownOf({ id, value, owner, atMs, sequence }))
    try {
      await store.commit([{ space: 'hints', key: id, value }])
    } catch (error) {
      if (this.#index.has({ id, sequence })) this.#restore(id, before)
      throw error
    }
    meter.count('hints.kept')
  }

  /** Replays to every owner that is alive, until nothing is left for it or it fails. */
  async replay(signal?: AbortSignal): Promise<void> {
    await this.#remove(this.#outdated())
    const { membership, liveness } = this.#components
    for (const owner of membership.peers) {
      while (liveness.isAlive(owner) && (await this.#replayBatch(owner, signal)));
    }
  }

  /** Removes every hint; resolves with how many there were. */
  async drop(): Promise<number> {
    return this.#remove(this.#index.all())
  }

  /** For whom a hint of the key is kept. */
  owners(key: Uint8Array): NodeId[] {
    return [...this.#index.owners].filter(owner => this.#index.get(idOf(owner, key)) !== undefined)
  }

  status(): HintStatus[] {
    const now = this.#components.clock.wallMs()
    return this.#index.sums().map(({ owner, count, bytes, oldestAtMs }) => {
      return { owner, count, bytes, oldestMs: Math.max(0, now - oldestAtMs) }
    })
  }

  /** True while hints for this owner come to an end and there may be more of them. */
  async #replayBatch(owner: NodeId, signal?: AbortSignal): Promise<boolean> {
    const { membership, meter, log } = this.#components
    const batch = this.#take(owner)
    const items = batch.flatMap(({ item }) => item ?? [])
    if (batch.length === 0) return false
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
      return (await this.#remove(done.map(({ hint }) => hint))) > 0 && refused.size === 0
    } catch (error) {
      log.debug('hint-replay-failed', { owner, error: String(error) })
      return false
    }
  }

  #take(owner: NodeId): { hint: Hint; item: ApplyItem | undefined }[] {
    const from = concat([utf8(owner), SEPARATOR])
    const to = concat([utf8(owner), new Uint8Array([1])])
    const batch = []
    let bytes = 0
    for (const hint of this.#all({ from, to })) {
      const answer = this.#components.replica.read(hint.key)
      // What is lost here or still on its way may come back: its hint waits.
      if (answer.answer === 'unknown') continue
      const item = itemOf(hint.key, answer)
      bytes += item ? item.key.length + item.bytes.length : 0
      if (batch.length > 0 && bytes > BATCH_BYTES) break
      batch.push({ hint, item })
      if (batch.length === BATCH_HINTS) break
    }
    return batch
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
      for (const { id, known } of gone) this.#restore(id, known)
      this.#index.sort()
      throw error
    }
    return removed.length
  }

  #restore(id: Uint8Array, before: Known | undefined): void {
    if (before === undefined) this.#index.delete(id)
    else this.#index.set(id, before)
  }
}

function idOf(owner: NodeId, key: Uint8Array): Uint8Array {
  return concat([utf8(owner), SEPARATOR, key])
}

function knownOf({ id, value, owner, atMs, sequence }: Omit<Hint, 'key'>): Known {
  return { owner, size: id.length + value.length, atMs, sequence }
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

/** The row as it is now; one that is absent has nothing to replay. */
function itemOf(key: Uint8Array, answer: ReplicaAnswer): ApplyItem | undefined {
  return answer.answer === 'row' ? { key, kind: 'row', bytes: encodeRow(answer.row) } : undefined
}

function unreadable(owner: NodeId): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `Hearsay could not read an answer of ${owner}.`)
}

function readHint(id: Uint8Array, value: Uint8Array): Hint | undefined {
  const end = id.indexOf(0)
  const fields = unpack(value)
  if (end < 1 || !isTuple(fields, 2)) return undefined
  const [atMs, sequence] = fields
  if (!isCount(atMs, MAX) || !isCount(sequence, MAX)) return undefined
  const owner = text(id.subarray(0, end)) as NodeId
  return { id, value, owner, key: id.subarray(end + 1), atMs, sequence }
}
