/**
 * What an owner has lost is asked of members that own nothing of it any more: at n = 1 they are the only
 * ones that may still have a write that they acknowledged before the owner of now joined.
 */
import t from 'tap'
import { SLOTS } from '../src/digest/limits.ts'
import { Filling } from '../src/replica/filling.ts'
import { MemoryDisk } from '../src/store/memory.ts'
import { text, utf8 } from '../src/util/bytes.ts'
import {
  decodeRecover,
  decodeRecovered,
  encodeRecover,
  encodeRecovered
} from '../src/wire/recover.ts'
import {
  backUp,
  createWorld,
  cut,
  keyWhere,
  mend,
  runUntil,
  storedAt
} from './fixtures/engine-world.ts'
import { WatchedStore } from './fixtures/engine-parts.ts'
import type { World } from './fixtures/sim/world.ts'

const asked = (world: World) => world.fabric.delivered.get('request:recover') ?? 0
const isUp = (world: World, host: number) => {
  const { node } = world.host(host)
  return node !== undefined && node.status().state === 'up'
}
const filling = (world: World, host: number) => world.node(host).status().fillingSlots

async function read(world: World, host: number, key: string): Promise<string | undefined> {
  const value = await world.until(world.node(host).get(key))
  return value && text(value as Uint8Array)
}

/** One copy of everything: n3 has joined and owns a key that `holder` acknowledged before. */
async function handedOver() {
  const world = await createWorld({ nodes: 4, n: 1 })
  await world.form(world.hosts.slice(0, 3))
  const key = keyWhere(world, 1, ([owner]) => owner === 3)
  await world.until(world.node(0).put(key, 'v'))
  const holder = [0, 1, 2].find(host => storedAt(world, host, key) !== undefined) as number
  const early = backUp(world.host(3).disk)
  world.start(3)
  await runUntil(world, () => isUp(world, 3) && storedAt(world, 3, key) !== undefined)
  // Until it is done with what it has left: nothing more would come of itself.
  const done = () => world.node(holder).status().counters['leftovers.slots'] ?? 0
  await runUntil(world, () => done() > 0)
  return { world, key, holder, early }
}

function wipe(world: World, host: number): void {
  world.crash(host)
  world.wipe(host)
}

t.test('an owner that lost its disk', async t => {
  t.test('has what a member held before it, and never says that it is not there', async t => {
    const { world, key, holder } = await handedOver()
    wipe(world, 3)
    world.start(3)
    const other = holder === 0 ? 1 : 0
    const answers = new Set<unknown>()
    await runUntil(world, () => {
      const note = (value: unknown) => answers.add(value && text(value as Uint8Array))
      world
        .node(other)
        .get(key, { timeoutMs: 100 })
        .then(note, () => {})
      return isUp(world, 3) && filling(world, 3) === 0
    })
    await world.run(1_000)
    t.same([...answers], ['v'])
    t.equal(storedAt(world, 3, key), storedAt(world, holder, key))
    t.ok(asked(world) >= 3)
    const before = asked(world)
    await world.run(60_000)
    t.equal(asked(world), before, 'nobody is asked for more when all were asked')
    t.same(world.fabric.bugs, [])
  })

  t.test('has it also of a member that was away then, and after a restart', async t => {
    for (const restarts of [false, true]) {
      const { world, key, holder } = await handedOver()
      world.crash(holder)
      await world.run(10_000)
      wipe(world, 3)
      world.start(3)
      await runUntil(world, () => isUp(world, 3) && filling(world, 3) === 0)
      t.equal(storedAt(world, 3, key), undefined)
      if (restarts) {
        world.crash(3)
        world.start(3)
        await runUntil(world, () => isUp(world, 3))
      }
      world.start(holder)
      await runUntil(world, () => storedAt(world, 3, key) !== undefined)
      t.equal(await read(world, (holder + 1) % 3, key), 'v', restarts ? 'restarted' : 'running')
    }
  })

  t.test('has it of a member that it could not reach, once it can', async t => {
    const { world, key, holder } = await handedOver()
    for (const host of [0, 1, 2, 3]) if (host !== holder) cut(world, holder, host)
    await world.run(20_000)
    wipe(world, 3)
    world.start(3)
    await runUntil(world, () => isUp(world, 3) && filling(world, 3) === 0)
    for (const host of [0, 1, 2, 3]) if (host !== holder) mend(world, holder, host)
    await runUntil(world, () => storedAt(world, 3, key) !== undefined)
    t.equal(await read(world, holder, key), 'v')
  })

  t.test('has it of a member whose own exchanges are paused', async t => {
    const { world, key, holder } = await handedOver()
    await world.until(world.node(holder).pause('anti-entropy'))
    wipe(world, 3)
    world.start(3)
    await runUntil(world, () => isUp(world, 3) && filling(world, 3) === 0)
    t.equal(await read(world, holder, key), 'v')
  })
})

t.test('an owner whose directory was put back to before it joined has it too', async t => {
  const { world, key, early } = await handedOver()
  world.crash(3)
  world.replaceDisk(3, early)
  world.start(3)
  await runUntil(world, () => isUp(world, 3) && filling(world, 3) === 0)
  t.equal(await read(world, 0, key), 'v')
})

t.test('who has lost nothing asks nobody', async t => {
  const { world } = await handedOver()
  t.equal(asked(world), 0, 'not by joining')
  world.crash(3)
  world.start(3)
  await runUntil(world, () => isUp(world, 3))
  await world.run(10_000)
  t.equal(asked(world), 0, 'nor after kill -9')
})

t.test('what is lost', async t => {
  t.test('is filling at once, and lost until every member was asked', async t => {
    const disk = new MemoryDisk()
    const store = new WatchedStore({ disk })
    const filling = new Filling(store)
    await filling.begin([1])
    await filling.lose([2, SLOTS - 1])
    t.same([...filling.lost], [2, SLOTS - 1])
    t.ok(filling.has(1) && filling.has(2))
    await filling.end([1, 2, SLOTS - 1])
    const again = new Filling(new WatchedStore({ disk }))
    t.same([...again.lost], [2, SLOTS - 1], 'also once it counts again')
    t.equal(again.size, 0)
    const { losses } = filling
    await filling.lose([5])
    await filling.recovered(losses)
    t.equal(filling.lost.size, 3, 'nobody was asked for what was lost since')
    await filling.end([5])
    await filling.recovered(filling.losses)
    t.equal(filling.lost.size, 0)
    t.equal(store.get('meta', utf8('filling')), undefined)
  })

  t.test('is kept with the next change where the disk refused it', async t => {
    const disk = new MemoryDisk()
    const store = new WatchedStore({ disk })
    const filling = new Filling(store)
    store.refuses = () => true
    await t.rejects(filling.lose([2]), { code: 'ERR_STORE' })
    store.refuses = () => false
    await filling.end([])
    t.same([...new Filling(new WatchedStore({ disk })).lost], [2])
  })

  t.test('travels, and what is no such question or answer is refused', async t => {
    t.same(decodeRecover(encodeRecover([7, 3, SLOTS - 1])), [3, 7, SLOTS - 1])
    t.same(decodeRecover(encodeRecover([])), [])
    for (const isAll of [true, false]) t.equal(decodeRecovered(encodeRecovered(isAll)), isAll)
    for (const bytes of [utf8('gibberish'), new Uint8Array(), encodeRecovered(true)]) {
      t.equal(decodeRecover(bytes), undefined)
    }
    for (const bytes of [utf8('gibberish'), new Uint8Array(), encodeRecover([])]) {
      t.equal(decodeRecovered(bytes), undefined)
    }
  })
})
