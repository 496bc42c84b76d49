/**
 * Counts against those of an earlier run. In memory, bytes, round trips and rows are exact on every
 * machine; times are not, and are not compared, and neither is what went over the network: there the key
 * of the cluster is another one in every run, and with it where the rows lie. What has grown by more
 * than a quarter is a loss, and so is a count that is no longer there.
 */

/** @typedef {import('./table.js').Count} Count */

/** How much of a count may be added to it. */
export const GROWTH = 0.25

const IN_MEMORY = ['exchange', 'hints']
const EXACT = /** @type {const} */ (['overheadBytes', 'roundTrips', 'rowsRead', 'rowsMoved'])

/**
 * @param {readonly Count[]} counts
 * @param {readonly Count[]} reference
 */
export function compareCounts(counts, reference) {
  const exact = reference.filter(({ case: name }) => IN_MEMORY.includes(name))
  const now = new Map(counts.map(count => [nameOf(count), count]))
  const losses = exact.flatMap(before => lossesOf(before, now.get(nameOf(before))))
  const compared = `${exact.length} counts compared with the reference, ${losses.length} lost`
  return { held: losses.length === 0, lines: [...losses, compared] }
}

/** @param {Count} count */
function nameOf({ case: name, n, d }) {
  return `${name} n=${n} d=${d}`
}

/**
 * @param {Count} before
 * @param {Count | undefined} now
 */
function lossesOf(before, now) {
  if (now === undefined) return [`lost: ${nameOf(before)} was not measured`]
  return EXACT.flatMap(what => {
    const [was, is] = [before[what], now[what]]
    if (was === undefined || (is ?? Infinity) <= was * (1 + GROWTH)) return []
    return [`lost: ${nameOf(before)} ${what} rose from ${was} to ${is}`]
  })
}
