/**
 * The shapes that callers see: what goes into a call and what comes out. Defaults stand beside the
 * options they belong to, and README lists them.
 */
import type { Kind } from './lattice/kinds.ts'
import type { Level } from './quorum/level.ts'
import type { Durability } from './ports.ts'
import type { InSync } from './ring/verified.ts'
import type { NodeId } from './util/node-id.ts'

export type { Kind }

/** Text is taken as UTF-8. Bytes are read before the call returns and stay the caller's. */
export type Bytes = Uint8Array | string

export interface RequestOptions {
  /** How many replicas must answer. @default `readLevel` or `writeLevel` of the node */
  readonly level?: Level
  /** Gives up waiting. What was sent may still take effect. */
  readonly signal?: AbortSignal
  /** How long to wait for the level, in milliseconds. @default 5_000 */
  readonly timeoutMs?: number
}

/**
 * What a read does about owners that answered with less than the others. `blocking` brings them up
 * to date before it answers: two reads at levels that overlap never go back. `async` does it
 * afterwards and `off` leaves it to hints and anti-entropy: both answer sooner, and after a write
 * that ended in an error, a read may see it and the next one not.
 */
export type ReadRepairMode = 'blocking' | 'async' | 'off'

export interface ReadOptions extends RequestOptions {
  /** @default `readRepair` of the node */
  readonly readRepair?: ReadRepairMode
}

export interface WriteOptions extends RequestOptions {
  /** When a replica may acknowledge. @default `durability` of the node */
  readonly durability?: Durability
}

export interface ContextOptions {
  /**
   * The `context` of a read with siblings: the write replaces what that read saw, and what it did not
   * see stays beside it. Without one a write replaces all that its coordinator holds.
   */
  readonly context?: string | undefined
}

/** At most one of them; without, what is written does not expire. */
export interface ExpiryOptions {
  /** How long the value shows, in milliseconds from now. */
  readonly ttlMs?: number | undefined
  /** Until when the value shows, in milliseconds since 1970. One that is over is allowed. */
  readonly expiresAt?: number | undefined
}

export interface PutOptions extends WriteOptions, ContextOptions, ExpiryOptions {}

export interface DeleteOptions extends WriteOptions, ContextOptions {}

/** Fields with their values. Names that are not text go as pairs. */
export type Fields =
  Readonly<Record<string, Bytes>> | Iterable<readonly [field: Bytes, value: Bytes]>

/** What requests go by that do not say it themselves. */
export interface RequestDefaults {
  readonly readLevel: Level
  readonly writeLevel: Level
  readonly durability: Durability
  readonly readRepair: ReadRepairMode
}

/** What one replica said to a read. */
export interface Answer {
  readonly node: NodeId
  readonly answer: 'row' | 'absent' | 'unknown' | 'failed'
  /** The version of its row, printed; `undefined` where there is none. */
  readonly version: string | undefined
}

export interface ReadResult {
  /** `undefined` when the key is absent or deleted. Owned by the caller. */
  readonly value: Uint8Array | undefined
  /** `undefined` as for `value`. */
  readonly kind: Kind | undefined
  /** The version that won (`time.actor` in hex), also of a delete; `undefined` if never written. */
  readonly version: string | undefined
  /** When it expires, in milliseconds since 1970; `undefined` if it does not. */
  readonly expiresAt: number | undefined
  /** How many concurrent values the winner stands before. */
  readonly siblings: number
  readonly answers: readonly Answer[]
  /** The replicas that this read brought up to date before it answered. */
  readonly repaired: readonly NodeId[]
}

/** One of the values that concurrent writes left side by side. Owned by the caller. */
export interface SiblingValue {
  readonly value: Uint8Array
  readonly version: string
  readonly expiresAt: number | undefined
}

export interface SiblingsResult extends ReadResult {
  /** Every value, the one that wins first; also where the key holds a set or a map by now. */
  readonly values: readonly SiblingValue[]
  /**
   * For a `put` or `delete` that is to replace these values and no others. At most 4,096 characters;
   * `undefined` where so many nodes have written the key that it would take more.
   */
  readonly context: string | undefined
}

export interface WriteResult {
  readonly version: string
  readonly acknowledged: readonly NodeId[]
  /** Owners that did not acknowledge and for which a hint is kept. */
  readonly hinted: readonly NodeId[]
}

export interface CountResult extends WriteResult {
  /** The value after this increment, as its coordinator saw it; `undefined` if that is no owner. */
  readonly value: bigint | undefined
}

export interface ChangeResult extends WriteResult {
  /**
   * As the coordinator saw it: how many members or fields were made or removed; for `delete` and
   * `expire` 1 where there was something, and 0. `undefined` if it is no owner (level `any`).
   */
  readonly changed: number | undefined
}

export type BackgroundTask = 'hints' | 'anti-entropy' | 'scrub'

export interface MemberStatus {
  readonly id: NodeId
  readonly self: boolean
  readonly state: 'joining' | 'up' | 'leaving' | 'left'
  /** This node's own opinion. */
  readonly liveness: 'alive' | 'suspect' | 'down'
  readonly addresses: readonly string[]
}

export interface HintStatus {
  readonly owner: NodeId
  readonly count: number
  readonly bytes: number
  readonly oldestMs: number
}

export interface ExchangeStatus {
  readonly peer: NodeId
  readonly sharedSlots: number
  /** Milliseconds since the last exchange ended; `undefined` before the first. */
  readonly lastMs: number | undefined
  /** Milliseconds since the roots were last seen to be equal. */
  readonly equalMs: number | undefined
}

/** A value that lost to a concurrent write, as this node saw it happen. */
export interface Conflict {
  /** When this node saw it, in milliseconds since the epoch by its own clock. */
  readonly atMs: number
  readonly key: Uint8Array
  /** The field of a map, or the member of a set. */
  readonly field: Uint8Array | undefined
  /** `other-kind`: the winner made the key another kind of data. `overflow`: there were too many. */
  readonly reason: 'concurrent' | 'other-kind' | 'overflow'
  readonly winner: string
  readonly loser: string
  /** What lost, cut to 4 KiB; of increments what they add up to; none of a member of a set. */
  readonly value: Uint8Array | undefined
  /** How long it was. */
  readonly valueBytes: number
}

export type { InSync }

/** How much in sync the members are that answered. */
export interface ClusterSync extends InSync {
  readonly nodes: readonly (InSync & { readonly node: NodeId })[]
  /** Members that did not answer: nothing is known of what they own. */
  readonly silent: readonly NodeId[]
}

/** What has to be proven equal: the slots of some keys, or everything. */
export interface SettleOptions {
  /** @default every key there is */
  readonly keys?: readonly Bytes[]
  /** How many of the owners have to be equal. @default 'all' */
  readonly level?: Level
  /** @default 60_000 */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export interface ScrubStatus {
  /** Where the slow pass is: the slots before this one were read. */
  readonly slot: number
  /** Milliseconds since a pass last came to its end; `undefined` before the first. */
  readonly lastPassMs: number | undefined
  /** Whether one that was asked for is under way. */
  readonly running: boolean
}

export interface Status {
  readonly id: NodeId
  readonly cluster: string
  readonly state: MemberStatus['state']
  readonly actor: string
  readonly n: number
  /** Fingerprint of the member table. */
  readonly view: string
  readonly addresses: readonly string[]
  readonly members: readonly MemberStatus[]
  readonly rows: number
  readonly quarantined: number
  /** Of the rows, those that were deleted: they stay, so that nothing deleted comes back. */
  readonly tombstones: number
  /** Records of values that lost to concurrent writes; see `conflicts`. */
  readonly conflicts: number
  /** Merkle root over every slot, in hex. */
  readonly root: string
  /** Slots this node owns and is still being sent. */
  readonly fillingSlots: number
  readonly hints: readonly HintStatus[]
  readonly exchanges: readonly ExchangeStatus[]
  /** Of the slots this node owns: how many are proven identical with every other owner, and how old that is. */
  readonly sync: InSync
  readonly scrub: ScrubStatus
  readonly paused: readonly BackgroundTask[]
  readonly defaults: RequestDefaults
  /** What a person should know of how this node is set up, in sentences; normally none. */
  readonly notes: readonly string[]
  readonly counters: Readonly<Record<string, number>>
}

/** What one exchange with one peer found and moved. */
export interface ExchangeReport {
  readonly peer: NodeId
  /** True when the roots were equal at the end. */
  readonly equal: boolean
  readonly rowsSent: number
  readonly rowsReceived: number
  /** Rows in which the two sides were found to differ. Moved over differed is the amplification. */
  readonly rowsDiffered: number
  /** Rows read from disk on both sides, to compare, to send and to join. */
  readonly rowsRead: number
  /** Of all that was sent and received, keys and rows. */
  readonly rowBytes: number
  /** Of all that was sent and received, the rest. */
  readonly overheadBytes: number
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly messages: number
  /** Messages that waited for each other; some are under way at the same time. */
  readonly roundTrips: number
  /** Rows that differed, by key; at most 100. */
  readonly keys: readonly Uint8Array[]
}

/** How far `repair` is. */
export interface RepairProgress {
  /** With whom rows are being exchanged. */
  readonly peer: NodeId
  /** Peers that it is done with, of those it exchanges rows with. */
  readonly peersDone: number
  readonly peersTotal: number
  /** Of the slots shared with this peer, those that are compared and have nothing left to be moved. */
  readonly slots: number
  readonly slotsTotal: number
  /** Rows sent and received since `repair` was called, to and from every peer. */
  readonly rows: number
  /** Of messages, both ways, since `repair` was called. */
  readonly bytes: number
  /** Since `repair` was called. */
  readonly elapsedMs: number
  /** How long this peer will take if it goes on like this; `undefined` while that is not known. */
  readonly leftMs: number | undefined
}

export interface RepairOptions {
  /** @default every peer that is alive */
  readonly peer?: NodeId
  /**
   * Moves what differs at once, without the pause in which a write that is on its way arrives: sooner
   * done, and some rows may be moved that would have arrived anyway.
   *
   * @default false
   */
  readonly now?: boolean
  readonly signal?: AbortSignal
  /** Called a few times a second, and whenever all slots have been compared. */
  readonly onProgress?: (progress: RepairProgress) => void
}

/** What a scrub found on the disk of this node. */
export interface ScrubReport {
  readonly slots: number
  readonly rows: number
  /** Of keys and values, as they lie on disk. */
  readonly bytes: number
  /** Rows that failed their check or lay where their key does not belong. */
  readonly damagedRows: number
  /**
   * Rows that are no longer on disk although the Merkle trees have them: at least so many. Their slots are
   * compared with the other owners before this node says of a key that it does not exist.
   */
  readonly lostRows: number
  /** Merkle trees that disagreed with their rows. */
  readonly treesRebuilt: number
  /** Of the damaged rows, those that have come back from another owner. */
  readonly healed: number
  /**
   * Those that have not, which are kept in quarantine, and those lost in slots that have not been compared
   * yet.
   */
  readonly missing: number
}

export interface ScrubProgress extends ScrubReport {
  readonly slotsTotal: number
  readonly rowsTotal: number
  /** Everything is read, and what was found is being fetched from the other owners. */
  readonly healing: boolean
}

/** One entry of a row, as it lies at one owner. */
export interface ExplainedEntry {
  readonly version: string
  /** The actor that wrote it: one data directory, for as long as its copy was trusted. */
  readonly actor: string
  readonly field: Uint8Array | undefined
  readonly value: Uint8Array | undefined
  /** Milliseconds since the epoch. */
  readonly expiresAt: number | undefined
  /** Whether readers of all copies see this one. */
  readonly wins: boolean
}

/** What one owner holds of a key, and what it knows about it. */
export interface ExplainedCopy {
  readonly node: NodeId
  readonly self: boolean
  readonly liveness: MemberStatus['liveness']
  /** `unknown`: what it holds does not count, because it is being filled or lost the row. */
  readonly answer: Answer['answer']
  /** Why it could not be asked. */
  readonly error?: string
  readonly version?: string | undefined
  /** The digest that its Merkle tree has of the row, in hex. */
  readonly digest?: string
  /** Versions up to which, by actor, the row has seen everything; and single ones beyond. */
  readonly context?: { readonly vector: readonly string[]; readonly loose: readonly string[] }
  readonly entries?: readonly ExplainedEntry[]
  /** Of a counter: what each actor adds, a whole number in decimal. */
  readonly totals?: readonly { readonly actor: string; readonly adds: string }[]
  /** Whether it lacks something that another owner holds. */
  readonly behind?: boolean
  /** Owners for which this node keeps a hint of the key. */
  readonly hintedFor?: readonly NodeId[]
  /** When its copy of the slot was last proven equal with that of a peer. */
  readonly matched?: readonly { readonly peer: NodeId; readonly agoMs: number }[]
}

export interface Explanation {
  readonly key: Uint8Array
  readonly slot: number
  /** Position in the slot: 16 hexadecimal digits. */
  readonly token: string
  readonly owners: readonly NodeId[]
  /** The owners after the change of members that is under way; the same when there is none. */
  readonly nextOwners: readonly NodeId[]
  /** The version that wins over all copies; `undefined` if no copy has one. */
  readonly version: string | undefined
  /** What readers of all copies see; `undefined` when they see nothing. */
  readonly kind: Kind | undefined
  /** Why it is so, in a sentence or two. */
  readonly why: string
  readonly copies: readonly ExplainedCopy[]
}

/** How the rows of this node lie over the slots. */
export interface SlotMap {
  /** Of each of the 16,384 slots, tombstones among them. */
  readonly rows: readonly number[]
  /** Slots that this node and the peer both own and in which they differ; `undefined` without a peer. */
  readonly differing: readonly number[] | undefined
}

/** The Merkle tree of one slot, for people: hashes are the first 8 bytes, in hex. */
export interface SlotTree {
  readonly slot: number
  readonly rows: number
  /** The tree has 2^depth leaves; a deeper one, or that of a shallower peer, is folded. At most 10. */
  readonly depth: number
  /** Level by level from the root: the children of `i` are `2 i + 1` and `2 i + 2`. */
  readonly hashes: readonly string[]
  /** The same of the peer, when one was named. */
  readonly peer?: { readonly rows: number; readonly hashes: readonly string[] }
}

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
   * and neither repairs nor changes anything. An owner that cannot be asked is told as `failed`.
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
   * when one fails or is aborted; what was moved until then stays moved.
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
