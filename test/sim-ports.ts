import t, { type Test } from 'tap'
import * as errors from '../src/errors.ts'
import type { StoreWrite } from '../src/ports.ts'
import { text, utf8 } from '../src/util/bytes.ts'
import { Endpoint } from './fixtures/sim/endpoint.ts'
import { HostClock, Life } from './fixtures/sim/life.ts'
import { CALM, Fabric, nodeId } from './fixtures/sim/network.ts'
import { pump } from './fixtures/sim/pump.ts'
import { Scheduler } from './fixtures/sim/scheduler.ts'
import { Disk, FAST, SimStore } from './fixtures/sim/store.ts'
import { Trace } from './fixtures/sim/trace.ts'
import { networkSuite, type NetworkFactory } from './fixtures/network-suite.ts'
import { storeSuite } from './fixtures/store-suite.ts'

const STILL = { offsetMs: 0, driftPpm: 0 }

/** A timeline with lives on it, without any engine. */
function stage(seed = 1) {
  const scheduler = new Scheduler(seed)
  const trace = new Trace()
  const life = (host = 0, clock = new HostClock(scheduler, STILL)) =>
    new Life({ scheduler, trace, clock }, { host })
  return { scheduler, trace, life }
}

function put(key: string, value = key): StoreWrite {
  return { space: 'rows', key: utf8(key), value: utf8(value) }
}

void storeSuite(t, 'the simulated store', async t => {
  const { scheduler, life } = stage()
  const disk = new Disk('disk')
  const flow = pump(scheduler)
  t.teardown(() => flow.stop())
  return {
    open: async () =>
      new SimStore(
        { disk, life: life(), scheduler, errors, onCommit: () => {} },
        { seed: 1, faults: () => FAST }
      )
  }
})

const simulated: NetworkFactory = async (t, { count, setup }) => {
  const { scheduler, trace, life } = stage()
  const fabric = new Fabric({ scheduler, trace }, { seed: 1 })
  const ends = Array.from(
    { length: count },
    (_, host) => new Endpoint({ fabric, life: life(host), errors })
  )
  t.teardown(() => ends.forEach(end => end.life.end()))
  ends.forEach((end, i) => setup?.(end, i))
  for (const end of ends) await end.start()
  const dials = ends.flatMap((end, i) => ends.slice(i + 1).map(to => end.dial(`sim/${to.self}`)))
  await scheduler.runUntil(100)
  await Promise.all(dials)
  const during = async <T>(work: Promise<T>): Promise<T> => {
    let settled = false
    const settle = () => (settled = true)
    work.then(settle, settle)
    await scheduler.runWhile(() => !settled, scheduler.now + 60_000)
    return work
  }
  const pass = (ms: number) => scheduler.runUntil(scheduler.now + ms)
  return { networks: ends, during, pass, stranger: nodeId(9) }
}

networkSuite(t, 'the simulated network', simulated)

void t.test('a crash loses the commits under way, but never one that was told', async t => {
  const kept = new Set<number>()
  for (let seed = 0; seed < 40; seed++) {
    const { scheduler, life } = stage(seed)
    const disk = new Disk('disk')
    const process = life()
    const store = new SimStore(
      { disk, life: process, scheduler, errors, onCommit: () => {} },
      { seed, faults: () => ({ ...FAST, commitMinMs: 10, commitMeanMs: 10 }) }
    )
    const told: string[] = []
    for (const key of ['a', 'b', 'c', 'd']) void store.commit([put(key)]).then(() => told.push(key))
    await scheduler.runUntil(30)
    process.end()
    const before = told.length
    await scheduler.runUntil(1_000)
    t.equal(told.length, before, 'nothing is told after the crash')
    const found = disk.pairs('rows').map(([key]) => text(key))
    t.same(found, ['a', 'b', 'c', 'd'].slice(0, found.length), 'the first ones made it')
    t.ok(found.length >= told.length)
    kept.add(found.length - told.length)
  }
  t.ok(kept.size > 2, 'how many made it differs')
})

void t.test('a refused commit stores nothing and says so', async t => {
  const { scheduler, life } = stage()
  const disk = new Disk('disk')
  const store = new SimStore(
    { disk, life: life(), scheduler, errors, onCommit: () => {} },
    { seed: 1, faults: () => ({ ...FAST, refuse: 1 }) }
  )
  const refused = t.rejects(store.commit([put('a')]), { code: 'ERR_STORE' })
  await scheduler.runUntil(100)
  await refused
  t.equal(disk.pairs('rows').length, 0)
})

void t.test('a loss of power takes a suffix of what was not flushed', async t => {
  const kept = new Set<number>()
  for (let seed = 0; seed < 40; seed++) {
    const { scheduler, life } = stage(seed)
    const disk = new Disk('disk')
    const components = { disk, life: life(), scheduler, errors, onCommit: () => {} }
    const store = new SimStore(components, {
      seed,
      faults: () => ({ ...FAST, syncMeanMs: 60_000 })
    })
    const done = (async () => {
      await store.commit([put('a')])
      await store.commit([put('b')], 'flush')
      for (const key of ['c', 'd', 'e']) await store.commit([put(key)])
      await store.commit([put('c', 'changed')])
    })()
    await scheduler.runUntil(100)
    await done
    disk.losePower(scheduler.now, seed / 40)
    const found = disk.pairs('rows').map(([key]) => text(key))
    t.same(found, ['a', 'b', 'c', 'd', 'e'].slice(0, found.length), 'what is left is a prefix')
    t.ok(found.length >= 2, 'with all that was flushed')
    const changed = text(disk.get('rows', utf8('c')) ?? new Uint8Array()) === 'changed'
    t.ok(found.length === 5 || !changed, 'the last change is there only with all before it')
    kept.add(found.length)
  }
  t.ok(kept.size > 2, 'how much is left differs')
})

void t.test(
  'a disk that fails refuses everything from then on, and says what is unknown',
  async t => {
    let failing = false
    const { scheduler, life } = stage()
    const components = {
      disk: new Disk('disk'),
      life: life(),
      scheduler,
      errors,
      onCommit: () => {}
    }
    const store = new SimStore(components, { seed: 1, faults: () => ({ ...FAST, failing }) })
    const good = store.commit([put('a')])
    await scheduler.runUntil(10)
    await good
    failing = true
    const unknown = t.rejects(store.commit([put('b')]), /restart the node/)
    await scheduler.runUntil(20)
    await unknown
    failing = false
    await t.rejects(store.commit([put('c')]), { code: 'ERR_STORE' })
    t.throws(() => store.get('rows', utf8('a')), { code: 'ERR_STORE' })
  }
)

void t.test('a copy of a disk shares nothing, and a flipped bit is one bit', t => {
  const disk = new Disk('disk')
  disk.write(put('a', 'x'))
  const copy = disk.copy('elsewhere')
  t.ok(disk.flip('rows', 0, 0))
  t.equal(text(copy.get('rows', utf8('a')) as Uint8Array), 'x')
  t.equal((disk.get('rows', utf8('a')) as Uint8Array)[0], 'x'.charCodeAt(0) ^ 1)
  t.equal(disk.bytes('rows'), 2)
  t.notOk(disk.flip('hints', 0, 0), 'there is nothing to flip')
  t.end()
})

void t.test('timers of a process that ended never fire, and a paused one is late', async t => {
  const { scheduler, life } = stage()
  const [dead, paused] = [life(0), life(1)]
  const fired: string[] = []
  dead.after(10, () => fired.push('dead'))
  paused.after(10, () => fired.push(`paused ${scheduler.now}`))
  const cancel = paused.after(10, () => fired.push('cancelled'))
  cancel()
  dead.end()
  paused.pause(50)
  await scheduler.runUntil(100)
  t.same(fired, ['paused 50'])
})

void t.test('a pause can be ended early, and what it held back runs in order', async t => {
  const { scheduler, life } = stage()
  const process = life()
  const ran: string[] = []
  for (const n of [1, 2, 3]) process.after(n, () => ran.push(`${n} at ${scheduler.now}`))
  process.pause(60_000)
  await scheduler.runUntil(20)
  t.same(ran, [])
  process.resume()
  await scheduler.runUntil(21)
  t.same(ran, ['1 at 20', '2 at 20', '3 at 20'])
})

void t.test('clocks drift, are off and jump, and monotonic time does not', async t => {
  const { scheduler } = stage()
  const clock = new HostClock(scheduler, { offsetMs: 5_000, driftPpm: 100 })
  const [wall, mono] = [clock.wallMs(), clock.monoMs()]
  await scheduler.runUntil(100_000)
  t.equal(clock.wallMs() - wall, 100_010)
  clock.jump(-60_000)
  t.equal(clock.wallMs() - wall, 40_010)
  t.equal(clock.monoMs() - mono, 100_010)
})

/** Two connected ends; what is sent to `b` comes back with `!`. */
async function pair(t: Test, init: { seed?: number } = {}) {
  const { scheduler, trace, life } = stage(init.seed)
  const fabric = new Fabric({ scheduler, trace }, { seed: init.seed ?? 1 })
  const [a, b] = [0, 1].map(host => new Endpoint({ fabric, life: life(host), errors })) as [
    Endpoint,
    Endpoint
  ]
  const peers: string[] = []
  a.onPeer((peer, connected) => peers.push(`${peer} ${connected}`))
  const served: string[] = []
  b.handle('apply', async (_, body) => {
    served.push(text(body))
    return utf8(`${text(body)}!`)
  })
  b.handle('probe', () => new Promise(() => {}))
  b.handle('read', () => Promise.reject(new errors.HearsayError('ERR_CORRUPT', 'It is broken.')))
  await Promise.all([a.start(), b.start()])
  a.learn(b.self, b.addresses())
  t.teardown(() => [a, b].forEach(end => end.life.end()))
  const ask = (protocol: 'apply' | 'probe' | 'read', what: string, deadlineMs = 1_000) =>
    a.request(b.self, protocol, utf8(what), { deadlineMs })
  return { scheduler, fabric, a, b, ask, peers, served }
}

void t.test('a request dials by itself, and both ends learn of the connection', async t => {
  const { scheduler, a, b, ask, peers } = await pair(t)
  const answered = ask('apply', 'hello')
  await scheduler.runUntil(100)
  t.equal(text(await answered), 'hello!')
  t.same(peers, ['n1 true'])
  t.same(a.connected(), ['n1'])
  t.same(b.connected(), ['n0'])
})

void t.test('an error of the handler arrives with its code', async t => {
  const { scheduler, ask } = await pair(t)
  const failed = t.rejects(ask('read', ''), { code: 'ERR_REMOTE', remoteCode: 'ERR_CORRUPT' })
  await scheduler.runUntil(100)
  await failed
})

void t.test('a request that is not answered ends at its deadline, perhaps delivered', async t => {
  const { scheduler, ask } = await pair(t)
  const late = t.rejects(ask('probe', '', 500), { code: 'ERR_NETWORK', unsent: false })
  await scheduler.runUntil(600)
  await late
})

void t.test('what certainly never left is called unsent', async t => {
  const { scheduler, fabric, a, b, ask } = await pair(t)
  const unknown = t.rejects(a.request(nodeId(7), 'read', utf8(''), { deadlineMs: 9 }), {
    code: 'ERR_NETWORK',
    unsent: true
  })
  b.life.end()
  const refused = t.rejects(ask('apply', 'x'), { code: 'ERR_NETWORK', unsent: true })
  await scheduler.runUntil(500)
  fabric.cut(0, 1)
  const cut = t.rejects(ask('apply', 'x'), { code: 'ERR_NETWORK', unsent: true })
  await scheduler.runUntil(5_000)
  await Promise.all([unknown, refused, cut])
})

void t.test('a one-way cut delivers the request and loses the answer', async t => {
  const { scheduler, fabric, ask, served } = await pair(t)
  const first = ask('apply', 'first')
  await scheduler.runUntil(100)
  await first
  fabric.cut(1, 0)
  const second = t.rejects(ask('apply', 'second'), { code: 'ERR_NETWORK', unsent: false })
  await scheduler.runUntil(2_000)
  await second
  t.same(served, ['first', 'second'])
})

void t.test('a cut connection breaks after a while and comes back when asked for', async t => {
  const { scheduler, fabric, ask, peers } = await pair(t)
  const first = ask('apply', 'first')
  await scheduler.runUntil(100)
  await first
  fabric.cut(0, 1)
  fabric.cut(1, 0)
  await scheduler.runUntil(1_000)
  t.same(peers, ['n1 true'], 'not at once')
  await scheduler.runUntil(10_000)
  t.same(peers, ['n1 true', 'n1 false'])
  fabric.mendAll()
  const second = ask('apply', 'second')
  await scheduler.runUntil(11_000)
  t.equal(text(await second), 'second!')
  t.same(peers, ['n1 true', 'n1 false', 'n1 true'])
})

void t.test('a crash of the other end breaks what is under way', async t => {
  const { scheduler, b, ask, peers } = await pair(t)
  const first = ask('apply', 'first')
  await scheduler.runUntil(100)
  await first
  const broken = t.rejects(ask('probe', '', 60_000), { code: 'ERR_NETWORK', unsent: false })
  await scheduler.runUntil(200)
  b.life.end()
  await scheduler.runUntil(300)
  await broken
  t.same(peers, ['n1 true', 'n1 false'])
})

void t.test('messages are lost, repeated and overtaken, but no answer counts twice', async t => {
  const { scheduler, fabric, ask, served } = await pair(t)
  const first = ask('apply', 'first')
  await scheduler.runUntil(100)
  await first
  served.length = 0
  fabric.faults = { ...CALM, delayMeanMs: 20, loss: 0.2, duplicate: 0.3 }
  const sent = Array.from({ length: 200 }, (_, i) => String(i))
  const outcomes = Promise.allSettled(sent.map(what => ask('apply', what)))
  await scheduler.runUntil(5_000)
  const answered = (await outcomes).filter(({ status }) => status === 'fulfilled').length
  t.ok(answered > 100 && answered < 180, `${answered} answered`)
  const once = new Set(served)
  t.ok(once.size < 180, 'some were lost')
  t.ok(served.length > once.size, 'some came twice')
  t.not([...once].join(), sent.filter(what => once.has(what)).join(), 'some were overtaken')
  t.ok(answered < once.size, 'some answers were lost')
})

void t.test('damaged messages break their connection or fail to be read', async t => {
  const { scheduler, fabric, ask, served, peers } = await pair(t)
  fabric.faults = { ...CALM, corrupt: 0.2 }
  const outcomes = []
  for (let i = 0; i < 100; i++) {
    const outcome = ask('apply', '0123456789').catch((error: Error) => error)
    await scheduler.runUntil(scheduler.now + 2_000)
    outcomes.push(await outcome)
  }
  t.ok(
    served.some(body => body.length < 10),
    'some come cut short'
  )
  t.notOk(
    served.some(body => !'0123456789'.startsWith(body)),
    'none comes altered'
  )
  t.ok(peers.filter(peer => peer.endsWith('false')).length > 3, 'some end their connection')
  t.ok(outcomes.filter(each => each instanceof Uint8Array).length > 50)
})

void t.test('a link holds no more than its queue does', async t => {
  const { scheduler, fabric, ask, served } = await pair(t)
  const first = ask('apply', 'first')
  await scheduler.runUntil(100)
  await first
  fabric.faults = { ...CALM, queueMax: 5 }
  const all = Promise.allSettled(Array.from({ length: 20 }, (_, i) => ask('apply', String(i))))
  await scheduler.runUntil(5_000)
  await all
  t.equal(served.length, 1 + 5)
})

void t.test('a slow host is slow both ways', async t => {
  const { scheduler, fabric, ask } = await pair(t)
  const first = ask('apply', 'first')
  await scheduler.runUntil(100)
  await first
  fabric.slow.set(1, 100)
  const from = scheduler.now
  const slow = ask('apply', 'slow', 60_000)
  await scheduler.runWhile(() => true, from + 90)
  let answered = false
  void slow.then(() => (answered = true))
  t.notOk(answered)
  await scheduler.runUntil(from + 60_000)
  t.equal(text(await slow), 'slow!')
})

void t.test('gossip reaches those behind others too', async t => {
  const { scheduler, trace, life } = stage()
  const fabric = new Fabric({ scheduler, trace }, { seed: 1 })
  const ends = [0, 1, 2, 3].map(host => new Endpoint({ fabric, life: life(host), errors }))
  const heard: string[] = []
  for (const end of ends)
    end.onGossip((from, body) => heard.push(`${end.self}<${from} ${text(body)}`))
  for (const end of ends) await end.start()
  const [first, second, third] = ends as [Endpoint, Endpoint, Endpoint]
  first.publish(utf8('nobody'))
  const dialled = Promise.all([first.dial('sim/n1'), second.dial('sim/n2')])
  await scheduler.runUntil(100)
  t.same(await dialled, ['n1', 'n2'])
  third.publish(utf8('news'))
  await scheduler.runUntil(200)
  t.same(heard.sort(), ['n0<n2 news', 'n1<n2 news'])
  t.throws(() => third.publish(new Uint8Array(20_000)), { code: 'ERR_ARGUMENT' })
})

/** Two processes as `n1`, the copy started a moment later, and a peer that is connected to the first. */
async function doubled(t: Test) {
  const { scheduler, trace, life } = stage()
  const fabric = new Fabric({ scheduler, trace }, { seed: 1 })
  const [peer, original] = [0, 1].map(
    host => new Endpoint({ fabric, life: life(host), errors })
  ) as [Endpoint, Endpoint]
  await Promise.all([peer.start(), original.start()])
  const dialled = original.dial('sim/n0')
  await scheduler.runUntil(100)
  await dialled
  const clock = new HostClock(scheduler, STILL)
  const copied = new Life({ scheduler, trace, clock }, { host: 1, place: 2 })
  const copy = new Endpoint({ fabric, life: copied, errors })
  await copy.start()
  t.teardown(() => [peer, original, copy].forEach(end => end.life.end()))
  return { scheduler, fabric, peer, original, copy }
}

void t.test('of two processes with one identity the later one is not let in', async t => {
  const { scheduler, original, copy } = await doubled(t)
  const told: string[] = []
  copy.onDuplicate(({ code }) => told.push(code))
  original.onDuplicate(() => told.push('original'))
  const refused = t.rejects(copy.dial('sim/n0'), { code: 'ERR_DUPLICATE_IDENTITY' })
  await scheduler.runUntil(4_000)
  await refused
  t.same(told, ['ERR_DUPLICATE_IDENTITY'])
  t.same(original.connected(), ['n0'])
})

void t.test(
  'one that does not answer loses its place to the later one, until it answers',
  async t => {
    const { scheduler, peer, original, copy } = await doubled(t)
    const told: string[] = []
    copy.onDuplicate(() => told.push('copy'))
    original.life.pause(1_000)
    const dialled = copy.dial('sim/n0')
    await scheduler.runUntil(500)
    t.equal(await dialled, 'n0')
    t.same(copy.connected(), ['n0'])
    await scheduler.runUntil(2_000)
    t.same(original.connected(), [], 'its connection ended meanwhile')
    const back = original.dial('sim/n0')
    await scheduler.runUntil(3_000)
    t.equal(await back, 'n0', 'it was started first')
    t.same(copy.connected(), [])
    const again = t.rejects(copy.dial('sim/n0'), { code: 'ERR_DUPLICATE_IDENTITY' })
    await scheduler.runUntil(7_000)
    await again
    t.same(told, ['copy'])
    t.same(peer.connected(), ['n1'])
  }
)
