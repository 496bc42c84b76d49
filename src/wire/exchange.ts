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
  type ExchangeRequest
} from '../digest/exchange-message.ts'
import { TOKEN_BYTES } from '../ring/row-key.ts'
import { isBytes, isCount, isTuple, pack, unpack } from '../util/msgpack.ts'
import {
  packBlocks,
  packFound,
  packLists,
  packRows,
  packWants,
  unpackBlocks,
  unpackFound,
  unpackLists,
  unpackRows,
  unpackWants
} from './exchange-parts.ts'
import { packSlots, unpackSlots } from './slots.ts'

const ROWS_MAX = 1 << 16
/** The last part of a leaf may go beyond what a message is for. */
const LISTED_MAX = 2 * LISTED_A_MESSAGE
const ROWS_READ_MAX = 2 ** 32

export function encodeExchangeRequest(request: ExchangeRequest): Uint8Array {
  const { slots, salt, root, hashes, lists, wants, rows } = request
  return pack([
    slots === undefined ? null : packSlots(slots),
    salt,
    root ?? null,
    packBlocks(hashes),
    packLists(lists),
    packWants(wants),
    packRows(rows)
  ])
}

export function decodeExchangeRequest(bytes: Uint8Array): ExchangeRequest | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 7)) return undefined
  const [about, salt, root] = fields
  const slots = about === null ? undefined : unpackSlots(about)
  if (about !== null && slots === undefined) return undefined
  if (!isCount(salt, SALTS - 1)) return undefined
  if (root !== null && !(isBytes(root) && root.length === ROOT_BYTES)) return undefined
  const hashes = parts(fields[3], bytes => unpackBlocks(bytes, HASHES_A_MESSAGE))
  const lists = parts(fields[4], bytes => unpackLists(bytes, LISTS_A_MESSAGE))
  const wants = parts(fields[5], bytes => unpackWants(bytes, WANTS_A_MESSAGE))
  const rows = parts(fields[6], bytes => unpackRows(bytes, ROWS_MAX))
  if (!hashes || !lists || !wants || !rows) return undefined
  const request = { salt, root: root ?? undefined, hashes, lists, wants, rows }
  return slots === undefined ? request : { slots: Uint16Array.from(slots), ...request }
}

export function encodeExchangeAnswer(answer: ExchangeAnswer): Uint8Array {
  const { listsDone, from, wantsDone, joins, partial, refused, aside, rowsRead } = answer
  return pack([
    packBlocks(answer.hashes),
    listsDone,
    from ?? null,
    packFound(answer.found),
    wantsDone,
    packRows(answer.rows),
    joins,
    partial,
    refused,
    rowsRead,
    // Seldom any: an answer about equal trees is short.
    ...(aside > 0 ? [aside] : [])
  ])
}

export function decodeExchangeAnswer(bytes: Uint8Array): ExchangeAnswer | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 10) && !isTuple(fields, 11)) return undefined
  const [, listsDone, from, , wantsDone, , joins, partial, refused, rowsRead, aside = 0] = fields
  if (!isCount(listsDone, LISTS_A_MESSAGE) || !isCount(wantsDone, WANTS_A_MESSAGE)) return undefined
  if (from !== null && !(isBytes(from) && from.length === TOKEN_BYTES)) return undefined
  if (typeof partial !== 'boolean' || !isCount(rowsRead, ROWS_READ_MAX)) return undefined
  if (!isCount(joins, ROWS_MAX) || !isCount(refused, ROWS_MAX)) return undefined
  if (!isCount(aside, refused) || (fields.length === 11 && aside === 0)) return undefined
  const hashesMax = HASHES_A_MESSAGE * 2 ** LEVELS_A_MESSAGE
  const hashes = parts(fields[0], bytes => unpackBlocks(bytes, hashesMax))
  const found = parts(fields[3], bytes => unpackFound(bytes, LISTED_MAX))
  const rows = parts(fields[5], bytes => unpackRows(bytes, ROWS_MAX))
  if (!hashes || !found || !rows) return undefined
  const all = { hashes, listsDone, from: from ?? undefined, found, wantsDone, rows }
  return { ...all, joins, partial, rowsRead, refused, aside }
}

function parts<T>(field: unknown, read: (bytes: Uint8Array) => T | undefined): T | undefined {
  return isBytes(field) ? read(field) : undefined
}
