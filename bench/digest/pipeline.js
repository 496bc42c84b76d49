/**
 * The whole way: a million rows of 100 bytes are hashed, and a tree is built over their hashes. The
 * hashes of others have to be bytes for that. `crypto.hash` leaves the tree to hashtree, for there is
 * no faster way to the root with SHA-256; where that is not installed, `crypto.hash` is absent, too.
 */
import { apart, packed } from './inputs.js'
import { LEAVES } from './ours.js'
import { peerTreeOf } from './peer-tree.js'
import { PART, SLOW_PART } from './tree.js'

const ROW_BYTES = 100

/**
 * @param {readonly import('./ours.js').Own[]} own
 * @param {readonly import('./peers.js').Peer[]} peers
 * @returns {import('../parts/measure.js').Case}
 */
export function pipelineCase(own, peers) {
  const batch = packed(LEAVES, ROW_BYTES)
  const part = Math.floor(LEAVES * PART)
  const rows = apart({ rows: batch.rows, offsets: batch.offsets.subarray(0, part + 1) })
  const shared = peerTreeOf(LEAVES)
  const hashtree = peers.find(peer => peer.name === 'hashtree')
  return {
    name: `pipeline-${LEAVES}x${ROW_BYTES}`,
    contenders: [
      ...own.map(({ name, tree: create }) => ownPipeline(name, create(), batch)),
      ...peers.flatMap(peer => peerPipeline(withTree(peer, hashtree), shared, rows))
    ]
  }
}

/**
 * @param {import('./peers.js').Peer} peer
 * @param {import('./peers.js').Peer | undefined} hashtree
 * @returns {import('./peers.js').Peer}
 */
export function withTree(peer, hashtree) {
  if (peer.name !== 'crypto.hash') return peer
  const { nodes } = hashtree ?? {}
  if (nodes !== undefined) return { ...peer, nodes }
  return { name: peer.name, absent: 'hashtree is, to which it leaves the tree' }
}

/**
 * @param {string} name
 * @param {import('./ours.js').HashTree} tree
 * @param {{ rows: Uint8Array, offsets: Uint32Array }} batch
 * @returns {import('../parts/measure.js').Contender}
 */
function ownPipeline(name, tree, { rows, offsets }) {
  tree.root()
  const run = () => {
    tree.setRows(0, rows, offsets)
    tree.root()
  }
  return { name, run }
}

/**
 * @param {import('./peers.js').Peer} peer
 * @param {import('./peer-tree.js').PeerTree} tree
 * @param {readonly Uint8Array[]} rows
 * @returns {import('../parts/measure.js').Contender[]}
 */
function peerPipeline({ name, absent, leaf, nodes, slow }, tree, rows) {
  if (absent !== undefined) return [{ name, absent }]
  if (leaf === undefined || nodes === undefined) return []
  const units = slow ? SLOW_PART : PART
  const count = Math.floor(LEAVES * units)
  const leaves = /** @type {Buffer} */ (tree.leaves)
  const run = () => {
    for (let i = 0; i < count; i++) leaf(/** @type {Uint8Array} */ (rows[i]), leaves, 32 * i)
    tree.build(count, nodes)
  }
  return [{ name, run, units }]
}
