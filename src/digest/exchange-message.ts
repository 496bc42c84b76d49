/**
 * What the two ends of an exchange say to each other, and how much of it goes into one message. What
 * it means is in exchange.ts, its bytes are in wire/exchange.ts.
 */

/** Of every hash, this much travels. Two runs with differing keys of a collision would be needed. */
export const HASH_BYTES = 8
export const CHECK_BYTES = 8
export const LEVELS_A_MESSAGE = 4
/** Positions asked about in one message; each may be answered with 2^LEVELS_A_MESSAGE hashes. */
export const POSITIONS_MAX = 256
export const WANTS_MAX = 512
/** What `HashBlock.tree` says for the tree over the slots. */
export const SLOT_TREE = -1

/** Hashes of the nodes `first …` at `level` of a tree of `depth`. */
export interface HashBlock {
  /** Index into the shared slots, or `SLOT_TREE`. */
  readonly tree: number
  readonly depth: number
  readonly level: number
  readonly first: number
  readonly hashes: Uint8Array
}

export interface RowSummary {
  readonly token: Uint8Array
  readonly check: Uint8Array
  readonly newest: bigint
}

export interface LeafBlock {
  readonly tree: number
  readonly depth: number
  readonly leaf: number
  readonly rows: readonly RowSummary[]
}

export interface Want {
  readonly tree: number
  readonly token: Uint8Array
}

export interface RowItem {
  readonly key: Uint8Array
  readonly bytes: Uint8Array
}

export interface ExchangeRequest {
  /** Whether the hashes were compared before, long enough ago: then differing leaves are listed. */
  readonly confirmed: boolean
  /** One hash each when confirmed. */
  readonly hashes: readonly HashBlock[]
  /** How much of the first leaf was listed before, in leaves of the deepest tree there can be. */
  readonly from: number
  readonly wants: readonly Want[]
  /** Rows in which the initiator is ahead. */
  readonly rows: readonly RowItem[]
}

export interface ExchangeAnswer {
  readonly hashes: readonly HashBlock[]
  readonly leaves: readonly LeafBlock[]
  readonly rows: readonly RowItem[]
  /** How many of the wants are answered; the others did not fit and are to be asked for again. */
  readonly wantsDone: number
  /** As many of the hashes are answered, and of the next one everything before `from`. */
  readonly hashesDone: number
  readonly from: number
  /** That rows of the request came out of the join as more than would fit here. */
  readonly partial: boolean
}
