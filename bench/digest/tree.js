/** From a million leaf hashes, which are copied in, to the root. */
import { bytes } from './inputs.js'
import { LEAVES } from './ours.js'
import { peerTreeOf } from './peer-tree.js'

/** Those that need seconds are measured on so small a part, and their time is multiplied. */
export const SLOW_PART = 1 / 64
export const PART = 1 / 8

/**
 * @param {readonly import('./ours.js').Own[]} own
 * @param {readonly import('./peers.js').Peer[]} peers
 * @returns {import('../parts/measure.js').Case}
 */
export function treeCase(own, peers) {
  const hashes = bytes(32 * LEAVES)
  const shared = peerTreeOf(LEAVES)
  return {
    name: `tree-${LEAVES}`,
    contenders: [
      ...own.map(({ name, tree: create }) => ownTree(name, create(), hashes)),
      ...peers.map(peer => peerTree(peer, shared, hashes))
    ]
  }
}

/**
 * @param {string} name
 * @param {import('./ours.js').HashTree} tree
 * @param {Uint8Array} hashes
 * @returns {import('../parts/measure.js').Contender}
 */
function ownTree(name, tree, hashes) {
  tree.root()
  const run = () => {
    tree.set(0, hashes)
    tree.root()
  }
  return { name, run }
}

/**
 * @param {import('./peers.js').Peer} peer
 * @param {import('./peer-tree.js').PeerTree} tree
 * @param {Uint8Array} hashes
 * @returns {import('../parts/measure.js').Contender}
 */
function peerTree({ name, absent, nodes, slow }, tree, hashes) {
  if (nodes === undefined) return { name, absent: absent ?? 'it does not hash nodes' }
  const units = name === 'hashtree' ? 1 : slow ? SLOW_PART : PART
  const leaves = LEAVES * units
  const run = () => {
    tree.leaves.set(hashes.subarray(0, 32 * leaves))
    tree.build(leaves, nodes)
  }
  return { name, run, units }
}
