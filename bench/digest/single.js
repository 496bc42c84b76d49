/** One row of 100 bytes, copied in, its digest copied out to where the caller wants it. */
import { bytes } from './inputs.js'

const ROW_BYTES = 100

/** So many in one run, so that the call of the run does not count. */
const TIMES = 100

/**
 * @param {readonly import('./ours.js').Own[]} own
 * @param {readonly import('./peers.js').Peer[]} peers
 * @returns {import('../parts/measure.js').Case}
 */
export function singleCase(own, peers) {
  const row = bytes(ROW_BYTES)
  const out = new Uint8Array(32)
  return {
    name: `single-${ROW_BYTES}`,
    contenders: [
      ...own.map(({ name, hasher }) => repeat(name, () => hasher.digestInto(row, out))),
      ...peers.flatMap(peer => contender(peer, row))
    ]
  }
}

/**
 * @param {import('./peers.js').Peer} peer
 * @param {Uint8Array} bytes
 * @returns {import('../parts/measure.js').Contender[]}
 */
function contender({ name, absent, row }, bytes) {
  if (absent !== undefined) return [{ name, absent }]
  return row === undefined ? [] : [repeat(name, () => row(bytes))]
}

/**
 * @param {string} name
 * @param {() => unknown} hash
 */
function repeat(name, hash) {
  const run = () => {
    for (let i = 0; i < TIMES; i++) hash()
  }
  return { name, run, units: TIMES }
}
