/** `settled` resolves when the owners are equal and not before, and what is told of it is true. */
import t from 'tap'
import { cut, formWorld, keyWhere, runUntil, storedAt } from './fixtures/engine-world.ts'
import type { World } from './fixtures/sim/world.ts'

const SLOTS = 16_384
const isAlive = (world: World) =>
  world
    .node(0)
    .status()
    .members.every(({ liveness }) => liveness === 'alive')

/** n2 has missed a write, and nothing brings it by itself. */
async function behind(): Promise<World> {
  const world = await formWorld()
  for (const { index } of world.hosts) {
    for (const task of ['hints', 'anti-entropy'] as const) {
      await world.until(world.node(index).pause(task))
    }
  }
  await world.until(world.node(0).settled())
  cut(world, 0, 2)
  cut(world, 1, 2)
  await world.until(world.node(0).put('k', 'v'))
  return world
}

t.test('settled', async t => {
  t.test('has the owners equal when it resolves, also while repair is paused', async t => {
    const world = await behind()
    world.fabric.mendAll()
    await runUntil(world, () => isAlive(world))
    t.equal(storedAt(world, 2, 'k'), undefined)
    await world.until(world.node(0).settled({ keys: ['k'] }))
    t.ok(storedAt(world, 0, 'k'))
    t.equal(storedAt(world, 2, 'k'), storedAt(world, 0, 'k'))
    t.equal(storedAt(world, 1, 'k'), storedAt(world, 0, 'k'))
    t.same(world.fabric.bugs, [])
  })

  t.test('is content with a level, and otherwise says how much is left', async t => {
    const world = await behind()
    await world.until(world.node(0).settled({ keys: ['k'], level: 'quorum', timeoutMs: 5_000 }))
    const failure = { code: 'ERR_NOT_SETTLED', left: 1, slots: 1, timeoutMs: 5_000 }
    await t.rejects(world.until(world.node(0).settled({ keys: ['k'], timeoutMs: 5_000 })), failure)
    await t.rejects(world.until(world.node(0).settled({ timeoutMs: 2_000 })), {
      code: 'ERR_NOT_SETTLED',
      left: SLOTS
    })
  })

  t.test('does not take an old proof for an answer', async t => {
    const world = await formWorld()
    await world.until(world.node(0).settled())
    cut(world, 0, 2)
    cut(world, 1, 2)
    await t.rejects(world.until(world.node(0).settled({ keys: ['k'], timeoutMs: 500 })), {
      code: 'ERR_NOT_SETTLED'
    })
  })

  t.test('does not take a root that was long on its way for one of now', async t => {
    const world = await formWorld({ nodes: 2 })
    for (const { index } of world.hosts) {
      for (const task of ['hints', 'anti-entropy'] as const) {
        await world.until(world.node(index).pause(task))
      }
    }
    await world.run(2_000)
    world.fabric.slow.set(1, 400)
    const repaired = t.rejects(world.node(1).repair(), { code: 'ERR_NETWORK' })
    await world.run(1)
    // The root is on its way; all that travels from now on takes longer than anybody waits.
    world.fabric.slow.set(1, 100_000)
    await world.until(world.node(1).put('k', 'v', { level: 'one' }))
    const settled = world.node(0).settled({ keys: ['k'], timeoutMs: 4_000 })
    await t.rejects(world.until(settled), { code: 'ERR_NOT_SETTLED' })
    t.equal(storedAt(world, 0, 'k'), undefined)
    await world.until(repaired)
    t.same(world.fabric.bugs, [])
  })

  t.test('asks an owner for what this node does not own', async t => {
    const world = await formWorld({ nodes: 4 })
    const key = keyWhere(world, 3, owners => !owners.includes(3))
    await world.until(world.node(3).put(key, 'v', { level: 'one' }))
    await world.until(world.node(3).settled({ keys: [key] }))
    const copies = [0, 1, 2].map(host => storedAt(world, host, key))
    t.ok(copies[0])
    t.equal(new Set(copies).size, 1)
    await world.until(world.node(3).settled())
  })

  t.test('needs nobody where a node is alone', async t => {
    const world = await formWorld({ nodes: 1 })
    await world.until(world.node(0).settled())
    t.same(world.node(0).status().sync, { slots: SLOTS, verified: SLOTS, worstMs: 0 })
  })

  t.test('can be given up, and refuses what it cannot mean', async t => {
    const world = await behind()
    const controller = new AbortController()
    const waiting = world.until(world.node(0).settled({ signal: controller.signal }))
    controller.abort(new Error('enough'))
    await t.rejects(waiting, { message: 'enough' })
    const wrong = [{ keys: 'k' }, { keys: [''] }, { level: 'most' }, { timeoutMs: 0 }, { key: 'k' }]
    for (const options of wrong) {
      await t.rejects(
        world.node(0).settled(options as never),
        { code: /ERR_/ },
        JSON.stringify(options)
      )
    }
  })
})

t.test('a slot that is the same is proven so while another differs', async t => {
  const world = await behind()
  world.fabric.mendAll()
  await runUntil(world, () => isAlive(world))
  const other = keyWhere(world, 3, () => true)
  world.diskFaults = { ...world.diskFaults, refuse: 1 }
  const before = world.node(0).status().sync
  await world.run(5_000)
  await world.until(world.node(0).settled({ keys: [other] }))
  const { sync } = world.node(0).status()
  t.ok(
    (sync.worstMs ?? 0) >= (before.worstMs ?? Infinity) + 5_000,
    'the one that cannot be repaired grows old'
  )
  await t.rejects(world.until(world.node(0).settled({ keys: ['k'], timeoutMs: 2_000 })), {
    code: 'ERR_NOT_SETTLED'
  })
})

t.test('how much in sync a node is, is told with its age', async t => {
  const world = await formWorld()
  const isVerified = (host: number) => world.node(host).status().sync.verified === SLOTS
  await runUntil(world, () => [0, 1, 2].every(isVerified))
  const worstMs = () => world.node(0).status().sync.worstMs
  t.ok((worstMs() ?? Infinity) < 10_000)
  const told = await world.until(world.node(1).sync())
  t.match(told, { slots: 3 * SLOTS, verified: 3 * SLOTS, silent: [] })
  t.equal(told.nodes.length, 3)
  cut(world, 0, 2)
  cut(world, 1, 2)
  await world.run(20_000)
  t.ok((worstMs() ?? 0) > 15_000, 'proofs grow old')
  t.same((await world.until(world.node(0).sync())).silent, ['n2'])
  t.same(world.fabric.bugs, [])
})
