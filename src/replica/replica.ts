/**
 * One node's copy of the rows. Whatever changes a row (a client's write, a delta or row from another
 * owner, a hint, a repair) ends here, in the same `join`, and in one step per commit batch: read the
 * stored rows, join, commit, update the Merkle forest, answer. What was answered is committed and
 * readable; an apply that changes nothing writes nothing.
 *
 *   jobs ──▶ queue ──batch──▶ join ──▶ commit ──▶ forest ──▶ answers
 *
 * One batch is under way at a time, so that two changes of one key always see each other.
 */
import { SLOTS, type Forest } from '../digest/forest.ts'
import type { Operation } from '../lattice/operation.ts'
import type { Clock, Durability, Log, Meter, Random, Store, StoreWrite } from '../ports.ts'
import type { ReplicaAnswer } from '../quorum/read.ts'
import { Batch, type Applied, type Change, type Job, type Mutated } from './batch.ts'
import { Bulk, type BulkApplied, type KeyedRow } from './bulk.ts'
import { Conflicts } from './conflicts.ts'
import { Damage } from './damage.ts'
import { Filling } from './filling.ts'
import { ForestKeeper } from './forest.ts'
import { Identity } from './identity.ts'
import { MarkKeeper } from './mark.ts'
import { Quarantine } from './quarantine.ts'
import { Queue } from './queue.ts'
import { retryAhead, type Around } from './retry.ts'
import { Rows, type Damaged, type Place } from './rows.ts'
import type { Staged } from './staged.ts'
import { Tombstones } from './tombstones.ts'
import type { Position, Verified, VerifyBudget } from './verify.ts'

export type { Applied, Mutated } from './batch.ts'

const BATCH_BYTES_MAX = 8 * 1024 * 1024

/** Small, for clients wait for it: see `checkpoint`. */
const CHECKPOINT = { slots: 64, bytes: 256 * 1024 }
/** Nobody waits but whoever closes or opens. */
const CHECKPOINT_LARGE = { slots: 1_024, bytes: 4 * 1024 * 1024 }

export interface ReplicaComponents {
  readonly store: Store
  readonly forest: Forest
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly meter: Meter
  /** What else is to be saved, and can wait until there is a commit to go with. */
  readonly companion?: Companion
}

/** `saved` follows `writes` in the order of commits, once they are committed. */
export interface Companion {
  writes(): readonly StoreWrite[]
  saved(writes: readonly StoreWrite[]): void
}

export interface ReplicaInit {
  /**
   * How far ahead of the own wall clock a time may be and still be believed. A larger value bears
   * worse clocks, and lets one broken clock win over others for longer.
   *
   * @default 60_000
   */
  readonly skewMaxMs?: number
}

/** What is verified at once, for clients wait for it: some milliseconds of work. */
export const VERIFIED: VerifyBudget = { slots: 256, rows: 1_024, bytes: 4 * 1024 * 1024 }

export class Replica {
  readonly rows: Rows
  readonly forest: Forest
  readonly keeper: ForestKeeper
  readonly identity: Identity
  readonly mark: MarkKeeper
  readonly quarantine: Quarantine
  readonly conflicts: Conflicts
  readonly tombstones = new Tombstones()
  readonly filling: Filling
  readonly #components: ReplicaComponents
  readonly #queue = new Queue()
  readonly #damage = new Damage()
  #working: Promise<void> | undefined

  constructor(components: ReplicaComponents, init: ReplicaInit = {}) {
    const { store, forest, log } = components
    this.#components = components
    this.forest = forest
    const onDamage = (damaged: Damaged) => this.#found(damaged)
    this.rows = new Rows({ store, hasher: forest, onDamage })
    this.keeper = new ForestKeeper({ store, forest, rows: this.rows, log })
    this.identity = new Identity(components, { skewMaxMs: init.skewMaxMs ?? 60_000 })
    this.mark = new MarkKeeper(components)
    this.quarantine = new Quarantine(components)
    this.conflicts = new Conflicts(components)
    this.filling = new Filling(store)
  }

  async open(): Promise<void> {
    const doubt = this.identity.doubt
    // A store with an identity and no mark has lost a part of what it held.
    const isWhole = this.mark.isSaved || doubt === 'new'
    // First, or a start that dies after the next two would have made the copy look trusted.
    const isOld = doubt === 'moved' || doubt === 'lost'
    if (isOld || !isWhole) await this.distrust()
    await this.identity.open()
    await this.mark.open()
    const writes = this.keeper.load()
    const part = CHECKPOINT_LARGE.slots
    for (let i = 0; i < writes.length; i += part) await this.#keep(writes.slice(i, i + part))
    const counted = this.tombstones.open(this.#components.store, this.rows)
    if (counted.length > 0) await this.#components.store.commit(counted)
    await this.#work()
  }

  /** What is here may be older than what was acknowledged: nothing of it counts until compared. */
  distrust(): Promise<void> {
    return this.filling.lose(Array.from({ length: SLOTS }, (_, slot) => slot))
  }

  /** Resolves when every accepted change is committed. Further ones are refused. */
  async close(): Promise<void> {
    this.#queue.close()
    await this.#working
    await this.#checkpointAll()
    await this.identity.close()
  }

  /**
   * Does it while no batch is under way, when the store and the forest agree: soon, and before what is
   * asked for later. Changes wait for it. Rejects as it does, and when the replica is closed.
   */
  between<T>(work: () => T | Promise<T>): Promise<T> {
    const done = this.#queue.between(work)
    void this.#work()
    return done
  }

  /**
   * Compares rows on disk with their checks and with the forest, from `from` on. What is damaged is set
   * aside, as it is when it is read. Where a tree disagrees with its rows, rows may have vanished or gone
   * back: its slot is then filled again, and the tree laid out anew.
   */
  verify(from: Position, budget: VerifyBudget): Promise<Verified> {
    return this.between(async () => {
      const verified = this.keeper.verify(from, budget)
      await this.#doubt(verified.wrong)
      return verified
    })
  }

  /**
   * The same for one slot. Resolves with whether its tree was wrong: where two nodes hold the same
   * rows and yet differ, one of them learns so that it was its own tree.
   */
  async verifySlot(slot: number): Promise<boolean> {
    let wrong = false
    for (let at: Position | undefined = { slot, tokenHigh: 0 }; at?.slot === slot;) {
      const verified: Verified = await this.verify(at, { ...VERIFIED, slots: 1 })
      wrong ||= verified.wrong.length > 0
      at = verified.next
    }
    return wrong
  }

  /**
   * Saves the trees of some slots that have changed, those that wait longest first. Resolves with how
   * many have yet to be saved.
   */
  checkpoint(): Promise<number> {
    return this.between(async () => {
      this.keeper.mend()
      await this.#keep(this.keeper.checkpoint(CHECKPOINT))
      return this.keeper.unsaved
    })
  }

  read(key: Uint8Array): ReplicaAnswer {
    const place = this.rows.locate(key)
    // What is here of such a row may be less than was once acknowledged: it counts for nothing.
    if (!this.#isWhole(place)) return { answer: 'unknown' }
    const stored = this.rows.read(place)
    if (stored !== undefined) return { answer: 'row', ...stored }
    if (!this.#damage.isEmpty) return { answer: 'unknown' }
    return this.quarantine.hasDamaged(place.id)
      ? { answer: 'unknown', isLost: true }
      : { answer: 'absent' }
  }

  /**
   * Whether a row may be taken of one who does not follow what is written to it: where the own is
   * damaged it would pass for the newest, and so only if it is the very one.
   */
  mayTake({ key, bytes }: KeyedRow): boolean {
    const place = this.rows.locate(key)
    if (this.#damage.has(place.id)) return false
    if (!this.quarantine.hasDamaged(place.id)) return true
    const damaged = this.quarantine.damaged(place.id)
    return damaged !== undefined && this.rows.isOf(damaged, key, bytes)
  }

  /** Whether a write of this key may be coordinated here: only on a row that is surely whole. */
  isWhole(key: Uint8Array): boolean {
    return this.#isWhole(this.rows.locate(key))
  }

  /** Carries out a client's write on the row as it is. Rejects with what the row does not take. */
  mutate(key: Uint8Array, operation: Operation, flush: boolean): Promise<Mutated> {
    return this.#enqueue(key, { kind: 'operation', operation }, flush) as Promise<Mutated>
  }

  /** Joins an encoded row or delta. What cannot be joined is quarantined, and rejects. */
  apply(
    key: Uint8Array,
    kind: 'row' | 'delta',
    bytes: Uint8Array,
    flush = false
  ): Promise<Applied> {
    return this.#enqueue(key, { kind, bytes }, flush)
  }

  /**
   * Joins many encoded rows as `apply` does, behind what is asked for one by one. Resolves when each
   * of them is applied or refused. Their bytes must not change before.
   */
  async applyAll(rows: readonly KeyedRow[]): Promise<BulkApplied> {
    const refused = this.#queue.refusal('bulk')
    const places = this.rows.locateAll(rows.map(({ key }) => key))
    if (refused !== undefined) {
      return { joined: [], refusals: places.map(({ slot }) => ({ slot, error: refused })) }
    }
    const bulk = new Bulk(places, rows)
    this.#queue.pushBehind(bulk.jobs)
    void this.#work()
    return bulk.done
  }

  /** Resolves when all that was answered before outlives the loss of power. */
  flush(): Promise<void> {
    return this.between(() => this.#commit([], 'flush'))
  }

  /** Tries again what was too far ahead when it arrived: see retry.ts. */
  retryAhead(around?: Around): Promise<void> {
    return retryAhead(this, around)
  }

  #isWhole({ slot }: Place): boolean {
    return !this.filling.has(slot)
  }

  #enqueue(key: Uint8Array, change: Change, flush: boolean): Promise<Mutated | Applied> {
    const refused = this.#queue.refusal('alone')
    if (refused !== undefined) return Promise.reject(refused)
    return new Promise((resolve, reject) => {
      this.#queue.push({ place: this.rows.locate(key), change, flush, resolve, reject })
      void this.#work()
    })
  }

  /** Runs batches until nothing is left; never rejects, every job gets its own answer. */
  #work(): Promise<void> {
    this.#working ??= this.#drain()
    return this.#working
  }

  async #drain(): Promise<void> {
    // Jobs of one turn go into one batch.
    await Promise.resolve()
    while (!this.#queue.isEmpty || !this.#damage.isEmpty) {
      const step = this.#queue.takeStep()
      const jobs = this.#queue.take()
      try {
        if (!this.#damage.isEmpty) await this.#setAside()
        if (this.identity.isFarAhead) await this.identity.startOver()
        await step?.run()
        await this.#batch(jobs)
      } catch (error) {
        step?.reject(error as Error)
        for (const job of jobs) job.reject(error as Error)
        this.#components.log.warn('commit-failed', { error: String(error), jobs: jobs.length })
        // A disk that refuses is not asked again and again: the next change or read tries anew.
        if (jobs.length === 0 && this.#queue.isEmpty) break
      }
    }
    // In the same turn as the last look at the queue, or what comes in between would lie there.
    this.#working = undefined
  }

  /** Leaves in `jobs` those it was for. */
  async #batch(jobs: Job[]): Promise<void> {
    const batch = this.#join(jobs)
    const { changed, quarantined, tombstones } = batch
    const marks = this.keeper.marks(new Set(changed.map(({ place }) => place.slot)))
    const records = this.conflicts.add(batch.losers)
    const counted = this.tombstones.stage(tombstones)
    const writes = [...changed.map(writeOf), ...quarantined, ...marks, ...records, ...counted]
    const flush = jobs.some(job => job.flush)
    if (writes.length > 0 || flush) await this.#commit(writes, flush ? 'flush' : 'commit')
    this.quarantine.committed(quarantined)
    this.keeper.committed(marks)
    this.tombstones.reached(tombstones)
    this.#reflect(changed)
    batch.settle()
    this.conflicts.committed(batch.losers, records)
  }

  #join(jobs: Job[]): Batch {
    const { rows, identity, quarantine } = this
    const batch = new Batch({
      rows,
      identity,
      quarantine,
      clock: this.#components.clock,
      isDamaged: id => this.#damage.has(id),
      isWhole: place => this.#isWhole(place)
    })
    let bytes = 0
    for (const [i, job] of jobs.entries()) {
      if (bytes > BATCH_BYTES_MAX) this.#queue.putBack(jobs.splice(i))
      else bytes += batch.add(job)
    }
    batch.seal()
    return batch
  }

  /** With the mark of this commit, and what else is to be saved. */
  async #commit(writes: readonly StoreWrite[], durability: Durability): Promise<void> {
    const { store, companion } = this.#components
    const mark = this.mark.stage()
    const others = companion?.writes() ?? []
    await store.commit([...writes, mark.write, ...others], durability)
    this.mark.reached(mark)
    companion?.saved(others)
  }

  /** Brings the forest up to what is committed. What is committed is acknowledged even if this fails. */
  #reflect(changed: readonly Staged[]): void {
    const slots = new Set(changed.map(({ place }) => place.slot))
    try {
      this.keeper.makeRoom(changed.map(({ place }) => place.slot))
      for (const { place, before, digest } of changed) {
        this.keeper.replace(place, before, digest as Uint8Array)
      }
      this.keeper.fit(slots)
    } catch (error) {
      this.keeper.distrust(slots)
      this.#components.log.warn('forest-behind', { error: String(error), slots: slots.size })
    }
  }

  /** Commits what is the keeper's alone. */
  async #keep(writes: readonly StoreWrite[]): Promise<void> {
    if (writes.length === 0) return
    await this.#components.store.commit(writes)
    this.keeper.committed(writes)
  }

  /** What cannot be saved stays marked, and is read at the next start. */
  async #checkpointAll(): Promise<void> {
    try {
      for (;;) {
        const writes = this.keeper.checkpoint(CHECKPOINT_LARGE)
        if (writes.length === 0) return
        await this.#keep(writes)
      }
    } catch (error) {
      this.#components.log.warn('forest-not-saved', { error: String(error) })
    }
  }

  /**
   * Which of the two is wrong, rows or tree, cannot be told here, and the tree is the only memory of rows
   * that are gone. So all that follows is on disk before it is laid out anew: that the slots count as not
   * held until they have been compared with the other owners, that the actor is no longer to be trusted,
   * and that the checkpoints are not.
   */
  async #doubt(slots: readonly number[]): Promise<void> {
    if (slots.length === 0) return
    const unforeseen = slots.filter(slot => !this.keeper.isWrong(slot))
    const writes = this.keeper.marks(slots)
    if (unforeseen.length > 0) {
      await this.filling.lose(unforeseen)
      await this.identity.rotate('rows-missing')
      writes.push(this.tombstones.forget())
    }
    await this.#keep(writes)
    for (const slot of slots) this.keeper.rebuild(slot)
    this.#components.meter.count('scrub.trees-rebuilt', slots.length)
  }

  #found(damaged: Damaged): void {
    if (this.#damage.note(damaged) && !this.#queue.isClosed) void this.#work()
  }

  #setAside(): Promise<void> {
    const { keeper, identity, quarantine, filling, tombstones } = this
    const { store } = this.#components
    const parts = { store, keeper, identity, quarantine, filling, tombstones }
    return this.#damage.setAside(parts)
  }
}

function writeOf({ place, value }: Staged): StoreWrite {
  return { space: 'rows', key: place.id, value }
}
