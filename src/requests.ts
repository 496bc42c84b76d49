/** What goes into a read or a write, and what comes out of it. Defaults stand beside their options. */
import type { Kind } from './lattice/kinds.ts'
import type { Durability } from './ports.ts'
import type { Level } from './quorum/level.ts'
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
