/** Two nodes over libp2p on loopback, each in a process of its own and with a directory of its own. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { round } from './watch.js'

/** @typedef {import('./table.js').Count} Count */
/** @typedef {import('./owner.js').Order} Order */

const SERVED_MS = 6_000
const IDLE_EXCHANGES = 200

/** A node that takes one order at a time. */
class Owner {
  path
  port
  /** @type {import('node:child_process').ChildProcess} */
  #process = fork(new URL('owner.js', import.meta.url))
  #gone = once(this.#process, 'exit').then(() => [{ error: 'its process has ended' }])

  /** @param {string} path @param {number} port */
  constructor(path, port) {
    this.path = path
    this.port = port
    mkdirSync(path, { mode: 0o700 })
  }

  /** @returns {Promise<any>} what the order gave */
  async answer() {
    const [said] = await Promise.race([once(this.#process, 'message'), this.#gone])
    const { result, error } = /** @type {{ result?: unknown, error?: string }} */ (said)
    if (error !== undefined) throw new Error(`A node failed: ${error}`)
    return result
  }

  /** @param {Order} order */
  order(order) {
    this.#process.send(order)
    return this.answer()
  }

  /** @param {string} [join] an invite */
  start(join) {
    const { path, port } = this
    return this.order({ do: 'start', path, port, ...(join === undefined ? {} : { join }) })
  }

  kill() {
    this.#process.kill()
  }
}

/**
 * The times of the same cases as in memory, of filling an empty node, and what clients notice of the
 * repair of a half of all rows.
 *
 * @param {number} n
 * @param {readonly number[]} differing
 * @param {(done: string) => void} report
 * @returns {Promise<Count[]>}
 */
export async function overNetwork(n, differing, report) {
  const directory = mkdtempSync(join(tmpdir(), 'hearsay-bench-'))
  const [first, second] = await Promise.all([freePort(), freePort()])
  const here = new Owner(join(directory, 'a'), first)
  const there = new Owner(join(directory, 'b'), second)
  try {
    await Promise.all([here.answer(), there.answer()])
    return await measured(here, there, n, differing, report)
  } finally {
    here.kill()
    there.kill()
    rmSync(directory, { recursive: true, force: true })
  }
}

/**
 * @param {Owner} here
 * @param {Owner} there
 * @param {number} n
 * @param {readonly number[]} differing
 * @param {(done: string) => void} report
 */
async function measured(here, there, n, differing, report) {
  const doing = (/** @type {string} */ what) => report(`network-${n} ${what}`)
  const { invite } = await here.start()
  await there.start(invite)
  await stop(here, there)
  doing('loading')
  await there.order({ do: 'load', path: there.path, n })
  await start(here, there)
  doing('filling')
  const counts = [countOf('network-fill', n, n, await here.order({ do: 'repair' }))]
  let updates = 0
  for (const d of differing) {
    doing(`d = ${d}`)
    await updated(here, there, n, d, ++updates)
    counts.push(countOf('network', n, d, await here.order({ do: 'repair' })))
  }
  doing('idle')
  const idle = await here.order({ do: 'idle', exchanges: IDLE_EXCHANGES })
  doing('clients, without a repair')
  const quiet = await here.order({ do: 'serve', ms: SERVED_MS, n })
  doing('clients, during the repair of a half of all rows')
  await updated(here, there, n, n / 2, ++updates)
  await here.order({ do: 'serve', ms: SERVED_MS / 4, n })
  const repair = there.order({ do: 'repair' })
  const busy = await here.order({ do: 'serve', ms: SERVED_MS, n })
  const half = countOf('network-half', n, n / 2, await repair)
  await stop(here, there)
  const served = [pick('clients-quiet', n, 0, quiet), pick('clients-repair', n, n / 2, busy)]
  const rest = { case: 'network-idle', n, d: 0, ...rounded(idle) }
  return [...counts, rest, ...served, half]
}

/** @param {string} name @param {number} n @param {number} d @param {{ p99Ms: number }} served */
function pick(name, n, d, { p99Ms }) {
  return { case: name, n, d, p99Ms: round(p99Ms) }
}

/** @param {{ workMs: number, timeMs: number }} times */
function rounded({ workMs, timeMs }) {
  return { workMs: round(workMs), timeMs: round(timeMs) }
}

/** @param {Owner} here @param {Owner} there */
async function start(here, there) {
  await Promise.all([here.start(), there.start()])
}

/** @param {Owner} here @param {Owner} there */
async function stop(here, there) {
  await here.order({ do: 'stop' })
  await there.order({ do: 'stop' })
}

/**
 * @param {Owner} here
 * @param {Owner} there
 * @param {number} n
 * @param {number} d
 * @param {number} updates
 */
async function updated(here, there, n, d, updates) {
  await stop(here, there)
  await there.order({ do: 'update', path: there.path, n, d, updates })
  await start(here, there)
}

/**
 * @param {string} name
 * @param {number} n
 * @param {number} d
 * @param {import('../../src/options.ts').ExchangeReport & { timeMs: number, workMs: number }} ran
 * @returns {Count}
 */
function countOf(name, n, d, { overheadBytes, rowBytes, roundTrips, rowsRead, timeMs, ...ran }) {
  const rowsMoved = ran.rowsSent + ran.rowsReceived
  const rowsPerSecond = Math.round((rowsMoved * 1_000) / timeMs)
  const times = rounded({ workMs: ran.workMs, timeMs })
  const counts = { overheadBytes, rowBytes, roundTrips, rowsRead, rowsMoved }
  return { case: name, n, d, ...counts, ...times, ...(d > 1_000 && { rowsPerSecond }) }
}

/** @returns {Promise<number>} */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  server.close()
  await once(server, 'close')
  return port
}
