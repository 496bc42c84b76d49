/** Rows and hashes to work on. Their content does not matter, but no two are the same. */

/**
 * Bytes that look random; always the same.
 *
 * @param {number} length
 */
export function bytes(length) {
  const out = new Uint8Array(length)
  let state = 1
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    out[i] = state >>> 24
  }
  return out
}

/**
 * Packed rows of one length.
 *
 * @param {number} count
 * @param {number} length
 */
export function packed(count, length) {
  return {
    rows: bytes(count * length),
    offsets: Uint32Array.from({ length: count + 1 }, (_, i) => i * length)
  }
}

/**
 * The same rows as one array each.
 *
 * @param {{ rows: Uint8Array, offsets: Uint32Array }} batch
 */
export function apart({ rows, offsets }) {
  return Array.from(offsets.subarray(1), (end, i) => rows.subarray(offsets[i], end))
}
