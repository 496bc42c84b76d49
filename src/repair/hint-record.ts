/**
 * A hint as it lies in the store. There are two kinds, side by side for one owner and key:
 *
 *   owner 0 key → when, which writing           the row is read here when it is replayed
 *   owner 1 key → when, which writing, row      it carries the row: nobody else may have it
 *
 * No id of an owner contains either separator.
 */
import { decodeRow } from '../lattice/encode.ts'
import type { Row } from '../lattice/row.ts'
import type { Range } from '../ports.ts'
import { concat, text, utf8 } from '../util/bytes.ts'
import { isBytes, isCount, isTuple, pack, unpack } from '../util/msgpack.ts'
import type { NodeId } from '../util/node-id.ts'
import type { Known } from './hint-index.ts'

export interface Hint {
  readonly id: Uint8Array
  readonly value: Uint8Array
  readonly owner: NodeId
  readonly key: Uint8Array
  readonly atMs: number
  readonly sequence: number
  /** The row that it carries, encoded. */
  readonly carried: Uint8Array | undefined
}

const PLAIN = new Uint8Array([0])
const CARRYING = new Uint8Array([1])
const END = new Uint8Array([2])
const MAX = Number.MAX_SAFE_INTEGER

export function makeHint(hint: Omit<Hint, 'id' | 'value'>): Hint {
  const { owner, key, atMs, sequence, carried } = hint
  const value = pack(carried === undefined ? [atMs, sequence] : [atMs, sequence, carried])
  return { ...hint, id: idOf(owner, key, carried !== undefined), value }
}

export function idOf(owner: NodeId, key: Uint8Array, carries: boolean): Uint8Array {
  return concat([utf8(owner), carries ? CARRYING : PLAIN, key])
}

/** All hints for one owner, or those after one of them. */
export function rangeOf(owner: NodeId, after?: Uint8Array): Range {
  const from = after === undefined ? concat([utf8(owner), PLAIN]) : concat([after, PLAIN])
  return { from, to: concat([utf8(owner), END]) }
}

export function readHint(id: Uint8Array, value: Uint8Array): Hint | undefined {
  const end = id.findIndex(byte => byte <= 1)
  if (end < 1) return undefined
  const fields = unpack(value)
  const carries = id[end] === 1
  if (!isTuple(fields, carries ? 3 : 2)) return undefined
  const [atMs, sequence, carried] = fields
  if (!isCount(atMs, MAX) || !isCount(sequence, MAX)) return undefined
  if (carries && !isBytes(carried)) return undefined
  const owner = text(id.subarray(0, end)) as NodeId
  const key = id.subarray(end + 1)
  return { id, value, owner, key, atMs, sequence, carried: carried as Uint8Array | undefined }
}

export function carriedRow(hint: Hint | undefined): Row | undefined {
  return hint?.carried && decodeRow(hint.carried)
}

export function knownOf({ id, value, owner, atMs, sequence, carried }: Hint): Known {
  const size = id.length + value.length
  return { owner, size, atMs, sequence, carries: carried !== undefined }
}
