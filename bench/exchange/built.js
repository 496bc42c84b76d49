/** The parts of the package as it is built that this question needs. */
import { existsSync } from 'node:fs'
import { UsageError } from '../parts/command.js'

const dist = new URL('../../dist/', import.meta.url)

export async function built() {
  if (!existsSync(dist)) throw new UsageError('Nothing is built yet; run `npm run build`.')
  return {
    .../** @type {typeof import('../../src/digest/forest.ts')} */ (await load('digest/forest')),
    .../** @type {typeof import('../../src/digest/exchange.ts')} */ (await load('digest/exchange')),
    .../** @type {typeof import('../../src/digest/exchange-respond.ts')} */ (
      await load('digest/exchange-respond')
    ),
    .../** @type {typeof import('../../src/index.ts')} */ (await load('index')),
    .../** @type {typeof import('../../src/net/cluster.ts')} */ (await load('net/cluster')),
    .../** @type {typeof import('../../src/net/keys.ts')} */ (await load('net/keys')),
    .../** @type {typeof import('../../src/replica/checkpoint.ts')} */ (
      await load('replica/checkpoint')
    ),
    .../** @type {typeof import('../../src/lattice/encode.ts')} */ (await load('lattice/encode')),
    .../** @type {typeof import('../../src/lattice/hlc.ts')} */ (await load('lattice/hlc')),
    .../** @type {typeof import('../../src/lattice/row.ts')} */ (await load('lattice/row')),
    .../** @type {typeof import('../../src/replica/replica.ts')} */ (await load('replica/replica')),
    .../** @type {typeof import('../../src/repair/hints.ts')} */ (await load('repair/hints')),
    .../** @type {typeof import('../../src/store/lmdb.ts')} */ (await load('store/lmdb')),
    .../** @type {typeof import('../../src/system.ts')} */ (await load('system')),
    .../** @type {typeof import('../../src/util/bytes.ts')} */ (await load('util/bytes')),
    .../** @type {typeof import('../../src/util/counters.ts')} */ (await load('util/counters')),
    .../** @type {typeof import('../../src/util/sliced.ts')} */ (await load('util/sliced')),
    .../** @type {typeof import('../../src/wire/exchange.ts')} */ (await load('wire/exchange')),
    .../** @type {typeof import('../../src/wire/rows.ts')} */ (await load('wire/rows'))
  }
}

/** @typedef {Awaited<ReturnType<typeof built>>} Built */

/** @param {string} name */
function load(name) {
  return import(String(new URL(`${name}.js`, dist)))
}
