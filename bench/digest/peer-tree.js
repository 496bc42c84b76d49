/**
 * A Merkle tree for those that only offer hashing: one array a level, whole levels at a time where
 * all is new, and gathered nodes where little is. Leaves are filled up to a power of two.
 */

export class PeerTree {
  /** Level 0 are the leaves. @type {Uint8Array[]} */
  #levels = []

  /** @param {number} leaves */
  constructor(leaves) {
    let width = 2 ** Math.ceil(Math.log2(leaves))
    for (; width >= 1; width /= 2) this.#levels.push(Buffer.alloc(32 * width))
  }

  /** The leaves; the caller may write there and calls `build`. */
  get leaves() {
    return /** @type {Uint8Array} */ (this.#levels[0])
  }

  get root() {
    return /** @type {Uint8Array} */ (this.#levels.at(-1))
  }

  /**
   * Hashes everything above the first `leaves` leaves.
   *
   * @param {number} leaves
   * @param {(input: Uint8Array, output: Uint8Array) => void} hashNodes
   */
  build(leaves, hashNodes) {
    let width = leaves
    for (let level = 1; level < this.#levels.length; level++) {
      width = Math.ceil(width / 2)
      const below = /** @type {Uint8Array} */ (this.#levels[level - 1])
      const here = /** @type {Uint8Array} */ (this.#levels[level])
      hashNodes(below.subarray(0, 64 * width), here.subarray(0, 32 * width))
    }
  }

  /**
   * Sets leaves, and hashes what is above them.
   *
   * @param {Uint32Array} positions in ascending order
   * @param {Uint8Array} hashes
   * @param {(input: Uint8Array, output: Uint8Array) => void} hashNodes
   */
  update(positions, hashes, hashNodes) {
    scatter(hashes, positions, this.leaves)
    let dirty = positions
    for (let level = 1; level < this.#levels.length; level++) {
      dirty = parentsOf(dirty)
      const gathered = gather(/** @type {Uint8Array} */ (this.#levels[level - 1]), dirty)
      const hashed = Buffer.allocUnsafe(32 * dirty.length)
      hashNodes(gathered, hashed)
      scatter(hashed, dirty, /** @type {Uint8Array} */ (this.#levels[level]))
    }
  }
}

/** @type {Map<number, PeerTree>} */
const trees = new Map()

/**
 * A tree of so many leaves, always the same: a million leaves are 64 MB.
 *
 * @param {number} leaves
 * @returns {PeerTree}
 */
export function peerTreeOf(leaves) {
  const tree = trees.get(leaves) ?? new PeerTree(leaves)
  trees.set(leaves, tree)
  return tree
}

/** @param {Uint32Array} positions */
function parentsOf(positions) {
  const parents = new Uint32Array(positions.length)
  let count = 0
  for (const position of positions) {
    const parent = position >>> 1
    if (count === 0 || parents[count - 1] !== parent) parents[count++] = parent
  }
  return parents.subarray(0, count)
}

/**
 * The 64 bytes below each node, one after the other.
 *
 * @param {Uint8Array} below
 * @param {Uint32Array} nodes
 */
function gather(below, nodes) {
  if (nodes.length === 1) {
    const at = 64 * /** @type {number} */ (nodes[0])
    return below.subarray(at, at + 64)
  }
  const out = Buffer.allocUnsafe(64 * nodes.length)
  nodes.forEach((node, i) => out.set(below.subarray(64 * node, 64 * node + 64), 64 * i))
  return out
}

/**
 * @param {Uint8Array} hashes
 * @param {Uint32Array} nodes
 * @param {Uint8Array} to
 */
function scatter(hashes, nodes, to) {
  nodes.forEach((node, i) => to.set(hashes.subarray(32 * i, 32 * i + 32), 32 * node))
}
