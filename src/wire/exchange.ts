/**
 * The bytes of exchange messages. Everything has a bound that is checked here, so that the machine
 * behind can trust shapes and sizes; what is malformed or absurd decodes to `undefined`. Decoded fields
 * are views of the bytes given.
 */
import {
  HASHES_A_MESSAGE,
  LEVELS_A_MESSAGE,
  LISTED_A_MESSAGE,
  LISTS_A_MESSAGE,
  ROOT_BYTES,
  SALTS,
  WANTS_A_MESSAGE,
  type ExchangeAnswer,
  type ExchangeRequest,
  type RowItem
} from '../digest/exchange-message.ts'
import { KEY_BYTES_MAX, TOKEN_BYTES } from '../ring/row-key.ts'
import { isBytes, isCount, isTuple, pack, unpack } from '../util/msgpack.ts'
import {
  packBlocks,
  packFound,
  packLists,
  packWants,
  unpackBlocks,
  unpackFound,
  unpackLists,
  unpackWants
} from './exchange-parts.ts'

const ROWS_MAX = 1 << 16
/** The last part of a leaf may go beyond what a message is for. */
const LISTED_MAX = 2 * LISTED_A_MESSAGE
const ROWS_READ_MAX = 2 ** 32

export function encodeExchangeRequest(request: ExchangeRequest): Uint8Array {
  const { salt, root, hashes, lists, wants, rows } = request
  return pack([
    salt,
    root ?? null,
    packBlocks(hashes),
    packLists(lists),
    packWants(wants),
    rowFields(rows)
  ])
}

export function decodeExchangeRequest(bytes: Uint8Array): ExchangeRequest | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 6)) return undefined
  const [salt, root] = fields
  if (!isCount(salt, SALTS - 1)) return undefined
  if (root !== null && !(isBytes(root) && root.length === ROOT_BYTES)) return undefined
  const hashes = parts(fields[2], bytes => unpackBlocks(bytes, HASHES_A_MESSAGE))
  const lists = parts(fields[3], bytes => unpackLists(bytes, LISTS_A_MESSAGE))
  const wants = parts(fields[4], bytes => unpackWants(bytes, WANTS_A_MESSAGE))
  const rows = readRows(fields[5])
  if (!hashes || !lists || !wants || !rows) return undefined
  return { salt, root: root ?? undefined, hashes, lists, wants, rows }
}

export function encodeExchangeAnswer(answer: ExchangeAnswer): Uint8Array {
  const { hashes, listsDone, from, found, wantsDone, rows, partial, rowsRead } = answer
  return pack([
    packBlocks(hashes),
    listsDone,
    from ?? null,
    packFound(found),
    wantsDone,
    rowFields(rows),
    partial,
    rowsRead
  ])
}

export function decodeExchangeAnswer(bytes: Uint8Array): ExchangeAnswer | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 8)) return undefined
  const [, listsDone, from, , wantsDone, , partial, rowsRead] = fields
  if (!isCount(listsDone, LISTS_A_MESSAGE) || !isCount(wantsDone, WANTS_A_MESSAGE)) return undefined
  if (from !== null && !(isBytes(from) && from.length === TOKEN_BYTES)) return undefined
  if (typeof partial !== 'boolean' || !isCount(rowsRead, ROWS_READ_MAX)) return undefined
  const hashesMax = HASHES_A_MESSAGE * 2 ** LEVELS_A_MESSAGE
  const hashes = parts(fields[0], bytes => unpackBlocks(bytes, hashesMax))
  const found = parts(fields[3], bytes => unpackFound(bytes, LISTED_MAX))
  const rows = readRows(fields[5])
  if (!hashes || !found || !rows) return undefined
  return { hashes, listsDone, from: from ?? undefined, found, wantsDone, rows, partial, rowsRead }
}

function parts<T>(field: unknown, read: (bytes: Uint8Array) => T | undefined): T | undefined {
  return isBytes(field) ? read(field) : undefined
}

/** Key and bytes in turn. */
function rowFields(rows: readonly RowItem[]): Uint8Array[] {
  return rows.flatMap(({ key, bytes }) => [key, bytes])
}

function readRows(field: unknown): RowItem[] | undefined {
  if (!Array.isArray(field) || field.length % 2 !== 0 || field.length > 2 * ROWS_MAX)
    return undefined
  const rows: RowItem[] = []
  for (let i = 0; i < field.length; i += 2) {
    const [key, bytes] = [field[i] as unknown, field[i + 1] as unknown]
    if (!isBytes(key) || key.length === 0 || key.length > KEY_BYTES_MAX) return undefined
    if (!isBytes(bytes)) return undefined
    rows.push({ key, bytes })
  }
  return rows
}
