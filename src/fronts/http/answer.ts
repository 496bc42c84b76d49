/**
 * What goes back over HTTP: a status, a type and bytes. Errors are JSON, `{ code, message }`, with
 * the code of the store or, for what only HTTP knows, a plain word.
 */
import { HearsayError, type ErrorCode } from '../../index.ts'

export interface HttpAnswer {
  readonly status: number
  readonly type: string
  readonly body: Uint8Array | string
  readonly headers?: Readonly<Record<string, string>>
}

/** A request that is wrong as HTTP, whatever the store says. */
export class HttpError extends Error {
  readonly status: number
  readonly code: string
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, code: string, message: string, headers = {}) {
    super(message)
    this.status = status
    this.code = code
    this.headers = headers
  }
}

export function json(value: unknown, status = 200, headers = {}): HttpAnswer {
  return { status, type: 'application/json', body: `${JSON.stringify(value)}\n`, headers }
}

const statuses: Partial<Record<ErrorCode, number>> = {
  ERR_ARGUMENT: 400,
  ERR_KEY_SIZE: 400,
  ERR_LEVEL: 400,
  ERR_CONTEXT: 400,
  ERR_NUMBER: 400,
  ERR_KIND: 409,
  ERR_SIBLINGS: 409,
  ERR_ROW_SIZE: 413,
  ERR_CORRUPT: 503,
  ERR_OVERLOADED: 503,
  ERR_UNAVAILABLE: 503,
  ERR_QUORUM: 503,
  ERR_NETWORK: 503,
  ERR_CLOSED: 503,
  ERR_DUPLICATE_IDENTITY: 503,
  ERR_TIMEOUT: 504
}

export function errorAnswer(cause: unknown): HttpAnswer {
  const message = cause instanceof Error ? cause.message : String(cause)
  if (cause instanceof HttpError) {
    return json({ code: cause.code, message }, cause.status, cause.headers)
  }
  if (!(cause instanceof HearsayError)) return json({ code: 'ERR_INTERNAL', message }, 500)
  return json({ code: cause.code, message }, statuses[cause.code] ?? 500)
}
