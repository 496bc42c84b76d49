/** Counts for people. */

/**
 * @typedef {object} Count
 * @property {string} case
 * @property {number} n rows on both sides
 * @property {number} d of which so many differ
 * @property {number} [overheadBytes] both ways, without keys and rows
 * @property {number} [rowBytes]
 * @property {number} [roundTrips]
 * @property {number} [workMs]
 * @property {number} [rowsRead]
 * @property {number} [rowsMoved]
 * @property {number} [timeMs] from begin to end, on a network
 * @property {number} [rowsPerSecond]
 * @property {number} [p99Ms] of requests of clients meanwhile
 */

/** @type {[keyof Count, string][]} */
const COLUMNS = [
  ['case', 'case'],
  ['n', 'n'],
  ['d', 'd'],
  ['overheadBytes', 'overhead B'],
  ['rowBytes', 'row B'],
  ['roundTrips', 'trips'],
  ['workMs', 'work ms'],
  ['rowsRead', 'rows read'],
  ['rowsMoved', 'moved'],
  ['timeMs', 'time ms'],
  ['rowsPerSecond', 'rows/s'],
  ['p99Ms', 'p99 ms']
]

/**
 * @param {{ title: string, notes: readonly string[] }} question
 * @param {string} machine
 * @param {readonly Count[]} counts
 */
export function countsTable({ title, notes }, machine, counts) {
  const heads = [...COLUMNS.map(([, head]) => head), 'B/d', 'read/d']
  const lines = [heads, ...counts.map(cellsOf)]
  const widths = heads.map((_, i) => Math.max(...lines.map(line => line[i]?.length ?? 0)))
  const rows = lines.map(line => line.map((cell, i) => pad(cell, widths[i] ?? 0, i)).join('  '))
  return ['', title, machine, ...notes, '', ...rows, '', ''].join('\n')
}

/** @param {Count} count */
function cellsOf(count) {
  const { d, overheadBytes, rowsRead } = count
  const each = (/** @type {number | undefined} */ sum) =>
    sum === undefined || d === 0 ? '' : (sum / d).toPrecision(3)
  const cells = COLUMNS.map(([name]) => print(count[name]))
  return [...cells, each(overheadBytes), each(rowsRead)]
}

/** @param {string | number | undefined} value */
function print(value) {
  return typeof value === 'number' ? value.toLocaleString('en') : (value ?? '')
}

/** @param {string} cell @param {number} width @param {number} column */
function pad(cell, width, column) {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width)
}
