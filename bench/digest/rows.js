/** Batches of rows of one length. Ours take them packed, the others one by one. */
import { apart, packed } from './inputs.js'

export const ROW_BYTES = [32, 100, 256, 1_024, 16_384, 1_048_576]

/** A batch has so many bytes, and so many rows at most. */
const BATCH_BYTES = 262_144
const BATCH_ROWS = 1_000

/**
 * @param {number} length
 * @param {readonly import('./ours.js').Own[]} own
 * @param {readonly import('./peers.js').Peer[]} peers
 * @returns {import('../parts/measure.js').Case}
 */
export function rowsCase(length, own, peers) {
  const count = Math.max(1, Math.min(BATCH_ROWS, BATCH_BYTES / length))
  const units = Math.floor(count)
  const batch = packed(units, length)
  const rows = apart(batch)
  const out = new Uint8Array(32 * units)
  return {
    name: `rows-${length}`,
    contenders: [
      ...own.map(({ name, hasher }) => ({
        name,
        units,
        run: () => hasher.digestPacked(batch.rows, batch.offsets, out)
      })),
      ...peers.filter(peer => peer.absent || peer.row).map(peer => oneByOne(peer, rows))
    ]
  }
}

/**
 * @param {import('./peers.js').Peer} peer
 * @param {readonly Uint8Array[]} rows
 * @returns {import('../parts/measure.js').Contender}
 */
function oneByOne({ name, absent, row }, rows) {
  if (row === undefined) return { name, absent: absent ?? 'it does not hash rows' }
  const run = () => {
    for (let i = 0; i < rows.length; i++) row(/** @type {Uint8Array} */ (rows[i]))
  }
  return { name, run, units: rows.length }
}
