/**
 * The compression function of BLAKE3, one block at a time, with four words of state to a vector:
 * the other way to hash a row alone. It does a quarter of the work of compress.ts in a chain that
 * no processor can shorten, so which of the two is the faster depends on how many cycles a vector
 * instruction takes. The host measures it at start, and says it by `setVector`.
 *
 * Between the halves of a round the rows are turned against b, which is the last to be known.
 */
import { IV } from './compress'
import { add, xor12, xor16, xor7, xor8 } from './lanes'
import { padded } from './mask'

/**
 * Hashes a message of `blocks` blocks, the last of which has `length` bytes. `flags` are those of
 * the first block if it is not the last, `mode` of the blocks between, `last` of the last one.
 */
// prettier-ignore
export function hash1(
  input: usize, blocks: u32, length: u32, counter: u64,
  key: usize, flags: u32, mode: u32, last: u32, out: usize
): void {
  let a = v128.load(key)
  let b = v128.load(key, 16)
  for (;; input += 64) {
    const isLast = --blocks === 0
    const at = isLast ? padded(input, length) : input
    const bytes: u32 = isLast ? length : 64
    let c = v128.load(IV)
    let d = i32x4.replace_lane(i64x2.splat(counter), 2, bytes)
    d = i32x4.replace_lane(d, 3, isLast ? last : flags)
    // round 1
    a = add(add(a, words(at, 0, 2, 4, 6)), b); d = xor16(d, a); c = add(c, d); b = xor12(b, c)
    a = add(add(a, words(at, 1, 3, 5, 7)), b); d = xor8(d, a); c = add(c, d); b = xor7(b, c)
    a = turn3(a); c = turn1(c); d = turn2(d)
    a = add(add(a, words(at, 14, 8, 10, 12)), b); d = xor16(d, a); c = add(c, d); b = xor12(b, c)
    a = add(add(a, words(at, 15, 9, 11, 13)), b); d = xor8(d, a); c = add(c, d); b = xor7(b, c)
    a = turn1(a); c = turn3(c); d = turn2(d)
    // round 2
    a = add(add(a, words(at, 2, 3, 7, 4)), b); d = xor16(d, a); c = add(c, d); b = xor12(b, c)
    a = add(add(a, words(at, 6, 10, 0, 13)), b); d = xor8(d, a); c = add(c, d); b = xor7(b, c)
    a = turn3(a); c = turn1(c); d = turn2(d)
    a = add(add(a, words(at, 15, 1, 12, 9)), b); d = xor16(d, a); c = add(c, d); b = xor12(b, c)
    a = add(add(a, words(at, 8, 11, 5, 14)), b); d = xor8(d, a); c = add(c, d); b = xor7(b, c)
    a = turn1(a); c = turn3(c); d = turn2(d)
    // round 3
    a = add(add(a, words(at, 3, 10, 13, 7)), b); d = xor16(d, a); c = add(c, d); b = xor12(b, c)
    a = add(add(a, words(at, 4, 12, 2, 14)), b); d = xor8(d, a); c = add(c, d); b = xor7(b, c)
    a = turn3(a); c = turn1(c); d = turn2(d)
    a = add(add(a, words(at, 8, 6, 9, 11)), b); d = xor16(d, a); c = add(c, d); b = xor12(b, c)
    a = add(add(a, words(at, 1, 5, 0, 15)), b); d = xor8(d, a); c = add(c, d); b = xor7(b, c)
    a = turn1(a); c = turn3(c); d = turn2(d)
    // round 4
    a = add(add(a, words(at, 10, 12, 14, 13)), b); d = xor16(d, a); c = add(c, d); b = xor12(b, c)
    a = add(add(a, words(at, 7, 9, 3, 15)), b); d = xor8(d, a); c = add(c, d); b = xor7(b, c)
    a = turn3(a); c = turn1(c); d = turn2(d)
    a = add(add(a, words(at, 1, 4, 11, 5)), b); d = xor16(d, a); c = add(c, d); b = xor12(b, c)
    a = add(add(a, words(at, 6, 0, 2, 8)), b); d = xor8(d, a); c = add(c, d); b = xor7(b, c)
    a = turn1(a); c = turn3(c); d = turn2(d)
    // round 5
    a = add(add(a, words(at, 12, 9, 15, 14)), b); d = xor16(d, a); c = add(c, d); b = xor12(b, c)
    a = add(add(a, words(at, 13, 11, 10, 8)), b); d = xor8(d, a); c = add(c, d); b = xor7(b, c)
    a = turn3(a); c = turn1(c); d = turn2(d)
    a = add(add(a, words(at, 6, 7, 5, 0)), b); d = xor16(d, a); c = add(c, d); b = xor12(b, c)
    a = add(add(a, words(at, 4, 2, 3, 1)), b); d = xor8(d, a); c = add(c, d); b = xor7(b, c)
    a = turn1(a); c = turn3(c); d = turn2(d)
    // round 6
    a = add(add(a, words(at, 9, 11, 8, 15)), b); d = xor16(d, a); c = add(c, d); b = xor12(b, c)
    a = add(add(a, words(at, 14, 5, 12, 1)), b); d = xor8(d, a); c = add(c, d); b = xor7(b, c)
    a = turn3(a); c = turn1(c); d = turn2(d)
    a = add(add(a, words(at, 4, 13, 0, 2)), b); d = xor16(d, a); c = add(c, d); b = xor12(b, c)
    a = add(add(a, words(at, 7, 3, 10, 6)), b); d = xor8(d, a); c = add(c, d); b = xor7(b, c)
    a = turn1(a); c = turn3(c); d = turn2(d)
    // round 7
    a = add(add(a, words(at, 11, 5, 1, 8)), b); d = xor16(d, a); c = add(c, d); b = xor12(b, c)
    a = add(add(a, words(at, 15, 0, 9, 6)), b); d = xor8(d, a); c = add(c, d); b = xor7(b, c)
    a = turn3(a); c = turn1(c); d = turn2(d)
    a = add(add(a, words(at, 7, 14, 2, 3)), b); d = xor16(d, a); c = add(c, d); b = xor12(b, c)
    a = add(add(a, words(at, 13, 10, 12, 4)), b); d = xor8(d, a); c = add(c, d); b = xor7(b, c)
    a = turn1(a); c = turn3(c); d = turn2(d)
    a = v128.xor(a, c)
    b = v128.xor(b, d)
    if (isLast) break
    flags = mode
  }
  v128.store(out, a)
  v128.store(out, b, 16)
}

/** Four words of the block, by their numbers. */
// @ts-ignore: decorator
@inline
function words(block: usize, i: usize, j: usize, k: usize, l: usize): v128 {
  let four = v128.load32_splat(block + (i << 2))
  four = v128.load_lane<u32>(block + (j << 2), four, 1)
  four = v128.load_lane<u32>(block + (k << 2), four, 2)
  return v128.load_lane<u32>(block + (l << 2), four, 3)
}

/** Takes each lane from the next one; the others from the second and the third after it. */
// @ts-ignore: decorator
@inline
function turn1(row: v128): v128 {
  return v128.shuffle<i32>(row, row, 1, 2, 3, 0)
}

// @ts-ignore: decorator
@inline
function turn2(row: v128): v128 {
  return v128.shuffle<i32>(row, row, 2, 3, 0, 1)
}

// @ts-ignore: decorator
@inline
function turn3(row: v128): v128 {
  return v128.shuffle<i32>(row, row, 3, 0, 1, 2)
}
