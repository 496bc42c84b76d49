/**
 * How fast is the hashing core, beside everything else that hashes in Node.js? Rows of six sizes, a
 * tree of a million leaves, the whole way from a million rows to the root, a single row, and the
 * update of a tree.
 *
 * BLAKE3 contenders hash plainly where ours hashes under a key, and SHA-256 is SHA-256: what is
 * compared is the time for the same task, each in the fastest form that its maker offers.
 */
import { costCase, mixedCase } from './digest/cost.js'
import { chosenKernels, copyIn, ours } from './digest/ours.js'
import { loadPeers } from './digest/peers.js'
import { pipelineCase } from './digest/pipeline.js'
import { ROW_BYTES, rowsCase } from './digest/rows.js'
import { singleCase } from './digest/single.js'
import { treeCase } from './digest/tree.js'
import { UPDATES, updateCase } from './digest/update.js'
import { measure } from './parts/measure.js'

export const title = 'How fast is the hashing core?'

export const notes = [
  'Time: one row; the whole tree; all rows and the tree; one update and the new root.',
  'x: this time over ours. Medians of interleaved rounds. All copies in and out are counted.',
  'Of the tree and the pipeline, peers hash an eighth (noble a 64th), and that time is multiplied.'
]

/**
 * What is measured, in order, by name.
 *
 * @typedef {Awaited<ReturnType<typeof ours>>} Own
 * @typedef {Awaited<ReturnType<typeof loadPeers>>} Peers
 * @typedef {Awaited<ReturnType<typeof copyIn>>} Stage
 * @typedef {(own: Own, peers: Peers, stage: Stage) => import('./parts/measure.js').Case} Create
 *
 * @type {readonly (readonly [name: string, create: Create])[]}
 */
export const cases = [
  ...ROW_BYTES.map(bytes => named(`rows-${bytes}`, (own, peers) => rowsCase(bytes, own, peers))),
  named('cost-100', (own, _, stage) => costCase(own, stage)),
  named('mixed-1024', mixedCase),
  named('tree-1000000', treeCase),
  named('pipeline-1000000x100', pipelineCase),
  named('single-100', singleCase),
  ...UPDATES.map(n => named(`update-${n}`, (own, peers) => updateCase(n, own, peers)))
]

/**
 * @param {import('./parts/measure.js').Report} report
 * @param {(note: string) => void} say
 */
export async function ask(report, say) {
  const chosen = await chosenKernels()
  say(sentence(chosen))
  const peers = await loadPeers()
  const own = await ours(chosen)
  const stage = await copyIn()
  // One after the other, so that what a case needs is free again before the next.
  return cases.flatMap(([name, create]) => measure({ ...create(own, peers, stage), name }, report))
}

/** @param {string} name @param {Create} create @returns {readonly [string, Create]} */
function named(name, create) {
  return [name, create]
}

/** @param {import('../src/digest/calibrate.ts').Calibration} chosen */
function sentence({ lanes, vector, eightNs, fourNs, vectorNs, wordsNs }) {
  if (lanes === 1) return 'ours is the scalar build: this machine has no SIMD.'
  const batches = `${lanes} at a time (8: ${eightNs} ns a block, 4: ${fourNs} ns)`
  const alone = vector ? 'with vectors' : 'with words'
  return (
    `ours is what a node chooses here: ${batches}, and rows alone ${alone} ` +
    `(vectors: ${vectorNs} ns a block, words: ${wordsNs} ns).`
  )
}
