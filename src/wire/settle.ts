/**
 * The bytes with which a node asks an owner to prove slots equal, and of how much in sync a node is.
 * Malformed bytes decode to `undefined`.
 */
import { SLOTS } from '../ring/slot.ts'
import type { InSync } from '../ring/verified.ts'
import { readLevel, type Level } from '../quorum/level.ts'
import { isCount, isTuple, pack, unpack } from '../util/msgpack.ts'
import { packSlots, unpackSlots } from './slots.ts'

const TIMEOUT_MS_MAX = 86_400_000
const MS_MAX = Number.MAX_SAFE_INTEGER

export interface SettleRequest {
  readonly slots: readonly number[]
  readonly level: Level
  readonly timeoutMs: number
}

export function encodeSettleRequest({ slots, level, timeoutMs }: SettleRequest): Uint8Array {
  return pack([packSlots(slots), level, timeoutMs])
}

/** The slots come in ascending order, each once. */
export function decodeSettleRequest(bytes: Uint8Array): SettleRequest | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 3)) return undefined
  const [bits, foreign, timeoutMs] = fields
  const slots = unpackSlots(bits)
  if (typeof foreign !== 'string' && typeof foreign !== 'number') return undefined
  const level = readLevel(foreign)
  if (slots === undefined || level === undefined) return undefined
  return isCount(timeoutMs, TIMEOUT_MS_MAX) ? { slots, level, timeoutMs } : undefined
}

/** How many slots could not be proven equal in time. */
export function encodeSettled(left: number): Uint8Array {
  return pack(left)
}

export function decodeSettled(bytes: Uint8Array): number | undefined {
  const left = unpack(bytes)
  return isCount(left, SLOTS) ? left : undefined
}

export function encodeInSync({ slots, verified, worstMs }: InSync): Uint8Array {
  return pack([slots, verified, worstMs === undefined ? null : Math.round(worstMs)])
}

export function decodeInSync(bytes: Uint8Array): InSync | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 3)) return undefined
  const [slots, verified, worstMs] = fields
  if (!isCount(slots, SLOTS) || !isCount(verified, slots)) return undefined
  if (verified < slots)
    return worstMs === null ? { slots, verified, worstMs: undefined } : undefined
  return isCount(worstMs, MS_MAX) ? { slots, verified, worstMs } : undefined
}
