/**
 * Sets of slots as bytes: one bit for each slot there is. For what a node asks of others about many
 * slots at once.
 */
import { SLOTS } from '../ring/slot.ts'
import { isBytes, isTuple, pack, unpack } from '../util/msgpack.ts'

/** A message that is nothing but a set of slots. */
export function encodeSlots(slots: Iterable<number>): Uint8Array {
  return pack([packSlots(slots)])
}

/** As `unpackSlots`; malformed bytes decode to `undefined`. */
export function decodeSlots(bytes: Uint8Array): number[] | undefined {
  const fields = unpack(bytes)
  return isTuple(fields, 1) ? unpackSlots(fields[0]) : undefined
}

export function packSlots(slots: Iterable<number>): Uint8Array {
  const bits = new Uint8Array(SLOTS / 8)
  for (const slot of slots) bits[slot >> 3] = (bits[slot >> 3] as number) | (1 << (slot & 7))
  return bits
}

/** In ascending order, each once; `undefined` for what is no such set. */
export function unpackSlots(bits: unknown): number[] | undefined {
  if (!isBytes(bits) || bits.length !== SLOTS / 8) return undefined
  const slots: number[] = []
  for (let slot = 0; slot < SLOTS; slot++) {
    if (((bits[slot >> 3] as number) & (1 << (slot & 7))) !== 0) slots.push(slot)
  }
  return slots
}
