/**
 * The compression function of BLAKE3 over four messages at once: a vector for each word, all of
 * them in locals, seven rounds unrolled. For what is left over when eight are not to be had, and
 * for all there is where a vector instruction takes a single cycle: four messages then keep the
 * processor as busy as eight, and need fewer loads and stores.
 *
 * Locals are more than there are registers, and V8 chooses well what to put off: with the state or
 * the messages in memory, or fewer steps side by side, it took 14 to 30 % longer on Zen 4.
 *
 * Within a step `v + m + b` is written in this order on purpose; see compress.ts.
 */
import { COUNTERS_AT, FLAGS_AT, LENGTHS_AT } from './bucket'
import { add, gather, loadFour, loadLast, loadWhole, storeHashes, turn } from './lanes'
import { xor12, xor16, xor7, xor8 } from './lanes'

/** 8 words of chaining value and 16 words of message, four lanes each. */
const VALUE: usize = memory.data(128, 64)
const MESSAGE: usize = memory.data(256, 64)

/** As `compress8`, for the first four messages of `jobs`. */
export function compress4(jobs: usize, blocks: u32, key: usize, mode: u32, first: u32): void {
  spread(key)
  const counters = gather(jobs + COUNTERS_AT)
  let flags = first
  let at: usize = 0
  for (; --blocks > 0; at += 64) {
    loadWhole(jobs, at, MESSAGE, 16)
    compress(counters, i32x4.splat(64), i32x4.splat(flags))
    flags = mode
  }
  loadLast(jobs, at, MESSAGE, 16)
  compress(counters, gather(jobs + LENGTHS_AT), gather(jobs + FLAGS_AT))
  storeHashes(jobs, 0, value(0), value(1), value(2), value(3))
  storeHashes(jobs, 16, value(4), value(5), value(6), value(7))
}

/** As `blocks8`, for four blocks. */
export function blocks4(input: usize, key: usize, flags: u32, out: usize): void {
  spread(key)
  loadFour(input, input + 64, input + 128, input + 192, MESSAGE, 16)
  compress(i32x4.splat(0), i32x4.splat(64), i32x4.splat(flags))
  turn(value(0), value(1), value(2), value(3), out, out + 32, out + 64, out + 96)
  turn(value(4), value(5), value(6), value(7), out + 16, out + 48, out + 80, out + 112)
}

/** The key as the value of every lane. */
// @ts-ignore: decorator
@inline
function spread(key: usize): void {
  for (let i: usize = 0; i < 8; i++) {
    v128.store(VALUE + (i << 4), v128.load32_splat(key + (i << 2)))
  }
}

// @ts-ignore: decorator
@inline
function value(index: usize): v128 {
  return v128.load(VALUE + (index << 4))
}

/** v + m + b. */
// @ts-ignore: decorator
@inline
function sum3(v: v128, m: v128, b: v128): v128 {
  return add(add(v, m), b)
}

/** One block: MESSAGE into VALUE. */
// prettier-ignore
function compress(counters: v128, lengths: v128, flags: v128): void {
  const m0 = v128.load(MESSAGE, 0)
  const m1 = v128.load(MESSAGE, 16)
  const m2 = v128.load(MESSAGE, 32)
  const m3 = v128.load(MESSAGE, 48)
  const m4 = v128.load(MESSAGE, 64)
  const m5 = v128.load(MESSAGE, 80)
  const m6 = v128.load(MESSAGE, 96)
  const m7 = v128.load(MESSAGE, 112)
  const m8 = v128.load(MESSAGE, 128)
  const m9 = v128.load(MESSAGE, 144)
  const m10 = v128.load(MESSAGE, 160)
  const m11 = v128.load(MESSAGE, 176)
  const m12 = v128.load(MESSAGE, 192)
  const m13 = v128.load(MESSAGE, 208)
  const m14 = v128.load(MESSAGE, 224)
  const m15 = v128.load(MESSAGE, 240)
  let v0 = v128.load(VALUE, 0)
  let v1 = v128.load(VALUE, 16)
  let v2 = v128.load(VALUE, 32)
  let v3 = v128.load(VALUE, 48)
  let v4 = v128.load(VALUE, 64)
  let v5 = v128.load(VALUE, 80)
  let v6 = v128.load(VALUE, 96)
  let v7 = v128.load(VALUE, 112)
  let v8 = i32x4.splat(0x6a09e667)
  let v9 = i32x4.splat(0xbb67ae85)
  let v10 = i32x4.splat(0x3c6ef372)
  let v11 = i32x4.splat(0xa54ff53a)
  let v12 = counters
  let v13 = i32x4.splat(0)
  let v14 = lengths
  let v15 = flags
  // round 1
  v0 = sum3(v0, m0, v4); v1 = sum3(v1, m2, v5); v2 = sum3(v2, m4, v6); v3 = sum3(v3, m6, v7)
  v12 = xor16(v12, v0); v13 = xor16(v13, v1); v14 = xor16(v14, v2); v15 = xor16(v15, v3)
  v8 = add(v8, v12); v9 = add(v9, v13); v10 = add(v10, v14); v11 = add(v11, v15)
  v4 = xor12(v4, v8); v5 = xor12(v5, v9); v6 = xor12(v6, v10); v7 = xor12(v7, v11)
  v0 = sum3(v0, m1, v4); v1 = sum3(v1, m3, v5); v2 = sum3(v2, m5, v6); v3 = sum3(v3, m7, v7)
  v12 = xor8(v12, v0); v13 = xor8(v13, v1); v14 = xor8(v14, v2); v15 = xor8(v15, v3)
  v8 = add(v8, v12); v9 = add(v9, v13); v10 = add(v10, v14); v11 = add(v11, v15)
  v4 = xor7(v4, v8); v5 = xor7(v5, v9); v6 = xor7(v6, v10); v7 = xor7(v7, v11)
  v0 = sum3(v0, m8, v5); v1 = sum3(v1, m10, v6); v2 = sum3(v2, m12, v7); v3 = sum3(v3, m14, v4)
  v15 = xor16(v15, v0); v12 = xor16(v12, v1); v13 = xor16(v13, v2); v14 = xor16(v14, v3)
  v10 = add(v10, v15); v11 = add(v11, v12); v8 = add(v8, v13); v9 = add(v9, v14)
  v5 = xor12(v5, v10); v6 = xor12(v6, v11); v7 = xor12(v7, v8); v4 = xor12(v4, v9)
  v0 = sum3(v0, m9, v5); v1 = sum3(v1, m11, v6); v2 = sum3(v2, m13, v7); v3 = sum3(v3, m15, v4)
  v15 = xor8(v15, v0); v12 = xor8(v12, v1); v13 = xor8(v13, v2); v14 = xor8(v14, v3)
  v10 = add(v10, v15); v11 = add(v11, v12); v8 = add(v8, v13); v9 = add(v9, v14)
  v5 = xor7(v5, v10); v6 = xor7(v6, v11); v7 = xor7(v7, v8); v4 = xor7(v4, v9)
  // round 2
  v0 = sum3(v0, m2, v4); v1 = sum3(v1, m3, v5); v2 = sum3(v2, m7, v6); v3 = sum3(v3, m4, v7)
  v12 = xor16(v12, v0); v13 = xor16(v13, v1); v14 = xor16(v14, v2); v15 = xor16(v15, v3)
  v8 = add(v8, v12); v9 = add(v9, v13); v10 = add(v10, v14); v11 = add(v11, v15)
  v4 = xor12(v4, v8); v5 = xor12(v5, v9); v6 = xor12(v6, v10); v7 = xor12(v7, v11)
  v0 = sum3(v0, m6, v4); v1 = sum3(v1, m10, v5); v2 = sum3(v2, m0, v6); v3 = sum3(v3, m13, v7)
  v12 = xor8(v12, v0); v13 = xor8(v13, v1); v14 = xor8(v14, v2); v15 = xor8(v15, v3)
  v8 = add(v8, v12); v9 = add(v9, v13); v10 = add(v10, v14); v11 = add(v11, v15)
  v4 = xor7(v4, v8); v5 = xor7(v5, v9); v6 = xor7(v6, v10); v7 = xor7(v7, v11)
  v0 = sum3(v0, m1, v5); v1 = sum3(v1, m12, v6); v2 = sum3(v2, m9, v7); v3 = sum3(v3, m15, v4)
  v15 = xor16(v15, v0); v12 = xor16(v12, v1); v13 = xor16(v13, v2); v14 = xor16(v14, v3)
  v10 = add(v10, v15); v11 = add(v11, v12); v8 = add(v8, v13); v9 = add(v9, v14)
  v5 = xor12(v5, v10); v6 = xor12(v6, v11); v7 = xor12(v7, v8); v4 = xor12(v4, v9)
  v0 = sum3(v0, m11, v5); v1 = sum3(v1, m5, v6); v2 = sum3(v2, m14, v7); v3 = sum3(v3, m8, v4)
  v15 = xor8(v15, v0); v12 = xor8(v12, v1); v13 = xor8(v13, v2); v14 = xor8(v14, v3)
  v10 = add(v10, v15); v11 = add(v11, v12); v8 = add(v8, v13); v9 = add(v9, v14)
  v5 = xor7(v5, v10); v6 = xor7(v6, v11); v7 = xor7(v7, v8); v4 = xor7(v4, v9)
  // round 3
  v0 = sum3(v0, m3, v4); v1 = sum3(v1, m10, v5); v2 = sum3(v2, m13, v6); v3 = sum3(v3, m7, v7)
  v12 = xor16(v12, v0); v13 = xor16(v13, v1); v14 = xor16(v14, v2); v15 = xor16(v15, v3)
  v8 = add(v8, v12); v9 = add(v9, v13); v10 = add(v10, v14); v11 = add(v11, v15)
  v4 = xor12(v4, v8); v5 = xor12(v5, v9); v6 = xor12(v6, v10); v7 = xor12(v7, v11)
  v0 = sum3(v0, m4, v4); v1 = sum3(v1, m12, v5); v2 = sum3(v2, m2, v6); v3 = sum3(v3, m14, v7)
  v12 = xor8(v12, v0); v13 = xor8(v13, v1); v14 = xor8(v14, v2); v15 = xor8(v15, v3)
  v8 = add(v8, v12); v9 = add(v9, v13); v10 = add(v10, v14); v11 = add(v11, v15)
  v4 = xor7(v4, v8); v5 = xor7(v5, v9); v6 = xor7(v6, v10); v7 = xor7(v7, v11)
  v0 = sum3(v0, m6, v5); v1 = sum3(v1, m9, v6); v2 = sum3(v2, m11, v7); v3 = sum3(v3, m8, v4)
  v15 = xor16(v15, v0); v12 = xor16(v12, v1); v13 = xor16(v13, v2); v14 = xor16(v14, v3)
  v10 = add(v10, v15); v11 = add(v11, v12); v8 = add(v8, v13); v9 = add(v9, v14)
  v5 = xor12(v5, v10); v6 = xor12(v6, v11); v7 = xor12(v7, v8); v4 = xor12(v4, v9)
  v0 = sum3(v0, m5, v5); v1 = sum3(v1, m0, v6); v2 = sum3(v2, m15, v7); v3 = sum3(v3, m1, v4)
  v15 = xor8(v15, v0); v12 = xor8(v12, v1); v13 = xor8(v13, v2); v14 = xor8(v14, v3)
  v10 = add(v10, v15); v11 = add(v11, v12); v8 = add(v8, v13); v9 = add(v9, v14)
  v5 = xor7(v5, v10); v6 = xor7(v6, v11); v7 = xor7(v7, v8); v4 = xor7(v4, v9)
  // round 4
  v0 = sum3(v0, m10, v4); v1 = sum3(v1, m12, v5); v2 = sum3(v2, m14, v6); v3 = sum3(v3, m13, v7)
  v12 = xor16(v12, v0); v13 = xor16(v13, v1); v14 = xor16(v14, v2); v15 = xor16(v15, v3)
  v8 = add(v8, v12); v9 = add(v9, v13); v10 = add(v10, v14); v11 = add(v11, v15)
  v4 = xor12(v4, v8); v5 = xor12(v5, v9); v6 = xor12(v6, v10); v7 = xor12(v7, v11)
  v0 = sum3(v0, m7, v4); v1 = sum3(v1, m9, v5); v2 = sum3(v2, m3, v6); v3 = sum3(v3, m15, v7)
  v12 = xor8(v12, v0); v13 = xor8(v13, v1); v14 = xor8(v14, v2); v15 = xor8(v15, v3)
  v8 = add(v8, v12); v9 = add(v9, v13); v10 = add(v10, v14); v11 = add(v11, v15)
  v4 = xor7(v4, v8); v5 = xor7(v5, v9); v6 = xor7(v6, v10); v7 = xor7(v7, v11)
  v0 = sum3(v0, m4, v5); v1 = sum3(v1, m11, v6); v2 = sum3(v2, m5, v7); v3 = sum3(v3, m1, v4)
  v15 = xor16(v15, v0); v12 = xor16(v12, v1); v13 = xor16(v13, v2); v14 = xor16(v14, v3)
  v10 = add(v10, v15); v11 = add(v11, v12); v8 = add(v8, v13); v9 = add(v9, v14)
  v5 = xor12(v5, v10); v6 = xor12(v6, v11); v7 = xor12(v7, v8); v4 = xor12(v4, v9)
  v0 = sum3(v0, m0, v5); v1 = sum3(v1, m2, v6); v2 = sum3(v2, m8, v7); v3 = sum3(v3, m6, v4)
  v15 = xor8(v15, v0); v12 = xor8(v12, v1); v13 = xor8(v13, v2); v14 = xor8(v14, v3)
  v10 = add(v10, v15); v11 = add(v11, v12); v8 = add(v8, v13); v9 = add(v9, v14)
  v5 = xor7(v5, v10); v6 = xor7(v6, v11); v7 = xor7(v7, v8); v4 = xor7(v4, v9)
  // round 5
  v0 = sum3(v0, m12, v4); v1 = sum3(v1, m9, v5); v2 = sum3(v2, m15, v6); v3 = sum3(v3, m14, v7)
  v12 = xor16(v12, v0); v13 = xor16(v13, v1); v14 = xor16(v14, v2); v15 = xor16(v15, v3)
  v8 = add(v8, v12); v9 = add(v9, v13); v10 = add(v10, v14); v11 = add(v11, v15)
  v4 = xor12(v4, v8); v5 = xor12(v5, v9); v6 = xor12(v6, v10); v7 = xor12(v7, v11)
  v0 = sum3(v0, m13, v4); v1 = sum3(v1, m11, v5); v2 = sum3(v2, m10, v6); v3 = sum3(v3, m8, v7)
  v12 = xor8(v12, v0); v13 = xor8(v13, v1); v14 = xor8(v14, v2); v15 = xor8(v15, v3)
  v8 = add(v8, v12); v9 = add(v9, v13); v10 = add(v10, v14); v11 = add(v11, v15)
  v4 = xor7(v4, v8); v5 = xor7(v5, v9); v6 = xor7(v6, v10); v7 = xor7(v7, v11)
  v0 = sum3(v0, m7, v5); v1 = sum3(v1, m5, v6); v2 = sum3(v2, m0, v7); v3 = sum3(v3, m6, v4)
  v15 = xor16(v15, v0); v12 = xor16(v12, v1); v13 = xor16(v13, v2); v14 = xor16(v14, v3)
  v10 = add(v10, v15); v11 = add(v11, v12); v8 = add(v8, v13); v9 = add(v9, v14)
  v5 = xor12(v5, v10); v6 = xor12(v6, v11); v7 = xor12(v7, v8); v4 = xor12(v4, v9)
  v0 = sum3(v0, m2, v5); v1 = sum3(v1, m3, v6); v2 = sum3(v2, m1, v7); v3 = sum3(v3, m4, v4)
  v15 = xor8(v15, v0); v12 = xor8(v12, v1); v13 = xor8(v13, v2); v14 = xor8(v14, v3)
  v10 = add(v10, v15); v11 = add(v11, v12); v8 = add(v8, v13); v9 = add(v9, v14)
  v5 = xor7(v5, v10); v6 = xor7(v6, v11); v7 = xor7(v7, v8); v4 = xor7(v4, v9)
  // round 6
  v0 = sum3(v0, m9, v4); v1 = sum3(v1, m11, v5); v2 = sum3(v2, m8, v6); v3 = sum3(v3, m15, v7)
  v12 = xor16(v12, v0); v13 = xor16(v13, v1); v14 = xor16(v14, v2); v15 = xor16(v15, v3)
  v8 = add(v8, v12); v9 = add(v9, v13); v10 = add(v10, v14); v11 = add(v11, v15)
  v4 = xor12(v4, v8); v5 = xor12(v5, v9); v6 = xor12(v6, v10); v7 = xor12(v7, v11)
  v0 = sum3(v0, m14, v4); v1 = sum3(v1, m5, v5); v2 = sum3(v2, m12, v6); v3 = sum3(v3, m1, v7)
  v12 = xor8(v12, v0); v13 = xor8(v13, v1); v14 = xor8(v14, v2); v15 = xor8(v15, v3)
  v8 = add(v8, v12); v9 = add(v9, v13); v10 = add(v10, v14); v11 = add(v11, v15)
  v4 = xor7(v4, v8); v5 = xor7(v5, v9); v6 = xor7(v6, v10); v7 = xor7(v7, v11)
  v0 = sum3(v0, m13, v5); v1 = sum3(v1, m0, v6); v2 = sum3(v2, m2, v7); v3 = sum3(v3, m4, v4)
  v15 = xor16(v15, v0); v12 = xor16(v12, v1); v13 = xor16(v13, v2); v14 = xor16(v14, v3)
  v10 = add(v10, v15); v11 = add(v11, v12); v8 = add(v8, v13); v9 = add(v9, v14)
  v5 = xor12(v5, v10); v6 = xor12(v6, v11); v7 = xor12(v7, v8); v4 = xor12(v4, v9)
  v0 = sum3(v0, m3, v5); v1 = sum3(v1, m10, v6); v2 = sum3(v2, m6, v7); v3 = sum3(v3, m7, v4)
  v15 = xor8(v15, v0); v12 = xor8(v12, v1); v13 = xor8(v13, v2); v14 = xor8(v14, v3)
  v10 = add(v10, v15); v11 = add(v11, v12); v8 = add(v8, v13); v9 = add(v9, v14)
  v5 = xor7(v5, v10); v6 = xor7(v6, v11); v7 = xor7(v7, v8); v4 = xor7(v4, v9)
  // round 7
  v0 = sum3(v0, m11, v4); v1 = sum3(v1, m5, v5); v2 = sum3(v2, m1, v6); v3 = sum3(v3, m8, v7)
  v12 = xor16(v12, v0); v13 = xor16(v13, v1); v14 = xor16(v14, v2); v15 = xor16(v15, v3)
  v8 = add(v8, v12); v9 = add(v9, v13); v10 = add(v10, v14); v11 = add(v11, v15)
  v4 = xor12(v4, v8); v5 = xor12(v5, v9); v6 = xor12(v6, v10); v7 = xor12(v7, v11)
  v0 = sum3(v0, m15, v4); v1 = sum3(v1, m0, v5); v2 = sum3(v2, m9, v6); v3 = sum3(v3, m6, v7)
  v12 = xor8(v12, v0); v13 = xor8(v13, v1); v14 = xor8(v14, v2); v15 = xor8(v15, v3)
  v8 = add(v8, v12); v9 = add(v9, v13); v10 = add(v10, v14); v11 = add(v11, v15)
  v4 = xor7(v4, v8); v5 = xor7(v5, v9); v6 = xor7(v6, v10); v7 = xor7(v7, v11)
  v0 = sum3(v0, m14, v5); v1 = sum3(v1, m2, v6); v2 = sum3(v2, m3, v7); v3 = sum3(v3, m7, v4)
  v15 = xor16(v15, v0); v12 = xor16(v12, v1); v13 = xor16(v13, v2); v14 = xor16(v14, v3)
  v10 = add(v10, v15); v11 = add(v11, v12); v8 = add(v8, v13); v9 = add(v9, v14)
  v5 = xor12(v5, v10); v6 = xor12(v6, v11); v7 = xor12(v7, v8); v4 = xor12(v4, v9)
  v0 = sum3(v0, m10, v5); v1 = sum3(v1, m12, v6); v2 = sum3(v2, m4, v7); v3 = sum3(v3, m13, v4)
  v15 = xor8(v15, v0); v12 = xor8(v12, v1); v13 = xor8(v13, v2); v14 = xor8(v14, v3)
  v10 = add(v10, v15); v11 = add(v11, v12); v8 = add(v8, v13); v9 = add(v9, v14)
  v5 = xor7(v5, v10); v6 = xor7(v6, v11); v7 = xor7(v7, v8); v4 = xor7(v4, v9)
  v128.store(VALUE, v128.xor(v0, v8), 0)
  v128.store(VALUE, v128.xor(v1, v9), 16)
  v128.store(VALUE, v128.xor(v2, v10), 32)
  v128.store(VALUE, v128.xor(v3, v11), 48)
  v128.store(VALUE, v128.xor(v4, v12), 64)
  v128.store(VALUE, v128.xor(v5, v13), 80)
  v128.store(VALUE, v128.xor(v6, v14), 96)
  v128.store(VALUE, v128.xor(v7, v15), 112)
}
