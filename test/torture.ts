/** The torture's own judgement: what it calls lost or doubled, and what it refuses to understand. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { availability } from './fixtures/torture/availability.js'
import { Chance } from './fixtures/torture/chance.js'
import { parseCommand } from './fixtures/torture/command.js'
import { judge, judgeCount, judgeOrder } from './fixtures/torture/judge.js'
import { Ledger } from './fixtures/torture/ledger.js'
import { amount } from './fixtures/torture/progress.js'

const run = fileURLToPath(new URL('./fixtures/torture/run.js', import.meta.url))

const write = (value: string | undefined, version?: string) => ({ value, version })

t.test('an answer below the last acknowledged write is a loss', async t => {
  const history = [write('a', '01'), write('b', '02')]
  t.equal(judge(history, write('b', '02')), undefined)
  t.equal(judge(history, write('a', '01'))?.kind, 'lost')
  t.equal(judge(history, write(undefined))?.kind, 'lost', 'all is gone')
  t.equal(judge([write('a', '01'), write(undefined, '02')], write('a', '01'))?.kind, 'lost')
  t.equal(judge([], write(undefined)), undefined, 'of what was never written nothing is there')
})

t.test('a write that shows under a second version is doubled', async t => {
  const history = [write('a', '01'), write('b', '02')]
  t.match(judge(history, write('a', '03')), { kind: 'doubled', text: /"a" \(01\).*again as.*03/ })
  t.equal(judge(history, write('a', '02'))?.kind, 'doubled', 'one version, two values')
})

t.test('a value that nobody wrote, or that was refused, is told', async t => {
  t.equal(judge([write('a', '01')], write('z', '02'))?.kind, 'false')
  t.equal(judge([], write('z', '02'))?.kind, 'false')
})

t.test('a write of unknown outcome may be there once, above what was acknowledged', async t => {
  const ledger = new Ledger()
  ledger.acknowledge('k', 'a', '01')
  ledger.leaveOpen('k', 'b')
  ledger.check('k', write('a', '01'))
  ledger.check('k', write('b', '02'))
  t.same(ledger.told, [], 'not there yet, then there')
  ledger.check('k', write('a', '01'))
  t.match(ledger.told, [/^lost: k: /], 'what was read once has to stay')
  ledger.check('k', write('b', '03'))
  t.equal(ledger.doubled, 1, 'it is there twice')
})

t.test('a put of unknown outcome may come after a delete, and after no other put', async t => {
  const ledger = new Ledger()
  ledger.acknowledge('k', 'a', '01')
  ledger.leaveOpen('k', 'b')
  ledger.acknowledge('k', undefined, '03')
  ledger.check('k', write('b', '02'))
  t.match({ ...ledger }, { told: [], late: 1 }, 'the delete could not know of it')
  ledger.check('k', write('b', '02'))
  ledger.check('k', write(undefined, '03'))
  t.match(ledger.told, [/^lost: k: "b" \(02\)/], 'what was read once has to stay')
  const put = [write('a', '01'), write('b'), write('c', '03')]
  t.equal(judge(put, write('b', '02'))?.kind, 'lost', 'a put replaces it by its version')
  const known = [write('a', '01'), write('b', '02'), write(undefined, '03')]
  t.equal(judge(known, write('b', '02'))?.kind, 'lost', 'an acknowledged put stays deleted')
})

t.test('a write of unknown outcome that did not happen cannot come later', async t => {
  const ledger = new Ledger()
  ledger.acknowledge('k', 'a', '01')
  ledger.leaveOpen('k', 'b')
  ledger.settle('k')
  ledger.check('k', write('b', '02'))
  t.equal(ledger.foreign, 1)
})

t.test(
  'a version that names two writes, or goes back, is seen when it is acknowledged',
  async t => {
    const ledger = new Ledger()
    ledger.acknowledge('k', 'a', '02')
    ledger.acknowledge('l', 'a', '02')
    t.equal(ledger.doubled, 1)
    ledger.acknowledge('k', 'b', '01')
    t.equal(ledger.lost, 1)
    t.equal(judgeOrder([write('a', '01')], write('b', '02')), undefined)
  }
)

t.test('a counter is at least what was acknowledged and at most what was tried', async t => {
  const count = { least: 2, most: 4 }
  const found = [1, 2, 3, 4, 5, NaN].map(value => judgeCount(count, value)?.kind)
  t.same(found, ['lost', undefined, undefined, undefined, 'doubled', 'false'])
  const ledger = new Ledger()
  ledger.increment('c', true)
  ledger.increment('c', false)
  ledger.checkCount('c', 2)
  ledger.checkCount('c', 1)
  t.match(ledger.told, [/^lost: c: 2 increments/], 'what was read once has to stay')
  ledger.settle('c')
  ledger.checkCount('c', 3)
  t.equal(ledger.doubled, 1)
})

t.test('only keys that were written since are checked again', async t => {
  const ledger = new Ledger()
  ledger.acknowledge('k', 'a', '01')
  ledger.increment('c', true)
  t.same(ledger.takeTouched(), ['k', 'c'])
  ledger.check('k', write('a', '01'))
  t.same(ledger.takeTouched(), [])
})

t.test('availability counts what callers saw', async t => {
  const operation = (dueMs: number, doneMs: number, code?: string, attempts = 1) => ({
    ...{ dueMs, doneMs, code, attempts }
  })
  const operations = [
    operation(1_000, 1_010),
    operation(1_100, 1_600, 'ERR_TIMEOUT'),
    operation(1_200, 1_900, undefined, 2),
    operation(1_090, 1_800)
  ]
  const found = availability(operations, { beginMs: 1_000, hurtMs: 1_100 })
  t.match(found, { operations: 4, failed: 1, share: 0.75, codes: { ERR_TIMEOUT: 1 } })
  t.equal(found.firstSuccessMs, 800, 'of what began after it')
  t.equal(found.longestGapMs, 790)
  t.equal(found.failedOver, 1)
  t.equal(availability([], { beginMs: 0, hurtMs: 0 }).firstSuccessMs, null, 'none is not at once')
})

t.test('a command that cannot be understood ends with code 2 and a sentence', async t => {
  const wrong = [
    [['kill-two'], /no lane "kill-two".*kill-one/],
    [['--fast'], /no option --fast/],
    [['--cycles'], /--cycles needs a whole number from 1/],
    [['--cycles', '0'], /--cycles 0 is not a whole number from 1/],
    [['--seconds', '1'], /--seconds 1 .*from 8/],
    [['--seed', '-1'], /--seed -1 /],
    [['--seed', '4294967296'], /--seed 4294967296 /]
  ] as const
  for (const [args, message] of wrong) {
    t.throws(() => parseCommand(args, () => 1), message)
  }
  const env = { ...process.env, NODE_OPTIONS: '' }
  const execute = promisify(execFile)
  await t.rejects(execute(process.execPath, [run, 'kill-two'], { env }), {
    code: 2,
    stdout: '',
    stderr: /no lane "kill-two"/
  })
  t.match((await execute(process.execPath, [run, '--help'], { env })).stdout, /^usage: .*--cycles/s)
})

t.test('lanes run in their order, all of them when none is named', async t => {
  const command = parseCommand(['absence', '--cycles', '3', 'kill-one', '--json'], () => 7)
  t.match(command, { lanes: ['kill-one', 'absence'], cycles: 3, json: true, seed: 7 })
  t.same(parseCommand([], () => 7).lanes, ['kill-one', 'kill-three', 'absence'])
})

t.test('the same seed draws the same plan', async t => {
  const draws = (seed: number, name: string) => {
    const chance = new Chance(seed, name)
    return [chance.int(0, 1e9), chance.some([1, 2, 3], 2), chance.float()]
  }
  t.same(draws(1, 'a'), draws(1, 'a'))
  t.notSame(draws(1, 'a'), draws(2, 'a'))
  t.notSame(draws(1, 'a'), draws(1, 'b'))
})

t.test('progress tells the rate and the time left', async t => {
  t.equal(amount(50, 200, 100), ': 50 of 200, 0.50 a second, 5 min 0 s left')
  t.equal(amount(0, 200, 0), ': 0 of 200')
  t.equal(amount(undefined, undefined, 1), '')
})
