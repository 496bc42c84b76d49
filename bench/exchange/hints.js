/** What the same rows cost as a backlog of hints: every one is sent, whatever the other side has. */
import { silent } from './side.js'
import { Watch } from './watch.js'

const OWNER = /** @type {import('../../src/util/node-id.ts').NodeId} */ ('owner')

/**
 * @param {import('./built.js').Built} built
 * @param {import('./side.js').Side} from
 * @param {import('./side.js').Side} to
 * @param {readonly Uint8Array[]} keys
 */
export async function replay(built, from, to, keys) {
  const sum = { bytes: 0, rowBytes: 0, roundTrips: 0, rowsRead: 0, rowsMoved: 0 }
  /** @param {NodeId} _to @param {string} _protocol @param {Uint8Array} body */
  const ask = async (_to, _protocol, body) => {
    const request = built.decodeApply(body)
    if (request === undefined) throw new Error('A message cannot be read.')
    const { items } = request
    await Promise.all(items.map(({ key, kind, bytes }) => to.replica.apply(key, kind, bytes)))
    const answer = built.encodeRefusals([])
    sum.bytes += body.length + answer.length
    for (const { key, bytes } of items) sum.rowBytes += key.length + bytes.length
    sum.roundTrips++
    sum.rowsMoved += items.length
    // Each is read to be sent and read to be joined.
    sum.rowsRead += 2 * items.length
    return answer
  }
  const table = { get: () => ({ state: 'up' }) }
  const membership = /** @type {import('../../src/cluster/membership.ts').Membership} */ (
    /** @type {unknown} */ ({ peers: [OWNER], view: { table }, ask })
  )
  const liveness = /** @type {import('../../src/cluster/liveness.ts').Liveness} */ (
    /** @type {unknown} */ ({ isAlive: () => true })
  )
  const { replica, store } = from
  /** @type {import('../../src/ports.ts').Timers} */
  const timers = {
    after: (ms, fn) => {
      const timer = setTimeout(fn, ms)
      return () => clearTimeout(timer)
    }
  }
  const parts = { replica, store, clock: built.systemClock, timers, log: silent }
  // The work is measured, not how long it is told to wait.
  const rates = { rowsPerSecondMax: Infinity, bytesPerSecondMax: Infinity }
  const components = { ...parts, meter: new built.Counters(), membership, liveness }
  const hints = new built.Hints(components, rates)
  for (let i = 0; i < keys.length; i += 1_000) {
    await Promise.all(keys.slice(i, i + 1_000).map(key => hints.add(OWNER, key)))
  }
  const watch = new Watch()
  // A turn of it ends after a while.
  while (hints.status().length > 0) await hints.replay()
  const time = watch.read()
  await hints.drop()
  return { ...sum, ...time }
}

/** @typedef {import('../../src/util/node-id.ts').NodeId} NodeId */
