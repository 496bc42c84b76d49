/**
 * The bytes with which an owner that has lost what it held asks a member for what is still there of
 * it. Malformed bytes decode to `undefined`.
 */
import { isTuple, pack, unpack } from '../util/msgpack.ts'
import { packSlots, unpackSlots } from './slots.ts'

export function encodeRecover(slots: Iterable<number>): Uint8Array {
  return pack([packSlots(slots)])
}

/** The slots come in ascending order, each once. */
export function decodeRecover(bytes: Uint8Array): readonly number[] | undefined {
  const fields = unpack(bytes)
  return isTuple(fields, 1) ? unpackSlots(fields[0]) : undefined
}

/** Whether all of it was handed over. */
export function encodeRecovered(isAll: boolean): Uint8Array {
  return pack([isAll])
}

export function decodeRecovered(bytes: Uint8Array): boolean | undefined {
  const fields = unpack(bytes)
  return isTuple(fields, 1) && typeof fields[0] === 'boolean' ? fields[0] : undefined
}
