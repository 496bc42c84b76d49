import t from 'tap'
import { LARGE_MESSAGES } from '../src/digest/exchange-budget.ts'
import { Foreground } from '../src/repair/foreground.ts'
import { Pace } from '../src/repair/pace.ts'
import { finish } from '../src/util/sliced.ts'
import { HandClock } from './fixtures/engine-parts.ts'
import { turn } from './fixtures/hand-time.ts'

/** A clock that only work moves on, and timers that fire at once and say for how long they were set. */
function createStage(init: { busy: boolean }) {
  const clock = new HandClock()
  const rests: number[] = []
  const timers = {
    after: (ms: number, fn: () => void) => {
      rests.push(ms)
      clock.now += ms
      queueMicrotask(fn)
      return () => {}
    }
  }
  const stage = { busy: init.busy }
  const work = function* (slices: number, sliceMs: number) {
    for (let i = 0; i < slices; i++) {
      clock.now += sliceMs
      yield
    }
    return slices
  }
  const pace = new Pace({ clock, timers, busy: () => stage.busy }, { turnMs: 4, share: 0.2 })
  return { clock, rests, work, pace, stage }
}

t.test('work that is done within a turn is not interrupted', async t => {
  const { rests, work, pace } = createStage({ busy: true })
  t.equal(await pace.run(work(3, 1)), 3)
  t.same(rests, [])
})

t.test('long work gives way after each turn, and does not wait when nobody is served', async t => {
  const { rests, work, pace } = createStage({ busy: false })
  t.equal(await pace.run(work(12, 1)), 12)
  t.same(rests, [0, 0, 0])
})

t.test('while clients are served, work takes only its share of the time', async t => {
  const { rests, work, pace, stage } = createStage({ busy: true })
  await pace.run(work(40, 1))
  const rested = rests.reduce((sum, ms) => sum + ms, 0)
  t.equal(40 / (40 + Math.round(rested)), 0.2)
  stage.busy = false
  rests.length = 0
  await pace.run(work(8, 1))
  t.same(rests, [0, 0])
})

t.test(
  'P11 repair storms: however many exchanges are under way, they have one share together',
  async t => {
    for (const runs of [1, 2, 6]) {
      const clock = new HandClock()
      const began = clock.now
      const waiting: { at: number; fn: () => void }[] = []
      const after = (ms: number, fn: () => void) => {
        waiting.push({ at: clock.now + ms, fn })
        return () => {}
      }
      let workedMs = 0
      const work = function* () {
        for (; ; workedMs++, clock.now++) yield
      }
      const pace = new Pace({ clock, timers: { after }, busy: () => true }, { share: 0.2 })
      const controller = new AbortController()
      const all = Array.from({ length: runs }, () => pace.run(work(), controller.signal))
      const ended = Promise.allSettled(all)
      while (clock.now < began + 2_000) {
        await turn()
        const [next] = waiting.sort((a, b) => a.at - b.at).splice(0, 1)
        clock.now = Math.max(clock.now, next?.at ?? Infinity)
        next?.fn()
      }
      controller.abort()
      await ended
      const share = workedMs / (clock.now - began)
      t.ok(share > 0.15 && share < 0.25, `${runs} at once take ${share.toFixed(2)}`)
    }
  }
)

t.test('many short works add up to a turn', async t => {
  const { rests, work, pace } = createStage({ busy: true })
  for (let i = 0; i < 4; i++) await pace.run(work(1, 1))
  t.equal(rests.length, 1)
})

t.test('while clients are served, messages are small and few rows are applied at once', async t => {
  const { pace, stage } = createStage({ busy: true })
  const busy = { ...pace.size, atOnce: pace.rowsAtOnce }
  stage.busy = false
  const quiet = { ...pace.size, atOnce: pace.rowsAtOnce }
  t.same(pace.size, LARGE_MESSAGES)
  for (const what of ['rows', 'listed', 'atOnce'] as const)
    t.ok(busy[what] * 8 <= quiet[what], what)
})

t.test('a rest ends when it is aborted', async t => {
  const { work, clock } = createStage({ busy: true })
  const timers = { after: () => () => {} }
  const pace = new Pace({ clock, timers, busy: () => true })
  const controller = new AbortController()
  const run = pace.run(work(10, 1), controller.signal)
  controller.abort(new Error('enough'))
  await t.rejects(run, { message: 'enough' })
})

t.test('the foreground is busy during a request and for a moment after it', async t => {
  const clock = new HandClock()
  const foreground = new Foreground({ clock })
  t.notOk(foreground.busy)
  let end: () => void = () => {}
  const request = foreground.during(() => new Promise<void>(resolve => (end = resolve)))
  t.ok(foreground.busy)
  clock.now += 10_000
  t.ok(foreground.busy)
  end()
  await request
  t.ok(foreground.busy)
  clock.now += 100
  t.notOk(foreground.busy)
  const failed = foreground.during(() => Promise.reject(new Error('no')))
  await t.rejects(failed)
  clock.now += 100
  t.notOk(foreground.busy)
})

t.test('sliced work can be taken at once', async t => {
  t.equal(finish(createStage({ busy: true }).work(9, 1)), 9)
})
