/** What a node tells of itself and of its rows: status, repair, scrub, explanations, trees. */
import type { Kind } from './lattice/kinds.ts'
import type { Level } from './quorum/level.ts'
import type { Answer, Bytes, RequestDefaults } from './requests.ts'
import type { InSync } from './ring/verified.ts'
import type { NodeId } from './util/node-id.ts'

export type BackgroundTask = 'hints' | 'anti-entropy' | 'scrub'

export interface MemberStatus {
  readonly id: NodeId
  readonly self: boolean
  /** `filled`: it was sent all that it will own, and is `up` once every member has noted that. */
  readonly state: 'joining' | 'filled' | 'up' | 'leaving' | 'left'
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
  /** False of a peer that is not alive: nothing was compared, every count is 0, and `equal` is false. */
  readonly reached: boolean
  /** True when the roots were equal at the end. */
  readonly equal: boolean
  readonly rowsSent: number
  readonly rowsReceived: number
  /** Rows in which the two sides were found to differ. Moved over differed is the amplification. */
  readonly rowsDiffered: number
  /** Keys and rows of these, each once. `rowBytes` over this is the amplification in bytes. */
  readonly bytesDiffered: number
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
  /**
   * Rows sent and received since `repair` was called, to and from every peer. After an abort the last
   * progress counts all of them; of rows sent in the last moment it is not known whether they arrived.
   */
  readonly rows: number
  /** Of messages, both ways, since `repair` was called. */
  readonly bytes: number
  /** Since `repair` was called. */
  readonly elapsedMs: number
  /** How long this peer will take if it goes on like this; `undefined` while that is not known. */
  readonly leftMs: number | undefined
}

export interface RepairOptions {
  /** @default every peer; of those that are not alive the answer says so */
  readonly peer?: NodeId
  /**
   * Moves what differs at once, without the pause in which a write that is on its way arrives: sooner
   * done, and some rows may be moved that would have arrived anyway.
   *
   * @default false
   */
  readonly now?: boolean
  readonly signal?: AbortSignal
  /** Called a few times a second, whenever all slots have been compared, and before it rejects. */
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
  /** False for a node that keeps the row, or a hint of it, for the owners. */
  readonly owner: boolean
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
  /**
   * Why a version that came to this node, or lay on its disk, is kept aside and not used; `ahead` of its
   * clock is tried again when its time has come.
   */
  readonly aside?: 'damaged' | 'malformed' | 'ahead' | undefined
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
  /** One an owner; and one of each other member that is alive, answers, and keeps hints of the key. */
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
