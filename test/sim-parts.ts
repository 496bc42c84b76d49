/**
 * The simulator's own parts: plans as text, shrinking, the command, and above all whether the
 * checkers and the whole of it see what is wrong.
 */
import t from 'tap'
import { CHECKERS, type Finished } from './fixtures/sim/checkers/all.ts'
import { FALSIFIED } from './fixtures/sim/falsified.ts'
import { loadCode } from './fixtures/sim/code.ts'
import { compile, readSources } from './fixtures/sim/compile.js'
import { hunt } from './fixtures/sim/hunt.ts'
import { HINT_MS, LANE_NAMES, laneOf, planFor } from './fixtures/sim/lanes.ts'
import { main } from './fixtures/sim/main.ts'
import { mutate } from './fixtures/sim/mutants.ts'
import { MUTATIONS } from './fixtures/sim/mutations.ts'
import { readOptions } from './fixtures/sim/options.ts'
import { printPlan, readPlan } from './fixtures/sim/plan-json.ts'
import type { Plan } from './fixtures/sim/plan.ts'
import { Pool } from './fixtures/sim/pool.ts'
import { runPlan } from './fixtures/sim/run.ts'
import { shrink } from './fixtures/sim/shrink.ts'
import type { Summary } from './fixtures/sim/task.ts'

t.setTimeout(900_000)

const harness = compile(readSources({ harness: true }))
const never = new AbortController().signal

void t.test('every plan survives being text', t => {
  for (const lane of LANE_NAMES) {
    for (let seed = 0; seed < 20; seed++) {
      const plan = planFor(lane, seed)
      t.same(readPlan(printPlan(plan)), plan, `${lane} ${seed}`)
    }
  }
  t.end()
})

void t.test('every lane is played, and in the slow one a host outlives the hints for it', t => {
  const lanes = Array.from({ length: 200 }, (_, seed) => laneOf(seed))
  t.same([...new Set(lanes)].sort(), [...LANE_NAMES].sort())
  t.equal(lanes.filter(lane => lane === 'slow').length, 1, 'it is dear')
  for (let seed = 0; seed < 20; seed++) {
    const { faults, operations, faultyMs } = planFor('slow', seed)
    const away = faults.find(({ forMs }) => forMs > HINT_MS)
    const [from, to] = [away?.at ?? Infinity, (away?.at ?? 0) + (away?.forMs ?? 0) - HINT_MS]
    t.ok(away && away.at + away.forMs < faultyMs, 'it comes back')
    t.ok(operations.filter(({ at }) => at > from && at < to).length > 10, 'and has missed much')
  }
  t.end()
})

void t.test('what is no plan is refused with a sentence', t => {
  const plan = planFor('any', 1)
  const bad: unknown[] = [
    'no object',
    { ...plan, nodes: 0 },
    { ...plan, lane: 'toString' },
    { ...plan, clocks: [] },
    { ...plan, faults: [{ at: 0, forMs: 0, do: 'meteor', host: 0 }] },
    { ...plan, faults: [{ at: 0, forMs: 0, do: 'wipe', host: 99 }] },
    { ...plan, operations: [{ ...plan.operations[0], level: 'most' }] }
  ]
  t.throws(() => readPlan('{'), /\.$/)
  for (const each of bad) t.throws(() => readPlan(JSON.stringify(each)), /\.$/)
  t.end()
})

void t.test('options that cannot be meant are a usage error', async t => {
  const bad = ['--seeds=0', '--seeds=x', '--lane=none', '--nonsense', 'word', '--jobs=-1']
  for (const arg of bad) t.throws(() => readOptions([arg]), /--|Unknown|Unexpected|lane/, arg)
  t.throws(() => readOptions(['--replay=1', '--mutants']), /Use one of/)
  const told: string[] = []
  const common = { harness, print: (line: string) => void told.push(line), progress: () => {} }
  const run = (...args: string[]) => main({ ...common, args, progressMs: 1e9, signal: never })
  t.equal(await run('--seeds=no'), 2)
  t.equal(await run('--plan=/no/such/file'), 2)
  t.equal(await run('--help'), 0)
  t.match(told.join('\n'), /Usage: npm run sim/)
})

void t.test('the command tells what it did, and what it had done when it is stopped', async t => {
  const told: string[] = []
  const common = { harness, print: (line: string) => void told.push(line), progressMs: 0 }
  const args = ['--seeds=2', '--lane=reads']
  t.equal(await main({ ...common, args, progress: line => told.push(line), signal: never }), 0)
  t.match(told.join('\n'), /2 seeds, .*simulated hours[^]*no promise was broken/)
  const stop = new AbortController()
  const stopped = main({
    ...common,
    args: ['--seeds=1000', '--lane=reads'],
    progress: () => stop.abort(),
    signal: stop.signal
  })
  t.equal(await stopped, 130)
  t.match(told.at(-1), 'no promise was broken')
})

void t.test('a plan is shrunk to what it fails by', async t => {
  const plan = planFor('any', 3)
  const [needed, other] = [plan.operations[7], plan.operations[20]]
  const fault = { at: 5, forMs: 1, do: 'pause', host: 0 } as const
  const large: Plan = { ...plan, faults: [...plan.faults, fault, ...plan.faults] }
  const fails = async ({ operations, faults }: Plan) =>
    operations.some(each => each.value === needed?.value) &&
    operations.some(each => each.value === other?.value) &&
    faults.some(each => each.do === 'pause' && each.at === 5)
  let replays = 0
  const counted = (smaller: Plan) => {
    replays++
    return fails(smaller)
  }
  const small = await shrink(large, counted, { now: () => 0 })
  t.equal(small.operations.length, 2)
  t.same(small.faults, [fault])
  t.ok(replays <= 200, `${replays} replays`)
  t.ok(await fails(small))
  const kept = await shrink(large, counted, { now: () => 0, replaysMax: 0 })
  t.same(kept, large, 'without replays nothing is taken away')
})

/** A clean run, the outcome of which is then falsified. */
async function cleanOutcome(): Promise<Finished> {
  const code = await loadCode(new URL('src/', harness), '.js')
  for (let seed = 0; ; seed++) {
    const { finished, violations } = await runPlan(planFor('losses', seed), code)
    if (violations.length === 0 && finished !== undefined) return finished
  }
}

void t.test('every checker accepts a clean outcome and sees a falsified one', async t => {
  const clean = await cleanOutcome()
  const seen = new Set<unknown>()
  for (const check of CHECKERS) t.same(check(clean), [], `${check.name} is content`)
  for (const [name, falsify] of Object.entries(FALSIFIED)) {
    const check = CHECKERS.find(each => each.name === name)
    if (check === undefined) throw new Error(`there is no checker ${name}`)
    seen.add(check)
    t.not(check(falsify(clean)).length, 0, `${name} complains`)
  }
  t.equal(seen.size, CHECKERS.length, 'each has been tried')
})

void t.test('a mutation that does not fit the code any more says so', t => {
  const sources = readSources({ harness: false })
  for (const mutation of MUTATIONS) t.doesNotThrow(() => mutate(sources, mutation), mutation.name)
  const [mutation] = MUTATIONS
  if (mutation === undefined) throw new Error('there are no mutations')
  t.throws(() => mutate(sources, { ...mutation, from: 'no such text' }), /adapt the mutation/)
  t.throws(() => mutate(sources, { ...mutation, from: 'const ' }), /adapt the mutation/)
  t.throws(() => mutate(sources, { ...mutation, file: 'none.ts' }), /there is no/)
  t.end()
})

void t.test('mistakes in the engine are found, and shrunk', async t => {
  // Two at a time, each on a thread of its own: most are found by their first seed.
  const pools = [1, 2].map(() => new Pool(harness, { jobs: 1 }))
  t.teardown(() => Promise.all(pools.map(pool => pool.close())))
  const [pool] = pools as [Pool, Pool]
  let first: { summary: Summary; engine: string } | undefined
  const queue = MUTATIONS.filter(({ quick }) => quick)
  const drain = async (pool: Pool) => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const found = await hunt(pool, next)
      t.ok(found, `a node that ${next.name} is found`)
      if (found) t.comment(`seed ${found.seed} of ${found.lane}: ${found.violations[0]}`)
      const engine = new URL('src/', compile(mutate(readSources({ harness: false }), next))).href
      if (found) first ??= { summary: found, engine }
    }
  }
  await Promise.all(pools.map(drain))
  if (first === undefined) throw new Error('no mutant was found')
  const { lane, seed } = first.summary
  let shrunk: Summary | undefined
  const tasks = [{ engine: first.engine, lane, seed, shrink: true }]
  await pool.run(tasks, summary => void (shrunk = summary))
  const small = shrunk?.minimal?.plan
  const large = planFor(lane, seed)
  t.ok(
    (small?.operations.length ?? Infinity) < large.operations.length / 4,
    'few operations are left'
  )
  const again = [{ engine: first.engine, lane, seed, ...(small && { plan: small }) }]
  await pool.run(again, ({ violations }) => void t.not(violations.length, 0, 'it still fails'))
})
