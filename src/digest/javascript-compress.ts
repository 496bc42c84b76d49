/**
 * The compression function of BLAKE3 in plain TypeScript, the twin of assembly/compress.ts: words
 * in, words out, nothing allocated. Unrolled, because the comparison with WebAssembly would
 * otherwise flatter the latter.
 *
 * It works in two arrays that never change places and that this file keeps to itself: V8 then reads
 * and writes them without asking what, where and how long they are, which makes it a sixth faster
 * than arrays that are passed in, or imported.
 */

/** The chaining value: what goes in, and what came out. */
const value = new Int32Array(new ArrayBuffer(32))

/** The 16 words of the block. */
const block = new Int32Array(new ArrayBuffer(64))

/**
 * Hashes `block`, of which the words after `length` bytes are zero, into `value`. The upper half of
 * the counter is always 0: no array is so long.
 */
// prettier-ignore
export function compress(length: number, counter: number, flags: number): void {
  const m0 = block[0] as number
  const m1 = block[1] as number
  const m2 = block[2] as number
  const m3 = block[3] as number
  const m4 = block[4] as number
  const m5 = block[5] as number
  const m6 = block[6] as number
  const m7 = block[7] as number
  const m8 = block[8] as number
  const m9 = block[9] as number
  const m10 = block[10] as number
  const m11 = block[11] as number
  const m12 = block[12] as number
  const m13 = block[13] as number
  const m14 = block[14] as number
  const m15 = block[15] as number
  let v0 = value[0] as number
  let v1 = value[1] as number
  let v2 = value[2] as number
  let v3 = value[3] as number
  let v4 = value[4] as number
  let v5 = value[5] as number
  let v6 = value[6] as number
  let v7 = value[7] as number
  let v8 = 0x6a09e667 | 0
  let v9 = 0xbb67ae85 | 0
  let v10 = 0x3c6ef372 | 0
  let v11 = 0xa54ff53a | 0
  let v12 = counter | 0
  let v13 = 0
  let v14 = length
  let v15 = flags
  // round 1
  v0 = (v0 + m0 + v4) | 0; v12 ^= v0; v12 = (v12 >>> 16) | (v12 << 16)
  v8 = (v8 + v12) | 0; v4 ^= v8; v4 = (v4 >>> 12) | (v4 << 20)
  v0 = (v0 + m1 + v4) | 0; v12 ^= v0; v12 = (v12 >>> 8) | (v12 << 24)
  v8 = (v8 + v12) | 0; v4 ^= v8; v4 = (v4 >>> 7) | (v4 << 25)
  v1 = (v1 + m2 + v5) | 0; v13 ^= v1; v13 = (v13 >>> 16) | (v13 << 16)
  v9 = (v9 + v13) | 0; v5 ^= v9; v5 = (v5 >>> 12) | (v5 << 20)
  v1 = (v1 + m3 + v5) | 0; v13 ^= v1; v13 = (v13 >>> 8) | (v13 << 24)
  v9 = (v9 + v13) | 0; v5 ^= v9; v5 = (v5 >>> 7) | (v5 << 25)
  v2 = (v2 + m4 + v6) | 0; v14 ^= v2; v14 = (v14 >>> 16) | (v14 << 16)
  v10 = (v10 + v14) | 0; v6 ^= v10; v6 = (v6 >>> 12) | (v6 << 20)
  v2 = (v2 + m5 + v6) | 0; v14 ^= v2; v14 = (v14 >>> 8) | (v14 << 24)
  v10 = (v10 + v14) | 0; v6 ^= v10; v6 = (v6 >>> 7) | (v6 << 25)
  v3 = (v3 + m6 + v7) | 0; v15 ^= v3; v15 = (v15 >>> 16) | (v15 << 16)
  v11 = (v11 + v15) | 0; v7 ^= v11; v7 = (v7 >>> 12) | (v7 << 20)
  v3 = (v3 + m7 + v7) | 0; v15 ^= v3; v15 = (v15 >>> 8) | (v15 << 24)
  v11 = (v11 + v15) | 0; v7 ^= v11; v7 = (v7 >>> 7) | (v7 << 25)
  v0 = (v0 + m8 + v5) | 0; v15 ^= v0; v15 = (v15 >>> 16) | (v15 << 16)
  v10 = (v10 + v15) | 0; v5 ^= v10; v5 = (v5 >>> 12) | (v5 << 20)
  v0 = (v0 + m9 + v5) | 0; v15 ^= v0; v15 = (v15 >>> 8) | (v15 << 24)
  v10 = (v10 + v15) | 0; v5 ^= v10; v5 = (v5 >>> 7) | (v5 << 25)
  v1 = (v1 + m10 + v6) | 0; v12 ^= v1; v12 = (v12 >>> 16) | (v12 << 16)
  v11 = (v11 + v12) | 0; v6 ^= v11; v6 = (v6 >>> 12) | (v6 << 20)
  v1 = (v1 + m11 + v6) | 0; v12 ^= v1; v12 = (v12 >>> 8) | (v12 << 24)
  v11 = (v11 + v12) | 0; v6 ^= v11; v6 = (v6 >>> 7) | (v6 << 25)
  v2 = (v2 + m12 + v7) | 0; v13 ^= v2; v13 = (v13 >>> 16) | (v13 << 16)
  v8 = (v8 + v13) | 0; v7 ^= v8; v7 = (v7 >>> 12) | (v7 << 20)
  v2 = (v2 + m13 + v7) | 0; v13 ^= v2; v13 = (v13 >>> 8) | (v13 << 24)
  v8 = (v8 + v13) | 0; v7 ^= v8; v7 = (v7 >>> 7) | (v7 << 25)
  v3 = (v3 + m14 + v4) | 0; v14 ^= v3; v14 = (v14 >>> 16) | (v14 << 16)
  v9 = (v9 + v14) | 0; v4 ^= v9; v4 = (v4 >>> 12) | (v4 << 20)
  v3 = (v3 + m15 + v4) | 0; v14 ^= v3; v14 = (v14 >>> 8) | (v14 << 24)
  v9 = (v9 + v14) | 0; v4 ^= v9; v4 = (v4 >>> 7) | (v4 << 25)
  // round 2
  v0 = (v0 + m2 + v4) | 0; v12 ^= v0; v12 = (v12 >>> 16) | (v12 << 16)
  v8 = (v8 + v12) | 0; v4 ^= v8; v4 = (v4 >>> 12) | (v4 << 20)
  v0 = (v0 + m6 + v4) | 0; v12 ^= v0; v12 = (v12 >>> 8) | (v12 << 24)
  v8 = (v8 + v12) | 0; v4 ^= v8; v4 = (v4 >>> 7) | (v4 << 25)
  v1 = (v1 + m3 + v5) | 0; v13 ^= v1; v13 = (v13 >>> 16) | (v13 << 16)
  v9 = (v9 + v13) | 0; v5 ^= v9; v5 = (v5 >>> 12) | (v5 << 20)
  v1 = (v1 + m10 + v5) | 0; v13 ^= v1; v13 = (v13 >>> 8) | (v13 << 24)
  v9 = (v9 + v13) | 0; v5 ^= v9; v5 = (v5 >>> 7) | (v5 << 25)
  v2 = (v2 + m7 + v6) | 0; v14 ^= v2; v14 = (v14 >>> 16) | (v14 << 16)
  v10 = (v10 + v14) | 0; v6 ^= v10; v6 = (v6 >>> 12) | (v6 << 20)
  v2 = (v2 + m0 + v6) | 0; v14 ^= v2; v14 = (v14 >>> 8) | (v14 << 24)
  v10 = (v10 + v14) | 0; v6 ^= v10; v6 = (v6 >>> 7) | (v6 << 25)
  v3 = (v3 + m4 + v7) | 0; v15 ^= v3; v15 = (v15 >>> 16) | (v15 << 16)
  v11 = (v11 + v15) | 0; v7 ^= v11; v7 = (v7 >>> 12) | (v7 << 20)
  v3 = (v3 + m13 + v7) | 0; v15 ^= v3; v15 = (v15 >>> 8) | (v15 << 24)
  v11 = (v11 + v15) | 0; v7 ^= v11; v7 = (v7 >>> 7) | (v7 << 25)
  v0 = (v0 + m1 + v5) | 0; v15 ^= v0; v15 = (v15 >>> 16) | (v15 << 16)
  v10 = (v10 + v15) | 0; v5 ^= v10; v5 = (v5 >>> 12) | (v5 << 20)
  v0 = (v0 + m11 + v5) | 0; v15 ^= v0; v15 = (v15 >>> 8) | (v15 << 24)
  v10 = (v10 + v15) | 0; v5 ^= v10; v5 = (v5 >>> 7) | (v5 << 25)
  v1 = (v1 + m12 + v6) | 0; v12 ^= v1; v12 = (v12 >>> 16) | (v12 << 16)
  v11 = (v11 + v12) | 0; v6 ^= v11; v6 = (v6 >>> 12) | (v6 << 20)
  v1 = (v1 + m5 + v6) | 0; v12 ^= v1; v12 = (v12 >>> 8) | (v12 << 24)
  v11 = (v11 + v12) | 0; v6 ^= v11; v6 = (v6 >>> 7) | (v6 << 25)
  v2 = (v2 + m9 + v7) | 0; v13 ^= v2; v13 = (v13 >>> 16) | (v13 << 16)
  v8 = (v8 + v13) | 0; v7 ^= v8; v7 = (v7 >>> 12) | (v7 << 20)
  v2 = (v2 + m14 + v7) | 0; v13 ^= v2; v13 = (v13 >>> 8) | (v13 << 24)
  v8 = (v8 + v13) | 0; v7 ^= v8; v7 = (v7 >>> 7) | (v7 << 25)
  v3 = (v3 + m15 + v4) | 0; v14 ^= v3; v14 = (v14 >>> 16) | (v14 << 16)
  v9 = (v9 + v14) | 0; v4 ^= v9; v4 = (v4 >>> 12) | (v4 << 20)
  v3 = (v3 + m8 + v4) | 0; v14 ^= v3; v14 = (v14 >>> 8) | (v14 << 24)
  v9 = (v9 + v14) | 0; v4 ^= v9; v4 = (v4 >>> 7) | (v4 << 25)
  // round 3
  v0 = (v0 + m3 + v4) | 0; v12 ^= v0; v12 = (v12 >>> 16) | (v12 << 16)
  v8 = (v8 + v12) | 0; v4 ^= v8; v4 = (v4 >>> 12) | (v4 << 20)
  v0 = (v0 + m4 + v4) | 0; v12 ^= v0; v12 = (v12 >>> 8) | (v12 << 24)
  v8 = (v8 + v12) | 0; v4 ^= v8; v4 = (v4 >>> 7) | (v4 << 25)
  v1 = (v1 + m10 + v5) | 0; v13 ^= v1; v13 = (v13 >>> 16) | (v13 << 16)
  v9 = (v9 + v13) | 0; v5 ^= v9; v5 = (v5 >>> 12) | (v5 << 20)
  v1 = (v1 + m12 + v5) | 0; v13 ^= v1; v13 = (v13 >>> 8) | (v13 << 24)
  v9 = (v9 + v13) | 0; v5 ^= v9; v5 = (v5 >>> 7) | (v5 << 25)
  v2 = (v2 + m13 + v6) | 0; v14 ^= v2; v14 = (v14 >>> 16) | (v14 << 16)
  v10 = (v10 + v14) | 0; v6 ^= v10; v6 = (v6 >>> 12) | (v6 << 20)
  v2 = (v2 + m2 + v6) | 0; v14 ^= v2; v14 = (v14 >>> 8) | (v14 << 24)
  v10 = (v10 + v14) | 0; v6 ^= v10; v6 = (v6 >>> 7) | (v6 << 25)
  v3 = (v3 + m7 + v7) | 0; v15 ^= v3; v15 = (v15 >>> 16) | (v15 << 16)
  v11 = (v11 + v15) | 0; v7 ^= v11; v7 = (v7 >>> 12) | (v7 << 20)
  v3 = (v3 + m14 + v7) | 0; v15 ^= v3; v15 = (v15 >>> 8) | (v15 << 24)
  v11 = (v11 + v15) | 0; v7 ^= v11; v7 = (v7 >>> 7) | (v7 << 25)
  v0 = (v0 + m6 + v5) | 0; v15 ^= v0; v15 = (v15 >>> 16) | (v15 << 16)
  v10 = (v10 + v15) | 0; v5 ^= v10; v5 = (v5 >>> 12) | (v5 << 20)
  v0 = (v0 + m5 + v5) | 0; v15 ^= v0; v15 = (v15 >>> 8) | (v15 << 24)
  v10 = (v10 + v15) | 0; v5 ^= v10; v5 = (v5 >>> 7) | (v5 << 25)
  v1 = (v1 + m9 + v6) | 0; v12 ^= v1; v12 = (v12 >>> 16) | (v12 << 16)
  v11 = (v11 + v12) | 0; v6 ^= v11; v6 = (v6 >>> 12) | (v6 << 20)
  v1 = (v1 + m0 + v6) | 0; v12 ^= v1; v12 = (v12 >>> 8) | (v12 << 24)
  v11 = (v11 + v12) | 0; v6 ^= v11; v6 = (v6 >>> 7) | (v6 << 25)
  v2 = (v2 + m11 + v7) | 0; v13 ^= v2; v13 = (v13 >>> 16) | (v13 << 16)
  v8 = (v8 + v13) | 0; v7 ^= v8; v7 = (v7 >>> 12) | (v7 << 20)
  v2 = (v2 + m15 + v7) | 0; v13 ^= v2; v13 = (v13 >>> 8) | (v13 << 24)
  v8 = (v8 + v13) | 0; v7 ^= v8; v7 = (v7 >>> 7) | (v7 << 25)
  v3 = (v3 + m8 + v4) | 0; v14 ^= v3; v14 = (v14 >>> 16) | (v14 << 16)
  v9 = (v9 + v14) | 0; v4 ^= v9; v4 = (v4 >>> 12) | (v4 << 20)
  v3 = (v3 + m1 + v4) | 0; v14 ^= v3; v14 = (v14 >>> 8) | (v14 << 24)
  v9 = (v9 + v14) | 0; v4 ^= v9; v4 = (v4 >>> 7) | (v4 << 25)
  // round 4
  v0 = (v0 + m10 + v4) | 0; v12 ^= v0; v12 = (v12 >>> 16) | (v12 << 16)
  v8 = (v8 + v12) | 0; v4 ^= v8; v4 = (v4 >>> 12) | (v4 << 20)
  v0 = (v0 + m7 + v4) | 0; v12 ^= v0; v12 = (v12 >>> 8) | (v12 << 24)
  v8 = (v8 + v12) | 0; v4 ^= v8; v4 = (v4 >>> 7) | (v4 << 25)
  v1 = (v1 + m12 + v5) | 0; v13 ^= v1; v13 = (v13 >>> 16) | (v13 << 16)
  v9 = (v9 + v13) | 0; v5 ^= v9; v5 = (v5 >>> 12) | (v5 << 20)
  v1 = (v1 + m9 + v5) | 0; v13 ^= v1; v13 = (v13 >>> 8) | (v13 << 24)
  v9 = (v9 + v13) | 0; v5 ^= v9; v5 = (v5 >>> 7) | (v5 << 25)
  v2 = (v2 + m14 + v6) | 0; v14 ^= v2; v14 = (v14 >>> 16) | (v14 << 16)
  v10 = (v10 + v14) | 0; v6 ^= v10; v6 = (v6 >>> 12) | (v6 << 20)
  v2 = (v2 + m3 + v6) | 0; v14 ^= v2; v14 = (v14 >>> 8) | (v14 << 24)
  v10 = (v10 + v14) | 0; v6 ^= v10; v6 = (v6 >>> 7) | (v6 << 25)
  v3 = (v3 + m13 + v7) | 0; v15 ^= v3; v15 = (v15 >>> 16) | (v15 << 16)
  v11 = (v11 + v15) | 0; v7 ^= v11; v7 = (v7 >>> 12) | (v7 << 20)
  v3 = (v3 + m15 + v7) | 0; v15 ^= v3; v15 = (v15 >>> 8) | (v15 << 24)
  v11 = (v11 + v15) | 0; v7 ^= v11; v7 = (v7 >>> 7) | (v7 << 25)
  v0 = (v0 + m4 + v5) | 0; v15 ^= v0; v15 = (v15 >>> 16) | (v15 << 16)
  v10 = (v10 + v15) | 0; v5 ^= v10; v5 = (v5 >>> 12) | (v5 << 20)
  v0 = (v0 + m0 + v5) | 0; v15 ^= v0; v15 = (v15 >>> 8) | (v15 << 24)
  v10 = (v10 + v15) | 0; v5 ^= v10; v5 = (v5 >>> 7) | (v5 << 25)
  v1 = (v1 + m11 + v6) | 0; v12 ^= v1; v12 = (v12 >>> 16) | (v12 << 16)
  v11 = (v11 + v12) | 0; v6 ^= v11; v6 = (v6 >>> 12) | (v6 << 20)
  v1 = (v1 + m2 + v6) | 0; v12 ^= v1; v12 = (v12 >>> 8) | (v12 << 24)
  v11 = (v11 + v12) | 0; v6 ^= v11; v6 = (v6 >>> 7) | (v6 << 25)
  v2 = (v2 + m5 + v7) | 0; v13 ^= v2; v13 = (v13 >>> 16) | (v13 << 16)
  v8 = (v8 + v13) | 0; v7 ^= v8; v7 = (v7 >>> 12) | (v7 << 20)
  v2 = (v2 + m8 + v7) | 0; v13 ^= v2; v13 = (v13 >>> 8) | (v13 << 24)
  v8 = (v8 + v13) | 0; v7 ^= v8; v7 = (v7 >>> 7) | (v7 << 25)
  v3 = (v3 + m1 + v4) | 0; v14 ^= v3; v14 = (v14 >>> 16) | (v14 << 16)
  v9 = (v9 + v14) | 0; v4 ^= v9; v4 = (v4 >>> 12) | (v4 << 20)
  v3 = (v3 + m6 + v4) | 0; v14 ^= v3; v14 = (v14 >>> 8) | (v14 << 24)
  v9 = (v9 + v14) | 0; v4 ^= v9; v4 = (v4 >>> 7) | (v4 << 25)
  // round 5
  v0 = (v0 + m12 + v4) | 0; v12 ^= v0; v12 = (v12 >>> 16) | (v12 << 16)
  v8 = (v8 + v12) | 0; v4 ^= v8; v4 = (v4 >>> 12) | (v4 << 20)
  v0 = (v0 + m13 + v4) | 0; v12 ^= v0; v12 = (v12 >>> 8) | (v12 << 24)
  v8 = (v8 + v12) | 0; v4 ^= v8; v4 = (v4 >>> 7) | (v4 << 25)
  v1 = (v1 + m9 + v5) | 0; v13 ^= v1; v13 = (v13 >>> 16) | (v13 << 16)
  v9 = (v9 + v13) | 0; v5 ^= v9; v5 = (v5 >>> 12) | (v5 << 20)
  v1 = (v1 + m11 + v5) | 0; v13 ^= v1; v13 = (v13 >>> 8) | (v13 << 24)
  v9 = (v9 + v13) | 0; v5 ^= v9; v5 = (v5 >>> 7) | (v5 << 25)
  v2 = (v2 + m15 + v6) | 0; v14 ^= v2; v14 = (v14 >>> 16) | (v14 << 16)
  v10 = (v10 + v14) | 0; v6 ^= v10; v6 = (v6 >>> 12) | (v6 << 20)
  v2 = (v2 + m10 + v6) | 0; v14 ^= v2; v14 = (v14 >>> 8) | (v14 << 24)
  v10 = (v10 + v14) | 0; v6 ^= v10; v6 = (v6 >>> 7) | (v6 << 25)
  v3 = (v3 + m14 + v7) | 0; v15 ^= v3; v15 = (v15 >>> 16) | (v15 << 16)
  v11 = (v11 + v15) | 0; v7 ^= v11; v7 = (v7 >>> 12) | (v7 << 20)
  v3 = (v3 + m8 + v7) | 0; v15 ^= v3; v15 = (v15 >>> 8) | (v15 << 24)
  v11 = (v11 + v15) | 0; v7 ^= v11; v7 = (v7 >>> 7) | (v7 << 25)
  v0 = (v0 + m7 + v5) | 0; v15 ^= v0; v15 = (v15 >>> 16) | (v15 << 16)
  v10 = (v10 + v15) | 0; v5 ^= v10; v5 = (v5 >>> 12) | (v5 << 20)
  v0 = (v0 + m2 + v5) | 0; v15 ^= v0; v15 = (v15 >>> 8) | (v15 << 24)
  v10 = (v10 + v15) | 0; v5 ^= v10; v5 = (v5 >>> 7) | (v5 << 25)
  v1 = (v1 + m5 + v6) | 0; v12 ^= v1; v12 = (v12 >>> 16) | (v12 << 16)
  v11 = (v11 + v12) | 0; v6 ^= v11; v6 = (v6 >>> 12) | (v6 << 20)
  v1 = (v1 + m3 + v6) | 0; v12 ^= v1; v12 = (v12 >>> 8) | (v12 << 24)
  v11 = (v11 + v12) | 0; v6 ^= v11; v6 = (v6 >>> 7) | (v6 << 25)
  v2 = (v2 + m0 + v7) | 0; v13 ^= v2; v13 = (v13 >>> 16) | (v13 << 16)
  v8 = (v8 + v13) | 0; v7 ^= v8; v7 = (v7 >>> 12) | (v7 << 20)
  v2 = (v2 + m1 + v7) | 0; v13 ^= v2; v13 = (v13 >>> 8) | (v13 << 24)
  v8 = (v8 + v13) | 0; v7 ^= v8; v7 = (v7 >>> 7) | (v7 << 25)
  v3 = (v3 + m6 + v4) | 0; v14 ^= v3; v14 = (v14 >>> 16) | (v14 << 16)
  v9 = (v9 + v14) | 0; v4 ^= v9; v4 = (v4 >>> 12) | (v4 << 20)
  v3 = (v3 + m4 + v4) | 0; v14 ^= v3; v14 = (v14 >>> 8) | (v14 << 24)
  v9 = (v9 + v14) | 0; v4 ^= v9; v4 = (v4 >>> 7) | (v4 << 25)
  // round 6
  v0 = (v0 + m9 + v4) | 0; v12 ^= v0; v12 = (v12 >>> 16) | (v12 << 16)
  v8 = (v8 + v12) | 0; v4 ^= v8; v4 = (v4 >>> 12) | (v4 << 20)
  v0 = (v0 + m14 + v4) | 0; v12 ^= v0; v12 = (v12 >>> 8) | (v12 << 24)
  v8 = (v8 + v12) | 0; v4 ^= v8; v4 = (v4 >>> 7) | (v4 << 25)
  v1 = (v1 + m11 + v5) | 0; v13 ^= v1; v13 = (v13 >>> 16) | (v13 << 16)
  v9 = (v9 + v13) | 0; v5 ^= v9; v5 = (v5 >>> 12) | (v5 << 20)
  v1 = (v1 + m5 + v5) | 0; v13 ^= v1; v13 = (v13 >>> 8) | (v13 << 24)
  v9 = (v9 + v13) | 0; v5 ^= v9; v5 = (v5 >>> 7) | (v5 << 25)
  v2 = (v2 + m8 + v6) | 0; v14 ^= v2; v14 = (v14 >>> 16) | (v14 << 16)
  v10 = (v10 + v14) | 0; v6 ^= v10; v6 = (v6 >>> 12) | (v6 << 20)
  v2 = (v2 + m12 + v6) | 0; v14 ^= v2; v14 = (v14 >>> 8) | (v14 << 24)
  v10 = (v10 + v14) | 0; v6 ^= v10; v6 = (v6 >>> 7) | (v6 << 25)
  v3 = (v3 + m15 + v7) | 0; v15 ^= v3; v15 = (v15 >>> 16) | (v15 << 16)
  v11 = (v11 + v15) | 0; v7 ^= v11; v7 = (v7 >>> 12) | (v7 << 20)
  v3 = (v3 + m1 + v7) | 0; v15 ^= v3; v15 = (v15 >>> 8) | (v15 << 24)
  v11 = (v11 + v15) | 0; v7 ^= v11; v7 = (v7 >>> 7) | (v7 << 25)
  v0 = (v0 + m13 + v5) | 0; v15 ^= v0; v15 = (v15 >>> 16) | (v15 << 16)
  v10 = (v10 + v15) | 0; v5 ^= v10; v5 = (v5 >>> 12) | (v5 << 20)
  v0 = (v0 + m3 + v5) | 0; v15 ^= v0; v15 = (v15 >>> 8) | (v15 << 24)
  v10 = (v10 + v15) | 0; v5 ^= v10; v5 = (v5 >>> 7) | (v5 << 25)
  v1 = (v1 + m0 + v6) | 0; v12 ^= v1; v12 = (v12 >>> 16) | (v12 << 16)
  v11 = (v11 + v12) | 0; v6 ^= v11; v6 = (v6 >>> 12) | (v6 << 20)
  v1 = (v1 + m10 + v6) | 0; v12 ^= v1; v12 = (v12 >>> 8) | (v12 << 24)
  v11 = (v11 + v12) | 0; v6 ^= v11; v6 = (v6 >>> 7) | (v6 << 25)
  v2 = (v2 + m2 + v7) | 0; v13 ^= v2; v13 = (v13 >>> 16) | (v13 << 16)
  v8 = (v8 + v13) | 0; v7 ^= v8; v7 = (v7 >>> 12) | (v7 << 20)
  v2 = (v2 + m6 + v7) | 0; v13 ^= v2; v13 = (v13 >>> 8) | (v13 << 24)
  v8 = (v8 + v13) | 0; v7 ^= v8; v7 = (v7 >>> 7) | (v7 << 25)
  v3 = (v3 + m4 + v4) | 0; v14 ^= v3; v14 = (v14 >>> 16) | (v14 << 16)
  v9 = (v9 + v14) | 0; v4 ^= v9; v4 = (v4 >>> 12) | (v4 << 20)
  v3 = (v3 + m7 + v4) | 0; v14 ^= v3; v14 = (v14 >>> 8) | (v14 << 24)
  v9 = (v9 + v14) | 0; v4 ^= v9; v4 = (v4 >>> 7) | (v4 << 25)
  // round 7
  v0 = (v0 + m11 + v4) | 0; v12 ^= v0; v12 = (v12 >>> 16) | (v12 << 16)
  v8 = (v8 + v12) | 0; v4 ^= v8; v4 = (v4 >>> 12) | (v4 << 20)
  v0 = (v0 + m15 + v4) | 0; v12 ^= v0; v12 = (v12 >>> 8) | (v12 << 24)
  v8 = (v8 + v12) | 0; v4 ^= v8; v4 = (v4 >>> 7) | (v4 << 25)
  v1 = (v1 + m5 + v5) | 0; v13 ^= v1; v13 = (v13 >>> 16) | (v13 << 16)
  v9 = (v9 + v13) | 0; v5 ^= v9; v5 = (v5 >>> 12) | (v5 << 20)
  v1 = (v1 + m0 + v5) | 0; v13 ^= v1; v13 = (v13 >>> 8) | (v13 << 24)
  v9 = (v9 + v13) | 0; v5 ^= v9; v5 = (v5 >>> 7) | (v5 << 25)
  v2 = (v2 + m1 + v6) | 0; v14 ^= v2; v14 = (v14 >>> 16) | (v14 << 16)
  v10 = (v10 + v14) | 0; v6 ^= v10; v6 = (v6 >>> 12) | (v6 << 20)
  v2 = (v2 + m9 + v6) | 0; v14 ^= v2; v14 = (v14 >>> 8) | (v14 << 24)
  v10 = (v10 + v14) | 0; v6 ^= v10; v6 = (v6 >>> 7) | (v6 << 25)
  v3 = (v3 + m8 + v7) | 0; v15 ^= v3; v15 = (v15 >>> 16) | (v15 << 16)
  v11 = (v11 + v15) | 0; v7 ^= v11; v7 = (v7 >>> 12) | (v7 << 20)
  v3 = (v3 + m6 + v7) | 0; v15 ^= v3; v15 = (v15 >>> 8) | (v15 << 24)
  v11 = (v11 + v15) | 0; v7 ^= v11; v7 = (v7 >>> 7) | (v7 << 25)
  v0 = (v0 + m14 + v5) | 0; v15 ^= v0; v15 = (v15 >>> 16) | (v15 << 16)
  v10 = (v10 + v15) | 0; v5 ^= v10; v5 = (v5 >>> 12) | (v5 << 20)
  v0 = (v0 + m10 + v5) | 0; v15 ^= v0; v15 = (v15 >>> 8) | (v15 << 24)
  v10 = (v10 + v15) | 0; v5 ^= v10; v5 = (v5 >>> 7) | (v5 << 25)
  v1 = (v1 + m2 + v6) | 0; v12 ^= v1; v12 = (v12 >>> 16) | (v12 << 16)
  v11 = (v11 + v12) | 0; v6 ^= v11; v6 = (v6 >>> 12) | (v6 << 20)
  v1 = (v1 + m12 + v6) | 0; v12 ^= v1; v12 = (v12 >>> 8) | (v12 << 24)
  v11 = (v11 + v12) | 0; v6 ^= v11; v6 = (v6 >>> 7) | (v6 << 25)
  v2 = (v2 + m3 + v7) | 0; v13 ^= v2; v13 = (v13 >>> 16) | (v13 << 16)
  v8 = (v8 + v13) | 0; v7 ^= v8; v7 = (v7 >>> 12) | (v7 << 20)
  v2 = (v2 + m4 + v7) | 0; v13 ^= v2; v13 = (v13 >>> 8) | (v13 << 24)
  v8 = (v8 + v13) | 0; v7 ^= v8; v7 = (v7 >>> 7) | (v7 << 25)
  v3 = (v3 + m7 + v4) | 0; v14 ^= v3; v14 = (v14 >>> 16) | (v14 << 16)
  v9 = (v9 + v14) | 0; v4 ^= v9; v4 = (v4 >>> 12) | (v4 << 20)
  v3 = (v3 + m13 + v4) | 0; v14 ^= v3; v14 = (v14 >>> 8) | (v14 << 24)
  v9 = (v9 + v14) | 0; v4 ^= v9; v4 = (v4 >>> 7) | (v4 << 25)
  value[0] = v0 ^ v8
  value[1] = v1 ^ v9
  value[2] = v2 ^ v10
  value[3] = v3 ^ v11
  value[4] = v4 ^ v12
  value[5] = v5 ^ v13
  value[6] = v6 ^ v14
  value[7] = v7 ^ v15
}

/** Eight words: a key or a chaining value. */
export function setValue(words: Int32Array): void {
  value[0] = words[0] as number
  value[1] = words[1] as number
  value[2] = words[2] as number
  value[3] = words[3] as number
  value[4] = words[4] as number
  value[5] = words[5] as number
  value[6] = words[6] as number
  value[7] = words[7] as number
}

/** Writes the eight words of the value to `words` from `at` on. */
export function takeValue(words: Int32Array, at: number): void {
  words[at + 0] = value[0] as number
  words[at + 1] = value[1] as number
  words[at + 2] = value[2] as number
  words[at + 3] = value[3] as number
  words[at + 4] = value[4] as number
  words[at + 5] = value[5] as number
  words[at + 6] = value[6] as number
  words[at + 7] = value[7] as number
}

/** Writes the value as 32 bytes. */
export function storeValue(view: DataView, at: number): void {
  view.setInt32(at + 0, value[0] as number, true)
  view.setInt32(at + 4, value[1] as number, true)
  view.setInt32(at + 8, value[2] as number, true)
  view.setInt32(at + 12, value[3] as number, true)
  view.setInt32(at + 16, value[4] as number, true)
  view.setInt32(at + 20, value[5] as number, true)
  view.setInt32(at + 24, value[6] as number, true)
  view.setInt32(at + 28, value[7] as number, true)
}

/** The 16 words from `at` on. */
export function setBlock(words: Int32Array, at: number): void {
  block[0] = words[at + 0] as number
  block[1] = words[at + 1] as number
  block[2] = words[at + 2] as number
  block[3] = words[at + 3] as number
  block[4] = words[at + 4] as number
  block[5] = words[at + 5] as number
  block[6] = words[at + 6] as number
  block[7] = words[at + 7] as number
  block[8] = words[at + 8] as number
  block[9] = words[at + 9] as number
  block[10] = words[at + 10] as number
  block[11] = words[at + 11] as number
  block[12] = words[at + 12] as number
  block[13] = words[at + 13] as number
  block[14] = words[at + 14] as number
  block[15] = words[at + 15] as number
}

/** The 64 bytes from `at` on. */
export function loadBlock(view: DataView, at: number): void {
  block[0] = view.getInt32(at + 0, true)
  block[1] = view.getInt32(at + 4, true)
  block[2] = view.getInt32(at + 8, true)
  block[3] = view.getInt32(at + 12, true)
  block[4] = view.getInt32(at + 16, true)
  block[5] = view.getInt32(at + 20, true)
  block[6] = view.getInt32(at + 24, true)
  block[7] = view.getInt32(at + 28, true)
  block[8] = view.getInt32(at + 32, true)
  block[9] = view.getInt32(at + 36, true)
  block[10] = view.getInt32(at + 40, true)
  block[11] = view.getInt32(at + 44, true)
  block[12] = view.getInt32(at + 48, true)
  block[13] = view.getInt32(at + 52, true)
  block[14] = view.getInt32(at + 56, true)
  block[15] = view.getInt32(at + 60, true)
}

/** The last block of a message: `length` <= 64 bytes, and zeros. */
export function loadLast(view: DataView, at: number, length: number): void {
  if (length === 64) return loadBlock(view, at)
  const whole = length >>> 2
  for (let i = 0; i < whole; i++) block[i] = view.getInt32(at + 4 * i, true)
  let rest = 0
  for (let i = length - 1; i >= 4 * whole; i--) rest = (rest << 8) | view.getUint8(at + i)
  block[whole] = rest
  for (let i = whole + 1; i < 16; i++) block[i] = 0
}
