/** A tree of a million leaves, of which some are set anew, and its new root. */
import { bytes } from './inputs.js'
import { LEAVES } from './ours.js'
import { peerTreeOf } from './peer-tree.js'

/** How many leaves change. */
export const UPDATES = [1, 100, 1_000, 10_000]

/** Different leaves each time: what was changed last is still near the processor. */
const VARIANTS = 16

/**
 * @param {number} count
 * @param {readonly import('./ours.js').Own[]} own
 * @param {readonly import('./peers.js').Peer[]} peers
 * @returns {import('../parts/measure.js').Case}
 */
export function updateCase(count, own, peers) {
  const variants = Array.from({ length: VARIANTS }, (_, i) => positions(count, i))
  const hashes = bytes(32 * count)
  const shared = peerTreeOf(LEAVES)
  return {
    name: `update-${count}`,
    contenders: [
      ...own.map(({ name, tree: create }) => ownUpdate(name, create(), variants, hashes)),
      ...peers.map(peer => peerUpdate(peer, shared, variants, hashes))
    ]
  }
}

/**
 * Spread over all leaves, ascending.
 *
 * @param {number} count
 * @param {number} variant
 */
function positions(count, variant) {
  const found = new Set()
  for (let i = 1 + variant * 7_919; found.size < count; i++) {
    found.add((Math.imul(i, 0x9e3779b1) >>> 0) % LEAVES)
  }
  return Uint32Array.from(found).sort()
}

/**
 * @param {string} name
 * @param {import('./ours.js').HashTree} tree
 * @param {readonly Uint32Array[]} variants
 * @param {Uint8Array} hashes
 * @returns {import('../parts/measure.js').Contender}
 */
function ownUpdate(name, tree, variants, hashes) {
  tree.root()
  const run = () => {
    for (const positions of variants) {
      tree.setAt(positions, hashes)
      tree.root()
    }
  }
  return { name, run, units: VARIANTS }
}

/**
 * @param {import('./peers.js').Peer} peer
 * @param {import('./peer-tree.js').PeerTree} tree
 * @param {readonly Uint32Array[]} variants
 * @param {Uint8Array} hashes
 * @returns {import('../parts/measure.js').Contender}
 */
function peerUpdate({ name, absent, nodes, slow }, tree, variants, hashes) {
  if (nodes === undefined) return { name, absent: absent ?? 'it does not hash nodes' }
  const used = slow ? variants.slice(0, 1) : variants
  const run = () => {
    for (const positions of used) tree.update(positions, hashes, nodes)
  }
  return { name, run, units: used.length }
}
