/**
 * Integer mixing for placement and fingerprints: 64 bits as two unsigned 32-bit lanes, the same on
 * every machine. Not cryptographic: whoever can choose the input can make two inputs collide. It is
 * only used on what members of one cluster told each other over authenticated connections.
 */

/** Upper and lower 32 bits. */
export type Hash64 = readonly [high: number, low: number]

/** A permutation of 32-bit integers in which every input bit moves every output bit. */
export function mix32(value: number): number {
  let x = value
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  return (x ^ (x >>> 16)) >>> 0
}

/** Two lanes that each see every byte and the length, and in the end each other. */
export function hash64(bytes: Uint8Array): Hash64 {
  let a = mix32(bytes.length ^ 0x9e3779b9)
  let b = mix32(bytes.length ^ 0x3c6ef372)
  for (const byte of bytes) {
    a = rotate(Math.imul(a ^ byte, 0x2c1b3c6d), 15)
    b = rotate(Math.imul(b + byte + 1, 0x297a2d39), 13) ^ a
  }
  return combine(a, b, 0)
}

/** A hash of a hash and a number. */
export function combine(high: number, low: number, salt: number): Hash64 {
  const s = mix32(salt + 0x6d2b79f5)
  const a = mix32(high ^ s)
  const b = mix32(low + a + Math.imul(s, 0x9e3779b1))
  return [mix32(a ^ b), b]
}

export function hex64(hash: Hash64): string {
  return hash.map(lane => lane.toString(16).padStart(8, '0')).join('')
}

function rotate(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by))
}
