/**
 * What crosses the admin socket: `POST /<method>` with a JSON object, answered by a JSON object,
 * or, where it takes long and the request says `progress: true`, by lines of JSON: see lines.ts. Such a
 * request may name itself as `call`; `end` with that name ends it, and its answer then comes to its end.
 * Bytes travel as base64. An error travels as its code, its sentence and its fields, and comes out
 * on the other side as a `HearsayError` with the same three. Pure.
 */
import {
  HearsayError,
  QuorumFailedError,
  TimeoutError,
  UnavailableError,
  type Conflict,
  type ErrorCode,
  type ExplainedCopy,
  type ExplainedEntry,
  type Explanation,
  type NodeId
} from '../../index.ts'

/** The largest request: a row of 1 MiB in base64 with room for its key. */
export const adminBodyBytesMax = 2 * 1024 * 1024

export const adminMethods = [
  'status',
  'invite',
  'read',
  'explain',
  'conflicts',
  'put',
  'delete',
  'pause',
  'resume',
  'repair',
  'scrub',
  'slots',
  'sync',
  'tree',
  'drop-hints',
  'end',
  'stop'
] as const

export type AdminMethod = (typeof adminMethods)[number]

export interface WireError {
  readonly code: string
  readonly message: string
  readonly fields: object
}

export function encodeBytes(bytes: Uint8Array | string): string {
  const buffer = typeof bytes === 'string' ? Buffer.from(bytes) : Buffer.from(bytes)
  return buffer.toString('base64')
}

/** Fresh bytes, the caller's. */
export function decodeBytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'base64'))
}

type Wire<T> = { readonly [K in keyof T]: Exclude<T[K], Uint8Array> | string }
type WireEntry = Wire<ExplainedEntry>
type WireCopy = Omit<ExplainedCopy, 'entries'> & { readonly entries?: readonly WireEntry[] }

/** An explanation with its bytes as base64. */
export type WireExplanation = Omit<Explanation, 'key' | 'copies'> & {
  readonly key: string
  readonly copies: readonly WireCopy[]
}

/** Bytes are fresh, the caller's. */
export function decodeExplanation({ key, copies, ...rest }: WireExplanation): Explanation {
  const entryOf = (wire: WireEntry) =>
    ({
      ...wire,
      field: wire.field === undefined ? undefined : decodeBytes(wire.field),
      value: wire.value === undefined ? undefined : decodeBytes(wire.value)
    }) as ExplainedEntry
  return {
    ...rest,
    key: decodeBytes(key),
    copies: copies.map(({ entries, ...copy }) => {
      return { ...copy, ...(entries && { entries: entries.map(entryOf) }) }
    })
  }
}

/** A conflict with its bytes as base64. */
export type WireConflict = Wire<Conflict>

export function encodeConflict(conflict: Conflict): WireConflict {
  const { key, field, value } = conflict
  const bytes = { field: field && encodeBytes(field), value: value && encodeBytes(value) }
  return { ...conflict, key: encodeBytes(key), ...bytes }
}

/** Bytes are fresh, the caller's. */
export function decodeConflict({ key, field, value, ...rest }: WireConflict): Conflict {
  return {
    ...rest,
    key: decodeBytes(key),
    field: field === undefined ? undefined : decodeBytes(field),
    value: value === undefined ? undefined : decodeBytes(value)
  } as Conflict
}

const fieldNames = [
  'verb',
  'level',
  'needed',
  'alive',
  'owners',
  'acknowledged',
  'timeoutMs',
  'unsent',
  'remoteCode'
]

export function encodeError(cause: unknown): WireError {
  const message = cause instanceof Error ? cause.message : String(cause)
  if (!(cause instanceof HearsayError)) return { code: 'ERR_INTERNAL', message, fields: {} }
  const fields = Object.entries(cause).filter(([name]) => fieldNames.includes(name))
  if (cause instanceof QuorumFailedError) {
    fields.push(['failures', [...cause.failures].map(([id, { message }]) => [id, message])])
  }
  return { code: cause.code, message, fields: Object.fromEntries(fields) }
}

/** Of the same class where callers branch on one. The sentence is made again from the fields. */
export function decodeError({ code, message, fields }: WireError): HearsayError {
  const { verb, level, needed, alive, owners } = fields as Fields
  const { acknowledged, timeoutMs, failures } = fields as Fields
  switch (code) {
    case 'ERR_UNAVAILABLE':
      return new UnavailableError(verb, level, needed, alive, owners)
    case 'ERR_TIMEOUT':
      return new TimeoutError(verb, needed, acknowledged, timeoutMs)
    case 'ERR_QUORUM':
      return new QuorumFailedError(verb, needed, acknowledged, failureMap(failures))
    default:
      return Object.assign(new HearsayError(code as ErrorCode, message), fields)
  }
}

/** The other end is this very program, so the fields are what `encodeError` made. */
interface Fields {
  readonly verb: 'read' | 'write'
  readonly level: string
  readonly needed: number
  readonly alive: number
  readonly owners: number
  readonly acknowledged: readonly NodeId[]
  readonly timeoutMs: number
  readonly failures: readonly (readonly [NodeId, string])[]
}

function failureMap(failures: Fields['failures']): ReadonlyMap<NodeId, Error> {
  return new Map(failures.map(([id, message]) => [id, new Error(message)]))
}
