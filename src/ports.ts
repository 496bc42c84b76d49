/**
 * The ports: everything the engine needs from the world. Time, chance, disk and network arrive
 * through these and through nothing else, so the same engine runs on LMDB and libp2p in production
 * and on a seeded world in the simulator.
 */

import type { HearsayError } from './errors.ts'
import type { NodeId } from './util/node-id.ts'

export interface Clock {
  /** Milliseconds since the epoch. May jump in either direction. */
  wallMs(): number
  /** Milliseconds since some fixed moment. Never goes back. */
  monoMs(): number
}

/** Ends what it came from; calling it again, or too late, does nothing. */
export type Cancel = () => void

export interface Timers {
  /** Calls `fn` once, `ms` from now. */
  after(ms: number, fn: () => void): Cancel
}

export interface Random {
  /** Fresh random bytes, owned by the caller. Cryptographically strong in production. */
  bytes(length: number): Uint8Array
  /** An unsigned 32-bit integer. */
  u32(): number
}

export type LogFields = Readonly<Record<string, string | number | bigint | boolean | undefined>>

/** Structured log: an event name in kebab-case and fields. Never given keys, values or secrets. */
export interface Log {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
}

/**
 * Counters by name. Names are `area.what`, in kebab-case: `exchange.rows-sent`. One that was counted by 0
 * is there, with 0.
 */
export interface Meter {
  count(name: string, by?: number): void
  /** What has been counted so far, by name. A copy. */
  totals(): Readonly<Record<string, number>>
}

/** `commit` survives the death of the process, `flush` survives the loss of power. */
export type Durability = 'commit' | 'flush'

/** The separate key spaces of one store. */
export type Space = 'rows' | 'hints' | 'quarantine' | 'meta' | 'forest' | 'conflicts'

export interface StoreWrite {
  readonly space: Space
  readonly key: Uint8Array
  /** `undefined` removes the key. */
  readonly value: Uint8Array | undefined
}

export interface Range {
  /** First key, inclusive. Default: the first of the space. */
  readonly from?: Uint8Array
  /** End key, exclusive. Default: past the last of the space. */
  readonly to?: Uint8Array
  readonly limit?: number
}

/**
 * An ordered byte store. Reads are synchronous and see exactly the commits that have resolved or
 * are about to in the same turn; a commit is all or nothing. Bytes handed out belong to the caller;
 * bytes handed in must not be changed until the commit settles.
 */
export interface Store {
  /**
   * Names the physical place of the data (for a directory: device and inode of the data file). It
   * changes when the data is copied or restored, which is how a copy is told from the original.
   */
  readonly place: string
  get(space: Space, key: Uint8Array): Uint8Array | undefined
  /** Ascending by unsigned bytes. The store must not be written to while this is being iterated. */
  range(space: Space, range?: Range): Iterable<readonly [key: Uint8Array, value: Uint8Array]>
  /** Rejects with `StoreError` when the disk refuses; then nothing of the batch is stored, unless it says so. */
  commit(writes: readonly StoreWrite[], durability?: Durability): Promise<void>
  close(): Promise<void>
}

/** What one node may ask of another. One byte on the wire; see net/rpc.ts. */
export type Protocol =
  | 'apply'
  | 'read'
  | 'forward'
  | 'exchange'
  | 'members'
  | 'probe'
  | 'explain'
  | 'tree'
  | 'settle'
  | 'sync'
  | 'recover'

/**
 * Answers one request. `body` is valid until the returned promise settles. A thrown `HearsayError`
 * reaches the caller as `RemoteError` with its code and message; anything else as `ERR_INTERNAL`.
 */
export type Handler = (from: NodeId, body: Uint8Array, signal: AbortSignal) => Promise<Uint8Array>

export interface RequestOptions {
  readonly deadlineMs: number
  /**
   * Asks no other process of the peer than this one, by the name that a `NetworkError` gives it: where
   * another one has taken its place, or its identity, it rejects with the name of that, unsent.
   */
  readonly epoch?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Authenticated messages between the nodes of one cluster. Whoever is connected holds the cluster
 * key. Requests may be lost after they were delivered: a failure says nothing about the remote.
 */
export interface Network {
  readonly self: NodeId
  /** Where others can reach this node, each with its `/p2p/` part. Empty before `start`. */
  addresses(): readonly string[]
  /** Begins to listen. Handlers must be registered before. */
  start(): Promise<void>
  stop(): Promise<void>
  handle(protocol: Protocol, handler: Handler): void
  /**
   * Rejects with `NetworkError` (connection, deadline, abort; with the epoch of whom it was sent to) or
   * `RemoteError` (their handler threw).
   */
  request(
    to: NodeId,
    protocol: Protocol,
    body: Uint8Array,
    options: RequestOptions
  ): Promise<Uint8Array>
  /** Tells every member, at best effort. At most 16 KiB. */
  publish(body: Uint8Array): void
  onGossip(fn: (from: NodeId, body: Uint8Array) => void): void
  /** Called when a peer has completed the handshake, and when its last connection is gone. */
  onPeer(fn: (peer: NodeId, connected: boolean) => void): void
  /**
   * Called when a peer has proven that another process with the identity of this node is alive, and
   * that this one has to give way to it. The error says what to do.
   */
  onDuplicate(fn: (error: HearsayError) => void): void
  connected(): readonly NodeId[]
  /** Remembers where a member can be reached. Requests to it dial by themselves. */
  learn(peer: NodeId, addresses: readonly string[]): void
  /** Dials an address of a node not known yet; resolves with its id once the handshake is done. */
  dial(address: string, signal?: AbortSignal): Promise<NodeId>
}
