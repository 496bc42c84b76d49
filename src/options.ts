/**
 * The shapes that callers see: a node with its calls, and how to start one. What goes into the calls and
 * comes out is in requests.ts and reports.ts; README lists the options and their defaults.
 */
import type { Durability } from './ports.ts'
import type { Level } from './quorum/level.ts'
import type {
  BackgroundTask,
  ClusterSync,
  Conflict,
  ExchangeReport,
  Explanation,
  RepairOptions,
  ScrubProgress,
  ScrubReport,
  SettleOptions,
  SlotMap,
  SlotTree,
  Status
} from './reports.ts'
import type {
  Bytes,
  ChangeResult,
  CountResult,
  DeleteOptions,
  Fields,
  PutOptions,
  ReadOptions,
  ReadRepairMode,
  ReadResult,
  RequestOptions,
  SiblingsResult,
  WriteOptions,
  WriteResult
} from './requests.ts'
import type { NodeId } from './util/node-id.ts'

export type * from './requests.ts'
export type * from './reports.ts'

/** One running node. All calls take effect on the whole cluster unless they say otherwise. */
export interface HearsayNode extends AsyncDisposable {
  readonly id: NodeId
  addresses(): readonly string[]
  get(key: Bytes, options?: ReadOptions): Promise<Uint8Array | undefined>
  /** With every value that concurrent writes left, of whatever kind the key is by now. */
  read(key: Bytes, options: ReadOptions & { readonly siblings: true }): Promise<SiblingsResult>
  /** As `get`, with the version, what each replica answered and which were repaired. */
  read(key: Bytes, options?: ReadOptions): Promise<ReadResult>
  /** Replaces whatever the key holds, of any kind. */
  put(key: Bytes, value: Bytes, options?: PutOptions): Promise<WriteResult>
  delete(key: Bytes, options?: DeleteOptions): Promise<ChangeResult>
  /**
   * Adds to a counter, which begins at 0 or at the integer that was put. `ERR_NUMBER` for a text, and
   * beyond 64 bits. Never done twice by itself; after a `TimeoutError` it may or may not have been.
   */
  increment(key: Bytes, by?: number | bigint, options?: WriteOptions): Promise<CountResult>
  counter(key: Bytes, options?: ReadOptions): Promise<bigint | undefined>
  /** What has expired is not there any more. `undefined` ends the expiry. Sets and maps expire whole. */
  expire(key: Bytes, ttlMs: number | undefined, options?: WriteOptions): Promise<ChangeResult>
  setAdd(
    key: Bytes,
    members: Bytes | readonly Bytes[],
    options?: WriteOptions
  ): Promise<ChangeResult>
  setRemove(
    key: Bytes,
    members: Bytes | readonly Bytes[],
    options?: WriteOptions
  ): Promise<ChangeResult>
  /** In the order of their bytes; `undefined` when there are none. Owned by the caller. */
  setMembers(key: Bytes, options?: ReadOptions): Promise<Uint8Array[] | undefined>
  setHas(key: Bytes, member: Bytes, options?: ReadOptions): Promise<boolean>
  mapSet(key: Bytes, fields: Fields, options?: WriteOptions): Promise<ChangeResult>
  mapDelete(
    key: Bytes,
    fields: Bytes | readonly Bytes[],
    options?: WriteOptions
  ): Promise<ChangeResult>
  mapGet(key: Bytes, field: Bytes, options?: ReadOptions): Promise<Uint8Array | undefined>
  /** In the order of the fields' bytes; `undefined` when there are none. Owned by the caller. */
  mapEntries(
    key: Bytes,
    options?: ReadOptions
  ): Promise<[field: Uint8Array, value: Uint8Array][] | undefined>
  /**
   * Where the key lives, what each owner holds of it, and which version wins and why. Asks every owner,
   * and every other member that is alive for the hints that it keeps; neither repairs nor changes
   * anything. An owner that cannot be asked is told as `failed`.
   */
  explain(key: Bytes, options?: Pick<RequestOptions, 'timeoutMs' | 'signal'>): Promise<Explanation>
  /** What lost to concurrent writes at this node, the newest first; at most 1,000 are kept. */
  conflicts(options?: { limit?: number }): readonly Conflict[]
  /** Calls `listener` whenever a value loses here, until the function that it returns is called. */
  on(event: 'conflict', listener: (conflict: Conflict) => void): () => void
  status(): Status
  /** One string with which another machine can join: addresses, cluster id and the cluster key. */
  invite(): string
  /** Stops a background task on this node until `resume`, also across restarts. */
  pause(task: BackgroundTask): Promise<void>
  resume(task: BackgroundTask): Promise<void>
  /**
   * Runs one exchange with each peer (or the one named) now, even while anti-entropy is paused. Rejects
   * when one fails or is aborted; what was moved until then stays moved. Peers that are not alive are
   * reported with `reached: false`, and as not equal; one that is named is tried all the same.
   */
  repair(options?: RepairOptions): Promise<readonly ExchangeReport[]>
  /**
   * Resolves when the owners are proven equal by comparisons that began after this call: then every
   * owner has what was acknowledged before it. Runs exchanges itself, also while they are paused.
   * Rejects with `SettleError` when the time is up.
   */
  settled(options?: SettleOptions): Promise<void>
  /** How much in sync this node and every other member is that answers. */
  sync(options?: { signal?: AbortSignal }): Promise<ClusterSync>
  /**
   * Reads every row of this node now, proves it and compares it with the Merkle forest. What is damaged
   * is fetched from the other owners, for which it waits half a minute. Aborting rejects; what the last
   * progress told is done. Only one at a time, else `ERR_OVERLOADED`.
   */
  scrub(options?: {
    signal?: AbortSignal
    onProgress?: (progress: ScrubProgress) => void
  }): Promise<ScrubReport>
  /** How many rows lie in each slot, and in which the peer, if one is named, differs. */
  slots(options?: { peer?: NodeId; signal?: AbortSignal }): Promise<SlotMap>
  /** The Merkle tree of one slot, beside that of a peer if one is named. */
  tree(slot: number, options?: { peer?: NodeId; signal?: AbortSignal }): Promise<SlotTree>
  /** Forgets the hints this node keeps; anti-entropy carries the rows instead. Resolves with their count. */
  dropHints(): Promise<number>
  /** Resolves when the node has left no request unanswered and its store is closed. */
  close(): Promise<void>
}

export interface NodeOptions {
  /** The data directory. Created with mode 0700 if missing. */
  readonly path: string
  /** Where to listen for other nodes. @default ['/ip4/0.0.0.0/tcp/7373'] */
  readonly listen?: readonly string[]
  /** An invite of a running cluster. Only looked at while the directory belongs to no cluster. */
  readonly join?: string
  /** Replication factor, fixed when the cluster is created. @default 3 */
  readonly n?: number
  /**
   * Level of reads that name none. Lower answers sooner and with more nodes away; with
   * `readLevel + writeLevel <= n` a read may miss a write, and the status says so.
   *
   * @default 'quorum'
   */
  readonly readLevel?: Level
  /** Level of writes that name none; see `readLevel`. @default 'quorum' */
  readonly writeLevel?: Level
  /** Durability of writes that name none. @default 'commit' */
  readonly durability?: Durability
  /** What reads that do not say it do about owners that are behind. @default 'blocking' */
  readonly readRepair?: ReadRepairMode
  /** Ends the start, also while it waits to join. Without effect on a node that has started. */
  readonly signal?: AbortSignal
  /** Receives log events. @default none */
  readonly log?: (level: 'debug' | 'info' | 'warn', event: string, fields: object) => void
}
