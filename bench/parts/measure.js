/**
 * Measuring: all contenders of a case take turns in one process, so whatever disturbs the machine
 * disturbs them alike. Each is warmed first; what counts is the median of its rounds.
 *
 * Times depend on the machine and on the hour. Ratios within one case are what can be quoted.
 */

/** Rounds that are counted; odd, so that there is a middle one. */
export const ROUNDS = 11

/** How long a contender runs at a time, and before it counts. */
const SAMPLE_MS = 12
const WARM_MS = 60

/** The one that all others are compared with. */
const OURS = 'ours'

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {() => void} [run] does the work `units` times; absent: the contender is not here
 * @property {number} [units] how many times the work of the case one run is; may be a fraction
 * @property {string} [absent] why there is no `run`
 *
 * @typedef {{ name: string, contenders: readonly Contender[] }} Case
 *
 * @typedef {object} Result
 * @property {string} case
 * @property {string} contender
 * @property {number | null} ns for the work of the case once
 * @property {number | null} ratio this time over ours
 * @property {string} [absent]
 *
 * @typedef {(done: string) => void} Report
 */

/**
 * @param {Case} one
 * @param {Report} report
 * @param {number} [rounds]
 * @returns {Result[]}
 */
export function measure(one, report, rounds = ROUNDS) {
  const present = one.contenders.filter(contender => contender.run !== undefined)
  const runners = present.map(contender => new Runner(contender, one.name, report))
  for (let round = 0; round < rounds; round++) {
    report(`${one.name} round ${round + 1} of ${rounds}`)
    // Every round begins with another one: nobody always follows the same neighbour.
    for (let i = 0; i < runners.length; i++) {
      runners[(i + round) % runners.length]?.sample()
    }
  }
  const medians = new Map(runners.map(runner => [runner.name, runner.median()]))
  return one.contenders.map(contender => resultOf(one.name, contender, medians))
}

class Runner {
  /** @type {string} */
  name
  /** @type {() => void} */
  #run
  /** @type {number} */
  #units
  /** How often it runs in one sample. */
  #times = 1
  /** @type {number[]} */
  #samples = []

  /**
   * @param {Contender} contender
   * @param {string} place
   * @param {Report} report
   */
  constructor(contender, place, report) {
    this.name = contender.name
    this.#run = /** @type {() => void} */ (contender.run)
    this.#units = contender.units ?? 1
    report(`${place} warming ${contender.name}`)
    this.#warm()
  }

  #warm() {
    const end = performance.now() + WARM_MS
    let fastest = Infinity
    do fastest = Math.min(fastest, this.#time(1))
    while (performance.now() < end)
    this.#times = Math.max(1, Math.round(SAMPLE_MS / fastest))
  }

  /** @param {number} times */
  #time(times) {
    const from = performance.now()
    for (let i = 0; i < times; i++) this.#run()
    return performance.now() - from
  }

  sample() {
    this.#samples.push((this.#time(this.#times) * 1e6) / this.#times / this.#units)
  }

  median() {
    const sorted = this.#samples.toSorted((a, b) => a - b)
    return /** @type {number} */ (sorted[sorted.length >> 1])
  }
}

/**
 * @param {string} name
 * @param {Contender} contender
 * @param {ReadonlyMap<string, number>} medians
 * @returns {Result}
 */
function resultOf(name, contender, medians) {
  const ns = medians.get(contender.name)
  const ours = medians.get(OURS)
  const base = { case: name, contender: contender.name }
  if (ns === undefined) {
    return { ...base, ns: null, ratio: null, absent: contender.absent ?? 'not here' }
  }
  return { ...base, ns: round(ns), ratio: ours === undefined ? null : round(ns / ours) }
}

/** Four digits: more would not be true. @param {number} value */
function round(value) {
  return Number(value.toPrecision(4))
}
