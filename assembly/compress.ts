/**
 * The compression function of BLAKE3, one block at a time: 16 state words and 16 message words in
 * locals, seven rounds unrolled. Every hash of this module ends here. A kernel of several lanes can
 * stand beside it and take the same pointers.
 *
 * Within a step `v + m + b` is written in this order on purpose: the message word is then off the
 * critical path, and neither Binaryen nor V8 would move it there.
 */

export const CHUNK_START: u32 = 1
export const CHUNK_END: u32 = 2
export const PARENT: u32 = 4
export const ROOT: u32 = 8
export const KEYED_HASH: u32 = 16

/** The initial chaining value, which is also the key of plain hashing. */
export const IV: usize = memory.data<u32>([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
])

/**
 * Writes 32 bytes to `out`, which may be `cv` or `block`. `cv` is 32 bytes, `block` 64 bytes of
 * which those after `length` are zero.
 */
// prettier-ignore
export function compress(
  cv: usize, block: usize, length: u32, counter: u64, flags: u32, out: usize
): void {
  const m0 = load<u32>(block, 0)
  const m1 = load<u32>(block, 4)
  const m2 = load<u32>(block, 8)
  const m3 = load<u32>(block, 12)
  const m4 = load<u32>(block, 16)
  const m5 = load<u32>(block, 20)
  const m6 = load<u32>(block, 24)
  const m7 = load<u32>(block, 28)
  const m8 = load<u32>(block, 32)
  const m9 = load<u32>(block, 36)
  const m10 = load<u32>(block, 40)
  const m11 = load<u32>(block, 44)
  const m12 = load<u32>(block, 48)
  const m13 = load<u32>(block, 52)
  const m14 = load<u32>(block, 56)
  const m15 = load<u32>(block, 60)
  let v0 = load<u32>(cv, 0)
  let v1 = load<u32>(cv, 4)
  let v2 = load<u32>(cv, 8)
  let v3 = load<u32>(cv, 12)
  let v4 = load<u32>(cv, 16)
  let v5 = load<u32>(cv, 20)
  let v6 = load<u32>(cv, 24)
  let v7 = load<u32>(cv, 28)
  let v8: u32 = 0x6a09e667
  let v9: u32 = 0xbb67ae85
  let v10: u32 = 0x3c6ef372
  let v11: u32 = 0xa54ff53a
  let v12 = <u32>counter
  let v13 = <u32>(counter >> 32)
  let v14 = length
  let v15 = flags
  // round 1
  v0 = v0 + m0 + v4; v12 = rotr<u32>(v12 ^ v0, 16); v8 += v12; v4 = rotr<u32>(v4 ^ v8, 12)
  v0 = v0 + m1 + v4; v12 = rotr<u32>(v12 ^ v0, 8); v8 += v12; v4 = rotr<u32>(v4 ^ v8, 7)
  v1 = v1 + m2 + v5; v13 = rotr<u32>(v13 ^ v1, 16); v9 += v13; v5 = rotr<u32>(v5 ^ v9, 12)
  v1 = v1 + m3 + v5; v13 = rotr<u32>(v13 ^ v1, 8); v9 += v13; v5 = rotr<u32>(v5 ^ v9, 7)
  v2 = v2 + m4 + v6; v14 = rotr<u32>(v14 ^ v2, 16); v10 += v14; v6 = rotr<u32>(v6 ^ v10, 12)
  v2 = v2 + m5 + v6; v14 = rotr<u32>(v14 ^ v2, 8); v10 += v14; v6 = rotr<u32>(v6 ^ v10, 7)
  v3 = v3 + m6 + v7; v15 = rotr<u32>(v15 ^ v3, 16); v11 += v15; v7 = rotr<u32>(v7 ^ v11, 12)
  v3 = v3 + m7 + v7; v15 = rotr<u32>(v15 ^ v3, 8); v11 += v15; v7 = rotr<u32>(v7 ^ v11, 7)
  v0 = v0 + m8 + v5; v15 = rotr<u32>(v15 ^ v0, 16); v10 += v15; v5 = rotr<u32>(v5 ^ v10, 12)
  v0 = v0 + m9 + v5; v15 = rotr<u32>(v15 ^ v0, 8); v10 += v15; v5 = rotr<u32>(v5 ^ v10, 7)
  v1 = v1 + m10 + v6; v12 = rotr<u32>(v12 ^ v1, 16); v11 += v12; v6 = rotr<u32>(v6 ^ v11, 12)
  v1 = v1 + m11 + v6; v12 = rotr<u32>(v12 ^ v1, 8); v11 += v12; v6 = rotr<u32>(v6 ^ v11, 7)
  v2 = v2 + m12 + v7; v13 = rotr<u32>(v13 ^ v2, 16); v8 += v13; v7 = rotr<u32>(v7 ^ v8, 12)
  v2 = v2 + m13 + v7; v13 = rotr<u32>(v13 ^ v2, 8); v8 += v13; v7 = rotr<u32>(v7 ^ v8, 7)
  v3 = v3 + m14 + v4; v14 = rotr<u32>(v14 ^ v3, 16); v9 += v14; v4 = rotr<u32>(v4 ^ v9, 12)
  v3 = v3 + m15 + v4; v14 = rotr<u32>(v14 ^ v3, 8); v9 += v14; v4 = rotr<u32>(v4 ^ v9, 7)
  // round 2
  v0 = v0 + m2 + v4; v12 = rotr<u32>(v12 ^ v0, 16); v8 += v12; v4 = rotr<u32>(v4 ^ v8, 12)
  v0 = v0 + m6 + v4; v12 = rotr<u32>(v12 ^ v0, 8); v8 += v12; v4 = rotr<u32>(v4 ^ v8, 7)
  v1 = v1 + m3 + v5; v13 = rotr<u32>(v13 ^ v1, 16); v9 += v13; v5 = rotr<u32>(v5 ^ v9, 12)
  v1 = v1 + m10 + v5; v13 = rotr<u32>(v13 ^ v1, 8); v9 += v13; v5 = rotr<u32>(v5 ^ v9, 7)
  v2 = v2 + m7 + v6; v14 = rotr<u32>(v14 ^ v2, 16); v10 += v14; v6 = rotr<u32>(v6 ^ v10, 12)
  v2 = v2 + m0 + v6; v14 = rotr<u32>(v14 ^ v2, 8); v10 += v14; v6 = rotr<u32>(v6 ^ v10, 7)
  v3 = v3 + m4 + v7; v15 = rotr<u32>(v15 ^ v3, 16); v11 += v15; v7 = rotr<u32>(v7 ^ v11, 12)
  v3 = v3 + m13 + v7; v15 = rotr<u32>(v15 ^ v3, 8); v11 += v15; v7 = rotr<u32>(v7 ^ v11, 7)
  v0 = v0 + m1 + v5; v15 = rotr<u32>(v15 ^ v0, 16); v10 += v15; v5 = rotr<u32>(v5 ^ v10, 12)
  v0 = v0 + m11 + v5; v15 = rotr<u32>(v15 ^ v0, 8); v10 += v15; v5 = rotr<u32>(v5 ^ v10, 7)
  v1 = v1 + m12 + v6; v12 = rotr<u32>(v12 ^ v1, 16); v11 += v12; v6 = rotr<u32>(v6 ^ v11, 12)
  v1 = v1 + m5 + v6; v12 = rotr<u32>(v12 ^ v1, 8); v11 += v12; v6 = rotr<u32>(v6 ^ v11, 7)
  v2 = v2 + m9 + v7; v13 = rotr<u32>(v13 ^ v2, 16); v8 += v13; v7 = rotr<u32>(v7 ^ v8, 12)
  v2 = v2 + m14 + v7; v13 = rotr<u32>(v13 ^ v2, 8); v8 += v13; v7 = rotr<u32>(v7 ^ v8, 7)
  v3 = v3 + m15 + v4; v14 = rotr<u32>(v14 ^ v3, 16); v9 += v14; v4 = rotr<u32>(v4 ^ v9, 12)
  v3 = v3 + m8 + v4; v14 = rotr<u32>(v14 ^ v3, 8); v9 += v14; v4 = rotr<u32>(v4 ^ v9, 7)
  // round 3
  v0 = v0 + m3 + v4; v12 = rotr<u32>(v12 ^ v0, 16); v8 += v12; v4 = rotr<u32>(v4 ^ v8, 12)
  v0 = v0 + m4 + v4; v12 = rotr<u32>(v12 ^ v0, 8); v8 += v12; v4 = rotr<u32>(v4 ^ v8, 7)
  v1 = v1 + m10 + v5; v13 = rotr<u32>(v13 ^ v1, 16); v9 += v13; v5 = rotr<u32>(v5 ^ v9, 12)
  v1 = v1 + m12 + v5; v13 = rotr<u32>(v13 ^ v1, 8); v9 += v13; v5 = rotr<u32>(v5 ^ v9, 7)
  v2 = v2 + m13 + v6; v14 = rotr<u32>(v14 ^ v2, 16); v10 += v14; v6 = rotr<u32>(v6 ^ v10, 12)
  v2 = v2 + m2 + v6; v14 = rotr<u32>(v14 ^ v2, 8); v10 += v14; v6 = rotr<u32>(v6 ^ v10, 7)
  v3 = v3 + m7 + v7; v15 = rotr<u32>(v15 ^ v3, 16); v11 += v15; v7 = rotr<u32>(v7 ^ v11, 12)
  v3 = v3 + m14 + v7; v15 = rotr<u32>(v15 ^ v3, 8); v11 += v15; v7 = rotr<u32>(v7 ^ v11, 7)
  v0 = v0 + m6 + v5; v15 = rotr<u32>(v15 ^ v0, 16); v10 += v15; v5 = rotr<u32>(v5 ^ v10, 12)
  v0 = v0 + m5 + v5; v15 = rotr<u32>(v15 ^ v0, 8); v10 += v15; v5 = rotr<u32>(v5 ^ v10, 7)
  v1 = v1 + m9 + v6; v12 = rotr<u32>(v12 ^ v1, 16); v11 += v12; v6 = rotr<u32>(v6 ^ v11, 12)
  v1 = v1 + m0 + v6; v12 = rotr<u32>(v12 ^ v1, 8); v11 += v12; v6 = rotr<u32>(v6 ^ v11, 7)
  v2 = v2 + m11 + v7; v13 = rotr<u32>(v13 ^ v2, 16); v8 += v13; v7 = rotr<u32>(v7 ^ v8, 12)
  v2 = v2 + m15 + v7; v13 = rotr<u32>(v13 ^ v2, 8); v8 += v13; v7 = rotr<u32>(v7 ^ v8, 7)
  v3 = v3 + m8 + v4; v14 = rotr<u32>(v14 ^ v3, 16); v9 += v14; v4 = rotr<u32>(v4 ^ v9, 12)
  v3 = v3 + m1 + v4; v14 = rotr<u32>(v14 ^ v3, 8); v9 += v14; v4 = rotr<u32>(v4 ^ v9, 7)
  // round 4
  v0 = v0 + m10 + v4; v12 = rotr<u32>(v12 ^ v0, 16); v8 += v12; v4 = rotr<u32>(v4 ^ v8, 12)
  v0 = v0 + m7 + v4; v12 = rotr<u32>(v12 ^ v0, 8); v8 += v12; v4 = rotr<u32>(v4 ^ v8, 7)
  v1 = v1 + m12 + v5; v13 = rotr<u32>(v13 ^ v1, 16); v9 += v13; v5 = rotr<u32>(v5 ^ v9, 12)
  v1 = v1 + m9 + v5; v13 = rotr<u32>(v13 ^ v1, 8); v9 += v13; v5 = rotr<u32>(v5 ^ v9, 7)
  v2 = v2 + m14 + v6; v14 = rotr<u32>(v14 ^ v2, 16); v10 += v14; v6 = rotr<u32>(v6 ^ v10, 12)
  v2 = v2 + m3 + v6; v14 = rotr<u32>(v14 ^ v2, 8); v10 += v14; v6 = rotr<u32>(v6 ^ v10, 7)
  v3 = v3 + m13 + v7; v15 = rotr<u32>(v15 ^ v3, 16); v11 += v15; v7 = rotr<u32>(v7 ^ v11, 12)
  v3 = v3 + m15 + v7; v15 = rotr<u32>(v15 ^ v3, 8); v11 += v15; v7 = rotr<u32>(v7 ^ v11, 7)
  v0 = v0 + m4 + v5; v15 = rotr<u32>(v15 ^ v0, 16); v10 += v15; v5 = rotr<u32>(v5 ^ v10, 12)
  v0 = v0 + m0 + v5; v15 = rotr<u32>(v15 ^ v0, 8); v10 += v15; v5 = rotr<u32>(v5 ^ v10, 7)
  v1 = v1 + m11 + v6; v12 = rotr<u32>(v12 ^ v1, 16); v11 += v12; v6 = rotr<u32>(v6 ^ v11, 12)
  v1 = v1 + m2 + v6; v12 = rotr<u32>(v12 ^ v1, 8); v11 += v12; v6 = rotr<u32>(v6 ^ v11, 7)
  v2 = v2 + m5 + v7; v13 = rotr<u32>(v13 ^ v2, 16); v8 += v13; v7 = rotr<u32>(v7 ^ v8, 12)
  v2 = v2 + m8 + v7; v13 = rotr<u32>(v13 ^ v2, 8); v8 += v13; v7 = rotr<u32>(v7 ^ v8, 7)
  v3 = v3 + m1 + v4; v14 = rotr<u32>(v14 ^ v3, 16); v9 += v14; v4 = rotr<u32>(v4 ^ v9, 12)
  v3 = v3 + m6 + v4; v14 = rotr<u32>(v14 ^ v3, 8); v9 += v14; v4 = rotr<u32>(v4 ^ v9, 7)
  // round 5
  v0 = v0 + m12 + v4; v12 = rotr<u32>(v12 ^ v0, 16); v8 += v12; v4 = rotr<u32>(v4 ^ v8, 12)
  v0 = v0 + m13 + v4; v12 = rotr<u32>(v12 ^ v0, 8); v8 += v12; v4 = rotr<u32>(v4 ^ v8, 7)
  v1 = v1 + m9 + v5; v13 = rotr<u32>(v13 ^ v1, 16); v9 += v13; v5 = rotr<u32>(v5 ^ v9, 12)
  v1 = v1 + m11 + v5; v13 = rotr<u32>(v13 ^ v1, 8); v9 += v13; v5 = rotr<u32>(v5 ^ v9, 7)
  v2 = v2 + m15 + v6; v14 = rotr<u32>(v14 ^ v2, 16); v10 += v14; v6 = rotr<u32>(v6 ^ v10, 12)
  v2 = v2 + m10 + v6; v14 = rotr<u32>(v14 ^ v2, 8); v10 += v14; v6 = rotr<u32>(v6 ^ v10, 7)
  v3 = v3 + m14 + v7; v15 = rotr<u32>(v15 ^ v3, 16); v11 += v15; v7 = rotr<u32>(v7 ^ v11, 12)
  v3 = v3 + m8 + v7; v15 = rotr<u32>(v15 ^ v3, 8); v11 += v15; v7 = rotr<u32>(v7 ^ v11, 7)
  v0 = v0 + m7 + v5; v15 = rotr<u32>(v15 ^ v0, 16); v10 += v15; v5 = rotr<u32>(v5 ^ v10, 12)
  v0 = v0 + m2 + v5; v15 = rotr<u32>(v15 ^ v0, 8); v10 += v15; v5 = rotr<u32>(v5 ^ v10, 7)
  v1 = v1 + m5 + v6; v12 = rotr<u32>(v12 ^ v1, 16); v11 += v12; v6 = rotr<u32>(v6 ^ v11, 12)
  v1 = v1 + m3 + v6; v12 = rotr<u32>(v12 ^ v1, 8); v11 += v12; v6 = rotr<u32>(v6 ^ v11, 7)
  v2 = v2 + m0 + v7; v13 = rotr<u32>(v13 ^ v2, 16); v8 += v13; v7 = rotr<u32>(v7 ^ v8, 12)
  v2 = v2 + m1 + v7; v13 = rotr<u32>(v13 ^ v2, 8); v8 += v13; v7 = rotr<u32>(v7 ^ v8, 7)
  v3 = v3 + m6 + v4; v14 = rotr<u32>(v14 ^ v3, 16); v9 += v14; v4 = rotr<u32>(v4 ^ v9, 12)
  v3 = v3 + m4 + v4; v14 = rotr<u32>(v14 ^ v3, 8); v9 += v14; v4 = rotr<u32>(v4 ^ v9, 7)
  // round 6
  v0 = v0 + m9 + v4; v12 = rotr<u32>(v12 ^ v0, 16); v8 += v12; v4 = rotr<u32>(v4 ^ v8, 12)
  v0 = v0 + m14 + v4; v12 = rotr<u32>(v12 ^ v0, 8); v8 += v12; v4 = rotr<u32>(v4 ^ v8, 7)
  v1 = v1 + m11 + v5; v13 = rotr<u32>(v13 ^ v1, 16); v9 += v13; v5 = rotr<u32>(v5 ^ v9, 12)
  v1 = v1 + m5 + v5; v13 = rotr<u32>(v13 ^ v1, 8); v9 += v13; v5 = rotr<u32>(v5 ^ v9, 7)
  v2 = v2 + m8 + v6; v14 = rotr<u32>(v14 ^ v2, 16); v10 += v14; v6 = rotr<u32>(v6 ^ v10, 12)
  v2 = v2 + m12 + v6; v14 = rotr<u32>(v14 ^ v2, 8); v10 += v14; v6 = rotr<u32>(v6 ^ v10, 7)
  v3 = v3 + m15 + v7; v15 = rotr<u32>(v15 ^ v3, 16); v11 += v15; v7 = rotr<u32>(v7 ^ v11, 12)
  v3 = v3 + m1 + v7; v15 = rotr<u32>(v15 ^ v3, 8); v11 += v15; v7 = rotr<u32>(v7 ^ v11, 7)
  v0 = v0 + m13 + v5; v15 = rotr<u32>(v15 ^ v0, 16); v10 += v15; v5 = rotr<u32>(v5 ^ v10, 12)
  v0 = v0 + m3 + v5; v15 = rotr<u32>(v15 ^ v0, 8); v10 += v15; v5 = rotr<u32>(v5 ^ v10, 7)
  v1 = v1 + m0 + v6; v12 = rotr<u32>(v12 ^ v1, 16); v11 += v12; v6 = rotr<u32>(v6 ^ v11, 12)
  v1 = v1 + m10 + v6; v12 = rotr<u32>(v12 ^ v1, 8); v11 += v12; v6 = rotr<u32>(v6 ^ v11, 7)
  v2 = v2 + m2 + v7; v13 = rotr<u32>(v13 ^ v2, 16); v8 += v13; v7 = rotr<u32>(v7 ^ v8, 12)
  v2 = v2 + m6 + v7; v13 = rotr<u32>(v13 ^ v2, 8); v8 += v13; v7 = rotr<u32>(v7 ^ v8, 7)
  v3 = v3 + m4 + v4; v14 = rotr<u32>(v14 ^ v3, 16); v9 += v14; v4 = rotr<u32>(v4 ^ v9, 12)
  v3 = v3 + m7 + v4; v14 = rotr<u32>(v14 ^ v3, 8); v9 += v14; v4 = rotr<u32>(v4 ^ v9, 7)
  // round 7
  v0 = v0 + m11 + v4; v12 = rotr<u32>(v12 ^ v0, 16); v8 += v12; v4 = rotr<u32>(v4 ^ v8, 12)
  v0 = v0 + m15 + v4; v12 = rotr<u32>(v12 ^ v0, 8); v8 += v12; v4 = rotr<u32>(v4 ^ v8, 7)
  v1 = v1 + m5 + v5; v13 = rotr<u32>(v13 ^ v1, 16); v9 += v13; v5 = rotr<u32>(v5 ^ v9, 12)
  v1 = v1 + m0 + v5; v13 = rotr<u32>(v13 ^ v1, 8); v9 += v13; v5 = rotr<u32>(v5 ^ v9, 7)
  v2 = v2 + m1 + v6; v14 = rotr<u32>(v14 ^ v2, 16); v10 += v14; v6 = rotr<u32>(v6 ^ v10, 12)
  v2 = v2 + m9 + v6; v14 = rotr<u32>(v14 ^ v2, 8); v10 += v14; v6 = rotr<u32>(v6 ^ v10, 7)
  v3 = v3 + m8 + v7; v15 = rotr<u32>(v15 ^ v3, 16); v11 += v15; v7 = rotr<u32>(v7 ^ v11, 12)
  v3 = v3 + m6 + v7; v15 = rotr<u32>(v15 ^ v3, 8); v11 += v15; v7 = rotr<u32>(v7 ^ v11, 7)
  v0 = v0 + m14 + v5; v15 = rotr<u32>(v15 ^ v0, 16); v10 += v15; v5 = rotr<u32>(v5 ^ v10, 12)
  v0 = v0 + m10 + v5; v15 = rotr<u32>(v15 ^ v0, 8); v10 += v15; v5 = rotr<u32>(v5 ^ v10, 7)
  v1 = v1 + m2 + v6; v12 = rotr<u32>(v12 ^ v1, 16); v11 += v12; v6 = rotr<u32>(v6 ^ v11, 12)
  v1 = v1 + m12 + v6; v12 = rotr<u32>(v12 ^ v1, 8); v11 += v12; v6 = rotr<u32>(v6 ^ v11, 7)
  v2 = v2 + m3 + v7; v13 = rotr<u32>(v13 ^ v2, 16); v8 += v13; v7 = rotr<u32>(v7 ^ v8, 12)
  v2 = v2 + m4 + v7; v13 = rotr<u32>(v13 ^ v2, 8); v8 += v13; v7 = rotr<u32>(v7 ^ v8, 7)
  v3 = v3 + m7 + v4; v14 = rotr<u32>(v14 ^ v3, 16); v9 += v14; v4 = rotr<u32>(v4 ^ v9, 12)
  v3 = v3 + m13 + v4; v14 = rotr<u32>(v14 ^ v3, 8); v9 += v14; v4 = rotr<u32>(v4 ^ v9, 7)
  store<u32>(out, v0 ^ v8, 0)
  store<u32>(out, v1 ^ v9, 4)
  store<u32>(out, v2 ^ v10, 8)
  store<u32>(out, v3 ^ v11, 12)
  store<u32>(out, v4 ^ v12, 16)
  store<u32>(out, v5 ^ v13, 20)
  store<u32>(out, v6 ^ v14, 24)
  store<u32>(out, v7 ^ v15, 28)
}
