/**
 * The compression function of BLAKE3 over eight messages at once, two vectors of four to a word.
 *
 * The state lives in memory, not in locals. Loads and stores keep their order, so each half round
 * of four messages is compiled as it is written: into the fewest instructions, while the other four
 * messages give the processor something to do meanwhile. With the state in locals the compiler
 * mixes the two groups, runs out of registers, and moves words about for a third of the time.
 *
 * Within a step `v + m + b` is written in this order on purpose; see compress.ts.
 */
import { COUNTERS_AT, FLAGS_AT, LENGTHS_AT } from './bucket'
import { add, gather, loadLast, loadWhole, storeHashes, xor12, xor16, xor7, xor8 } from './lanes'

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
  for (let i: usize = 0; i < 8; i++) {
    const word = v128.load32_splat(key + (i << 2))
    v128.store(STATE + ROW * i, word)
    v128.store(STATE + ROW * i, word, 16)
  }
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

/** The lower half of the state; the upper half is the chaining value. */
// @ts-ignore: decorator
@inline
function prepare(jobs: usize, group: usize, length: v128, flags: v128): void {
  v128.store(STATE + 8 * ROW + group, i32x4.splat(0x6a09e667))
  v128.store(STATE + 9 * ROW + group, i32x4.splat(0xbb67ae85))
  v128.store(STATE + 10 * ROW + group, i32x4.splat(0x3c6ef372))
  v128.store(STATE + 11 * ROW + group, i32x4.splat(0xa54ff53a))
  v128.store(STATE + 12 * ROW + group, gather(jobs + COUNTERS_AT + group))
  v128.store(STATE + 13 * ROW + group, i32x4.splat(0))
  v128.store(STATE + 14 * ROW + group, length)
  v128.store(STATE + 15 * ROW + group, flags)
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
  half(0, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, m0, m1, m2, m3, m4, m5, m6, m7)
  half(16, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, m0, m1, m2, m3, m4, m5, m6, m7)
  half(0, 5, 6, 7, 4, 10, 11, 8, 9, 15, 12, 13, 14, m8, m9, m10, m11, m12, m13, m14, m15)
  half(16, 5, 6, 7, 4, 10, 11, 8, 9, 15, 12, 13, 14, m8, m9, m10, m11, m12, m13, m14, m15)
}

/**
 * Half a round of the four messages at byte `group` of each row: four steps that do not depend on
 * each other, of the words 0 to 3 with b, c and d.
 */
// @ts-ignore: decorator
// prettier-ignore
@inline
function half(
  group: usize,
  b0: usize, b1: usize, b2: usize, b3: usize, c0: usize, c1: usize, c2: usize, c3: usize,
  d0: usize, d1: usize, d2: usize, d3: usize, m0: usize, m1: usize, m2: usize, m3: usize,
  m4: usize, m5: usize, m6: usize, m7: usize
): void {
  let v0 = word(0, group), v1 = word(1, group), v2 = word(2, group), v3 = word(3, group)
  let v4 = word(b0, group), v5 = word(b1, group), v6 = word(b2, group), v7 = word(b3, group)
  let v8 = word(c0, group), v9 = word(c1, group), v10 = word(c2, group), v11 = word(c3, group)
  let v12 = word(d0, group), v13 = word(d1, group), v14 = word(d2, group), v15 = word(d3, group)
  v0 = sum3(v0, m0, group, v4)
  v1 = sum3(v1, m2, group, v5)
  v2 = sum3(v2, m4, group, v6)
  v3 = sum3(v3, m6, group, v7)
  v12 = xor16(v12, v0)
  v13 = xor16(v13, v1)
  v14 = xor16(v14, v2)
  v15 = xor16(v15, v3)
  v8 = add(v8, v12)
  v9 = add(v9, v13)
  v10 = add(v10, v14)
  v11 = add(v11, v15)
  v4 = xor12(v4, v8)
  v5 = xor12(v5, v9)
  v6 = xor12(v6, v10)
  v7 = xor12(v7, v11)
  v0 = sum3(v0, m1, group, v4)
  v1 = sum3(v1, m3, group, v5)
  v2 = sum3(v2, m5, group, v6)
  v3 = sum3(v3, m7, group, v7)
  v12 = xor8(v12, v0)
  v13 = xor8(v13, v1)
  v14 = xor8(v14, v2)
  v15 = xor8(v15, v3)
  v8 = add(v8, v12)
  v9 = add(v9, v13)
  v10 = add(v10, v14)
  v11 = add(v11, v15)
  v4 = xor7(v4, v8)
  v5 = xor7(v5, v9)
  v6 = xor7(v6, v10)
  v7 = xor7(v7, v11)
  keep(0, group, v0); keep(1, group, v1); keep(2, group, v2); keep(3, group, v3)
  keep(b0, group, v4); keep(b1, group, v5); keep(b2, group, v6); keep(b3, group, v7)
  keep(c0, group, v8); keep(c1, group, v9); keep(c2, group, v10); keep(c3, group, v11)
  keep(d0, group, v12); keep(d1, group, v13); keep(d2, group, v14); keep(d3, group, v15)
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
