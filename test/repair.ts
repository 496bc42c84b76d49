/** Exchanges that somebody asks for, and what they tell while they run. */
import t from 'tap'
import type { Membership } from '../src/cluster/membership.ts'
import { SMALL_MESSAGES } from '../src/digest/exchange-budget.ts'
import { Answering } from '../src/repair/answering.ts'
import { Doubts, VERIFIED_MAX } from '../src/repair/doubts.ts'
import { ExchangeRun } from '../src/repair/exchange-run.ts'
import type { Pace } from '../src/repair/pace.ts'
import type { SharedSlots } from '../src/repair/shared-slots.ts'
import type { RepairProgress } from '../src/options.ts'
import { Counters } from '../src/util/counters.ts'
import { utf8 } from '../src/util/bytes.ts'
import type { NodeId } from '../src/util/node-id.ts'
import { finish, type Sliced } from '../src/util/sliced.ts'
import { encodeExchangeRequest } from '../src/wire/exchange.ts'
import { cut, formWorld, mend, runUntil } from './fixtures/engine-world.ts'
import { openReplica, setTo, silent } from './fixtures/engine-parts.ts'
import { rowsOf } from './fixtures/sim/inspect.ts'

/** Three nodes of which the last one lacks some rows, and nothing that would bring them by itself. */
async function behind(rows: number, value = 'v') {
  const world = await formWorld({ seed: 51 })
  for (const { index } of world.hosts) {
    for (const task of ['anti-entropy', 'hints'] as const)
      await world.until(world.node(index).pause(task))
  }
  for (const other of [0, 1]) cut(world, other, 2)
  for (let i = 0; i < rows; i++)
    await world.until(world.node(0).put(`key ${i}`, value, { level: 'two' }))
  for (const other of [0, 1]) mend(world, other, 2)
  await world.run(5_000)
  return world
}

t.test('repair tells how far it is, up to the last slot and the last row', async t => {
  const world = await behind(100)
  const told: RepairProgress[] = []
  const onProgress = (progress: RepairProgress) => void told.push(progress)
  const reports = await world.until(world.node(0).repair({ onProgress }))
  t.equal(reports.length, 2)
  const peers = reports.map(({ peer }) => peer)
  t.same([...new Set(told.map(({ peer }) => peer))], peers)
  const moved = reports.reduce((sum, each) => sum + each.rowsSent + each.rowsReceived, 0)
  t.ok(moved >= 100)
  t.match(told.at(-1), { peersDone: 1, peersTotal: 2, slots: 16_384, slotsTotal: 16_384 })
  t.match(told.at(-1), { rows: moved, elapsedMs: Number })
  const pairs = told.slice(1).map((each, i) => [told[i] as RepairProgress, each] as const)
  t.ok(pairs.every(([a, b]) => a.rows <= b.rows && a.bytes <= b.bytes))
  t.ok(pairs.every(([a, b]) => a.peer !== b.peer || a.slots <= b.slots))
  t.ok(
    told.some(({ slots }) => slots > 0 && slots < 16_384),
    'some slots were done before others'
  )
})

t.test('repair waits for writes on their way, and with now it does not', async t => {
  const took = async (now: boolean) => {
    const world = await behind(3)
    const from = world.scheduler.now
    const [first] = await world.until(world.node(2).repair({ peer: world.node(0).id, now }))
    t.match(first, { equal: true, rowsReceived: 3 })
    return world.scheduler.now - from
  }
  t.ok((await took(false)) >= 200)
  t.ok((await took(true)) < 200)
})

t.test('exchanges with one peer wait for each other, and move a row once', async t => {
  const world = await behind(100)
  const [node, peer] = [world.node(2), world.node(0).id]
  const asked = Array.from({ length: 6 }, () => node.repair({ peer }))
  const stop = new AbortController()
  const waiting = node.repair({ peer, signal: stop.signal })
  stop.abort(new Error('enough'))
  await t.rejects(waiting, { message: 'enough' }, 'at once, whoever is before it')
  const reports = (await world.until(Promise.all(asked))).flat()
  t.equal(reports.length, 6)
  t.equal(
    reports.reduce((sum, each) => sum + each.rowsReceived, 0),
    100
  )
  t.ok(reports.every(({ equal }) => equal))
})

t.test('a peer that cannot be reached keeps nobody from being repaired', async t => {
  for (const silentPeer of [0, 1]) {
    const world = await behind(20)
    cut(world, silentPeer, 2)
    const repair = world.node(2).repair()
    await t.rejects(world.until(repair), { code: 'ERR_NETWORK' })
    t.equal(world.node(2).status().rows, 20)
  }
})

t.test('an owner that is down is told of, and is not equal', async t => {
  const world = await behind(5)
  const [node, away] = [world.node(0), world.node(2).id]
  const isDown = (id: string) =>
    node.status().members.some(each => each.id === id && each.liveness === 'down')
  for (const other of [0, 1]) cut(world, other, 2)
  await runUntil(world, () => isDown(away))
  const some = await world.until(node.repair())
  t.match(some, [
    { peer: world.node(1).id, reached: true, equal: true },
    { peer: away, reached: false, equal: false, messages: 0, keys: [] }
  ])
  await t.rejects(world.until(node.repair({ peer: away })), { code: 'ERR_NETWORK' })
  cut(world, 0, 1)
  await runUntil(world, () => isDown(world.node(1).id))
  t.same(
    (await world.until(node.repair())).map(({ reached, equal }) => [reached, equal]),
    [
      [false, false],
      [false, false]
    ],
    'also when all are'
  )
})

t.test('a repair that is aborted rejects, and what it told is done', async t => {
  const world = await behind(100)
  const stop = new AbortController()
  const onProgress = ({ peersDone }: RepairProgress) => {
    if (peersDone === 1) stop.abort(new Error('enough'))
  }
  const repair = world.node(2).repair({ signal: stop.signal, onProgress })
  await t.rejects(world.until(repair), { message: 'enough' })
  t.equal(world.node(2).status().rows, 100)
  t.match(await world.until(world.node(2).repair()), [{ equal: true }, { equal: true }])
})

t.test(
  'a repair that was given up before it began rejects, also where there is no peer',
  async t => {
    const world = await formWorld({ nodes: 1 })
    const signal = AbortSignal.abort(new Error('enough'))
    await t.rejects(world.until(world.node(0).repair({ signal })), { message: 'enough' })
  }
)

t.test('an aborted repair has told of every row that it moved, to the last', async t => {
  for (const [by, other] of [
    [2, 0],
    [0, 2]
  ] as const) {
    const world = await behind(100, 'v'.repeat(50_000))
    const [node, peer] = [world.node(by), world.node(other).id]
    const told: RepairProgress[] = []
    const stop = new AbortController()
    const onProgress = (progress: RepairProgress) => void told.push(progress)
    const options = { peer, now: true, signal: stop.signal, onProgress }
    const ended = t.rejects(world.until(node.repair(options)), { message: 'enough' })
    await runUntil(world, () => rowsOf(world.host(2).disk).size > 0, 10_000, 1)
    stop.abort(new Error('enough'))
    await ended
    const { counters } = node.status()
    const moved = (counters['exchange.rows-sent'] ?? 0) + (counters['exchange.rows-received'] ?? 0)
    t.equal(told.at(-1)?.rows, moved, 'what it counted')
    await world.run(1_000)
    t.equal(rowsOf(world.host(2).disk).size, moved, 'what is on the disk that lacked it')
    t.ok(moved > 0 && moved < 100, `${moved} of 100`)
  }
})

t.test(
  'only slots that three exchanges in a row leave unexplained are proven, and few',
  async t => {
    const proven: number[] = []
    const meter = new Counters()
    const replica = {
      verifySlot: async (slot: number) => {
        proven.push(slot)
        return false
      }
    }
    const doubts = new Doubts({ replica, meter, log: silent })
    const [one, two] = ['one', 'two'] as NodeId[] as [NodeId, NodeId]
    const slots = (...list: number[]) => Uint16Array.from(list)
    await doubts.settle(one, slots(1, 2))
    await doubts.settle(one, slots(1, 2))
    await doubts.settle(two, slots(1, 2))
    t.same(proven, [], 'twice with one peer and once with another is not three times')
    await doubts.settle(one, slots(2, 3))
    t.same(proven, [2])
    await doubts.settle(one, slots(2))
    await doubts.settle(one, slots(2))
    t.same(proven, [2], 'what was proven is not proven again at once')
    await doubts.settle(one, slots(2))
    t.same(proven, [2, 2])
    await doubts.settle(one, slots(4))
    await doubts.settle(one, slots())
    await doubts.settle(one, slots(4))
    await doubts.settle(one, slots(4))
    t.same(proven, [2, 2], 'one that came to its end in between ends the row')
    const many = Uint16Array.from({ length: 100 }, (_, i) => i + 10)
    await doubts.settle(one, many)
    await doubts.settle(one, many)
    for (let run = 1; run <= 3; run++) {
      await doubts.settle(one, many.slice((run - 1) * VERIFIED_MAX))
      t.equal(proven.length, 2 + run * VERIFIED_MAX)
    }
    t.equal(meter.totals()['exchange.trees-verified'], proven.length)
  }
)

t.test('an exchange under which its slots are given back says why, on either side', async t => {
  const { replica, clock } = await openReplica()
  const timers = { after: () => () => {} }
  await replica.mutate(utf8('a row'), setTo('v'), false)
  const peer = 'peer' as NodeId
  for (const [changed, code] of [
    [true, 'ERR_NETWORK'],
    [false, 'ERR_CLOSED']
  ] as const) {
    const group = replica.forest.group(Uint16Array.of(1, 2, 3))
    const view = { fingerprint: 'before' }
    const pace = {
      size: SMALL_MESSAGES,
      rowsAtOnce: 1,
      worked: () => undefined,
      run: async (work: Sliced<unknown>) => {
        group.free()
        if (changed) view.fingerprint = 'after'
        return finish(work)
      }
    } as unknown as Pace
    const membership = { view, id: 'self' } as unknown as Membership
    const shared = { group: () => group, isOf: () => !changed } as unknown as SharedSlots
    const parts = { replica, membership, clock, timers, meter: new Counters(), pace }
    const answering = new Answering({ ...parts, shared })
    const root = new Uint8Array(32)
    const none = { salt: 0, hashes: [], lists: [], wants: [], rows: [] }
    await t.rejects(answering.answer(peer, encodeExchangeRequest({ ...none, root })), { code })
    view.fingerprint = 'before'
    const init = { peer, group, settleMs: 0, salt: 0, turnMs: 1_000, signal: undefined }
    const run = new ExchangeRun(parts, { ...init, onSame: () => {} })
    await t.rejects(run.run(), { code })
  }
})
