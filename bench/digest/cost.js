/**
 * What it costs ours that rows are not all alike, and that they have to be copied in: the same
 * bytes in rows of 20 to 180 bytes instead of 100, and in rows of 20 to 1,024 bytes instead of 522,
 * and the copying without the hashing.
 */
import { packed } from './inputs.js'

const ROWS = 1_000

const SHORTEST = 20

/**
 * @param {readonly import('./ours.js').Own[]} own
 * @param {(rows: Uint8Array, offsets: Uint32Array) => void} stage
 * @returns {import('../parts/measure.js').Case}
 */
export function costCase(own, stage) {
  const { rows, offsets } = packed(ROWS, 100)
  const contenders = mixedBeside(own, 180)
  return {
    name: 'cost-100',
    contenders: [...contenders, contender('copy-in', () => stage(rows, offsets))]
  }
}

/**
 * Rows of 1 to 16 blocks, so that more of the queues are filled in part when a batch ends. They
 * have 4 % fewer blocks than the equal ones, whose last block is nearly empty.
 *
 * @param {readonly import('./ours.js').Own[]} own
 * @returns {import('../parts/measure.js').Case}
 */
export function mixedCase(own) {
  return { name: 'mixed-1024', contenders: mixedBeside(own, 1_024) }
}

/**
 * Rows of equal lengths, and as many bytes in rows of 20 to `longest`.
 *
 * @param {readonly import('./ours.js').Own[]} own
 * @param {number} longest
 */
function mixedBeside(own, longest) {
  const equal = packed(ROWS, (SHORTEST + longest) / 2)
  const mixed = { rows: equal.rows, offsets: mixedOffsets(longest) }
  const out = new Uint8Array(32 * ROWS)
  const { hasher } = /** @type {import('./ours.js').Own} */ (own[0])
  return [
    contender('ours', () => hasher.digestPacked(equal.rows, equal.offsets, out)),
    contender('mixed', () => hasher.digestPacked(mixed.rows, mixed.offsets, out))
  ]
}

/**
 * @param {string} name
 * @param {() => void} run
 */
function contender(name, run) {
  return { name, run, units: ROWS }
}

/**
 * Lengths from 20 to `longest` in no order, and as many bytes in all as if all were in the middle.
 *
 * @param {number} longest
 */
function mixedOffsets(longest) {
  const lengths = Array.from(
    { length: ROWS / 2 },
    (_, i) => SHORTEST + ((i * 6_701) % (longest - SHORTEST + 1))
  )
  let end = 0
  return Uint32Array.of(
    0,
    ...lengths.flatMap(length => [(end += length), (end += SHORTEST + longest - length)])
  )
}
