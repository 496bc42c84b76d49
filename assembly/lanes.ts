/**
 * What the kernels of four and of eight lanes share. Their vectors hold the same word of four
 * messages, so bytes are turned on the way in and on the way out.
 *
 * Rotations by whole bytes are one shuffle: `i8x16.swizzle` with a constant mask becomes one
 * instruction, because V8 keeps the mask in a register; `i8x16.shuffle` loads it anew each time.
 */
import { INPUTS_AT, LENGTHS_AT, OUTPUTS_AT } from './bucket'
import { maskOf } from './mask'

/** x ^ y, rotated to the right by 16 bits; the others likewise. */
// @ts-ignore: decorator
@inline
export function xor16(x: v128, y: v128): v128 {
  return i8x16.swizzle(v128.xor(x, y), v128(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13))
}

// @ts-ignore: decorator
@inline
export function xor12(x: v128, y: v128): v128 {
  const z = v128.xor(x, y)
  return v128.or(i32x4.shr_u(z, 12), i32x4.shl(z, 20))
}

// @ts-ignore: decorator
@inline
export function xor8(x: v128, y: v128): v128 {
  return i8x16.swizzle(v128.xor(x, y), v128(1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12))
}

// @ts-ignore: decorator
@inline
export function xor7(x: v128, y: v128): v128 {
  const z = v128.xor(x, y)
  return v128.or(i32x4.shr_u(z, 7), i32x4.shl(z, 25))
}

/** Sums of words. */
// @ts-ignore: decorator
@inline
export function add(x: v128, y: v128): v128 {
  return i32x4.add(x, y)
}

/** Stores the columns of the rows a, b, c, d. */
// @ts-ignore: decorator
// prettier-ignore
@inline
export function turn(
  a: v128, b: v128, c: v128, d: v128, to0: usize, to1: usize, to2: usize, to3: usize
): void {
  const lowAB = v128.shuffle<i32>(a, b, 0, 4, 1, 5)
  const lowCD = v128.shuffle<i32>(c, d, 0, 4, 1, 5)
  const highAB = v128.shuffle<i32>(a, b, 2, 6, 3, 7)
  const highCD = v128.shuffle<i32>(c, d, 2, 6, 3, 7)
  v128.store(to0, v128.shuffle<i64>(lowAB, lowCD, 0, 2))
  v128.store(to1, v128.shuffle<i64>(lowAB, lowCD, 1, 3))
  v128.store(to2, v128.shuffle<i64>(highAB, highCD, 0, 2))
  v128.store(to3, v128.shuffle<i64>(highAB, highCD, 1, 3))
}

// @ts-ignore: decorator
@inline
function lane(table: usize, lane: usize): usize {
  return load<u32>(table + (lane << 2))
}

/**
 * Four numbers of the jobs. Not one load of 16 bytes: that would wait until the four stores that
 * wrote them have left the processor, and with them all that was to be done before.
 */
// @ts-ignore: decorator
@inline
export function gather(table: usize): v128 {
  let four = v128.load32_splat(table)
  four = v128.load_lane<u32>(table, four, 1, 4)
  four = v128.load_lane<u32>(table, four, 2, 8)
  return v128.load_lane<u32>(table, four, 3, 12)
}

/** The 64 bytes at `at` of four messages, as words `stride` bytes apart at `to`. */
// @ts-ignore: decorator
@inline
export function loadWhole(jobs: usize, at: usize, to: usize, stride: usize): void {
  const a = lane(jobs + INPUTS_AT, 0) + at
  const b = lane(jobs + INPUTS_AT, 1) + at
  const c = lane(jobs + INPUTS_AT, 2) + at
  const d = lane(jobs + INPUTS_AT, 3) + at
  loadFour(a, b, c, d, to, stride)
}

/** The 64 bytes at a, b, c and d, likewise. */
// @ts-ignore: decorator
// prettier-ignore
@inline
export function loadFour(
  a: usize, b: usize, c: usize, d: usize, to: usize, stride: usize
): void {
  loadQuarter(a, b, c, d, to, stride)
  loadQuarter(a + 16, b + 16, c + 16, d + 16, to + 4 * stride, stride)
  loadQuarter(a + 32, b + 32, c + 32, d + 32, to + 8 * stride, stride)
  loadQuarter(a + 48, b + 48, c + 48, d + 48, to + 12 * stride, stride)
}

// @ts-ignore: decorator
// prettier-ignore
@inline
function loadQuarter(
  a: usize, b: usize, c: usize, d: usize, to: usize, stride: usize
): void {
  turn(
    v128.load(a), v128.load(b), v128.load(c), v128.load(d),
    to, to + stride, to + 2 * stride, to + 3 * stride
  )
}

/** As `loadWhole`, with zeros for what is beyond the length of each job. */
// prettier-ignore
export function loadLast(jobs: usize, at: usize, to: usize, stride: usize): void {
  const lengths = jobs + LENGTHS_AT
  if ((lane(lengths, 0) & lane(lengths, 1) & lane(lengths, 2) & lane(lengths, 3)) === 64) {
    return loadWhole(jobs, at, to, stride)
  }
  const a = lane(jobs + INPUTS_AT, 0) + at
  const b = lane(jobs + INPUTS_AT, 1) + at
  const c = lane(jobs + INPUTS_AT, 2) + at
  const d = lane(jobs + INPUTS_AT, 3) + at
  const maskA = maskOf(lane(jobs + LENGTHS_AT, 0))
  const maskB = maskOf(lane(jobs + LENGTHS_AT, 1))
  const maskC = maskOf(lane(jobs + LENGTHS_AT, 2))
  const maskD = maskOf(lane(jobs + LENGTHS_AT, 3))
  maskQuarter(a, b, c, d, maskA, maskB, maskC, maskD, 0, to, stride)
  maskQuarter(a, b, c, d, maskA, maskB, maskC, maskD, 16, to + 4 * stride, stride)
  maskQuarter(a, b, c, d, maskA, maskB, maskC, maskD, 32, to + 8 * stride, stride)
  maskQuarter(a, b, c, d, maskA, maskB, maskC, maskD, 48, to + 12 * stride, stride)
}

// @ts-ignore: decorator
// prettier-ignore
@inline
function maskQuarter(
  a: usize, b: usize, c: usize, d: usize,
  maskA: usize, maskB: usize, maskC: usize, maskD: usize,
  at: usize, to: usize, stride: usize
): void {
  turn(
    v128.and(v128.load(a + at), v128.load(maskA + at)),
    v128.and(v128.load(b + at), v128.load(maskB + at)),
    v128.and(v128.load(c + at), v128.load(maskC + at)),
    v128.and(v128.load(d + at), v128.load(maskD + at)),
    to, to + stride, to + 2 * stride, to + 3 * stride
  )
}

/** Four of eight words of each hash, to byte `at` of the outputs of four jobs. */
// @ts-ignore: decorator
@inline
export function storeHashes(jobs: usize, at: usize, a: v128, b: v128, c: v128, d: v128): void {
  const to = jobs + OUTPUTS_AT
  turn(a, b, c, d, lane(to, 0) + at, lane(to, 1) + at, lane(to, 2) + at, lane(to, 3) + at)
}
