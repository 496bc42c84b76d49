/**
 * The contenders of this project, from the package as it is built: `ours` as a node would choose to
 * hash on this machine, and in every width that it has.
 */
import { existsSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
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
 * @property {() => HashTree} tree of LEAVES leaves, always the same
 */

/** Leaves of the tree. */
export const LEAVES = 1_000_000

/** What a node would choose; see calibrate.ts. */
export async function chosenKernels() {
  const { calibrate } = await load('calibrate')
  return await calibrate({ monoMs: () => performance.now(), pause: () => setTimeout(1) })
}

/**
 * @param {import('../../src/digest/wasm.ts').Kernels} chosen
 * @returns {Promise<Own[]>}
 */
export async function ours(chosen) {
  const { createForest } = await load('forest')
  const { createTree } = await load('tree')
  const { createJavaScriptForest } = await load('javascript')
  const { createJavaScriptTree } = await load('javascript-hash-tree')
  /** @type {[string, import('../../src/digest/wasm.ts').CoreInit][]} */
  const builds = [['ours', chosen], ...widths(chosen), ['ours-scalar', { build: 'scalar' }]]
  return [
    ...builds.map(([name, init]) => ({
      name,
      hasher: createForest(KEY, init),
      tree: once(() => createTree(KEY, LEAVES, init))
    })),
    {
      name: 'twin',
      hasher: createJavaScriptForest(KEY),
      tree: once(() => createJavaScriptTree(KEY, LEAVES))
    }
  ]
}

/**
 * In every width, where there is SIMD: without it all would be the scalar build.
 *
 * @param {import('../../src/digest/wasm.ts').Kernels} chosen
 * @returns {[string, import('../../src/digest/wasm.ts').CoreInit][]}
 */
function widths(chosen) {
  if (chosen.lanes === 1) return []
  return [
    ['ours-8', { ...chosen, lanes: 8 }],
    ['ours-4', { ...chosen, lanes: 4 }]
  ]
}

/**
 * One tree for all cases: a million leaves are 64 MB.
 *
 * @param {() => HashTree} create
 */
function once(create) {
  /** @type {HashTree | undefined} */
  let tree
  return () => (tree ??= create())
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
 * @property {typeof import('../../src/digest/calibrate.ts')} calibrate
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
  if (!existsSync(dist)) throw new UsageError('Nothing is built yet; run `npm run build`.')
  return await import(new URL(`${name}.js`, dist).href)
}
