/**
 * What it costs ours that rows of 100 bytes are not all alike, and that they have to be copied in:
 * the same bytes in rows of 20 to 180 bytes, and the copying without the hashing.
 */
import { bytes, packed } from './inputs.js'

const ROW_BYTES = 100
const ROWS = 1_000

/**
 * @param {readonly import('./ours.js').Own[]} own
 * @param {(rows: Uint8Array, offsets: Uint32Array) => void} stage
 * @returns {import('../parts/measure.js').Case}
 */
export function costCase(own, stage) {
  const equal = packed(ROWS, ROW_BYTES)
  const mixed = { rows: bytes(ROWS * ROW_BYTES), offsets: mixedOffsets() }
  const out = new Uint8Array(32 * ROWS)
  const { hasher } = /** @type {import('./ours.js').Own} */ (own[0])
  return {
    name: `cost-${ROW_BYTES}`,
    contenders: [
      contender('ours', () => hasher.digestPacked(equal.rows, equal.offsets, out)),
      contender('mixed', () => hasher.digestPacked(mixed.rows, mixed.offsets, out)),
      contender('copy-in', () => stage(equal.rows, equal.offsets))
    ]
  }
}

/**
 * @param {string} name
 * @param {() => void} run
 */
function contender(name, run) {
  return { name, run, units: ROWS }
}

/** Lengths from 20 to 180 in no order, and as many bytes in all. */
function mixedOffsets() {
  const lengths = Array.from({ length: ROWS / 2 }, (_, i) => 20 + ((i * 67) % 161))
  let end = 0
  return Uint32Array.of(
    0,
    ...lengths.flatMap(length => [(end += length), (end += 2 * ROW_BYTES - length)])
  )
}
