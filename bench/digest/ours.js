/** The contenders of this project, from the package as it is built: `ours` in all its widths. */
import { existsSync } from 'node:fs'
import { cpus } from 'node:os'
import { UsageError } from '../parts/command.js'

/** Any key will do. */
const KEY = new Uint8Array(32).fill(7)

const dist = new URL('../../dist/digest/', import.meta.url)

/**
 * @typedef {import('../../src/digest/forest.ts').Hasher} Hasher
 * @typedef {import('../../src/digest/tree.ts').HashTree} HashTree
 * @typedef {object} Own
 * @property {string} name
 * @property {Hasher} hasher
 * @property {(leaves: number) => HashTree} tree
 */

/** @returns {Promise<Own[]>} */
export async function ours() {
  if (!existsSync(dist)) throw new UsageError('Nothing is built yet; run `npm run build`.')
  const { createForest } = await load('forest')
  const { createTree } = await load('tree')
  const { createJavaScriptForest } = await load('javascript')
  const { createJavaScriptTree } = await load('javascript-hash-tree')
  const processor = cpus()[0]?.model ?? ''
  /** @type {[string, import('../../src/digest/wasm.ts').CoreInit][]} */
  const builds = [
    ['ours', { processor }],
    ['ours-4', { processor, lanes: 4 }],
    ['ours-scalar', { build: 'scalar' }]
  ]
  return [
    ...builds.map(([name, init]) => ({
      name,
      hasher: createForest(KEY, init),
      tree: (/** @type {number} */ leaves) => createTree(KEY, leaves, init)
    })),
    {
      name: 'twin',
      hasher: createJavaScriptForest(KEY),
      tree: leaves => createJavaScriptTree(KEY, leaves)
    }
  ]
}

/**
 * The part of hashing a batch that is copying it in.
 *
 * @returns {Promise<(rows: Uint8Array, offsets: Uint32Array) => void>}
 */
export async function copyIn() {
  const { Core } = await load('wasm')
  const { BATCH_ROWS, stageBatch } = await load('packed')
  const core = new Core(KEY)
  return (rows, offsets) => {
    for (let first = 0; first < offsets.length - 1; first += BATCH_ROWS) {
      stageBatch(core, rows, offsets.subarray(first, first + BATCH_ROWS + 1))
    }
  }
}

/**
 * @typedef {object} Modules
 * @property {typeof import('../../src/digest/forest.ts')} forest
 * @property {typeof import('../../src/digest/tree.ts')} tree
 * @property {typeof import('../../src/digest/packed.ts')} packed
 * @property {typeof import('../../src/digest/wasm.ts')} wasm
 * @property {typeof import('../../src/digest/javascript.ts')} javascript
 * @property {typeof import('../../src/digest/javascript-hash-tree.ts')} javascript-hash-tree
 */

/**
 * @template {keyof Modules} Name
 * @param {Name} name
 * @returns {Promise<Modules[Name]>}
 */
async function load(name) {
  return await import(new URL(`${name}.js`, dist).href)
}
