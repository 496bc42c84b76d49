/**
 * One node, as clients and people see it: its life from start to close, its calls, its status. What
 * it does is engine.ts.
 */
import type { Data } from './coordinator/data.ts'
import { checkFunction, checkNames, checkWork } from './arguments.ts'
import { checkKey, DEFAULTS, explainRequestOf, settleRequestOf } from './coordinator/request.ts'
import { SLOTS } from './digest/forest.ts'
import { Engine, type EngineComponents, type EngineInit } from './engine.ts'
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
import { notesOn } from './quorum/notes.ts'
import { isBackgroundTask } from './repair/pauses.ts'
import type { ScrubOptions } from './repair/scrub.ts'
import { CONFLICTS_MAX } from './replica/conflicts.ts'
import { hex } from './util/bytes.ts'
import type { NodeId } from './util/node-id.ts'
import { shown } from './util/shown.ts'
import { everyStep } from './util/steps.ts'

export interface NodeInit extends Omit<EngineInit, 'defaults'> {
  readonly clusterId: string
  /** What requests go by that do not say it themselves. */
  readonly defaults?: Partial<RequestDefaults>
  /** Run last when the node closes: lets go of what it was built on. */
  readonly release?: () => Promise<void>
  /** Makes the invite from the addresses of the members. */
  readonly invite?: (addresses: readonly string[]) => string
}

const INVITE_ADDRESSES_MAX = 16

export class Node implements HearsayNode {
  readonly #components: EngineComponents
  readonly #init: NodeInit
  readonly #defaults: RequestDefaults
  readonly #engine: Engine
  readonly #closing = new AbortController()
  #state: 'new' | 'open' | 'closed' = 'new'
  #rival: HearsayError | undefined
  #started: Promise<void> | undefined
  #closed: Promise<void> | undefined

  constructor(components: EngineComponents, init: NodeInit) {
    this.#components = components
    this.#init = init
    this.#defaults = { ...DEFAULTS, ...init.defaults }
    this.#engine = new Engine(components, { ...init, defaults: this.#defaults })
    components.network.onDuplicate(error => this.#giveWay(error))
  }

  get id(): NodeId {
    return this.#engine.membership.id
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
    const request = explainRequestOf(options)
    return this.#engine.explainer.explain({ key: checkKey(key), ...request })
  }

  conflicts(options: { limit?: number } = {}): readonly Conflict[] {
    this.#assertOpen()
    checkNames('conflicts', options, ['limit'])
    const { limit = CONFLICTS_MAX } = options
    if (!Number.isInteger(limit) || limit < 1) {
      throw new HearsayError(
        'ERR_ARGUMENT',
        `limit is a whole number from 1 on, not ${shown(limit)}.`
      )
    }
    return this.#engine.replica.conflicts.list(limit)
  }

  on(event: 'conflict', listener: (conflict: Conflict) => void): () => void {
    if (event !== 'conflict') {
      throw new HearsayError('ERR_ARGUMENT', `There is no event ${shown(event)}; use conflict.`)
    }
    checkFunction('The listener', listener)
    this.#assertOpen()
    return this.#engine.replica.conflicts.onConflict(listener)
  }

  status(): Status {
    const { view } = this.#engine.membership
    return {
      id: this.id,
      cluster: this.#init.clusterId,
      state: this.#engine.membership.self?.state ?? 'joining',
      actor: printActor(this.#engine.replica.identity.actor),
      n: this.#init.n,
      view: view.fingerprint,
      addresses: this.addresses(),
      members: [...view.table].map(({ id, state, addresses }) => ({
        id,
        self: id === this.id,
        state,
        liveness: this.#engine.liveness.opinion(id),
        addresses
      })),
      rows: this.#engine.replica.keeper.rows,
      quarantined: this.#engine.replica.quarantine.size,
      tombstones: this.#engine.replica.tombstones.count,
      conflicts: this.#engine.replica.conflicts.size,
      root: hex(this.#engine.replica.keeper.root()),
      fillingSlots: this.#engine.replica.filling.size,
      hints: this.#engine.hints.status(),
      exchanges: this.#engine.antiEntropy.status(),
      sync: this.#engine.settling.own(),
      scrub: this.#engine.scrub.status(),
      paused: this.#engine.pauses.list,
      defaults: this.#defaults,
      notes: notesOn(this.#defaults, this.#init.n),
      counters: this.#components.meter.totals()
    }
  }

  invite(): string {
    const { invite } = this.#init
    if (invite === undefined) throw new HearsayError('ERR_INVITE', 'This node makes no invites.')
    const others = [...this.#engine.membership.view.table]
      .filter(({ id, state }) => id !== this.id && (state === 'up' || state === 'filled'))
      .flatMap(({ addresses }) => addresses)
    return invite([...this.addresses(), ...others].slice(0, INVITE_ADDRESSES_MAX))
  }

  async pause(task: BackgroundTask): Promise<void> {
    this.#assertTask(task)
    await this.#engine.pause(task)
  }

  async resume(task: BackgroundTask): Promise<void> {
    this.#assertTask(task)
    await this.#engine.resume(task)
  }

  async repair(options: RepairOptions = {}): Promise<readonly ExchangeReport[]> {
    this.#assertOpen()
    checkWork('repair', options, ['peer', 'now', 'signal', 'onProgress'])
    this.#peer(options.peer)
    return this.#engine.byHand.run(options)
  }

  async settled(options: SettleOptions = {}): Promise<void> {
    this.#assertOpen()
    return this.#engine.settling.settle(settleRequestOf(options), options.signal)
  }

  async sync(options: { signal?: AbortSignal } = {}): Promise<ClusterSync> {
    this.#assertOpen()
    checkWork('sync', options, ['signal'])
    const { all, nodes } = await this.#engine.settling.cluster(options.signal)
    const silent = this.#engine.membership.peers.filter(peer => !nodes.has(peer))
    return { ...all, nodes: [...nodes].map(([node, sync]) => ({ node, ...sync })), silent }
  }

  async slots(options: { peer?: NodeId; signal?: AbortSignal } = {}): Promise<SlotMap> {
    this.#assertOpen()
    checkWork('slots', options, ['peer', 'signal'])
    return this.#engine.trees.map(this.#peer(options.peer), options.signal)
  }

  async tree(
    slot: number,
    options: { peer?: NodeId; signal?: AbortSignal } = {}
  ): Promise<SlotTree> {
    this.#assertOpen()
    checkWork('tree', options, ['peer', 'signal'])
    if (!Number.isInteger(slot) || slot < 0 || slot >= SLOTS) throw unknownSlot(slot)
    return this.#engine.trees.slot(slot, this.#peer(options.peer), options.signal)
  }

  async scrub(options: ScrubOptions = {}): Promise<ScrubReport> {
    this.#assertOpen()
    checkWork('scrub', options, ['signal', 'onProgress'])
    return this.#engine.scrub.run(options)
  }

  async dropHints(): Promise<number> {
    this.#assertOpen()
    return this.#engine.hints.drop()
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
    await this.#engine.open()
    this.#state = 'open'
    signal.throwIfAborted()
    await this.#engine.enter(signal)
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
      () => this.#engine.stop(),
      () => network.stop(),
      () => (wasOpen ? this.#engine.replica.close() : undefined),
      () => store.close(),
      () => this.#init.release?.()
    ])
  }

  /** The data calls, of a node that is open. */
  get #open(): Data {
    this.#assertOpen()
    return this.#engine.data
  }

  /** One that is another member. */
  #peer(peer: NodeId | undefined): NodeId | undefined {
    if (peer !== undefined && !this.#engine.membership.peers.includes(peer)) throw unknownPeer(peer)
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
    const quiet = everyStep([() => this.#engine.stop(), () => network.stop()])
    quiet.catch((cause: unknown) => log.warn('not-stopped', { error: String(cause) }))
  }

  #assertTask(task: string): void {
    this.#assertOpen()
    if (isBackgroundTask(task)) return
    throw new HearsayError(
      'ERR_ARGUMENT',
      `There is no background task ${shown(task)}; use hints, anti-entropy or scrub.`
    )
  }
}

function closedError(): HearsayError {
  return new HearsayError('ERR_CLOSED', 'The node is closed; create it again.')
}

function unknownSlot(slot: number): HearsayError {
  return new HearsayError('ERR_ARGUMENT', `There is no slot ${shown(slot)}; use 0 to ${SLOTS - 1}.`)
}

function unknownPeer(peer: NodeId): HearsayError {
  return new HearsayError(
    'ERR_ARGUMENT',
    `There is no other member ${String(peer)}; see the status.`
  )
}
