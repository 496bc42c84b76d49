/**
 * The envelope around every request that depends on who owns what: it names the sender's view. A
 * receiver with another view answers with its member table; the sender joins it to its own and asks
 * again, enclosing the result, so that after one repetition both have the same view.
 */
import { isBytes, isTuple, pack, unpack } from '../util/msgpack.ts'

export interface Ask {
  readonly view: string
  /** The sender's whole member table, once it is known that the views differ. */
  readonly table: Uint8Array | undefined
  readonly body: Uint8Array
}

export type Reply = { readonly body: Uint8Array } | { readonly table: Uint8Array }

export function encodeAsk({ view, table, body }: Ask): Uint8Array {
  return pack([view, table ?? null, body])
}

export function decodeAsk(bytes: Uint8Array): Ask | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 3)) return undefined
  const [view, table, body] = fields
  if (typeof view !== 'string' || !isBytes(body)) return undefined
  if (table !== null && !isBytes(table)) return undefined
  return { view, table: table ?? undefined, body }
}

export function encodeReply(reply: Reply): Uint8Array {
  return pack('body' in reply ? [true, reply.body] : [false, reply.table])
}

export function decodeReply(bytes: Uint8Array): Reply | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 2) || !isBytes(fields[1])) return undefined
  if (fields[0] === true) return { body: fields[1] }
  return fields[0] === false ? { table: fields[1] } : undefined
}
