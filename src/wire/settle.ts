/**
 * The bytes with which a node asks an owner to prove slots equal, and of how much in sync a node is.
 * Malformed bytes decode to `undefined`.
 */
import { SLOTS } from '../ring/slot.ts'
import type { InSync } from '../ring/verified.ts'
import { readLevel, type Level } from '../quorum/level.ts'
import { isBytes, isCount, isTuple, pack, unpack } from '../util/msgpack.ts'

const TIMEOUT_MS_MAX = 86_400_000
const MS_MAX = Number.MAX_SAFE_INTEGER

export interface SettleRequest {
  readonly slots: readonly number[]
  readonly level: Level
  readonly timeoutMs: number
}

export function encodeSettleRequest({ slots, level, timeoutMs }: SettleRequest): Uint8Array {
  const flags = new Uint8Array(SLOTS / 8)
  for (const slot of slots) flags[slot >> 3] = (flags[slot >> 3] as number) | (1 << (slot & 7))
  return pack([flags, level, timeoutMs])
}

/** The slots come in ascending order, each once. */
export function decodeSettleRequest(bytes: Uint8Array): SettleRequest | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 3)) return undefined
  const [flags, foreign, timeoutMs] = fields
  if (!isBytes(flags) || flags.length !== SLOTS / 8) return undefined
  if (typeof foreign !== 'string' && typeof foreign !== 'number') return undefined
  const level = readLevel(foreign)
  if (level === undefined || !isCount(timeoutMs, TIMEOUT_MS_MAX)) return undefined
  const slots = Array.from({ length: SLOTS }, (_, slot) => slot).filter(
    slot => ((flags[slot >> 3] as number) >> (slot & 7)) & 1
  )
  return { slots, level, timeoutMs }
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
