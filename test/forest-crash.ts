/**
 * A process with a real store on disk is killed at random moments while it writes rows and saves trees,
 * and what is on disk then comes back with the root of its rows, having read no more of them than had
 * changed since their tree was saved.
 *
 * `FOREST_ROWS=1000000 npx tap --timeout=1800 test/forest-crash.ts` does it with a million rows; how long
 * the starts took is in the comments.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { Range, Space, Store } from '../src/ports.ts'
import { markRange, slotOfKey } from '../src/replica/checkpoint.ts'
import { slotRange } from '../src/ring/row-key.ts'
import { openLmdbStore } from '../src/store/lmdb.ts'
import { hex } from '../src/util/bytes.ts'
import { forestReplica } from './fixtures/forest-rows.ts'
import { draw } from './fixtures/sim/random.ts'

const writer = fileURLToPath(new URL('./fixtures/forest-writer.ts', import.meta.url))
const rows = Number(process.env.FOREST_ROWS ?? 20_000)
const seed = Number(process.env.SEED ?? 1)
const ROUNDS = 4

/** Runs the writer, and kills it at a random moment after row `end` is there. Resolves with that row. */
async function crash(t: Test, path: string, first: number, end: number): Promise<void> {
  const options = process.execArgv.filter(option => !option.includes('processinfo'))
  const child = spawn(process.execPath, [...options, writer, path, `${first}`, `${end}`])
  t.teardown(() => child.kill('SIGKILL'))
  child.stderr.pipe(process.stderr)
  let more = 1 + Math.floor(6 * draw(seed, 'more', first))
  for await (const line of createInterface({ input: child.stdout })) {
    if (Number(line) < end || --more > 0) continue
    child.kill('SIGKILL')
    break
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  t.equal(child.signalCode, 'SIGKILL')
}

/** Passes reads on and counts the rows. */
function watched(store: Store): Store & { rowsRead: number } {
  const counting = {
    rowsRead: 0,
    place: store.place,
    get: store.get.bind(store),
    *range(space: Space, range?: Range) {
      for (const entry of store.range(space, range)) {
        if (space === 'rows') counting.rowsRead++
        yield entry
      }
    },
    commit: store.commit.bind(store),
    close: store.close.bind(store)
  }
  return counting
}

function rowsOfMarked(store: Store): number {
  let count = 0
  for (const [key] of store.range('forest', markRange)) {
    count += [...store.range('rows', slotRange(slotOfKey(key) as number))].length
  }
  return count
}

async function start(path: string) {
  const store = watched(await openLmdbStore({ directory: path }))
  const replica = forestReplica(store)
  const began = performance.now()
  await replica.open()
  const tookMs = Math.round(performance.now() - began)
  return { store, replica, rowsRead: store.rowsRead, tookMs }
}

void t.test('killed at any moment, it comes back with the forest of its rows', async t => {
  const path = t.testdir()
  let first = 0
  for (let round = 1; round <= ROUNDS; round++) {
    const end = Math.round((rows * round) / ROUNDS)
    await crash(t, path, first, end)
    first = end
    const probe = await openLmdbStore({ directory: path })
    const unsaved = rowsOfMarked(probe)
    await probe.close()
    const { store, replica, rowsRead, tookMs } = await start(path)
    t.equal(rowsRead, unsaved, 'reads what had changed')
    t.equal(replica.keeper.rows, end, 'has every row that was acknowledged')
    const rebuilt = forestReplica(store)
    rebuilt.keeper.build()
    t.equal(hex(replica.keeper.root()), hex(rebuilt.keeper.root()), 'and the root of its rows')
    t.comment(`${end} rows, ${rowsRead} read again: ${tookMs} ms`)
    // The next round starts from what a crash has left, not from an orderly stop.
    if (round < ROUNDS) await store.close()
    else {
      await replica.close()
      await store.close()
    }
  }
  const { store, replica, rowsRead, tookMs } = await start(path)
  t.equal(rowsRead, 0, 'after an orderly stop it reads none')
  t.equal(replica.keeper.rows, rows)
  const rebuilt = forestReplica(store)
  rebuilt.keeper.build()
  t.equal(hex(replica.keeper.root()), hex(rebuilt.keeper.root()))
  t.comment(`${rows} rows, none read again: ${tookMs} ms`)
  await store.close()
})
