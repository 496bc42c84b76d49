/**
 * How a newcomer comes to count: it is filled first, and up once every member has noted that. Until then no request
 * is decided by the owners with it alone, or by those without it.
 */
import t from 'tap'
import { text } from '../src/util/bytes.ts'
import { createWorld, cut, keyWhere, mend, runUntil, storedAt } from './fixtures/engine-world.ts'
import { ownership } from './fixtures/sim/inspect.ts'
import type { World } from './fixtures/sim/world.ts'

/** What a host that runs says of a member, as far as it has heard. */
function stateAt(world: World, at: number, of = at): string | undefined {
  const members = world.host(at).node?.status().members ?? []
  return members.find(({ id }) => id === `n${of}`)?.state
}

const isDown = (world: World, at: number, of: number) => {
  const { members } = world.node(at).status()
  return members.find(({ id }) => id === `n${of}`)?.liveness === 'down'
}

const three = ownership(3, 3)

/** Of which the newcomer takes the place of `n2`. */
function keyOf(world: World): string {
  return keyWhere(world, 3, (owners, key) => !owners.includes(2) && three(key).includes(2))
}

function isolate(world: World, host: number, others: readonly number[]): void {
  for (const other of others) cut(world, host, other)
}

function join(world: World, host: number, others: readonly number[]): void {
  for (const other of others) mend(world, host, other)
}

/** Three members, the third of which hears nothing while a fourth is filled. */
async function filledWithout2() {
  const world = await createWorld({ nodes: 4 })
  await world.form(world.hosts.slice(0, 3))
  const key = keyOf(world)
  await world.until(world.node(0).put(key, 'before', { level: 'all' }))
  isolate(world, 2, [0, 1, 3])
  await runUntil(world, () => isDown(world, 0, 2) && isDown(world, 1, 2))
  world.start(3)
  await runUntil(world, () => stateAt(world, 0, 3) === 'filled' && isDown(world, 3, 2))
  return { world, key }
}

t.test('a member that hears nothing of a newcomer', async t => {
  t.test('reads nothing that is older than what the owners of now took', async t => {
    const { world, key } = await filledWithout2()
    await world.run(20_000)
    t.equal(stateAt(world, 3), 'filled')
    t.equal(stateAt(world, 2, 3), undefined)
    const now = { level: 'all' as const, timeoutMs: 2_000 }
    await t.rejects(world.until(world.node(1).put(key, 'after', now)), {
      code: 'ERR_UNAVAILABLE',
      needed: 3,
      alive: 2
    })
    const here = await world.until(world.node(2).get(key, { level: 'one' }))
    t.equal(text(here as Uint8Array), 'before')
    join(world, 2, [0, 1, 3])
    await runUntil(world, () => stateAt(world, 2, 3) === 'filled', 60_000, 1)
    t.equal(stateAt(world, 3), 'filled')
    await runUntil(world, () => [0, 1, 2].every(host => stateAt(world, host, 3) === 'up'))
    await world.until(world.node(1).put(key, 'after', now))
    const there = await world.until(world.node(2).get(key, { level: 'one' }))
    t.equal(text(there as Uint8Array), 'after')
    t.equal(text((await world.until(world.node(3).get(key))) as Uint8Array), 'after')
    t.same(world.fabric.bugs, [])
  })

  t.test('holds up nothing at a quorum, and nobody who joins', async t => {
    const { world, key } = await filledWithout2()
    for (const host of [0, 1, 3]) {
      await world.until(world.node(host).put(key, `by ${host}`))
      for (const reader of [0, 1, 3]) {
        const value = await world.until(world.node(reader).get(key))
        t.equal(text(value as Uint8Array), `by ${host}`)
      }
    }
    const one = await world.until(world.node(3).get(key, { level: 'one' }))
    t.equal(text(one as Uint8Array), 'by 3')
  })

  t.test('can restart without it, and be asked by it again after its own restart', async t => {
    const { world } = await filledWithout2()
    world.crash(3)
    world.crash(2)
    await world.run(1_000)
    world.start(3)
    await runUntil(world, () => stateAt(world, 3) === 'filled')
    await world.run(5_000)
    t.equal(stateAt(world, 0, 3), 'filled', 'it does not begin anew')
    world.start(2)
    await world.run(5_000)
    t.equal(stateAt(world, 3), 'filled')
    join(world, 2, [0, 1, 3])
    await runUntil(world, () => stateAt(world, 2, 3) === 'up')
    t.equal(stateAt(world, 3), 'up')
  })

  t.test('has to have it on disk', async t => {
    const { world } = await filledWithout2()
    world.host(2).diskFaults = { refuse: 1 }
    join(world, 2, [0, 1, 3])
    await runUntil(world, () => stateAt(world, 2, 3) === 'filled')
    await world.run(10_000)
    t.equal(stateAt(world, 3), 'filled')
    world.host(2).diskFaults = {}
    await runUntil(world, () => stateAt(world, 3) === 'up')
    world.crash(2)
    isolate(world, 2, [0, 1, 3])
    world.start(2)
    await runUntil(world, () => stateAt(world, 2, 3) !== undefined)
  })
})

t.test('a newcomer is sent what it has missed before it counts', async t => {
  const { world, key } = await filledWithout2()
  isolate(world, 3, [0, 1])
  await runUntil(world, () => isDown(world, 0, 3) && isDown(world, 1, 3))
  for (const host of [0, 1, 2, 3]) {
    await world.until(world.node(host).pause('hints'))
    await world.until(world.node(host).pause('anti-entropy'))
  }
  const before = storedAt(world, 3, key)
  await world.until(world.node(0).put(key, 'missed', { level: 'one' }))
  join(world, 2, [0, 1, 3])
  join(world, 3, [0, 1])
  await runUntil(world, () => stateAt(world, 0, 3) !== 'filled', 60_000, 1)
  t.not(storedAt(world, 3, key), before)
  t.equal(storedAt(world, 3, key), storedAt(world, 0, key))
})

t.test('two newcomers at once, one of which stops', async t => {
  const world = await createWorld({ nodes: 5 })
  await world.form(world.hosts.slice(0, 3))
  world.start(3)
  world.start(4)
  await runUntil(
    world,
    () => stateAt(world, 0, 3) === 'filled' && stateAt(world, 0, 4) !== undefined,
    60_000,
    1
  )
  world.crash(4)
  for (let i = 0; i < 20; i++) {
    await world.until(world.node(i % 3).put(`key ${i}`, `value ${i}`))
  }
  world.start(4)
  await runUntil(world, () => [3, 4].every(host => stateAt(world, 0, host) === 'up'))
  for (let i = 0; i < 20; i++) {
    for (const host of [3, 4]) {
      const value = await world.until(world.node(host).get(`key ${i}`))
      t.equal(text(value as Uint8Array), `value ${i}`)
    }
  }
  t.same(world.fabric.bugs, [])
})
