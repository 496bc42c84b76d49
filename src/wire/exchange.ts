/**
 * The bytes of exchange messages. Everything has a bound that is checked here, so that the machine
 * behind can trust shapes and sizes; what is malformed or absurd decodes to `undefined`.
 */
import {
  CHECK_BYTES,
  HASH_BYTES,
  LEVELS_A_MESSAGE,
  POSITIONS_MAX,
  SLOT_TREE,
  WANTS_MAX,
  type ExchangeAnswer,
  type ExchangeRequest,
  type HashBlock,
  type LeafBlock,
  type RowItem,
  type RowSummary,
  type Want
} from '../digest/exchange-message.ts'
import { isTime } from '../lattice/hlc.ts'
import { KEY_BYTES_MAX, TOKEN_BYTES } from '../ring/row-key.ts'
import { SLOTS } from '../ring/slot.ts'
import { isBytes, isCount, isTuple, pack, readList, unpack } from '../util/msgpack.ts'

/** Far above what a leaf holds, also while its tree has not grown yet. */
const LEAF_ROWS_MAX = 1 << 16
const ROWS_MAX = 1 << 16
const DEPTH_MAX = 16
const BLOCKS_MAX = POSITIONS_MAX * 2 ** LEVELS_A_MESSAGE
/** Of one request; each may be answered by as many as one position, and one more of a leaf. */
const HASHES_MAX = BLOCKS_MAX
const FROM_MAX = 2 ** DEPTH_MAX

export function encodeExchangeRequest(request: ExchangeRequest): Uint8Array {
  const { confirmed, hashes, from, wants, rows } = request
  return pack([
    confirmed,
    hashes.map(blockFields),
    from,
    wants.map(wantFields),
    rows.map(rowFields)
  ])
}

export function decodeExchangeRequest(bytes: Uint8Array): ExchangeRequest | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 5)) return undefined
  const [confirmed, , from] = fields
  if (typeof confirmed !== 'boolean' || !isCount(from, FROM_MAX)) return undefined
  const hashes = readBlocks(fields[1], HASHES_MAX)
  const wants = readList(fields[3], WANTS_MAX, readWant)
  const rows = readList(fields[4], ROWS_MAX, readRow)
  return hashes && wants && rows && { confirmed, hashes, from, wants, rows }
}

export function encodeExchangeAnswer(answer: ExchangeAnswer): Uint8Array {
  const { hashes, leaves, rows, wantsDone, hashesDone, from, partial } = answer
  return pack([
    hashes.map(blockFields),
    leaves.map(leafFields),
    rows.map(rowFields),
    wantsDone,
    hashesDone,
    from,
    partial
  ])
}

export function decodeExchangeAnswer(bytes: Uint8Array): ExchangeAnswer | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 7)) return undefined
  const hashes = readBlocks(fields[0], HASHES_MAX * 2 ** LEVELS_A_MESSAGE)
  const leaves = readList(fields[1], BLOCKS_MAX, readLeaf)
  const rows = readList(fields[2], ROWS_MAX, readRow)
  const [, , , wantsDone, hashesDone, from, partial] = fields
  if (!isCount(wantsDone, WANTS_MAX) || !isCount(hashesDone, BLOCKS_MAX)) return undefined
  if (!isCount(from, FROM_MAX) || typeof partial !== 'boolean') return undefined
  const lists = hashes && leaves && rows && { hashes, leaves, rows }
  return lists && { ...lists, wantsDone, hashesDone, from, partial }
}

function readBlocks(value: unknown, hashesMax: number): HashBlock[] | undefined {
  const blocks = readList(value, BLOCKS_MAX, readBlock)
  const count = blocks?.reduce((sum, { hashes }) => sum + hashes.length / HASH_BYTES, 0)
  return count !== undefined && count <= hashesMax ? blocks : undefined
}

function blockFields({ tree, depth, level, first, hashes }: HashBlock): unknown[] {
  return [tree, depth, level, first, hashes]
}

function readBlock(fields: unknown): HashBlock | undefined {
  if (!isTuple(fields, 5)) return undefined
  const [tree, depth, level, first, hashes] = fields
  if (!isTree(tree) || !isCount(depth, DEPTH_MAX) || !isCount(level, depth)) return undefined
  if (!isBytes(hashes) || hashes.length === 0 || hashes.length % HASH_BYTES !== 0) return undefined
  if (!isCount(first, 2 ** level - hashes.length / HASH_BYTES)) return undefined
  return { tree, depth, level, first, hashes }
}

function leafFields({ tree, depth, leaf, rows }: LeafBlock): unknown[] {
  return [tree, depth, leaf, rows.map(({ token, check, newest }) => [token, check, newest])]
}

function readLeaf(fields: unknown): LeafBlock | undefined {
  if (!isTuple(fields, 4)) return undefined
  const [tree, depth, leaf] = fields
  if (!isCount(tree, SLOTS - 1) || !isCount(depth, DEPTH_MAX)) return undefined
  if (!isCount(leaf, 2 ** depth - 1)) return undefined
  const rows = readList(fields[3], LEAF_ROWS_MAX, readSummary)
  return rows && { tree, depth, leaf, rows }
}

function readSummary(fields: unknown): RowSummary | undefined {
  if (!isTuple(fields, 3)) return undefined
  const [token, check, newest] = fields
  if (!isBytes(token) || token.length !== TOKEN_BYTES) return undefined
  if (!isBytes(check) || check.length !== CHECK_BYTES || !isTime(newest)) return undefined
  return { token, check, newest }
}

function wantFields({ tree, token }: Want): unknown[] {
  return [tree, token]
}

function readWant(fields: unknown): Want | undefined {
  if (!isTuple(fields, 2)) return undefined
  const [tree, token] = fields
  if (!isCount(tree, SLOTS - 1) || !isBytes(token) || token.length !== TOKEN_BYTES) return undefined
  return { tree, token }
}

function rowFields({ key, bytes }: RowItem): unknown[] {
  return [key, bytes]
}

function readRow(fields: unknown): RowItem | undefined {
  if (!isTuple(fields, 2)) return undefined
  const [key, bytes] = fields
  if (!isBytes(key) || key.length === 0 || key.length > KEY_BYTES_MAX) return undefined
  return isBytes(bytes) ? { key, bytes } : undefined
}

function isTree(tree: unknown): tree is number {
  return tree === SLOT_TREE || isCount(tree, SLOTS - 1)
}
