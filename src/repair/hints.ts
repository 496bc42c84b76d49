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
import { concat, nameOf, text, utf8 } from '../util/bytes.ts'
import type { NodeId } from '../util/node-id.ts'
import { isCount, isTuple, pack, unpack } from '../util/msgpack.ts'
import { decodeRefusals, encodeApply, type ApplyItem } from '../wire/rows.ts'

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

interface Known {
  readonly size: number
  readonly sequence: number
}

export class Hints {
  readonly #components: HintsComponents
  readonly #ageMaxMs: number
  readonly #bytesMax: number
  /** The newest writing of every hint, on disk or on its way there. */
  readonly #known = new Map<string, Known>()
  #bytes = 0
  #sequence = 0

  constructor(components: HintsComponents, init: HintsInit = {}) {
    this.#components = components
    this.#ageMaxMs = init.ageMaxMs ?? 10_800_000
    this.#bytesMax = init.bytesMax ?? 64 * 1024 * 1024
    for (const hint of this.#all()) {
      this.#note(hint)
      this.#sequence = Math.max(this.#sequence, hint.sequence + 1)
    }
  }

  /** Resolves when the hint is durable; one that finds no room is dropped and counted. */
  async add(owner: NodeId, key: Uint8Array): Promise<void> {
    const { store, clock, meter } = this.#components
    const id = concat([utf8(owner), SEPARATOR, key])
    // The sequence tells this writing of the hint from an earlier one whose replay is under way.
    const sequence = this.#sequence++
    const value = pack([clock.wallMs(), sequence])
    if (!this.#known.has(nameOf(id)) && this.#bytes + id.length + value.length > this.#bytesMax) {
      meter.count('hints.no-room')
      return
    }
    const before = this.#known.get(nameOf(id))
    this.#note({ id, value, sequence })
    try {
      await store.commit([{ space: 'hints', key: id, value }])
    } catch (error) {
      if (this.#known.get(nameOf(id))?.sequence === sequence) this.#set(id, before)
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
    return this.#remove([...this.#all()])
  }

  status(): HintStatus[] {
    const owners = new Map<NodeId, { count: number; bytes: number; oldestMs: number }>()
    const now = this.#components.clock.wallMs()
    for (const { owner, id, value, atMs } of this.#all()) {
      const sum = owners.get(owner) ?? { count: 0, bytes: 0, oldestMs: 0 }
      sum.count++
      sum.bytes += id.length + value.length
      sum.oldestMs = Math.max(sum.oldestMs, now - atMs)
      owners.set(owner, sum)
    }
    return [...owners].map(([owner, sum]) => ({ owner, ...sum }))
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
      batch.push({ hint, item })
      bytes += item?.bytes.length ?? 0
      if (batch.length === BATCH_HINTS || bytes > BATCH_BYTES) break
    }
    return batch
  }

  *#all(range: Range = {}): Iterable<Hint> {
    for (const [id, value] of this.#components.store.range('hints', range)) {
      const hint = readHint(id, value)
      if (hint !== undefined) yield hint
    }
  }

  #outdated(): Hint[] {
    const { clock, membership } = this.#components
    const oldest = clock.wallMs() - this.#ageMaxMs
    const left = (owner: NodeId) => membership.view.table.get(owner)?.state === 'left'
    return [...this.#all()].filter(({ atMs, owner }) => atMs < oldest || left(owner))
  }

  /** Removes hints that have not been written again since they were read; resolves with how many. */
  async #remove(hints: readonly Hint[]): Promise<number> {
    const removed = hints.filter(
      ({ id, sequence }) => this.#known.get(nameOf(id))?.sequence === sequence
    )
    if (removed.length === 0) return 0
    for (const { id } of removed) this.#set(id, undefined)
    const writes = removed.map(({ id }) => ({
      space: 'hints' as const,
      key: id,
      value: undefined
    }))
    try {
      await this.#components.store.commit(writes)
    } catch (error) {
      for (const hint of removed) if (!this.#known.has(nameOf(hint.id))) this.#note(hint)
      throw error
    }
    return removed.length
  }

  #note({ id, value, sequence }: Pick<Hint, 'id' | 'value' | 'sequence'>): void {
    this.#set(id, { size: id.length + value.length, sequence })
  }

  #set(id: Uint8Array, known: Known | undefined): void {
    const name = nameOf(id)
    this.#bytes += (known?.size ?? 0) - (this.#known.get(name)?.size ?? 0)
    if (known === undefined) this.#known.delete(name)
    else this.#known.set(name, known)
  }
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
