/**
 * The envelope around every request that depends on who owns what: it names the sender's view. A
 * receiver with another view answers with its member table; the sender joins it to its own and asks
 * again, enclosing the result, so that after one repetition both have the same view. Both ways it also
 * carries the marks by which a directory that was rolled back is told.
 */
import { isBytes, isTuple, pack, unpack } from '../util/msgpack.ts'
import { marksFields, readMarks, type Marks } from './mark.ts'

export interface Ask {
  readonly view: string
  /** The sender's whole member table, once it is known that the views differ. */
  readonly table: Uint8Array | undefined
  readonly body: Uint8Array
  readonly marks: Marks
}

export type Reply = ({ readonly body: Uint8Array } | { readonly table: Uint8Array }) & {
  readonly marks: Marks
}

export function encodeAsk({ view, table, body, marks }: Ask): Uint8Array {
  return pack([view, table ?? null, body, ...marksFields(marks)])
}

export function decodeAsk(bytes: Uint8Array): Ask | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 7)) return undefined
  const [view, table, body] = fields
  const marks = readMarks(fields.slice(3))
  if (typeof view !== 'string' || !isBytes(body) || marks === undefined) return undefined
  if (table !== null && !isBytes(table)) return undefined
  return { view, table: table ?? undefined, body, marks }
}

export function encodeReply(reply: Reply): Uint8Array {
  const isDone = 'body' in reply
  return pack([isDone, isDone ? reply.body : reply.table, ...marksFields(reply.marks)])
}

export function decodeReply(bytes: Uint8Array): Reply | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 6) || !isBytes(fields[1])) return undefined
  const marks = readMarks(fields.slice(2))
  if (marks === undefined) return undefined
  if (fields[0] === true) return { body: fields[1], marks }
  return fields[0] === false ? { table: fields[1], marks } : undefined
}
