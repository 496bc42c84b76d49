/** One owner: a replica on LMDB in a directory of its own, which is gone when it is closed. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Any key will do. */
const KEY = new Uint8Array(32).fill(7)
const SLOTS = 16_384
const WRITES_A_COMMIT = 8_192

/** @typedef {import('./built.js').Built} Built */
/** @typedef {import('./rows.js').RowMaker} RowMaker */

export const silent = { debug: () => {}, info: () => {}, warn: () => {} }

export class Side {
  /** @type {import('../../src/replica/replica.ts').Replica} */
  replica
  /** @type {import('../../src/ports.ts').Store} */
  store
  /** @type {import('../../src/digest/exchange-rows.ts').ExchangeComponents} */
  own
  #directory

  /**
   * @param {import('../../src/replica/replica.ts').Replica} replica
   * @param {import('../../src/ports.ts').Store} store
   * @param {string} directory
   */
  constructor(replica, store, directory) {
    const { forest, rows } = replica
    this.replica = replica
    this.store = store
    this.#directory = directory
    const slots = Uint16Array.from({ length: SLOTS }, (_, slot) => slot)
    this.own = { forest, rows, group: forest.group(slots) }
  }

  async close() {
    await this.replica.close()
    await this.store.close()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

/**
 * A side that holds the rows 0 to `n`.
 *
 * @param {Built} built
 * @param {RowMaker} maker
 * @param {number} n
 * @param {(done: string) => void} report
 */
export async function openSide(built, maker, n, report) {
  const directory = mkdtempSync(join(tmpdir(), 'hearsay-bench-'))
  const store = await built.openLmdbStore({ directory })
  const forest = built.createForest(KEY)
  const parts = { store, forest, clock: built.systemClock, random: built.systemRandom }
  const replica = new built.Replica({ ...parts, log: silent, meter: new built.Counters() })
  await load(replica, store, maker, n, report)
  await replica.open()
  // Rows that nobody is known to have written could be old: these are not.
  await replica.filling.end(Array.from({ length: 16_384 }, (_, slot) => slot))
  return new Side(replica, store, directory)
}

/**
 * Straight into the store, which takes a tenth of the time that writing them would.
 *
 * @param {import('../../src/replica/replica.ts').Replica} replica
 * @param {import('../../src/ports.ts').Store} store
 * @param {RowMaker} maker
 * @param {number} n
 * @param {(done: string) => void} report
 */
export async function load({ rows }, store, maker, n, report) {
  for (let first = 0; first < n; first += WRITES_A_COMMIT) {
    const count = Math.min(WRITES_A_COMMIT, n - first)
    const writes = Array.from({ length: count }, (_, i) => {
      const key = maker.key(first + i)
      const { value } = rows.encode(key, maker.row(first + i))
      return { space: /** @type {const} */ ('rows'), key: rows.locate(key).id, value }
    })
    await store.commit(writes)
    report(`loading ${first + count} of ${n} rows`)
  }
}

/**
 * Which rows are written again: `d` of `n`, spread evenly.
 *
 * @param {number} n
 * @param {number} d
 */
export function updated(n, d) {
  return Array.from({ length: d }, (_, i) => Math.floor((i * n) / d))
}

/**
 * Applies a later version of `d` of the `n` rows.
 *
 * @param {Pick<Side, 'replica'>} side
 * @param {RowMaker} maker
 * @param {number} n
 * @param {number} d
 * @param {number} updates
 */
export async function update({ replica }, maker, n, d, updates) {
  const all = updated(n, d)
  for (let first = 0; first < d; first += WRITES_A_COMMIT) {
    const some = all.slice(first, first + WRITES_A_COMMIT)
    await Promise.all(some.map(i => replica.apply(maker.key(i), 'row', maker.bytes(i, updates))))
  }
}
