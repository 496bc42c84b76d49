/**
 * Whole clusters in a world of chance, on two threads. SEED=text draws half of the seeds from the text
 * (a commit's hash, say), SEEDS=number says how many there are. See `npm run sim -- --help` for more
 * of them, and to replay one.
 */
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { compile, readSources } from './fixtures/sim/compile.js'
import { keepPlan, tellFailure } from './fixtures/sim/failures.ts'
import { laneOf } from './fixtures/sim/lanes.ts'
import { readPlan } from './fixtures/sim/plan-json.ts'
import { Pool } from './fixtures/sim/pool.ts'
import { drawU32 } from './fixtures/sim/random.ts'
import type { Summary, Task } from './fixtures/sim/task.ts'
import { Totals } from './fixtures/sim/totals.ts'

const { SEED, SEEDS = '200' } = process.env
/** Of so many seeds one is played twice. */
const AUDIT_EVERY = 50
const SECONDS_A_SEED = 90

// Many clusters, and on a busy machine few processors.
t.setTimeout(900_000)

const count = Number(SEEDS)
const fresh = SEED === undefined ? 0 : Math.floor(count / 2)
const seeds = Array.from({ length: count }, (_, i) =>
  i < count - fresh ? i : drawU32(0, String(SEED), i)
)
const harness = compile(readSources({ harness: true }))
const engine = new URL('src/', harness).href

void t.test('no seed breaks a promise, and each gives one trace', async t => {
  const pool = new Pool(harness, { jobs: 2 })
  t.teardown(() => pool.close())
  const totals = new Totals()
  const began = performance.now()
  const tasks = seeds.map((seed, i): Task => {
    return { engine, lane: laneOf(seed), seed, twice: i % AUDIT_EVERY === 0 }
  })
  await pool.run(tasks, summary => {
    totals.add(summary)
    if (summary.violations.length > 0) t.fail(tellFailure(summary, keepPlan(summary)))
  })
  for (const line of totals.lines(performance.now() - began)) t.comment(line)
  t.equal(totals.seeds, count)
  const { acknowledged, operations } = totals
  t.ok(acknowledged > operations / 2, 'the worlds are not so harsh that they prove nothing')
  t.ok(acknowledged < operations * 0.99, 'nor so mild')
  t.ok(totals.virtualMs > count * SECONDS_A_SEED * 1_000, 'nor so short')
})

void t.test('plans that once broke a promise break none any more', async t => {
  const pool = new Pool(harness, { jobs: 2 })
  t.teardown(() => pool.close())
  const folder = new URL('./fixtures/sim/plans/', import.meta.url)
  const plans = readdirSync(folder).map(name =>
    readPlan(readFileSync(new URL(name, folder), 'utf8'))
  )
  const tasks = plans.map((plan): Task => ({ engine, lane: plan.lane, seed: plan.seed, plan }))
  t.not(tasks.length, 0)
  await pool.run(tasks, summary => {
    t.same(summary.violations, [], `seed ${summary.seed} of ${summary.lane}`)
  })
})

void t.test('two seeds give two traces, and a faithful copy of the engine the same', async t => {
  const pool = new Pool(harness, { jobs: 2 })
  t.teardown(() => pool.close())
  const copy = new URL('src/', compile(readSources({ harness: false }))).href
  const traces: Record<string, string> = {}
  const tasks = [engine, copy].flatMap(each =>
    [1, 2].map((seed): Task => ({ engine: each, lane: 'any', seed }))
  )
  const summaries: Summary[] = []
  await pool.run(tasks, summary => void summaries.push(summary))
  for (const { seed, trace } of summaries) {
    t.equal(traces[seed] ?? trace, trace, `seed ${seed} gives one trace in both`)
    traces[seed] = trace
  }
  t.not(traces[1], traces[2])
})
