/**
 * What crosses the admin socket: `POST /<method>` with a JSON object, answered by a JSON object.
 * Bytes travel as base64. An error travels as its code, its sentence and those of its fields that
 * JSON can hold, and comes out on the other side as a `HearsayError` with the same three. Pure.
 */
import { HearsayError, type ErrorCode } from '../../index.ts'

/** The largest request: a row of 1 MiB in base64 with room for its key. */
export const adminBodyBytesMax = 2 * 1024 * 1024

export const adminMethods = [
  'status',
  'invite',
  'read',
  'put',
  'delete',
  'pause',
  'resume',
  'repair',
  'drop-hints',
  'stop'
] as const

export type AdminMethod = (typeof adminMethods)[number]

export interface WireError {
  readonly code: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

export function encodeBytes(bytes: Uint8Array | string): string {
  const buffer = typeof bytes === 'string' ? Buffer.from(bytes) : Buffer.from(bytes)
  return buffer.toString('base64')
}

/** Fresh bytes, the caller's. */
export function decodeBytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'base64'))
}

const fieldNames = ['needed', 'alive', 'acknowledged', 'unsent', 'remoteCode']

export function encodeError(cause: unknown): WireError {
  const message = cause instanceof Error ? cause.message : String(cause)
  if (!(cause instanceof HearsayError)) return { code: 'ERR_INTERNAL', message, fields: {} }
  const own = Object.entries(cause).filter(([name]) => fieldNames.includes(name))
  return { code: cause.code, message, fields: Object.fromEntries(own) }
}

export function decodeError({ code, message, fields }: WireError): HearsayError {
  return Object.assign(new HearsayError(code as ErrorCode, message), fields)
}
