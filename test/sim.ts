/**
 * Whole clusters in a world of chance. SEED=text adds fresh seeds derived from the text (a commit's
 * hash, say) to the fixed ones, SEEDS=number says how many of either are run, and REPLAY=number runs
 * one seed alone and prints what happened in it.
 */
import t from 'tap'
import { loadCode, SOURCE, type Code } from './fixtures/sim/code.ts'
import { loadCopy, mutate, readSources } from './fixtures/sim/mutants.ts'
import { MUTATIONS } from './fixtures/sim/mutations.ts'
import {
  plan,
  planForBlackouts,
  planForHints,
  planForReads,
  type Plan
} from './fixtures/sim/plan.ts'
import { drawU32 } from './fixtures/sim/random.ts'
import { runPlan, type Verdict } from './fixtures/sim/run.ts'

type Planner = (seed: number) => Plan

const { SEED, SEEDS = '100', REPLAY, PLAN = 'any' } = process.env
const TWICE_EVERY = 20
const SPECIAL_SEEDS = 15
const MUTANT_SEEDS_MAX = 60
const LINES_MAX = 100_000

const planners: Readonly<Record<string, Planner>> = {
  any: plan,
  hints: planForHints,
  blackouts: planForBlackouts,
  reads: planForReads
}

// Many clusters, and on a busy machine few processors.
t.setTimeout(600_000)

const fixed = Array.from({ length: Number(SEEDS) }, (_, i) => i)
const fresh = SEED === undefined ? [] : fixed.map(i => drawU32(0, SEED, i))
const whole = { skip: REPLAY === undefined ? false : 'one seed is replayed' }

/** One line from which the run can be had again. */
function describe({ seed, violations }: Verdict, name = 'any'): string {
  const shown = violations.slice(0, 5).join('; ')
  return `REPLAY=${seed} PLAN=${name} npx tap test/sim.ts # ${violations.length} violations: ${shown}`
}

async function firstFound(code: Code, plan: Planner): Promise<Verdict | undefined> {
  for (let seed = 0; seed < MUTANT_SEEDS_MAX; seed++) {
    const verdict = await runPlan(plan(seed), code)
    if (verdict.violations.length > 0) return verdict
  }
  return undefined
}

if (REPLAY !== undefined) {
  void t.test('one seed, replayed', async t => {
    const planner = planners[PLAN]
    if (planner === undefined) throw new Error(`PLAN is one of ${Object.keys(planners).join(', ')}`)
    const code = await loadCode(SOURCE, '.ts')
    const verdict = await runPlan(planner(Number(REPLAY)), code, { linesMax: LINES_MAX })
    for (const line of verdict.lines) t.comment(line)
    t.comment(`trace ${verdict.trace}, ${verdict.events} events`)
    t.same(verdict.violations, [])
  })
}

void t.test('no seed breaks a promise, and each gives one trace', whole, async t => {
  const code = await loadCode(SOURCE, '.ts')
  const history = []
  for (const seed of [...fixed, ...fresh]) {
    const verdict = await runPlan(plan(seed), code)
    history.push(...verdict.history)
    if (verdict.violations.length > 0) t.fail(describe(verdict))
    if (seed % TWICE_EVERY !== 0) continue
    const again = await runPlan(plan(seed), code)
    t.equal(again.trace, verdict.trace, `seed ${seed} gives the same trace twice`)
  }
  const acknowledged = history.filter(({ outcome }) => outcome === 'ok').length
  t.comment(`${acknowledged} of ${history.length} operations were acknowledged`)
  t.ok(acknowledged > history.length / 2, 'the worlds are not so harsh that they prove nothing')
  t.ok(acknowledged < history.length * 0.99, 'nor so mild')
})

void t.test('two seeds give two traces', whole, async t => {
  const code = await loadCode(SOURCE, '.ts')
  const [one, other] = [await runPlan(plan(1), code), await runPlan(plan(2), code)]
  t.not(one.trace, other.trace)
})

const special: readonly [claim: string, name: string][] = [
  ['hints alone bring every write to its owners', 'hints'],
  ['a quorum read sees every write that a quorum acknowledged before', 'reads'],
  ['nothing acknowledged is lost when the power goes out for all', 'blackouts']
]

for (const [claim, name] of special) {
  void t.test(claim, whole, async t => {
    const code = await loadCode(SOURCE, '.ts')
    for (let seed = 0; seed < SPECIAL_SEEDS; seed++) {
      const verdict = await runPlan((planners[name] as Planner)(seed), code)
      t.same(verdict.violations, [], describe(verdict, name))
    }
  })
}

void t.test('a mistake in the engine is found', whole, async t => {
  for (const [i, mutation] of MUTATIONS.entries()) {
    const copy = await loadCopy(String(i), mutation)
    t.teardown(() => copy.remove())
    const found = await firstFound(copy.code, mutation.plan)
    t.ok(found, `a node that ${mutation.name} is found`)
    if (found) t.comment(`by seed ${found.seed}: ${found.violations[0]}`)
  }
})

void t.test('a faithful copy of the engine is innocent', whole, async t => {
  const copy = await loadCopy('faithful')
  t.teardown(() => copy.remove())
  const code = await loadCode(SOURCE, '.ts')
  for (let seed = 0; seed < 5; seed++) {
    const verdict = await runPlan(plan(seed), copy.code)
    t.same(verdict.violations, [], describe(verdict))
    t.equal(verdict.trace, (await runPlan(plan(seed), code)).trace, 'and behaves the same')
  }
})

void t.test('a mutation that does not fit the code any more says so', whole, async t => {
  const [mutation] = MUTATIONS
  if (mutation === undefined) throw new Error('there are no mutations')
  t.throws(() => mutate(readSources(), { ...mutation, from: 'no such text' }), /adapt the mutation/)
  t.throws(() => mutate(readSources(), { ...mutation, from: 'const ' }), /adapt the mutation/)
})
