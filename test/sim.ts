/**
 * Whole clusters in a world of chance. SEED=text adds fresh seeds derived from the text (a commit's
 * hash, say), SEEDS=number says how many seeds are run, and REPLAY=number runs one seed alone and
 * prints what happened in it.
 */
import t from 'tap'
import { loadCode, SOURCE, type Code } from './fixtures/sim/code.ts'
import { loadCopy, mutate, readSources } from './fixtures/sim/mutants.ts'
import { MUTATIONS } from './fixtures/sim/mutations.ts'
import { plan } from './fixtures/sim/plan.ts'
import { drawU32 } from './fixtures/sim/random.ts'
import { runPlan, type Verdict } from './fixtures/sim/run.ts'

const { SEED, SEEDS, REPLAY } = process.env
const COUNT = Number(SEEDS ?? 100)
const TWICE_EVERY = 20
const MUTANT_SEEDS_MAX = 100

const fixed = Array.from({ length: COUNT }, (_, i) => i)
const fresh = SEED === undefined ? [] : fixed.slice(0, 50).map(i => drawU32(0, SEED, i))

function describe({ seed, violations }: Verdict): string {
  const shown = violations.slice(0, 5).join('; ')
  return `REPLAY=${seed} npx tap test/sim.ts  # ${violations.length} violations: ${shown}`
}

async function firstFound(code: Code): Promise<Verdict | undefined> {
  for (let seed = 0; seed < MUTANT_SEEDS_MAX; seed++) {
    const verdict = await runPlan(plan(seed), code)
    if (verdict.violations.length > 0) return verdict
  }
  return undefined
}

void t.test('one seed, replayed', { skip: REPLAY === undefined }, async t => {
  const verdict = await runPlan(plan(Number(REPLAY)), await loadCode(SOURCE, '.ts'), {
    linesMax: 100_000
  })
  for (const line of verdict.lines) t.comment(line)
  t.comment(`trace ${verdict.trace}, ${verdict.events} events`)
  t.same(verdict.violations, [])
})

void t.test('no seed breaks a promise', { skip: REPLAY !== undefined }, async t => {
  const code = await loadCode(SOURCE, '.ts')
  let [acknowledged, operations] = [0, 0]
  for (const seed of [...fixed, ...fresh]) {
    const verdict = await runPlan(plan(seed), code)
    operations += verdict.history.length
    acknowledged += verdict.history.filter(({ outcome }) => outcome === 'ok').length
    if (verdict.violations.length > 0) t.fail(describe(verdict))
    if (seed % TWICE_EVERY === 0) {
      const again = await runPlan(plan(seed), code)
      t.equal(again.trace, verdict.trace, `seed ${seed} gives the same trace twice`)
    }
  }
  t.comment(`${acknowledged} of ${operations} operations were acknowledged`)
  t.ok(acknowledged > operations / 3, 'the worlds are not so harsh that they prove nothing')
})

void t.test('two seeds give two traces', { skip: REPLAY !== undefined }, async t => {
  const code = await loadCode(SOURCE, '.ts')
  const [one, other] = [await runPlan(plan(1), code), await runPlan(plan(2), code)]
  t.not(one.trace, other.trace)
})

void t.test('a mistake in the engine is found', { skip: REPLAY !== undefined }, async t => {
  for (const mutation of MUTATIONS) {
    const copy = await loadCopy(String(MUTATIONS.indexOf(mutation)), mutation)
    t.teardown(() => copy.remove())
    const found = await firstFound(copy.code)
    t.ok(found, `a node that ${mutation.name} is found`)
    if (found) t.comment(`seed ${found.seed}: ${found.violations[0]}`)
  }
})

void t.test(
  'a faithful copy of the engine is innocent',
  { skip: REPLAY !== undefined },
  async t => {
    const copy = await loadCopy('faithful')
    t.teardown(() => copy.remove())
    for (let seed = 0; seed < 10; seed++) {
      t.same((await runPlan(plan(seed), copy.code)).violations, [], `seed ${seed}`)
    }
  }
)

void t.test('a mutation that does not fit the code any more says so', async t => {
  const [mutation] = MUTATIONS
  if (mutation === undefined) throw new Error('there are no mutations')
  t.throws(() => mutate(readSources(), { ...mutation, from: 'no such text' }), /adapt the mutation/)
  t.throws(() => mutate(readSources(), { ...mutation, from: 'const ' }), /adapt the mutation/)
})
