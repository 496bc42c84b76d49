/**
 * One node: wires the engine to the ports it is given. The only place that knows every part. It runs
 * the same on LMDB and libp2p (index.ts) and on a simulated world.
 */
import { Liveness } from './cluster/liveness.ts'
import { Membership } from './cluster/membership.ts'
import { Remembered } from './cluster/remembered.ts'
import { Blind, type Keeping } from './coordinator/blind.ts'
import { CatchUp } from './coordinator/catch-up.ts'
import { Coordinator } from './coordinator/coordinator.ts'
import { Data } from './coordinator/data.ts'
import { Explainer } from './coordinator/explainer.ts'
import { Fanout } from './coordinator/fanout.ts'
import { Reader } from './coordinator/reader.ts'
import { checkKey, DEFAULTS, requestOf, settleRequestOf } from './coordinator/request.ts'
import { Writer } from './coordinator/writer.ts'
import { SLOTS, type Forest } from './digest/forest.ts'
import { HearsayError } from './errors.ts'
import { printActor } from './lattice/dot.ts'
import type {
  BackgroundTask,
  Bytes,
  ChangeResult,
  ClusterSync,
  Conflict,
  CountResult,
  DeleteOptions,
  ExchangeReport,
  Explanation,
  Fields,
  HearsayNode,
  PutOptions,
  ReadOptions,
  ReadResult,
  SiblingsResult,
  RequestDefaults,
  RepairOptions,
  RequestOptions,
  SettleOptions,
  ScrubReport,
  SlotMap,
  SlotTree,
  Status,
  WriteOptions,
  WriteResult
} from './options.ts'
import type { Clock, Log, Meter, Network, Random, Store, Timers } from './ports.ts'
import { AntiEntropy, type AntiEntropyInit } from './repair/anti-entropy.ts'
import { ByHand } from './repair/by-hand.ts'
import { Entry, type EntryInit } from './repair/entry.ts'
import { Handoff } from './repair/handoff.ts'
import { Hints, type HintsInit } from './repair/hints.ts'
import { Foreground } from './repair/foreground.ts'
import { isBackgroundTask, Pauses } from './repair/pauses.ts'
import { Settling } from './repair/settling.ts'
import { Trees } from './repair/trees.ts'
import { Scrub, type ScrubOptions } from './repair/scrub.ts'
import { Worker, type WorkerInit } from './repair/worker.ts'
import { overlaps } from './quorum/level.ts'
import { CONFLICTS_MAX } from './replica/conflicts.ts'
import { Replica, type ReplicaInit } from './replica/replica.ts'
import { serveReplica } from './replica/serve.ts'
import { hex } from './util/bytes.ts'
import type { NodeId } from './util/node-id.ts'
import { sleep } from './util/sleep.ts'
import { everyStep } from './util/steps.ts'
import type { Mark } from './wire/mark.ts'

export interface NodeComponents {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly store: Store
  readonly network: Network
  readonly log: Log
  readonly meter: Meter
  readonly forest: Forest
}

export interface NodeInit extends EntryInit {
  readonly clusterId: string
  /** Replication factor. */
  readonly n: number
  /** What requests go by that do not say it themselves. */
  readonly defaults?: Partial<RequestDefaults>
  /** Run last when the node closes: lets go of what it was built on. */
  readonly release?: () => Promise<void>
  /** Makes the invite from the addresses of the members. */
  readonly invite?: (addresses: readonly string[]) => string
  readonly replica?: ReplicaInit
  readonly hints?: HintsInit
  readonly antiEntropy?: AntiEntropyInit
  /**
   * Mean pause between two rounds of exchanges. Shorter finds divergence sooner and costs a small
   * message to each peer every time.
   *
   * @default 3_000
   */
  readonly exchangeMs?: number
  /**
   * Mean pause between two looks at the hints.
   *
   * @default 1_000
   */
  readonly hintsMs?: number
  /**
   * Mean pause between two turns of saving trees that have changed. Shorter has fewer rows to read
   * after a crash and writes the tree of a busy slot more often.
   *
   * @default 5_000
   */
  readonly checkpointMs?: number
  /**
   * Mean pause between two turns of the slow scrub, each of one slot or a thousand rows. Shorter finds
   * bit rot sooner and reads more: at the default a pass takes at most two days.
   *
   * @default 10_000
   */
  readonly scrubMs?: number
}

const INVITE_ADDRESSES_MAX = 16
const CHECKPOINTS_A_TURN = 4

export class Node implements HearsayNode {
  readonly #components: NodeComponents
  readonly #init: NodeInit
  readonly #defaults: RequestDefaults
  readonly #replica: Replica
  readonly #membership: Membership
  readonly #liveness: Liveness
  readonly #data: Data
  readonly #explainer: Explainer
  readonly #hints: Hints
  readonly #antiEntropy: AntiEntropy
  readonly #handoff: Handoff
  readonly #entry: Entry
  readonly #pauses: Pauses
  readonly #settling: Settling
  readonly #trees: Trees
  readonly #scrub: Scrub
  readonly #byHand: ByHand
  readonly #workers: Record<BackgroundTask | 'quarantine' | 'checkpoint', Worker>
  readonly #closing = new AbortController()
  #state: 'new' | 'open' | 'closed' = 'new'
  #rival: HearsayError | undefined
  #started: Promise<void> | undefined
  #closed: Promise<void> | undefined

  constructor(components: NodeComponents, init: NodeInit) {
    this.#components = components
    this.#init = init
    this.#defaults = { ...DEFAULTS, ...init.defaults }
    const remembered = new Remembered({
      ...components,
      mark: (): Mark => replica.mark.committed,
      knows: (mark: Mark): boolean => replica.mark.knows(mark)
    })
    const replica: Replica = new Replica({ ...components, companion: remembered }, init.replica)
    const membership = new Membership(
      {
        ...components,
        remembered,
        nextIncarnation: () => replica.identity.nextDot().time,
        actor: () => replica.identity.actor,
        onRolledBack: mark => this.#distrust(mark)
      },
      { n: init.n }
    )
    const liveness = new Liveness({ ...components, membership })
    const parts = { ...components, replica, membership, liveness }
    const fanout = new Fanout(parts)
    this.#replica = replica
    this.#membership = membership
    this.#liveness = liveness
    this.#hints = new Hints(parts, init.hints)
    const foreground = new Foreground(components)
    const busy = () => foreground.busy
    this.#antiEntropy = new AntiEntropy({ ...parts, busy }, init.antiEntropy)
    this.#handoff = new Handoff({ ...parts, antiEntropy: this.#antiEntropy })
    this.#entry = new Entry({ ...parts, handoff: this.#handoff }, init)
    const reader = new Reader({ ...parts, fanout })
    const hint = (owner: NodeId, key: Uint8Array) => this.#hints.add(owner, key)
    const keep = (keeping: Keeping) => this.#hints.keep(keeping)
    const coordinator = new Coordinator({
      ...parts,
      blind: new Blind({ ...parts, keep }),
      writer: new Writer({ ...parts, fanout, hint }),
      catchUp: new CatchUp({ ...parts, reader })
    })
    const during = <T>(request: () => Promise<T>) => foreground.during(request)
    this.#data = new Data({ ...parts, reader, coordinator, during }, { defaults: this.#defaults })
    this.#explainer = new Explainer({
      ...parts,
      hintedFor: key => this.#hints.owners(key),
      matched: slot => this.#antiEntropy.matched(slot)
    })
    this.#byHand = new ByHand({ ...parts, antiEntropy: this.#antiEntropy })
    this.#settling = new Settling({ ...parts, antiEntropy: this.#antiEntropy })
    this.#trees = new Trees(parts)
    this.#scrub = new Scrub({ ...parts, heal: signal => this.#heal(signal) })
    this.#pauses = new Pauses(components.store)
    this.#workers = this.#createWorkers()
    serveReplica(replica, (protocol, handler) =>
      membership.serve(protocol, (...request) => foreground.during(() => handler(...request)))
    )
    liveness.onAlive(() => this.#workers.hints.wake())
    components.network.onDuplicate(error => this.#giveWay(error))
  }

  get id(): NodeId {
    return this.#membership.id
  }

  addresses(): readonly string[] {
    return this.#components.network.addresses()
  }

  /**
   * Resolves when this node is a full member: all it owns is here. Rejects when it is closed
   * meanwhile. After a failure it can only be closed.
   */
  start(): Promise<void> {
    this.#started ??= this.#start()
    return this.#started
  }

  async get(key: Bytes, options?: ReadOptions): Promise<Uint8Array | undefined> {
    return (await this.read(key, options)).value
  }

  read(key: Bytes, options: ReadOptions & { readonly siblings: true }): Promise<SiblingsResult>
  read(key: Bytes, options?: ReadOptions): Promise<ReadResult>
  async read(key: Bytes, options: ReadOptions = {}): Promise<ReadResult> {
    return this.#open.read(key, options)
  }

  async put(key: Bytes, value: Bytes, options: PutOptions = {}): Promise<WriteResult> {
    return this.#open.put(key, value, options)
  }

  async delete(key: Bytes, options: DeleteOptions = {}): Promise<ChangeResult> {
    return this.#open.delete(key, options)
  }

  async increment(
    key: Bytes,
    by: number | bigint = 1n,
    options: WriteOptions = {}
  ): Promise<CountResult> {
    return this.#open.increment(key, by, options)
  }

  async counter(key: Bytes, options: ReadOptions = {}): Promise<bigint | undefined> {
    return this.#open.counter(key, options)
  }

  async expire(
    key: Bytes,
    ttlMs: number | undefined,
    options: WriteOptions = {}
  ): Promise<ChangeResult> {
    return this.#open.expire(key, ttlMs, options)
  }

  async setAdd(
    key: Bytes,
    members: Bytes | readonly Bytes[],
    options: WriteOptions = {}
  ): Promise<ChangeResult> {
    return this.#open.setAdd(key, members, options)
  }

  async setRemove(
    key: Bytes,
    members: Bytes | readonly Bytes[],
    options: WriteOptions = {}
  ): Promise<ChangeResult> {
    return this.#open.setRemove(key, members, options)
  }

  async setMembers(key: Bytes, options: ReadOptions = {}): Promise<Uint8Array[] | undefined> {
    return this.#open.setMembers(key, options)
  }

  async setHas(key: Bytes, member: Bytes, options: ReadOptions = {}): Promise<boolean> {
    return this.#open.setHas(key, member, options)
  }

  async mapSet(key: Bytes, fields: Fields, options: WriteOptions = {}): Promise<ChangeResult> {
    return this.#open.mapSet(key, fields, options)
  }

  async mapDelete(
    key: Bytes,
    fields: Bytes | readonly Bytes[],
    options: WriteOptions = {}
  ): Promise<ChangeResult> {
    return this.#open.mapDelete(key, fields, options)
  }

  async mapGet(
    key: Bytes,
    field: Bytes,
    options: ReadOptions = {}
  ): Promise<Uint8Array | undefined> {
    return this.#open.mapGet(key, field, options)
  }

  async mapEntries(
    key: Bytes,
    options: ReadOptions = {}
  ): Promise<[field: Uint8Array, value: Uint8Array][] | undefined> {
    return this.#open.mapEntries(key, options)
  }

  async explain(
    key: Bytes,
    options: Pick<RequestOptions, 'timeoutMs' | 'signal'> = {}
  ): Promise<Explanation> {
    this.#assertOpen()
    const { timeoutMs, signal } = requestOf('read', options, this.#defaults)
    return this.#explainer.explain({ key: checkKey(key), timeoutMs, signal })
  }

  conflicts({ limit = CONFLICTS_MAX }: { limit?: number } = {}): readonly Conflict[] {
    this.#assertOpen()
    if (!Number.isInteger(limit) || limit < 1) {
      throw new HearsayError('ERR_ARGUMENT', `limit is a whole number from 1 on, not ${limit}.`)
    }
    return this.#replica.conflicts.list(limit)
  }

  on(event: 'conflict', listener: (conflict: Conflict) => void): () => void {
    if (event !== 'conflict') {
      throw new HearsayError('ERR_ARGUMENT', `There is no event ${String(event)}; use conflict.`)
    }
    return this.#replica.conflicts.onConflict(listener)
  }

  status(): Status {
    const { view } = this.#membership
    return {
      id: this.id,
      cluster: this.#init.clusterId,
      state: this.#membership.self?.state ?? 'joining',
      actor: printActor(this.#replica.identity.actor),
      n: this.#init.n,
      view: view.fingerprint,
      addresses: this.addresses(),
      members: [...view.table].map(({ id, state, addresses }) => ({
        id,
        self: id === this.id,
        state,
        liveness: this.#liveness.opinion(id),
        addresses
      })),
      rows: this.#replica.keeper.rows,
      quarantined: this.#replica.quarantine.size,
      tombstones: this.#replica.tombstones.count,
      conflicts: this.#replica.conflicts.size,
      root: hex(this.#replica.keeper.root()),
      fillingSlots: this.#replica.filling.size,
      hints: this.#hints.status(),
      exchanges: this.#antiEntropy.status(),
      sync: this.#settling.own(),
      scrub: this.#scrub.status(),
      paused: this.#pauses.list,
      defaults: this.#defaults,
      notes: notesOn(this.#defaults, this.#init.n),
      counters: this.#components.meter.totals()
    }
  }

  invite(): string {
    const { invite } = this.#init
    if (invite === undefined) throw new HearsayError('ERR_INVITE', 'This node makes no invites.')
    const others = [...this.#membership.view.table]
      .filter(({ id, state }) => id !== this.id && state === 'up')
      .flatMap(({ addresses }) => addresses)
    return invite([...this.addresses(), ...others].slice(0, INVITE_ADDRESSES_MAX))
  }

  async pause(task: BackgroundTask): Promise<void> {
    this.#assertTask(task)
    await this.#pauses.set(task, true)
    await this.#workers[task].pause()
  }

  async resume(task: BackgroundTask): Promise<void> {
    this.#assertTask(task)
    await this.#pauses.set(task, false)
    this.#workers[task].resume()
  }

  async repair(options: RepairOptions = {}): Promise<readonly ExchangeReport[]> {
    this.#assertOpen()
    this.#peer(options.peer)
    return this.#byHand.run(options)
  }

  async settled(options: SettleOptions = {}): Promise<void> {
    this.#assertOpen()
    return this.#settling.settle(settleRequestOf(options), options.signal)
  }

  async sync({ signal }: { signal?: AbortSignal } = {}): Promise<ClusterSync> {
    this.#assertOpen()
    const { all, nodes } = await this.#settling.cluster(signal)
    const silent = this.#membership.peers.filter(peer => !nodes.has(peer))
    return { ...all, nodes: [...nodes].map(([node, sync]) => ({ node, ...sync })), silent }
  }

  async slots(options: { peer?: NodeId; signal?: AbortSignal } = {}): Promise<SlotMap> {
    this.#assertOpen()
    return this.#trees.map(this.#peer(options.peer), options.signal)
  }

  async tree(
    slot: number,
    options: { peer?: NodeId; signal?: AbortSignal } = {}
  ): Promise<SlotTree> {
    this.#assertOpen()
    if (!Number.isInteger(slot) || slot < 0 || slot >= SLOTS) throw unknownSlot(slot)
    return this.#trees.slot(slot, this.#peer(options.peer), options.signal)
  }

  async scrub(options: ScrubOptions = {}): Promise<ScrubReport> {
    this.#assertOpen()
    return this.#scrub.run(options)
  }

  async dropHints(): Promise<number> {
    this.#assertOpen()
    return this.#hints.drop()
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #start(): Promise<void> {
    const { signal } = this.#closing
    await this.#replica.open()
    this.#state = 'open'
    // What this copy says counts once others have been asked what they remember of it.
    if (this.#membership.self !== undefined) this.#replica.filling.hold()
    signal.throwIfAborted()
    await this.#components.network.start()
    signal.throwIfAborted()
    this.#membership.start()
    this.#liveness.start()
    await this.#entry.enter(signal)
    signal.throwIfAborted()
    this.#workers.hints.start(this.#pauses.has('hints'))
    this.#workers['anti-entropy'].start(this.#pauses.has('anti-entropy'))
    this.#workers.quarantine.start()
    this.#workers.checkpoint.start()
    this.#workers.scrub.start(this.#pauses.has('scrub'))
    for (const note of notesOn(this.#defaults, this.#init.n))
      this.#components.log.warn('note', { note })
  }

  async #close(): Promise<void> {
    this.#closing.abort(closedError())
    // Whoever started it hears of its failure; here it only has to be over.
    await this.#started?.catch(() => undefined)
    const wasOpen = this.#state === 'open'
    this.#state = 'closed'
    const { network, store } = this.#components
    await everyStep([
      () => this.#stopTasks(),
      () => network.stop(),
      () => (wasOpen ? this.#replica.close() : undefined),
      () => store.close(),
      () => this.#init.release?.()
    ])
  }

  #createWorkers(): Record<BackgroundTask | 'quarantine' | 'checkpoint', Worker> {
    const { exchangeMs = 3_000, hintsMs = 1_000, checkpointMs = 5_000 } = this.#init
    const { scrubMs = 10_000 } = this.#init
    const worker = (name: string, intervalMs: number, run: WorkerInit['run']) =>
      new Worker(this.#components, { name, intervalMs, run })
    return {
      hints: worker('hints', hintsMs, signal => this.#hints.replay(signal)),
      'anti-entropy': worker('anti-entropy', exchangeMs, signal => this.#exchange(signal)),
      quarantine: worker('quarantine', 10_000, () => this.#replica.retryAhead()),
      checkpoint: worker('checkpoint', checkpointMs, signal => this.#checkpoint(signal)),
      scrub: worker('scrub', scrubMs, signal => this.#scrub.turn(signal))
    }
  }

  /** One round now. False when another one would bring nothing: nobody has more than this node. */
  async #heal(signal?: AbortSignal): Promise<boolean> {
    const reports = await this.#antiEntropy.round(signal)
    await this.#handoff.settle()
    if (this.#membership.peers.length === 0) return false
    return reports.length === 0 || !reports.every(report => report.equal)
  }

  async #exchange(signal: AbortSignal): Promise<void> {
    await this.#antiEntropy.round(signal)
    // Without other owners there is no exchange to wait for.
    await this.#handoff.settle()
  }

  /** In small parts, with the event loop and waiting writes between them. */
  async #checkpoint(signal: AbortSignal): Promise<void> {
    for (let part = 0; part < CHECKPOINTS_A_TURN; part++) {
      if ((await this.#replica.checkpoint()) === 0) return
      await sleep(this.#components.timers, 0, signal)
    }
  }

  /** This directory was rolled back. Both count from this moment, not from when they are on disk. */
  async #distrust(mark: Mark): Promise<void> {
    const replica = this.#replica
    replica.mark.note(mark)
    await Promise.all([replica.distrust(), replica.identity.rotate('rolled-back')])
    // Last: until then it is noticed again at the next start.
    await replica.mark.accept(mark)
  }

  /** The data calls, of a node that is open. */
  get #open(): Data {
    this.#assertOpen()
    return this.#data
  }

  /** One that is another member. */
  #peer(peer: NodeId | undefined): NodeId | undefined {
    if (peer !== undefined && !this.#membership.peers.includes(peer)) throw unknownPeer(peer)
    return peer
  }

  #assertOpen(): void {
    if (this.#rival !== undefined) throw this.#rival
    if (this.#state !== 'open') throw closedError()
  }

  /** Another process has this identity: stops serving anybody, and ends a start that is under way. */
  #giveWay(error: HearsayError): void {
    if (this.#rival !== undefined) return
    const { log, network } = this.#components
    this.#rival = error
    log.warn('gave-way', { reason: error.message })
    this.#closing.abort(error)
    const quiet = everyStep([() => this.#stopTasks(), () => network.stop()])
    quiet.catch((cause: unknown) => log.warn('not-stopped', { error: String(cause) }))
  }

  async #stopTasks(): Promise<void> {
    await everyStep([
      () => Promise.all(Object.values(this.#workers).map(worker => worker.stop())),
      () => this.#liveness.stop(),
      () => this.#membership.stop()
    ])
  }

  #assertTask(task: string): void {
    this.#assertOpen()
    if (isBackgroundTask(task)) return
    throw new HearsayError(
      'ERR_ARGUMENT',
      `There is no background task ${JSON.stringify(task)}; use hints, anti-entropy or scrub.`
    )
  }
}

/** What follows from the defaults that a person might not expect. */
function notesOn({ readLevel, writeLevel }: RequestDefaults, n: number): string[] {
  if (overlaps(readLevel, writeLevel, n)) return []
  return [
    `Reads at level ${readLevel} and writes at level ${writeLevel} need not meet in a replica (n is ${n}): ` +
      'a read may miss a write that was acknowledged before. Use quorum for both to rule it out.'
  ]
}

function closedError(): HearsayError {
  return new HearsayError('ERR_CLOSED', 'The node is closed; create it again.')
}

function unknownSlot(slot: number): HearsayError {
  return new HearsayError('ERR_ARGUMENT', `There is no slot ${slot}; use 0 to ${SLOTS - 1}.`)
}

function unknownPeer(peer: NodeId): HearsayError {
  return new HearsayError('ERR_ARGUMENT', `There is no other member ${peer}; see the status.`)
}
