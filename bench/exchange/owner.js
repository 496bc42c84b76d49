/**
 * One node in a process of its own, told what to do by messages. Its rows are put into its store while
 * it is not running.
 */
import { built } from './built.js'
import { RowMaker } from './rows.js'
import { load, silent, update } from './side.js'

/**
 * @typedef {{ do: 'start', path: string, port: number, join?: string }
 *   | { do: 'stop' }
 *   | { do: 'load', path: string, n: number }
 *   | { do: 'update', path: string, n: number, d: number, updates: number }
 *   | { do: 'repair' }
 *   | { do: 'idle', exchanges: number }
 *   | { do: 'serve', ms: number, n: number }} Order
 */

const parts = await built()
const { createNode } = parts
const maker = new RowMaker(parts)

/** @type {Awaited<ReturnType<typeof createNode>> | undefined} */
let node

/** What happens between two turns of background tasks must not disturb what is measured. */
const TASKS = /** @type {const} */ (['anti-entropy', 'hints'])

/** @type {{ [Name in Order['do']]: (order: any) => Promise<unknown> }} */
const orders = {
  async start({ path, port, join }) {
    const listen = [`/ip4/127.0.0.1/tcp/${port}`]
    node = await createNode({ path, listen, n: 2, ...(join === undefined ? {} : { join }) })
    for (const task of TASKS) await node.pause(task)
    return { invite: node.invite(), address: node.addresses()[0] }
  },

  async stop() {
    await node?.close()
    node = undefined
  },

  async load({ path, n }) {
    await withReplica(path, async (replica, store) => {
      await load(replica, store, maker, n, () => {})
      // The trees that were saved know nothing of these rows: without the header they are read.
      const header = {
        space: /** @type {const} */ ('forest'),
        key: parts.HEADER_KEY,
        value: undefined
      }
      await store.commit([header])
    })
  },

  async update({ path, n, d, updates }) {
    await withReplica(path, async replica => {
      await replica.open()
      await update({ replica }, maker, n, d, updates)
      await replica.close()
    })
  },

  /** With the other node, as soon as both are there and agree on who is a member. */
  async repair() {
    for (let attempt = 1; ; attempt++) {
      const cpu = process.cpuUsage()
      const began = performance.now()
      const report = await repaired(attempt)
      const { user, system } = process.cpuUsage(cpu)
      const workMs = (user + system) / 1_000
      if (report !== undefined) return { ...report, timeMs: performance.now() - began, workMs }
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  },

  /** Exchanges in which nothing differs: what one of them takes. */
  async idle({ exchanges }) {
    const cpu = process.cpuUsage()
    const began = performance.now()
    for (let i = 0; i < exchanges; i++) {
      const [report] = (await node?.repair()) ?? []
      if (!report?.equal) throw new Error('The sides are not equal.')
    }
    const { user, system } = process.cpuUsage(cpu)
    const timeMs = (performance.now() - began) / exchanges
    return { workMs: (user + system) / 1_000 / exchanges, timeMs }
  },

  /** Reads and writes of clients, one after the other at an even pace; how long each took. */
  async serve({ ms, n }) {
    /** @type {number[]} */
    const times = []
    const end = performance.now() + ms
    for (let i = 0; performance.now() < end; i++) {
      const began = performance.now()
      const key = maker.key((i * 7_919) % n)
      if (i % 2 === 0) await node?.get(key)
      else await node?.put(`client ${i % 1_000}`, 'a value of a client')
      times.push(performance.now() - began)
      await new Promise(resolve => setTimeout(resolve, 2))
    }
    times.sort((a, b) => a - b)
    return { requests: times.length, p99Ms: times[Math.floor(times.length * 0.99)] }
  }
}

const ATTEMPTS_MAX = 100

/** @param {number} attempt */
async function repaired(attempt) {
  try {
    const [report] = (await node?.repair()) ?? []
    return report && { ...report, keys: [] }
  } catch (error) {
    const early = error instanceof parts.HearsayError && error.code === 'ERR_NETWORK'
    if (!early || attempt >= ATTEMPTS_MAX) throw error
    return undefined
  }
}

/**
 * @param {string} path
 * @param {(replica: import('../../src/replica/replica.ts').Replica, store: import('../../src/ports.ts').Store) => Promise<void>} work
 */
async function withReplica(path, work) {
  const { openLmdbStore, loadCluster, deriveKeys, createForest, Replica } = parts
  const store = await openLmdbStore({ directory: path })
  const { key } = await loadCluster(path, parts.systemRandom, {
    invite: undefined,
    n: undefined,
    hasMet: true
  })
  const forest = createForest(deriveKeys(key).digestKey)
  const system = { clock: parts.systemClock, random: parts.systemRandom, log: silent }
  const replica = new Replica({ ...system, store, forest, meter: new parts.Counters() })
  await work(replica, store)
  await store.close()
}

process.on('message', message => {
  const order = /** @type {Order} */ (message)
  orders[order.do](order).then(
    result => process.send?.({ result }),
    (/** @type {unknown} */ error) => process.send?.({ error: String(error) })
  )
})
process.send?.({ result: 'ready' })
