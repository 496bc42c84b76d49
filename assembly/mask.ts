/**
 * Cutting a block off where its message ends. What follows the message is read and masked away, so
 * 64 bytes after the end of every input must be readable; what they hold does not matter.
 */

/** 64 times 255, then 64 times 0. */
const MASK: usize = memory.data(128, 16)

/** The last block of a message that is hashed alone. */
const LAST: usize = memory.data(64, 16)

/** Lays out the mask. Must be called once, before anything is hashed. */
export function openMask(): void {
  for (let i: usize = 0; i < 64; i += 8) store<u64>(MASK + i, ~(<u64>0))
}

/** 64 bytes: 255 for the first `length` <= 64, else 0. */
export function maskOf(length: usize): usize {
  return MASK + 64 - length
}

/** A whole block from `length` <= 64 bytes and zeros. Valid until the next call. */
export function padded(input: usize, length: u32): usize {
  if (length === 64) return input
  const mask = maskOf(length)
  if (ASC_FEATURE_SIMD) {
    for (let i: usize = 0; i < 64; i += 16) {
      v128.store(LAST + i, v128.and(v128.load(input + i), v128.load(mask + i)))
    }
  } else {
    for (let i: usize = 0; i < 64; i += 8) {
      store<u64>(LAST + i, load<u64>(input + i) & load<u64>(mask + i))
    }
  }
  return LAST
}
