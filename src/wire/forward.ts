/**
 * The bytes of a write that a node passes on to an owner, and of what came of it: a result, or an
 * error that arrives as the same class with the same fields. Malformed bytes decode to `undefined`.
 */
import {
  HearsayError,
  NumberError,
  QuorumFailedError,
  StoreError,
  TimeoutError,
  UnavailableError,
  type ErrorCode
} from '../errors.ts'
import { isInRange } from '../lattice/kinds.ts'
import type { Operation } from '../lattice/operation.ts'
import { readLevel, type Level } from '../quorum/level.ts'
import { KEY_BYTES_MAX } from '../ring/row-key.ts'
import type { NodeId } from '../util/node-id.ts'
import { isBytes, isCount, isTuple, pack, readList, unpack } from '../util/msgpack.ts'
import { operationFields, readOperation } from './operation.ts'

const NODES_MAX = 256
/** The largest level that can be asked for. */
const NEEDED_MAX = 9_999
const TIMEOUT_MS_MAX = 86_400_000

export interface Forward {
  readonly key: Uint8Array
  readonly operation: Operation
  readonly level: Level
  readonly flush: boolean
  readonly timeoutMs: number
}

export interface Written {
  readonly version: string
  readonly acknowledged: readonly NodeId[]
  readonly hinted: readonly NodeId[]
  /** What the operation counts; see `Mutation` in lattice/mutate.ts. */
  readonly number?: bigint | undefined
}

export function encodeForward({ key, operation, level, flush, timeoutMs }: Forward): Uint8Array {
  return pack([key, operationFields(operation), level, flush, timeoutMs])
}

export function decodeForward(bytes: Uint8Array): Forward | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 5)) return undefined
  const [key, given, foreign, flush, timeoutMs] = fields
  if (!isBytes(key) || key.length === 0 || key.length > KEY_BYTES_MAX) return undefined
  if (typeof foreign !== 'string' && typeof foreign !== 'number') return undefined
  const level = readLevel(foreign)
  if (level === undefined || typeof flush !== 'boolean') return undefined
  if (!isCount(timeoutMs, TIMEOUT_MS_MAX)) return undefined
  const operation = readOperation(given)
  return operation && { key, operation, level, flush, timeoutMs }
}

export function encodeWritten({ version, acknowledged, hinted, number }: Written): Uint8Array {
  return pack(['written', version, acknowledged, hinted, number ?? null])
}

export function encodeFailure(error: HearsayError): Uint8Array {
  if (error instanceof UnavailableError) {
    const { level, needed, alive, owners } = error
    return pack([error.code, level, needed, [alive, owners]])
  }
  if (error instanceof TimeoutError) {
    return pack([error.code, error.needed, error.acknowledged, error.timeoutMs])
  }
  if (error instanceof QuorumFailedError) {
    const failures = [...error.failures].map(([id, failure]) => [
      id,
      codeOf(failure),
      failure.message
    ])
    return pack([error.code, error.needed, error.acknowledged, failures])
  }
  if (error instanceof NumberError) return pack([error.code, error.message, error.why, null])
  const isOpen = error instanceof StoreError && error.isOutcomeUnknown
  return pack([error.code, error.message, isOpen, null])
}

/** What came of a forwarded write. */
export function decodeWritten(bytes: Uint8Array): Written | HearsayError | undefined {
  const fields = unpack(bytes)
  if (isTuple(fields, 4)) return readFailure(fields)
  if (!isTuple(fields, 5) || fields[0] !== 'written' || typeof fields[1] !== 'string') {
    return undefined
  }
  const acknowledged = readNodes(fields[2])
  const hinted = readNodes(fields[3])
  const number = fields[4]
  if (number !== null && !(typeof number === 'bigint' && isInRange(number))) return undefined
  if (acknowledged === undefined || hinted === undefined) return undefined
  return { version: fields[1], acknowledged, hinted, ...(number !== null && { number }) }
}

function readFailure([code, a, b, c]: unknown[]): HearsayError | undefined {
  if (code === 'ERR_UNAVAILABLE') {
    if (typeof a !== 'string' || !isCount(b, NEEDED_MAX) || !isTuple(c, 2)) return undefined
    const [alive, owners] = c
    if (!isCount(alive, NODES_MAX) || !isCount(owners, NODES_MAX)) return undefined
    return new UnavailableError('write', a, b, alive, owners)
  }
  if (code === 'ERR_TIMEOUT') {
    const acknowledged = readNodes(b)
    if (!isCount(a, NEEDED_MAX) || !isCount(c, TIMEOUT_MS_MAX)) return undefined
    return acknowledged && new TimeoutError('write', a, acknowledged, c)
  }
  if (code === 'ERR_QUORUM') {
    const acknowledged = readNodes(b)
    const failures = readList(c, NODES_MAX, readReason)
    if (!isCount(a, NEEDED_MAX) || !acknowledged || !failures) return undefined
    return new QuorumFailedError('write', a, acknowledged, new Map(failures))
  }
  if (typeof code !== 'string' || typeof a !== 'string') return undefined
  if (code === 'ERR_STORE') return new StoreError(a, { isOutcomeUnknown: b === true })
  if (code === 'ERR_NUMBER') return readNumberFailure(a, b)
  return new HearsayError(code as ErrorCode, a)
}

function readNumberFailure(message: string, why: unknown): NumberError | undefined {
  const isWhy = why === 'text' || why === 'overflow' || why === 'amount'
  return isWhy ? new NumberError(why, message) : undefined
}

function readNodes(value: unknown): NodeId[] | undefined {
  return readList(value, NODES_MAX, id => (typeof id === 'string' ? (id as NodeId) : undefined))
}

function readReason(fields: unknown): [NodeId, Error] | undefined {
  if (!isTuple(fields, 3)) return undefined
  const [id, code, message] = fields
  if (typeof id !== 'string' || typeof message !== 'string') return undefined
  if (code !== null && typeof code !== 'string') return undefined
  const error = code === null ? new Error(message) : new HearsayError(code as ErrorCode, message)
  return [id as NodeId, error]
}

function codeOf(error: Error): ErrorCode | null {
  return error instanceof HearsayError ? error.code : null
}
