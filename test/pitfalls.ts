/**
 * What has gone wrong in systems like this one, each as a test under its number. P1 to P4 are in
 * kv679.ts, P14 is in kinds-calls.ts, P11 in pace.ts. P8 (tombstones collected too early) does not apply
 * while tombstones stay.
 */
import t from 'tap'
import { Membership } from '../src/cluster/membership.ts'
import { Remembered } from '../src/cluster/remembered.ts'
import type { Forest } from '../src/digest/forest.ts'
import { HearsayError } from '../src/errors.ts'
import { Hints } from '../src/repair/hints.ts'
import { encodeTable, MemberTable, type Member } from '../src/ring/members.ts'
import { slotOf } from '../src/ring/slot.ts'
import { MemoryStore } from '../src/store/memory.ts'
import { text, utf8 } from '../src/util/bytes.ts'
import type { NodeId } from '../src/util/node-id.ts'
import { MARK_NONE } from '../src/wire/mark.ts'
import { applyTo, createSide, walk } from './fixtures/engine-exchange.ts'
import { Hub, noTimers } from './fixtures/engine-network.ts'
import { HandClock, openReplica, rootOf, setTo, silent } from './fixtures/engine-parts.ts'
import { backUp, createWorld, cut, formWorld, mend, runUntil } from './fixtures/engine-world.ts'
import { addressOf, startTestNode } from './fixtures/libp2p-world.ts'
import { DotRegistry } from './fixtures/sim/checkers/dots.ts'
import { loadCode, SOURCE } from './fixtures/sim/code.ts'
import { readStored, rowsOf } from './fixtures/sim/inspect.ts'
import { Stream } from './fixtures/sim/random.ts'
import { World } from './fixtures/sim/world.ts'

const isUp = (world: World, host: number) => world.host(host).node !== undefined
const rootsAreEqual = (world: World) => {
  const all = world.hosts.map(({ node }) => node?.status())
  return all.every(each => each?.fillingSlots === 0 && each.root === all[0]?.root)
}

async function value(world: World, host: number, key: string, level: 'one' | 'quorum' | 'all') {
  const bytes = await world.until(world.node(host).get(key, { level }))
  return bytes && text(bytes)
}

t.test('P7: a clock that is 288 s ahead for ten minutes loses no read-modify-write', async t => {
  const world = await formWorld()
  world.host(2).clock.jump(288_000)
  const acknowledged: string[] = []
  /** Takes over all that it reads, and adds a mark of its own. */
  const modify = async (through: number, mark: string) => {
    const node = world.node(through)
    const { values, context } = await node.read('k', { siblings: true })
    const seen = new Set(values.flatMap(({ value }) => text(value).split(',')))
    await node.put('k', [...seen, mark].join(), { context })
    acknowledged.push(mark)
  }
  let refused = 0
  for (let i = 0; i < 30; i++) {
    // Two at a time, so that there are concurrent values to be merged.
    const both = [modify(i % 3, `a${i}`), modify((i + 1) % 3, `b${i}`)]
    const results = await world.until(Promise.allSettled(both))
    refused += results.filter(({ status }) => status === 'rejected').length
    await world.run(20_000)
  }
  t.ok(acknowledged.length > 0, `${acknowledged.length} were acknowledged`)
  t.ok(refused > 0, `${refused} were not`)
  world.host(2).clock.jump(-288_000)
  await runUntil(world, () => rootsAreEqual(world), 900_000, 1_000)
  const { values } = await world.until(
    world.node(0).read('k', { siblings: true, level: 'all' }),
    60_000
  )
  const kept = new Set(values.flatMap(({ value }) => text(value).split(',')))
  t.same(
    acknowledged.filter(mark => !kept.has(mark)),
    [],
    'nothing acknowledged is missing'
  )
  t.same(world.fabric.bugs, [])
})

t.test(
  'P5 levels that overlap are never stale; levels that do not are, and by how much',
  async t => {
    async function staleReads(level: 'one' | 'quorum') {
      const world = await formWorld({ seed: 5 })
      for (const { index } of world.hosts)
        await world.until(world.node(index).pause('anti-entropy'))
      let [stale, reads] = [0, 0]
      for (let i = 0; i < 60; i++) {
        if (i % 6 === 0) cut(world, 0, 2)
        if (i % 6 === 3) mend(world, 0, 2)
        await world.until(world.node(0).put('k', String(i).padStart(3, '0'), { level }))
        const seen = await value(world, 2, 'k', level).catch(() => undefined)
        if (seen === undefined) continue
        reads++
        if (seen < String(i).padStart(3, '0')) stale++
      }
      return { stale, reads }
    }
    const strict = await staleReads('quorum')
    const sloppy = await staleReads('one')
    t.equal(strict.stale, 0)
    t.ok(strict.reads > 30, `${strict.reads} reads`)
    t.ok(sloppy.stale > 0, `at level one ${sloppy.stale} of ${sloppy.reads} reads were stale`)
  }
)

t.test(
  'P6 a backup restored at a random moment loses nothing and names no event twice',
  async t => {
    const code = await loadCode(SOURCE, '.ts')
    for (const seed of [1, 2, 3]) {
      const dots = new DotRegistry()
      const world = new World(
        {
          code,
          onCommit: (_, _disk, writes) => {
            for (const { space, key, value } of writes) {
              const stored = space === 'rows' && value ? readStored(key, value) : undefined
              if (stored) dots.see(stored)
            }
          }
        },
        { seed, nodes: 3 }
      )
      await world.form()
      const random = new Stream(seed, 'p6')
      const [at, until] = [random.int(0, 40), random.int(40, 80)]
      let backup = backUp(world.host(1).disk)
      const acknowledged = new Map<string, string>()
      const write = async (i: number, host: number) => {
        const key = `key ${i % 7}`
        await world.until(world.node(host).put(key, `value ${i}`, { level: 'quorum' }))
        acknowledged.set(key, `value ${i}`)
      }
      for (let i = 0; i < until; i++) {
        if (i === at) backup = backUp(world.host(1).disk)
        await write(i, i % 3)
      }
      world.crash(1)
      world.host(1).disk = backup
      world.start(1)
      for (let i = until; i < until + 20; i++) await write(i, (i % 2) * 2)
      await runUntil(world, () => isUp(world, 1))
      for (let i = until + 20; i < until + 40; i++) await write(i, i % 3)
      await runUntil(world, () => rootsAreEqual(world))
      for (const [key, last] of acknowledged) t.equal(await value(world, 1, key, 'one'), last)
      t.same(dots.violations, [])
      t.same(world.fabric.bugs, [])
    }
  }
)

t.test('P9 hints for an owner that stays away take no more room than they may', async t => {
  const { replica, store, clock, meter } = await openReplica()
  const owner = 'owner' as NodeId
  const hints = new Hints(
    {
      replica,
      store,
      clock,
      meter,
      log: silent,
      membership: { peers: [owner], view: { table: new MemberTable() } },
      liveness: { isAlive: () => false }
    } as unknown as ConstructorParameters<typeof Hints>[0],
    { bytesMax: 20_000 }
  )
  for (let i = 0; i < 2_000; i++) await hints.add(owner, utf8(`key ${i}`))
  const [status] = hints.status()
  const kept = [...store.range('hints')]
  const bytes = kept.reduce((sum, [key, entry]) => sum + key.length + entry.length, 0)
  t.ok(bytes <= 20_000, `${bytes} bytes`)
  t.equal(status?.count, kept.length)
  t.equal(meter.totals()['hints.no-room'], 2_000 - kept.length)
})

t.test('P10 repair moves the row that differs, and not its neighbours', async t => {
  const [here, there] = [await createSide(), await createSide()]
  const rows = await Promise.all(
    Array.from({ length: 5_000 }, async (_, i) => {
      const key = utf8(`key ${i}`)
      return { key, bytes: (await here.replica.mutate(key, setTo(`value ${i}`), false)).bytes }
    })
  )
  await applyTo(there, rows)
  t.equal((await walk(here, there)).rows, 0)
  await here.replica.mutate(utf8('key 77'), setTo('other'), false)
  const walked = await walk(here, there)
  t.equal(walked.rows, 1)
  t.equal(rootOf(here.replica), rootOf(there.replica))
  t.ok(walked.bytesSent + walked.bytesReceived < 4_000, `${walked.bytesSent} bytes`)
})

t.test('P12 reading what is the same everywhere writes nothing', async t => {
  const code = await loadCode(SOURCE, '.ts')
  let writes = 0
  const onCommit = (_: number, _disk: unknown, all: readonly { space: string }[]) => {
    writes += all.filter(({ space }) => space === 'rows').length
  }
  const world = new World({ code, onCommit }, { seed: 12, nodes: 3 })
  await world.form()
  for (let i = 0; i < 20; i++) {
    await world.until(world.node(i % 3).put(`key ${i}`, 'v', { level: 'all' }))
  }
  t.ok(writes >= 60)
  writes = 0
  for (let i = 0; i < 100; i++) await value(world, i % 3, `key ${i % 20}`, 'all')
  t.equal(writes, 0)
})

/** A member table that hears gossip, and words of another node in the order of their making. */
function createListener() {
  const network = new Hub().join('a')
  const store = new MemoryStore()
  const clock = new HandClock()
  let views = 0
  const membership = new Membership(
    {
      network,
      store,
      clock,
      timers: noTimers,
      random: new Stream(1, 'listener'),
      log: silent,
      meter: { count: () => {}, totals: () => ({}) },
      nextIncarnation: () => 1n,
      actor: () => 1n,
      remembered: new Remembered({ store, log: silent, mark: () => MARK_NONE, knows: () => true }),
      onRolledBack: async () => {}
    },
    { n: 3 }
  )
  membership.onView(() => views++)
  const word = (incarnation: bigint, state: Member['state']) => {
    const id = 'b' as NodeId
    const rest = { addresses: ['hub/b'], weight: 1, zone: '', actor: 1n }
    return encodeTable(new MemberTable([{ id, incarnation, state, ...rest }]))
  }
  const hear = (said: Uint8Array) => network.gossip('b', said)
  const state = () => membership.view.table.get('b' as NodeId)?.state
  return { hear, word, state, clock, views: () => views }
}

t.test('P13 a member that has left does not come back by words from before', async t => {
  const { hear, word, state } = createListener()
  const [joining, up, left] = [word(1n, 'joining'), word(2n, 'up'), word(3n, 'left')]
  for (const said of [joining, up, left]) hear(said)
  for (const said of [up, joining, up]) {
    hear(said)
    t.equal(state(), 'left')
  }
  hear(word(4n, 'up'))
  t.equal(state(), 'up', 'only a new word of its own brings it back')
})

t.test('P20 gossip that is said again after ten minutes changes nothing', async t => {
  const { hear, word, state, clock, views } = createListener()
  const said = [word(1n, 'joining'), word(2n, 'up'), word(3n, 'leaving'), word(4n, 'up')]
  said.forEach(hear)
  const before = views()
  t.equal(before, 4)
  clock.now += 600_000
  for (const each of [...said, ...[...said].reverse()]) hear(each)
  t.equal(state(), 'up')
  t.equal(views(), before, 'nobody was told of news')
})

t.test('P15 a handoff that crashes again and again comes to its end', async t => {
  const world = await createWorld({ nodes: 4 })
  for (const host of [0, 1, 2]) world.start(host)
  await runUntil(world, () => [0, 1, 2].every(host => isUp(world, host)))
  const keys = Array.from({ length: 100 }, (_, i) => `key ${i}`)
  for (const key of keys) await world.until(world.node(0).put(key, key, { level: 'quorum' }))
  // One row of a source rots in the middle of the range.
  const pairs = world.host(1).disk.pairs('rows')
  const rotten = pairs[pairs.length >> 1]?.[1] as Uint8Array
  rotten[rotten.length - 1] = (rotten.at(-1) as number) ^ 1
  const random = new Stream(15, 'crashes')
  let early = 0
  for (let i = 0; i < 100; i++) {
    world.start(3)
    await world.run(random.int(1, 20))
    if (!isUp(world, 3)) early++
    world.crash(3)
  }
  t.ok(early > 80, `it crashed ${early} times before it was up`)
  world.start(3)
  await runUntil(world, () => isUp(world, 3) && world.node(3).status().fillingSlots === 0)
  for (const key of keys) t.equal(await value(world, 3, key, 'quorum'), key)
  await world.until(world.node(1).scrub(), 120_000)
  await runUntil(world, () => world.node(1).status().fillingSlots === 0)
  for (const key of keys) t.equal(await value(world, 3, key, 'all'), key)
  t.same(world.fabric.bugs, [])
})

t.test(
  'P16 a tree that has drifted from its rows loses none of them, and is laid out anew',
  async t => {
    const code = await loadCode(SOURCE, '.ts')
    const forests: Forest[] = []
    const createForest = (key: Uint8Array) => {
      const forest = code.createForest(key) as Forest
      forests.push(forest)
      return forest
    }
    const world = new World({ code: { ...code, createForest } }, { seed: 16, nodes: 3 })
    await world.form()
    for (let i = 0; i < 50; i++) {
      await world.until(world.node(0).put(`{slot} ${i}`, `value ${i}`, { level: 'all' }))
    }
    await runUntil(world, () => rootsAreEqual(world))
    const before = world.hosts.map(({ disk }) =>
      [...rowsOf(disk)].map(([key, { bytes }]) => key + bytes)
    )
    const slot = slotOf(utf8('{slot}'))
    for (const { index } of world.hosts) await world.until(world.node(index).pause('scrub'))
    const counted = (host: number, name: string) =>
      world.node(host).status().counters[`exchange.${name}`] ?? 0
    const verified = () => world.hosts.map(({ index }) => counted(index, 'trees-verified'))
    t.same(verified(), [0, 0, 0], 'the writes until here raised no doubt')
    forests[1]?.add(slot, 7, new Uint8Array(32).fill(1))
    t.notOk(rootsAreEqual(world))
    await runUntil(world, () => rootsAreEqual(world))
    t.ok(counted(1, 'trees-verified') > 0)
    t.match(world.node(1).status().counters, { 'scrub.trees-rebuilt': 1 })
    const once = verified()
    await world.run(30_000)
    t.same(verified(), once, 'and it is over then')
    const after = world.hosts.map(({ disk }) =>
      [...rowsOf(disk)].map(([key, { bytes }]) => key + bytes)
    )
    t.same(after, before)
    t.same(world.fabric.bugs, [])
  }
)

t.test('P16 writes in flight do not look like trees that have drifted', async t => {
  const world = await formWorld({ seed: 16 })
  const writes: Promise<unknown>[] = []
  for (let i = 0; i < 600; i++) {
    const host = i % 3
    writes.push(world.node(host).put(`{slot} ${i % 5}`, `value ${i}`, { level: 'one' }))
    if (i % 20 === 0) void world.node((i + 1) % 3).repair()
    await world.run(50)
  }
  await world.until(Promise.all(writes))
  await runUntil(world, () => rootsAreEqual(world))
  for (const { index } of world.hosts) {
    const { counters } = world.node(index).status()
    t.ok((counters['exchange.runs'] ?? 0) > 20)
    t.notOk(counters['exchange.trees-verified'])
  }
})

t.test('P17 a node of another cluster on the same network is not let in', async t => {
  const one = await startTestNode(t)
  const other = await startTestNode(t, { clusterId: 'other' })
  await t.rejects(other.network.dial(addressOf(one.network)), { code: 'ERR_CLUSTER_MISMATCH' })
  t.same([...one.network.connected(), ...other.network.connected()], [])
})

t.test('P18 two that join at once while a link is cut end with one view and every row', async t => {
  const world = await createWorld({ nodes: 5, seed: 18 })
  for (const host of [0, 1, 2]) world.start(host)
  await runUntil(world, () => [0, 1, 2].every(host => isUp(world, host)))
  const keys = Array.from({ length: 40 }, (_, i) => `key ${i}`)
  for (const key of keys) await world.until(world.node(0).put(key, key, { level: 'quorum' }))
  cut(world, 0, 2)
  cut(world, 3, 1)
  world.start(3)
  world.start(4)
  for (const [i, key] of keys.entries()) {
    const write = world.node(i % 3).put(key, `${key} again`, { level: 'quorum', timeoutMs: 20_000 })
    await world.until(write)
  }
  mend(world, 0, 2)
  mend(world, 3, 1)
  await runUntil(world, () => world.hosts.every(({ index }) => isUp(world, index)))
  await runUntil(world, () => {
    const all = world.hosts.map(({ node }) => node?.status())
    return all.every(each => each?.view === all[0]?.view && each?.fillingSlots === 0)
  })
  for (const key of keys) t.equal(await value(world, 4, key, 'quorum'), `${key} again`)
  t.same(world.fabric.bugs, [])
})

t.test('P19 a node that is asked for too much says so, and recovers', async t => {
  const { replica } = await openReplica()
  const asked = Array.from({ length: 20_000 }, (_, i) =>
    replica.mutate(utf8(`key ${i % 100}`), setTo(`${i}`), false)
  )
  const results = await Promise.allSettled(asked)
  const refused = results.flatMap(each =>
    each.status === 'rejected' ? [each.reason as Error] : []
  )
  t.ok(refused.length > 0 && refused.length < 10_000, `${refused.length} were refused`)
  t.ok(refused.every(error => error instanceof HearsayError && error.code === 'ERR_OVERLOADED'))
  await t.resolves(replica.mutate(utf8('key'), setTo('v'), false))
  t.equal(replica.read(utf8('key')).answer, 'row')
})
