/**
 * Sets of slots as bytes: one bit for each slot there is. For what a node asks of others about many
 * slots at once.
 */
import { SLOTS } from '../ring/slot.ts'
import { isBytes } from '../util/msgpack.ts'

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
