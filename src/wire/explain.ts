/**
 * The bytes with which one node tells another all that it knows of a key: what it holds, whether that
 * counts, for whom it keeps hints, and when it last matched with its peers. Malformed bytes decode to
 * `undefined`. Decoded rows are views of the bytes given.
 */
import { decodeRow, encodeRow } from '../lattice/encode.ts'
import type { Row } from '../lattice/row.ts'
import type { NodeId } from '../util/node-id.ts'
import { isBytes, isCount, isTuple, pack, readList, unpack } from '../util/msgpack.ts'

const NODES_MAX = 256
const reasons = ['damaged', 'malformed', 'ahead'] as const

type Reason = (typeof reasons)[number]

export interface Matched {
  readonly peer: NodeId
  /** Milliseconds since the slot of the key was last proven equal. */
  readonly agoMs: number
}

export interface Holding {
  /** Whether the node votes with it: a node that is being filled does not. */
  readonly counts: boolean
  /** `undefined` where there is none. */
  readonly row: Row | undefined
  /** Owners for which this node keeps a hint of the key. */
  readonly hintedFor: readonly NodeId[]
  /** Why a version of it is kept aside, if one is. */
  readonly aside: Reason | undefined
  readonly matched: readonly Matched[]
}

export function encodeHolding({ counts, row, hintedFor, aside, matched }: Holding): Uint8Array {
  const pairs = matched.map(({ peer, agoMs }) => [peer, agoMs])
  return pack([counts, row ? encodeRow(row) : null, hintedFor, pairs, aside ?? null])
}

export function decodeHolding(bytes: Uint8Array): Holding | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 5) || typeof fields[0] !== 'boolean') return undefined
  const row = isBytes(fields[1]) ? decodeRow(fields[1]) : undefined
  if (row === undefined && fields[1] !== null) return undefined
  const hintedFor = readList(fields[2], NODES_MAX, readNode)
  const matched = readList(fields[3], NODES_MAX, readMatched)
  const aside = reasons.find(reason => reason === fields[4])
  if (aside === undefined && fields[4] !== null) return undefined
  return hintedFor && matched && { counts: fields[0], row, hintedFor, aside, matched }
}

function readNode(value: unknown): NodeId | undefined {
  return typeof value === 'string' ? (value as NodeId) : undefined
}

function readMatched(fields: unknown): Matched | undefined {
  if (!isTuple(fields, 2)) return undefined
  const [peer, agoMs] = fields
  if (typeof peer !== 'string' || !isCount(agoMs, Number.MAX_SAFE_INTEGER)) return undefined
  return { peer: peer as NodeId, agoMs }
}
