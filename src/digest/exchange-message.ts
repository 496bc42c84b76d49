/**
 * What the two ends of an exchange say to each other, and how much of it goes into one message. What
 * it means is in exchange.ts, its bytes are in wire/exchange.ts.
 */

/**
 * Of every hash but the root, this much travels. Two that differ look alike once in four thousand
 * million times; then the roots still differ at the end, and the next walk, under another salt,
 * compares other bytes of the same hashes.
 */
export const HASH_BYTES = 4
/** The root is compared whole: it alone decides that two sides are equal. */
export const ROOT_BYTES = 32
/** Of a row's token and of its digest, this much is listed. */
export const WINDOW_BYTES = 4
export const SUMMARY_BYTES = 2 * WINDOW_BYTES
/** Which bytes of a hash travel: as many choices as it has parts of `HASH_BYTES`. */
export const SALTS = 8
export const LEVELS_A_MESSAGE = 4
/** Hashes in one request; each may be answered with 2^LEVELS_A_MESSAGE of them. */
export const HASHES_A_MESSAGE = 16_384
/** Rows in the lists of one request, give or take a part of a leaf. */
export const LISTED_A_MESSAGE = 65_536
export const LISTS_A_MESSAGE = 16_384
/** Rows that are asked for in one message. */
export const WANTS_A_MESSAGE = 4_096
/** What `HashBlock.tree` says for the tree over the slots. */
export const SLOT_TREE = -1

/** Hashes of the nodes `first …` at `level` of a tree of `depth`. */
export interface HashBlock {
  /** Index into the shared slots, or `SLOT_TREE`. */
  readonly tree: number
  readonly depth: number
  readonly level: number
  readonly first: number
  /** `HASH_BYTES` each; none at all says that the sender has no row in this slot. */
  readonly hashes: Uint8Array
}

/** The rows of a leaf: of the 2^depth parts of a slot's tokens the one numbered `leaf`. */
export interface Leaf {
  readonly tree: number
  readonly depth: number
  readonly leaf: number
}

/** A leaf, or of a large one the rows from token `from` on and before token `to`. */
export interface Part extends Leaf {
  readonly from: Uint8Array | undefined
  readonly to: Uint8Array | undefined
}

/** What the sender holds of a part: for each row, in order, a window of its token and of its digest. */
export interface RowList extends Part {
  readonly rows: Uint8Array
}

export interface Want {
  readonly tree: number
  readonly token: Uint8Array
}

export interface RowItem {
  readonly key: Uint8Array
  readonly bytes: Uint8Array
}

/** What became of rows that were sent. */
export interface Taken {
  /** Those that came out of the join as something else than was sent. */
  readonly joined: readonly RowItem[]
  /** How many were not taken. */
  readonly refused: number
  /** How many of these are kept aside until their time has come. */
  readonly aside: number
}

/** What a listed row is to the other side. */
export interface Found {
  /** Which of all the rows of the request's lists it is. */
  readonly index: number
  /** The newest time of the other side's row, which differs; `undefined` when it has none. */
  readonly newest: bigint | undefined
}

export interface ExchangeRequest {
  /**
   * The slots that it is about, ascending, where these are not those that both own: a gift, of what the
   * initiator still holds of slots that are the other side's now. No rows are sent back.
   */
  readonly slots?: Uint16Array
  /** Which bytes of hashes travel, both ways. */
  readonly salt: number
  readonly root: Uint8Array | undefined
  readonly hashes: readonly HashBlock[]
  readonly lists: readonly RowList[]
  readonly wants: readonly Want[]
  /** Rows in which the initiator is ahead. */
  readonly rows: readonly RowItem[]
}

export interface ExchangeAnswer {
  readonly hashes: readonly HashBlock[]
  /** How many of the lists were compared to their end, and of the next one everything before `from`. */
  readonly listsDone: number
  readonly from: Uint8Array | undefined
  readonly found: readonly Found[]
  /** How many of the wants are answered; the others did not fit and are to be asked for again. */
  readonly wantsDone: number
  /** Rows that were wanted, that a list lacks, or that are the join of what was sent. */
  readonly rows: readonly RowItem[]
  /** How many of these, the first ones, are joins of what was sent. */
  readonly joins: number
  /** That rows of the request came out of the join as more than would fit here. */
  readonly partial: boolean
  /** How many rows of the request were not taken, for whatever reason: they differ still. */
  readonly refused: number
  /** How many of these are kept aside there, because they are from too far ahead. */
  readonly aside: number
  /** How many rows were read from disk for this answer. */
  readonly rowsRead: number
}
