/**
 * What others offer, each in its fastest form for a row and for the nodes of a tree. A package that
 * cannot be loaded is listed as absent and says why.
 */
import * as crypto from 'node:crypto'

/**
 * @typedef {object} Peer
 * @property {string} name
 * @property {string} [absent] why it cannot be measured; then nothing else is there
 * @property {(row: Uint8Array) => unknown} [row] hashes a row; absent: it does not do rows
 * @property {(row: Uint8Array, out: Buffer, at: number) => unknown} [leaf] as `row`, as 32 bytes to
 *   `out`
 * @property {(input: Uint8Array, output: Uint8Array) => void} [nodes] hashes 64 bytes to 32 bytes, as
 *   many times as the input is long
 * @property {boolean} [slow] large cases are measured on a part
 */

/** Nodes that are hashed one by one are cut out of a block of so many, once. */
const BLOCK_NODES = 1_024

/** @type {Record<string, () => Promise<Omit<Peer, 'name'>>>} */
const LOADERS = {
  noble: async () => {
    const { blake3 } = await import('@noble/hashes/blake3.js')
    return { ...digests(row => blake3(row)), slow: true }
  },
  'hash-wasm': async () => {
    const hasher = await (await import('hash-wasm')).createBLAKE3()
    return digests(row => hasher.init().update(row).digest('binary'))
  },
  'blake3-jit': async () => {
    const { hashInto, warmupSimd } = await import('blake3-jit')
    warmupSimd()
    const out = new Uint8Array(32)
    const leaf = (
      /** @type {Uint8Array} */ row,
      /** @type {Buffer} */ to,
      /** @type {number} */ at
    ) => {
      hashInto(row, out)
      to.set(out, at)
    }
    return { row: row => hashInto(row, out), leaf, nodes: oneByOne(hashInto) }
  },
  'blake3-wasm': async () => {
    const { hash } = (await import('blake3-wasm')).default
    return digests(row => /** @type {Uint8Array} */ (hash(row)))
  },
  native: async () => {
    const { blake3 } = await import('@napi-rs/blake-hash')
    // It takes any bytes; its types at this version say otherwise.
    return digests(row => blake3(/** @type {Buffer} */ (row)))
  },
  'crypto.hash': async () => ({
    row: row => crypto.hash('sha256', row, 'hex'),
    leaf: (row, out, at) => out.write(crypto.hash('sha256', row, 'binary'), at, 'latin1'),
    nodes: oneByOne((node, out) => {
      asBuffer(out).write(crypto.hash('sha256', node, 'binary'), 0, 'latin1')
    })
  }),
  createHash: async () => ({
    row: row => crypto.createHash('sha256').update(row).digest('hex'),
    leaf: (row, out, at) =>
      out.write(crypto.createHash('sha256').update(row).digest('binary'), at, 'latin1'),
    nodes: oneByOne((node, out) => {
      asBuffer(out).write(crypto.createHash('sha256').update(node).digest('binary'), 0, 'latin1')
    })
  }),
  'as-sha256': async () => {
    const { digest, hashInto } = await import('@chainsafe/as-sha256')
    return { ...digests(digest), nodes: hashInto }
  },
  hashtree: async () => ({ nodes: (await import('@chainsafe/hashtree')).hashInto })
}

/** @returns {Promise<Peer[]>} */
export async function loadPeers() {
  return await Promise.all(Object.entries(LOADERS).map(([name, load]) => loadPeer(name, load)))
}

/**
 * @param {string} name
 * @param {() => Promise<Omit<Peer, 'name'>>} load
 * @returns {Promise<Peer>}
 */
export async function loadPeer(name, load) {
  try {
    const peer = await load()
    return { name, ...peer }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { name, absent: /** @type {string} */ (why.split('\n')[0]) }
  }
}

/**
 * A function that returns a digest, for rows and for nodes.
 *
 * @param {(bytes: Uint8Array) => Uint8Array} digest
 */
function digests(digest) {
  return {
    row: digest,
    leaf: (/** @type {Uint8Array} */ row, /** @type {Buffer} */ out, /** @type {number} */ at) => {
      out.set(digest(row), at)
    },
    nodes: oneByOne((node, out) => out.set(digest(node)))
  }
}

/**
 * Nodes for a function that takes one at a time. Its views are made beforehand, so that making them
 * is not what is measured.
 *
 * @param {(node: Uint8Array, out: Uint8Array) => unknown} hashInto
 * @returns {(input: Uint8Array, output: Uint8Array) => void}
 */
function oneByOne(hashInto) {
  const input = Buffer.alloc(64 * BLOCK_NODES)
  const output = Buffer.alloc(32 * BLOCK_NODES)
  const nodes = cut(input, 64)
  const hashes = cut(output, 32)
  return (from, to) => {
    for (let at = 0; at < from.length; at += input.length) {
      const part = from.subarray(at, at + input.length)
      const count = part.length / 64
      input.set(part)
      for (let i = 0; i < count; i++) {
        hashInto(/** @type {Buffer} */ (nodes[i]), /** @type {Buffer} */ (hashes[i]))
      }
      to.set(output.subarray(0, 32 * count), at / 2)
    }
  }
}

/**
 * @param {Buffer} bytes
 * @param {number} length
 */
function cut(bytes, length) {
  return Array.from({ length: BLOCK_NODES }, (_, i) => bytes.subarray(i * length, (i + 1) * length))
}

/**
 * What `oneByOne` hands out are buffers.
 *
 * @param {Uint8Array} bytes
 */
function asBuffer(bytes) {
  return /** @type {Buffer} */ (bytes)
}
