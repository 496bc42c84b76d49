/**
 * A run against an earlier one. Only ratios are compared: times say more about the machine. A ratio
 * that has fallen by more than a quarter is a loss, a cost that has risen as much is one, and so is
 * what is no longer measured. A contender that is not installed here is no loss, and is told.
 */
import { readFileSync } from 'node:fs'
import { UsageError } from './command.js'

/** @typedef {import('./measure.js').Result} Result */

/** Cases that compare ours with ours: what something costs, not how much faster it is. */
const COST = 'cost-'

/** The part of a ratio that must be left. */
export const KEPT = 0.75

/**
 * @typedef {object} Reference
 * @property {string} [machine] absent where none is named
 * @property {Result[]} results ratios
 * @property {import('../exchange/table.js').Count[]} counts
 */

/**
 * @param {string} file
 * @returns {Reference}
 */
export function readReference(file) {
  try {
    return referenceOf(readFileSync(file, 'utf8'))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new UsageError(`${file} cannot be compared with (${why}); pass what --save has written.`)
  }
}

/**
 * Lines that are no object, such as what npm says of the script it runs, are passed over.
 *
 * @param {string} text
 * @returns {Reference}
 */
function referenceOf(text) {
  const lines = text.split('\n').filter(line => line.startsWith('{'))
  const values = lines.map(line => /** @type {unknown} */ (JSON.parse(line)))
  const machine = values.map(machineOf).find(machine => machine !== undefined)
  const found = { results: values.filter(isResult), counts: values.filter(isCount) }
  return { ...(machine === undefined ? {} : { machine }), ...found }
}

/**
 * @param {unknown} value
 * @returns {string | undefined}
 */
function machineOf(value) {
  if (typeof value !== 'object' || value === null || !('machine' in value)) return undefined
  return String(value.machine)
}

/**
 * The line that names the machine is none.
 *
 * @param {unknown} value
 * @returns {value is Result}
 */
function isResult(value) {
  return typeof value === 'object' && value !== null && 'case' in value && 'ratio' in value
}

/**
 * @param {unknown} value
 * @returns {value is import('../exchange/table.js').Count}
 */
function isCount(value) {
  return typeof value === 'object' && value !== null && 'case' in value && 'd' in value
}

/**
 * @param {readonly Result[]} results
 * @param {readonly Result[]} reference
 * @param {string} [here] this machine
 * @param {string} [there] the machine of the reference
 */
export function compare(results, reference, here, there) {
  const now = new Map(results.map(result => [nameOf(result), result]))
  const losses = reference.flatMap(before => lossOf(before, now.get(nameOf(before))))
  const absent = missing(reference, results)
  const compared = `${reference.length} ratios compared with the reference, ${losses.length} lost`
  return {
    held: losses.length === 0,
    lines: [...strange(here, there), ...absent, ...losses, compared]
  }
}

/**
 * Ratios move with the kind of processor, too: with its vectors and its instructions for SHA-256.
 *
 * @param {string} [here]
 * @param {string} [there]
 */
function strange(here, there) {
  if (here === undefined) return []
  if (there === undefined)
    return ['The reference names no machine; it may be of another processor.']
  if (processorOf(here) === processorOf(there)) return []
  return [
    `The reference is of another processor: ${processorOf(there)}; this is ${processorOf(here)}.`,
    'A lost ratio may be the machine. Make a reference of this one with --save FILE.'
  ]
}

/** What comes before the cores. @param {string} machine */
function processorOf(machine) {
  return machine.replace(/, \d+ cores.*$/, '')
}

/** @param {Result} result */
function nameOf(result) {
  return `${result.case} ${result.contender}`
}

/**
 * @param {Result} before
 * @param {Result | undefined} now
 */
function lossOf(before, now) {
  if (before.ratio === null || before.contender === 'ours') return []
  if (now === undefined) return [`lost: ${nameOf(before)} was not measured`]
  if (now.ratio === null) return []
  const isCost = before.case.startsWith(COST)
  const isKept = isCost ? now.ratio * KEPT <= before.ratio : now.ratio >= before.ratio * KEPT
  if (isKept) return []
  return [
    `lost: ${nameOf(before)} ${isCost ? 'rose' : 'fell'} from ${before.ratio} to ${now.ratio}`
  ]
}

/** Those of the reference that could not be loaded here, each once. */
function missing(/** @type {readonly Result[]} */ reference, /** @type {readonly Result[]} */ now) {
  const gone = now.filter(({ ratio }) => ratio === null).map(nameOf)
  const names = reference.filter(each => each.ratio !== null && gone.includes(nameOf(each)))
  return [...new Set(names.map(({ contender }) => `not compared: ${contender} is absent here`))]
}
