/** A slot that a node may not hold all of answers "unknown", however it came to be so. */
import t, { type Test } from 'tap'
import { Remembered } from '../src/cluster/remembered.ts'
import { Handoff, type HandoffComponents } from '../src/repair/handoff.ts'
import { Filling } from '../src/replica/filling.ts'
import { MemberTable } from '../src/ring/members.ts'
import { viewOf } from '../src/ring/view.ts'
import { MemoryDisk } from '../src/store/memory.ts'
import {
  copyDisk,
  createReplica,
  openReplica,
  setTo,
  silent,
  WatchedStore
} from './fixtures/engine-parts.ts'
import type { World } from './fixtures/sim/world.ts'
import { backUp, createWorld, cut, formWorld, mend, runUntil } from './fixtures/engine-world.ts'
import { text, utf8 } from '../src/util/bytes.ts'
import type { NodeId } from '../src/util/node-id.ts'
import { MARK_NONE } from '../src/wire/mark.ts'

const SLOTS = 16_384
const isUp = (world: World, host: number) => world.host(host).node !== undefined
const filling = (world: World, host: number) => world.node(host).status().fillingSlots
const memberAt = (world: World, host: number, of: number) =>
  world
    .node(host)
    .status()
    .members.find(({ id }) => id === `n${of}`)

async function answersOf(world: World, through: number, key: string) {
  const { answers } = await world.until(world.node(through).read(key, { level: 'quorum' }))
  return answers
}

t.test('a node that lost its data', async t => {
  async function wiped() {
    const world = await formWorld()
    for (const host of [0, 2]) await world.until(world.node(host).pause('anti-entropy'))
    for (const host of [0, 2]) await world.until(world.node(host).pause('hints'))
    await world.stop(2)
    await runUntil(world, () => memberAt(world, 0, 2)?.liveness === 'down')
    await world.until(world.node(0).put('k', 'v', { level: 'two' }))
    await world.stop(1)
    world.wipe(1)
    world.start(2)
    await runUntil(world, () => isUp(world, 2))
    return world
  }

  t.test('does not say that there was none, stays a member, and is filled', async t => {
    const world = await wiped()
    world.start(1)
    await runUntil(world, () => isUp(world, 1))
    t.equal(filling(world, 1), SLOTS)
    t.equal(memberAt(world, 0, 1)?.state, 'up')
    const answers = await answersOf(world, 1, 'k')
    t.same(answers.map(({ node }) => node).sort(), ['n0', 'n2'], 'it asks itself last')
    await t.rejects(world.until(world.node(1).read('k', { level: 'all' })), { code: 'ERR_QUORUM' })
    t.equal(text((await world.until(world.node(2).get('k'))) as Uint8Array), 'v')
    await runUntil(world, () => filling(world, 1) === 0)
    t.equal(text((await world.until(world.node(1).get('k', { level: 'one' }))) as Uint8Array), 'v')
    t.same(world.fabric.bugs, [])
  })

  t.test('is not filled by one who missed the write, while the other is away', async t => {
    const world = await wiped()
    world.start(1)
    await runUntil(world, () => isUp(world, 1))
    cut(world, 0, 1)
    cut(world, 0, 2)
    await world.run(30_000)
    t.equal(filling(world, 1), SLOTS)
    await t.rejects(world.until(world.node(2).get('k')), { code: 'ERR_QUORUM' })
    mend(world, 0, 1)
    mend(world, 0, 2)
    await runUntil(world, () => filling(world, 1) === 0)
  })
})

t.test('two that join at once do not own what they were never sent', async t => {
  const world = await createWorld({ nodes: 5 })
  for (const host of [0, 1, 2]) world.start(host)
  await runUntil(world, () => [0, 1, 2].every(host => isUp(world, host)))
  const keys = Array.from({ length: 100 }, (_, i) => `key ${i}`)
  for (const key of keys) await world.until(world.node(0).put(key, key, { level: 'quorum' }))
  for (const host of [1, 2]) cut(world, 4, host)
  cut(world, 3, 4)
  world.start(3)
  world.start(4)
  await runUntil(world, () => isUp(world, 3))
  t.equal(memberAt(world, 3, 4)?.state, 'joining')
  t.equal(filling(world, 3), 0, 'it was sent what falls to it without the other, too')
  for (const key of keys) {
    const answers = await answersOf(world, 3, key)
    t.notOk(
      answers.some(({ answer }) => answer === 'absent'),
      key
    )
  }
  for (const host of [1, 2, 3]) mend(world, 4, host)
  await runUntil(world, () => isUp(world, 4) && filling(world, 3) === 0 && filling(world, 4) === 0)
  for (const key of keys) {
    t.equal(text((await world.until(world.node(4).get(key))) as Uint8Array), key)
  }
  t.same(world.fabric.bugs, [])
})

t.test('the mark of a life before is told until its node has answered to it', async t => {
  const store = new WatchedStore({ disk: new MemoryDisk() })
  const open = () =>
    new Remembered({ store, log: silent, mark: () => MARK_NONE, knows: () => true })
  const remembered = open()
  const peer = 'b' as NodeId
  const told = () => remembered.tell(peer)
  const mark = (life: number, count: number) => ({ life, count })
  remembered.see(peer, mark(3, 70))
  remembered.see(peer, mark(4, 1))
  t.same(told().yours, mark(3, 70), 'who has begun anew may not know how far it had come')
  await remembered.save()
  t.same(open().tell(peer).yours, mark(3, 70), 'after a restart, too')
  remembered.answered(peer, { mine: MARK_NONE, yours: mark(3, 69) })
  t.same(told().yours, mark(3, 70), 'it was told less')
  remembered.see(peer, mark(4, 5))
  await remembered.save()
  const again = open()
  again.answered(peer, again.tell(peer))
  t.same(again.tell(peer).yours, mark(4, 5), 'what is told later is kept as well')
  remembered.answered(peer, told())
  t.same(told().yours, mark(4, 5))
  remembered.answered(peer, told())
  t.same(told().yours, mark(4, 5), 'the last one stays')
  for (let life = 5; life < 50; life++) remembered.see(peer, mark(life, 1))
  let answers = 0
  for (; told().yours.life !== 49; answers++) remembered.answered(peer, told())
  t.ok(answers > 0 && answers < 10, 'a few lives are kept')
  await remembered.save()
  t.same(open().tell(peer).yours, mark(49, 1))
})

t.test('a copy that was rolled back', async t => {
  async function restored(place?: string) {
    const world = await formWorld()
    await world.until(world.node(0).put('k', 'old', { level: 'all' }))
    await world.stop(1)
    const backup = backUp(world.host(1).disk, place)
    world.start(1)
    await runUntil(world, () => isUp(world, 1))
    const { actor } = world.node(1).status()
    await world.until(world.node(1).put('k', 'new', { level: 'all' }))
    await world.stop(1)
    world.host(1).disk = backup
    return { world, actor }
  }

  t.test('and meets nobody at its start is still noticed when it meets somebody', async t => {
    const { world, actor } = await restored()
    for (const other of [0, 2]) cut(world, 1, other)
    world.start(1)
    await runUntil(world, () => isUp(world, 1))
    t.not(world.node(1).status().actor, actor, 'it writes under a name of its own until then')
    for (const other of [0, 2]) mend(world, 1, other)
    await runUntil(world, () => filling(world, 1) > 0)
    await runUntil(world, () => filling(world, 1) === 0)
    t.equal(
      text((await world.until(world.node(1).get('k', { level: 'one' }))) as Uint8Array),
      'new'
    )
  })

  t.test('to another place knows by itself that it may be old', async t => {
    const { world } = await restored('another disk')
    for (const other of [0, 2]) cut(world, 1, other)
    world.start(1)
    await runUntil(world, () => isUp(world, 1))
    t.equal(filling(world, 1), SLOTS)
    for (const other of [0, 2]) mend(world, 1, other)
    await runUntil(world, () => filling(world, 1) === 0)
  })
})

t.test('a copy that was put back in place while it was open, as a machine snapshot is', async t => {
  /** Host 1 is back at a moment of its last life; `write` has happened since. */
  async function putBack(write: (world: World) => Promise<unknown>) {
    const world = await formWorld()
    await world.until(world.node(0).put('k', 'old', { level: 'all' }))
    const backup = backUp(world.host(1).disk)
    const { actor } = world.node(1).status()
    await world.until(write(world))
    world.crash(1)
    world.host(1).disk = backup
    return { world, actor }
  }
  const writeThrough = (host: number) => (world: World) =>
    world.node(host).put('k', 'new', { level: 'all' })

  async function isNoticed(t: Test, world: World, actor: string) {
    world.start(1)
    await runUntil(world, () => isUp(world, 1))
    t.equal(filling(world, 1), SLOTS)
    t.not(world.node(1).status().actor, actor)
    await runUntil(world, () => filling(world, 1) === 0)
    t.equal(
      text((await world.until(world.node(1).get('k', { level: 'one' }))) as Uint8Array),
      'new'
    )
    t.same(world.fabric.bugs, [])
  }

  t.test('is noticed by what it wrote itself', async t => {
    const { world, actor } = await putBack(writeThrough(1))
    await isNoticed(t, world, actor)
  })

  t.test('is noticed by what it acknowledged to others, though it never wrote', async t => {
    const { world, actor } = await putBack(writeThrough(0))
    await isNoticed(t, world, actor)
  })

  t.test('is noticed by others that were started again since', async t => {
    const { world, actor } = await putBack(writeThrough(1))
    for (const other of [0, 2]) {
      world.crash(other)
      world.start(other)
      await runUntil(world, () => isUp(world, other))
    }
    await isNoticed(t, world, actor)
  })

  t.test('is noticed after lives of its own in which it met nobody', async t => {
    const { world, actor } = await putBack(writeThrough(0))
    for (const other of [0, 2]) cut(world, 1, other)
    for (let life = 0; life < 3; life++) {
      world.start(1)
      await runUntil(world, () => isUp(world, 1))
      for (let i = 0; i < 20; i++) {
        await world.until(world.node(1).put(`own ${i}`, 'v', { level: 'one' }))
      }
      world.crash(1)
    }
    for (const other of [0, 2]) mend(world, 1, other)
    await isNoticed(t, world, actor)
  })

  t.test('does not vote before it has heard what others remember', async t => {
    const { world } = await putBack(writeThrough(0))
    world.start(1)
    let answered = 0
    while (!isUp(world, 1)) {
      const { answers, value } = await world.until(world.node(2).read('k', { level: 'quorum' }))
      const own = answers.find(({ node }) => node === 'n1')
      if (own?.answer === 'unknown') answered++
      t.not(own?.answer, 'row')
      t.equal(value && text(value), 'new')
    }
    t.comment(`it was asked ${answered} times before it was up`)
  })
})

t.test('a process that died is not taken for a directory that was put back', async t => {
  const world = await formWorld()
  for (let life = 0; life < 10; life++) {
    const writes = Array.from({ length: 20 }, (_, i) =>
      world
        .node(i % 3)
        .put(`key ${i}`, `${life}`, { level: 'one' })
        .catch(() => undefined)
    )
    await world.run(life)
    const host = life % 3
    world.crash(host)
    await world.run(100)
    world.start(host)
    while (!isUp(world, host)) await world.run(1)
    t.equal(filling(world, host), 0, `life ${life}`)
    await world.run(2_000)
    t.equal(filling(world, host), 0, `life ${life}, later`)
    await Promise.race([Promise.all(writes), undefined])
  }
})

t.test('a match from when a peer was only joining proves nothing once it owns', async t => {
  const table = (state: 'joining' | 'up') =>
    new MemberTable(
      ['n', 'q', 'x', 'z'].map(id => ({
        id: id as NodeId,
        incarnation: id === 'n' && state === 'up' ? 2n : 1n,
        state: id === 'n' ? state : 'up',
        addresses: [],
        weight: 1,
        zone: '',
        actor: 1n
      }))
    )
  const filling = new Filling(new WatchedStore({ disk: new MemoryDisk() }))
  const listeners: ((report: object) => void)[] = []
  const views: (() => void)[] = []
  const membership = {
    id: 'x' as NodeId,
    view: viewOf(table('joining'), 3),
    onView: (listener: () => void) => views.push(listener)
  }
  const recovery = { waiting: new Set(), turn: async () => {}, askAgain: async () => {} }
  const handoff = new Handoff({
    replica: { filling },
    membership,
    liveness: { isAlive: () => true },
    antiEntropy: { onExchange: (listener: (report: object) => void) => listeners.push(listener) },
    recovery,
    timers: {},
    log: silent
  } as unknown as HandoffComponents)
  await filling.begin(Array.from({ length: SLOTS }, (_, slot) => slot))
  const { next } = membership.view
  const hasAll = (slot: number) =>
    ['x', 'n', 'q'].every(id => next.owners(slot).includes(id as NodeId))
  const slot = Array.from({ length: SLOTS }, (_, slot) => slot).find(hasAll) as number
  const match = (peer: string, ...slots: number[]) => {
    const { generation } = filling
    const report = { peer, complete: true, withheld: new Set(slots), generation }
    for (const listener of listeners) listener(report)
  }
  match('n')
  match('q')
  await handoff.settle()
  t.ok(filling.has(slot), 'z was not compared with, and owns it')
  membership.view = viewOf(table('up'), 3)
  for (const listener of views) listener()
  await handoff.settle()
  t.ok(filling.has(slot), 'n may have got rows of z since it matched')
  match('n')
  match('q')
  await handoff.settle()
  t.notOk(filling.has(slot))
  await filling.begin([slot])
  await handoff.settle()
  t.ok(filling.has(slot), 'nor does one from before it was lost again')
  match('n', slot)
  match('q')
  await handoff.settle()
  t.ok(filling.has(slot), 'n has a row of it that is only kept aside here')
  match('n', slot + 1)
  match('n', slot)
  await handoff.settle()
  t.notOk(filling.has(slot), 'what n had before that was matched')
})

t.test('a roll-back that could not be saved is noticed again by the next process', async t => {
  const world = await formWorld()
  const backup = backUp(world.host(1).disk)
  await world.until(world.node(0).put('k', 'v', { level: 'all' }))
  world.crash(1)
  world.host(1).disk = backup
  for (const other of [0, 2]) cut(world, 1, other)
  world.start(1)
  await runUntil(world, () => isUp(world, 1))
  world.host(1).diskFaults = { refuse: 1 }
  for (const other of [0, 2]) mend(world, 1, other)
  await runUntil(world, () => filling(world, 1) > 0)
  await world.run(20_000)
  world.crash(1)
  world.host(1).diskFaults = {}
  world.start(1)
  await runUntil(world, () => isUp(world, 1))
  t.not(filling(world, 1), 0)
  const value = await world.until(world.node(1).get('k', { level: 'one' }))
  t.equal(value && text(value as Uint8Array), 'v')
})

t.test('what a disk refused to keep of it is kept with the next that begins', async t => {
  const disk = new MemoryDisk()
  const store = new WatchedStore({ disk })
  const filling = new Filling(store)
  store.refuses = () => true
  await t.rejects(filling.begin([3]), { code: 'ERR_STORE' })
  t.ok(filling.has(3), 'it counts at once')
  store.refuses = () => false
  await filling.begin([3])
  t.ok(new Filling(store).has(3), 'and after a restart')
})

t.test('what a disk refused to keep of it is kept when others are done with', async t => {
  const store = new WatchedStore({ disk: new MemoryDisk() })
  const filling = new Filling(store)
  await filling.begin([1])
  store.refuses = () => true
  await t.rejects(filling.begin([3]), { code: 'ERR_STORE' })
  store.refuses = () => false
  await filling.end([])
  t.ok(new Filling(store).has(3))
})

for (const closes of [true, false]) {
  const what = closes ? 'a closed store' : 'a running one'
  t.test(
    `a moved copy of ${what} stays in doubt though its start dies after any commit`,
    async t => {
      const k = utf8('k')
      const disk = new MemoryDisk()
      const { replica } = await openReplica({ disk })
      await replica.mutate(k, setTo('v'), false)
      if (closes) await replica.close()
      for (let done = 0; done < 6; done++) {
        const moved = copyDisk(disk, 'there')
        const dying = createReplica({ disk: moved })
        let commits = 0
        dying.store.refuses = () => commits++ >= done
        await dying.replica.open().catch(() => undefined)
        const again = await openReplica({ disk: moved })
        t.equal(again.replica.read(k).answer, 'unknown', `after ${done} commits`)
      }
    }
  )
}
