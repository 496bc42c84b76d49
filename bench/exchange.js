/**
 * What does it cost to find and move what two owners do not have in common? Bytes and messages of the
 * two machines, without a network and so exactly; and the time between two nodes over libp2p on
 * loopback. Beside them, what the same rows cost when they are read from a backlog of hints.
 */
import { exchange } from './exchange/machines.js'
import { replay } from './exchange/hints.js'
import { overNetwork } from './exchange/network.js'
import { RowMaker } from './exchange/rows.js'
import { built } from './exchange/built.js'
import { openSide, update, updated } from './exchange/side.js'
import { countsTable } from './exchange/table.js'

/** @typedef {import('./exchange/table.js').Count} Count */
/** @typedef {(done: string) => void} Report */

export const title = 'What does an exchange cost?'

export const notes = [
  'n rows of 100 bytes on both sides, of which d were written again on one; where d is n, one side is empty.',
  'Overhead: all bytes but those of keys and rows, both ways. The first round trip is that of the root,',
  'the last one shows that the roots are equal. Work: time of the processor, of both ends together.',
  'network: two nodes over libp2p on loopback, in two processes; work is that of the one that began.',
  'network-idle: one of many exchanges in which nothing differs; a node begins one with each peer every 3 s.',
  'clients: the slowest of a hundred requests of clients, without and during the repair of n / 2 rows.'
]

export const table = countsTable

export const ROWS = [10_000, 100_000, 1_000_000]
const DIFFERING = [0, 1, 100, 10_000]

/**
 * @param {Report} report
 * @param {(note: string) => void} _say
 * @param {{ rowsMax?: number }} [options]
 */
export async function ask(report, _say, { rowsMax = Infinity } = {}) {
  const parts = await built()
  const maker = new RowMaker(parts)
  /** @type {Count[]} */
  const results = []
  for (const n of ROWS.filter(rows => rows <= rowsMax)) {
    results.push(...(await inMemory(parts, maker, n, report)))
    results.push(...(await overNetwork(n, DIFFERING, report)))
  }
  return results
}

/**
 * @param {import('./exchange/built.js').Built} parts
 * @param {RowMaker} maker
 * @param {number} n
 * @param {Report} report
 */
async function inMemory(parts, maker, n, report) {
  const doing = (/** @type {string} */ what) => report(`exchange-${n} ${what}`)
  /** @type {Count[]} */
  const results = []
  const here = await openSide(parts, maker, n, doing)
  const there = await openSide(parts, maker, n, doing)
  let updates = 0
  // The first exchange of a process runs before the compiler has seen it.
  for (const d of [10_000, ...DIFFERING].map(d => Math.min(d, n))) {
    doing(`d = ${d}`)
    await update(there, maker, n, d, ++updates)
    const count = countOf('exchange', n, d, await exchange(parts, here, there))
    if (updates > 1) results.push(count)
  }
  for (const d of DIFFERING.slice(1)) {
    doing(`hints, d = ${d}`)
    await update(there, maker, n, d, ++updates)
    const keys = updated(n, d).map(i => maker.key(i))
    results.push(countOf('hints', n, d, await replay(parts, there, here, keys)))
  }
  await here.close()
  const empty = await openSide(parts, maker, 0, doing)
  doing(`d = ${n}`)
  results.push(countOf('exchange', n, n, await exchange(parts, empty, there)))
  await Promise.all([empty.close(), there.close()])
  return results
}

/**
 * @param {string} name
 * @param {number} n
 * @param {number} d
 * @param {{ bytes: number } & Required<Omit<Count, 'case' | 'n' | 'd' | 'overheadBytes' | 'rowsPerSecond' | 'p99Ms'>>} sum
 * @returns {Count}
 */
function countOf(name, n, d, { bytes, rowBytes, roundTrips, workMs, rowsRead, rowsMoved, timeMs }) {
  const overheadBytes = bytes - rowBytes
  return {
    case: name,
    n,
    d,
    overheadBytes,
    rowBytes,
    roundTrips,
    workMs,
    rowsRead,
    rowsMoved,
    timeMs
  }
}
