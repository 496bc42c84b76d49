/** What commands have in common: reading their arguments, and Redis's own words for what is wrong. */
import { NumberError, type HearsayError, type HearsayNode } from '../../index.ts'
import { error } from './reply.ts'

/** Word for word, because clients look for them. */
const WRONG_TYPE_WORDS = 'WRONGTYPE Operation against a key holding the wrong kind of value'
const NOT_AN_INTEGER_WORDS = 'ERR value is not an integer or out of range'
const OVERFLOW_WORDS = 'ERR increment or decrement would overflow'

/** Of an argument. */
export const NOT_AN_INTEGER = error(NOT_AN_INTEGER_WORDS)

/** The first words for an error of the store, where Redis has some. */
export function wordsFor(cause: HearsayError): string | undefined {
  if (cause.code === 'ERR_KIND') return WRONG_TYPE_WORDS
  if (!(cause instanceof NumberError)) return undefined
  return cause.why === 'overflow' ? OVERFLOW_WORDS : NOT_AN_INTEGER_WORDS
}

const INTEGER = /^(?:0|-?[1-9][0-9]{0,18})$/

/** `undefined` for what Redis would not take for a 64-bit integer. */
export function readInteger(bytes: Uint8Array): bigint | undefined {
  const digits = latin1(bytes)
  const integer = INTEGER.test(digits) ? BigInt(digits) : undefined
  return integer !== undefined && BigInt.asIntN(64, integer) === integer ? integer : undefined
}

/** Of whatever kind. */
export async function isThere(node: HearsayNode, key: Uint8Array): Promise<boolean> {
  return (await node.read(key, { siblings: true })).kind !== undefined
}

export function wrongArguments(command: string): Uint8Array {
  return error(`ERR wrong number of arguments for '${command}' command`)
}

export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}
