/**
 * The slot of a key: CRC16/XMODEM modulo 16,384 over the key or over its hash tag, exactly as the
 * Redis Cluster specification says, so that existing cluster clients can route by themselves. Two
 * keys with the same hash tag share a slot. Pure; gives nothing about who owns the slot.
 */

/** How many slots the key space has. Fixed for ever: it is in keys on disk and in trees. */
export const SLOTS = 16_384

const OPEN = 0x7b
const CLOSE = 0x7d

/** 0 to 16,383. Any bytes will do, also none. */
export function slotOf(key: Uint8Array): number {
  return crc16(hashed(key)) % SLOTS
}

/** CRC16/XMODEM: polynomial 0x1021, start 0, nothing reflected. */
export function crc16(bytes: Uint8Array): number {
  let crc = 0
  for (const byte of bytes) {
    crc = ((crc << 8) & 0xffff) ^ (table[(crc >>> 8) ^ byte] as number)
  }
  return crc
}

/** What is between the first `{` and the first `}` after it, if anything is; else the whole key. */
function hashed(key: Uint8Array): Uint8Array {
  const open = key.indexOf(OPEN)
  if (open === -1) return key
  const close = key.indexOf(CLOSE, open + 1)
  return close <= open + 1 ? key : key.subarray(open + 1, close)
}

const table = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc & 0xffff
})
