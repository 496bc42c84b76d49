/**
 * The compression function of BLAKE3 over eight messages at once, two vectors of four to a word.
 *
 * The state lives in memory, not in locals. Loads and stores keep their order, so two steps of four
 * messages are compiled as they are written: into the fewest instructions, while the steps beside
 * them give the processor something to do meanwhile. With the state in locals the compiler mixes
 * the two groups, runs out of registers, and moves words about for a third of the time; with four
 * steps at once between loads and stores, it still does for a seventh.
 *
 * Within a step `v + m + b` is written in this order on purpose; see compress.ts.
 */
import { COUNTERS_AT, FLAGS_AT, LENGTHS_AT } from './bucket'
import { add, gather, loadFour, loadLast, loadWhole, storeHashes, turn } from './lanes'
import { xor12, xor16, xor7, xor8 } from './lanes'

/** Bytes from one word to the next: eight lanes of 32 bits. Lanes 4 to 7 begin at byte 16. */
const ROW: usize = 32

/** 16 words of state and 16 words of message, eight lanes each. */
const STATE: usize = memory.data(512, 64)
const MESSAGE: usize = memory.data(512, 64)

/**
 * Hashes the eight messages of `jobs` (see jobs.ts), each of `blocks` blocks. The first block gets
 * the flags `first`, those between `mode`, and the last one the flags of its job.
 */
export function compress8(jobs: usize, blocks: u32, key: usize, mode: u32, first: u32): void {
  spread(key)
  let flags = first
  let at: usize = 0
  for (; --blocks > 0; at += 64) {
    loadWhole(jobs, at, MESSAGE, ROW)
    loadWhole(jobs + 16, at, MESSAGE + 16, ROW)
    prepare(jobs, 0, i32x4.splat(64), i32x4.splat(flags))
    prepare(jobs, 16, i32x4.splat(64), i32x4.splat(flags))
    compress()
    feedForward()
    flags = mode
  }
  loadLast(jobs, at, MESSAGE, ROW)
  loadLast(jobs + 16, at, MESSAGE + 16, ROW)
  prepare(jobs, 0, gather(jobs + LENGTHS_AT), gather(jobs + FLAGS_AT))
  prepare(jobs, 16, gather(jobs + LENGTHS_AT + 16), gather(jobs + FLAGS_AT + 16))
  compress()
  finish(jobs, 0)
  finish(jobs, 16)
}

/** Hashes eight blocks of 64 bytes that follow each other, to hashes that do. */
export function blocks8(input: usize, key: usize, flags: u32, out: usize): void {
  spread(key)
  loadFour(input, input + 64, input + 128, input + 192, MESSAGE, ROW)
  loadFour(input + 256, input + 320, input + 384, input + 448, MESSAGE + 16, ROW)
  fill(0, i32x4.splat(0), i32x4.splat(64), i32x4.splat(flags))
  fill(16, i32x4.splat(0), i32x4.splat(64), i32x4.splat(flags))
  compress()
  storeFour(0, out)
  storeFour(16, out + 128)
}

/** The key as the value of every lane. */
// @ts-ignore: decorator
@inline
function spread(key: usize): void {
  for (let i: usize = 0; i < 8; i++) {
    const word = v128.load32_splat(key + (i << 2))
    v128.store(STATE + ROW * i, word)
    v128.store(STATE + ROW * i, word, 16)
  }
}

// @ts-ignore: decorator
@inline
function prepare(jobs: usize, group: usize, length: v128, flags: v128): void {
  fill(group, gather(jobs + COUNTERS_AT + group), length, flags)
}

/** The lower half of the state; the upper half is the chaining value. */
// @ts-ignore: decorator
@inline
function fill(group: usize, counter: v128, length: v128, flags: v128): void {
  keep(8, group, i32x4.splat(0x6a09e667))
  keep(9, group, i32x4.splat(0xbb67ae85))
  keep(10, group, i32x4.splat(0x3c6ef372))
  keep(11, group, i32x4.splat(0xa54ff53a))
  keep(12, group, counter)
  keep(13, group, i32x4.splat(0))
  keep(14, group, length)
  keep(15, group, flags)
}

function compress(): void {
  round(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
  round(2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
  round(3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1)
  round(10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6)
  round(12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4)
  round(9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7)
  round(11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13)
}

// @ts-ignore: decorator
// prettier-ignore
@inline
function round(
  m0: usize, m1: usize, m2: usize, m3: usize, m4: usize, m5: usize, m6: usize, m7: usize,
  m8: usize, m9: usize, m10: usize, m11: usize, m12: usize, m13: usize, m14: usize, m15: usize
): void {
  pair(0, 0, 1, 4, 5, 8, 9, 12, 13, m0, m1, m2, m3)
  pair(0, 2, 3, 6, 7, 10, 11, 14, 15, m4, m5, m6, m7)
  pair(16, 0, 1, 4, 5, 8, 9, 12, 13, m0, m1, m2, m3)
  pair(16, 2, 3, 6, 7, 10, 11, 14, 15, m4, m5, m6, m7)
  pair(0, 0, 1, 5, 6, 10, 11, 15, 12, m8, m9, m10, m11)
  pair(0, 2, 3, 7, 4, 8, 9, 13, 14, m12, m13, m14, m15)
  pair(16, 0, 1, 5, 6, 10, 11, 15, 12, m8, m9, m10, m11)
  pair(16, 2, 3, 7, 4, 8, 9, 13, 14, m12, m13, m14, m15)
}

/**
 * Two steps that do not depend on each other, of the four messages at byte `group` of each row:
 * the words a0, b0, c0, d0 and a1, b1, c1, d1.
 */
// @ts-ignore: decorator
// prettier-ignore
@inline
function pair(
  group: usize,
  a0: usize, a1: usize, b0: usize, b1: usize, c0: usize, c1: usize, d0: usize, d1: usize,
  m0: usize, m1: usize, m2: usize, m3: usize
): void {
  let u0 = word(a0, group), u1 = word(a1, group), v0 = word(b0, group), v1 = word(b1, group)
  let w0 = word(c0, group), w1 = word(c1, group), x0 = word(d0, group), x1 = word(d1, group)
  u0 = sum3(u0, m0, group, v0); u1 = sum3(u1, m2, group, v1)
  x0 = xor16(x0, u0); x1 = xor16(x1, u1)
  w0 = add(w0, x0); w1 = add(w1, x1)
  v0 = xor12(v0, w0); v1 = xor12(v1, w1)
  u0 = sum3(u0, m1, group, v0); u1 = sum3(u1, m3, group, v1)
  x0 = xor8(x0, u0); x1 = xor8(x1, u1)
  w0 = add(w0, x0); w1 = add(w1, x1)
  v0 = xor7(v0, w0); v1 = xor7(v1, w1)
  keep(a0, group, u0); keep(a1, group, u1); keep(b0, group, v0); keep(b1, group, v1)
  keep(c0, group, w0); keep(c1, group, w1); keep(d0, group, x0); keep(d1, group, x1)
}

// @ts-ignore: decorator
@inline
function word(index: usize, group: usize): v128 {
  return v128.load(STATE + ROW * index + group)
}

// @ts-ignore: decorator
@inline
function keep(index: usize, group: usize, value: v128): void {
  v128.store(STATE + ROW * index + group, value)
}

/** v + message word + b. */
// @ts-ignore: decorator
@inline
function sum3(v: v128, m: usize, group: usize, b: v128): v128 {
  return add(add(v, v128.load(MESSAGE + ROW * m + group)), b)
}

/** The next chaining value. */
function feedForward(): void {
  for (let i: usize = 0; i < 8 * ROW; i += 16) {
    v128.store(STATE + i, v128.xor(v128.load(STATE + i), v128.load(STATE + i + 8 * ROW)))
  }
}

// @ts-ignore: decorator
@inline
function hashed(index: usize, group: usize): v128 {
  return v128.xor(word(index, group), word(index + 8, group))
}

// prettier-ignore
function finish(jobs: usize, group: usize): void {
  const to = jobs + group
  storeHashes(to, 0, hashed(0, group), hashed(1, group), hashed(2, group), hashed(3, group))
  storeHashes(to, 16, hashed(4, group), hashed(5, group), hashed(6, group), hashed(7, group))
}

// prettier-ignore
function storeFour(group: usize, out: usize): void {
  turn(
    hashed(0, group), hashed(1, group), hashed(2, group), hashed(3, group),
    out, out + 32, out + 64, out + 96
  )
  turn(
    hashed(4, group), hashed(5, group), hashed(6, group), hashed(7, group),
    out + 16, out + 48, out + 80, out + 112
  )
}
