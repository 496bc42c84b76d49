/** Results for programs, one JSON object a line, and for people. */

/** @typedef {import('./measure.js').Result} Result */

/** @param {readonly object[]} results */
export function jsonLines(results) {
  return results.map(result => `${JSON.stringify(result)}\n`).join('')
}

/**
 * @param {{ title: string, notes: readonly string[] }} question
 * @param {string} machine
 * @param {readonly Result[]} results
 */
export function table(question, machine, results) {
  const cases = [...new Set(results.map(result => result.case))]
  const parts = cases.map(name =>
    part(
      name,
      results.filter(result => result.case === name)
    )
  )
  return ['', question.title, machine, ...question.notes, '', ...parts].join('\n')
}

/**
 * @param {string} name
 * @param {readonly Result[]} results
 */
function part(name, results) {
  const width = Math.max(...results.map(result => result.contender.length))
  const lines = results.map(result => `  ${result.contender.padEnd(width)}  ${figures(result)}`)
  return `${name}\n${lines.join('\n')}\n\n`
}

/** @param {Result} result */
function figures({ ns, ratio, absent }) {
  if (ns === null) return `absent: ${absent}`
  return `${time(ns).padStart(10)}  ${(ratio ?? NaN).toFixed(2).padStart(8)} x`
}

/** @param {number} ns */
function time(ns) {
  if (ns < 10_000) return `${ns.toPrecision(3)} ns`
  return ns < 10_000_000 ? `${(ns / 1e3).toPrecision(3)} us` : `${(ns / 1e6).toPrecision(3)} ms`
}
