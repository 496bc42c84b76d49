import t from 'tap'
import type { Membership } from '../src/cluster/membership.ts'
import { Blind, type BlindComponents } from '../src/coordinator/blind.ts'
import { UnavailableError } from '../src/errors.ts'
import { encodeRow } from '../src/lattice/encode.ts'
import { readCounter } from '../src/lattice/kinds.ts'
import { ROW_EMPTY, type Row } from '../src/lattice/row.ts'
import { concat, text, utf8 } from '../src/util/bytes.ts'
import type { NodeId } from '../src/util/node-id.ts'
import { openReplica, silent, type ReplicaParts } from './fixtures/engine-parts.ts'
import { cut, formWorld, keyWhere, mend, runUntil, storedAt } from './fixtures/engine-world.ts'
import { HandTime } from './fixtures/hand-time.ts'
import { ownersOf } from './fixtures/owners.ts'
import { rowsOf } from './fixtures/sim/inspect.ts'
import { Stream } from './fixtures/sim/random.ts'
import type { World } from './fixtures/sim/world.ts'

const any = { level: 'any' } as const
const OWNERS = [0, 1, 2]

/** Four nodes, a key that n3 does not own, and n3 cut off from everybody. */
async function alone(init: { seed?: number } = {}) {
  const world = await formWorld({ nodes: 4, ...init })
  const key = keyWhere(world, 3, owners => !owners.includes(3))
  await isolate(world)
  return { world, key }
}

async function isolate(world: World): Promise<void> {
  for (const host of OWNERS) cut(world, host, 3)
  await isolated(world)
}

/** Until the last node, cut off or started again while it was, knows that nobody answers. */
async function isolated(world: World): Promise<void> {
  const down = () =>
    world
      .node(3)
      .status()
      .members.filter(({ liveness }) => liveness === 'down')
  await runUntil(world, () => down().length === OWNERS.length)
}

async function reunite(world: World): Promise<void> {
  for (const host of OWNERS) mend(world, host, 3)
  await runUntil(world, () => world.node(3).status().hints.length === 0, 120_000)
}

const failure = (world: World, promise: Promise<unknown>) =>
  world.until(promise.catch((error: unknown) => error))

t.test('at level any', async t => {
  t.test('a write at an owner is acknowledged by its own disk, as at level one', async t => {
    const world = await formWorld()
    world.crash(1)
    world.crash(2)
    const down = () =>
      world
        .node(0)
        .status()
        .members.filter(m => m.liveness === 'down')
    await runUntil(world, () => down().length === 2)
    const { acknowledged, hinted } = await world.until(world.node(0).put('k', 'v', any))
    t.same(acknowledged, ['n0'])
    t.same([...hinted].sort(), ['n1', 'n2'])
    t.equal(text((await world.until(world.node(0).get('k', any))) as Uint8Array), 'v')
  })

  t.test('a write is passed on to an owner while one can be reached', async t => {
    const world = await formWorld({ nodes: 4 })
    const key = keyWhere(world, 3, owners => !owners.includes(3))
    t.ok((await world.until(world.node(3).put(key, 'v', any))).acknowledged.length > 0)
    t.same(world.node(3).status().hints, [])
  })

  t.test('a write is kept for every owner while none can be reached, and gets there', async t => {
    const { world, key } = await alone()
    const { acknowledged, hinted } = await world.until(world.node(3).put(key, 'v', any))
    t.same(acknowledged, [])
    t.same([...hinted].sort(), ['n0', 'n1', 'n2'])
    t.equal(storedAt(world, 3, key), undefined, 'it is no row of this node')
    await reunite(world)
    for (const host of OWNERS) t.equal(storedAt(world, host, key), storedAt(world, 0, key))
    t.equal(text((await world.until(world.node(3).get(key))) as Uint8Array), 'v')
    t.same(world.fabric.bugs, [])
  })

  t.test('a write survives the crash of the only node that has it', async t => {
    const { world, key } = await alone()
    await world.until(world.node(3).put(key, 'v', any))
    world.crash(3)
    await world.run(1_000)
    world.start(3)
    await world.run(1_000)
    for (const host of OWNERS) mend(world, host, 3)
    await runUntil(world, () => OWNERS.every(host => storedAt(world, host, key) !== undefined))
    t.equal(text((await world.until(world.node(0).get(key))) as Uint8Array), 'v')
  })

  t.test('a write replaces what it saw, which is what is kept here, and nothing else', async t => {
    const { world, key } = await alone()
    await world.until(world.node(0).put(key, 'theirs', { level: 'all' }))
    await world.until(world.node(3).put(key, 'first', any))
    await world.until(world.node(3).put(key, 'second', any))
    await reunite(world)
    await world.run(5_000)
    const { value, siblings } = await world.until(world.node(0).read(key, { level: 'all' }))
    t.equal(value && text(value), 'second')
    t.equal(siblings, 1, 'what the owners had stands beside it')
    await world.until(world.node(0).put(key, 'after', { level: 'all' }))
    t.equal((await world.until(world.node(1).read(key, { level: 'all' }))).siblings, 0)
  })

  t.test('a delete is refused while no owner can be reached: it would delete nothing', async t => {
    const { world, key } = await alone()
    const error = await failure(world, world.node(3).delete(key, any))
    t.ok(error instanceof UnavailableError)
    t.match(error, { level: 'any', needed: 1, alive: 0, owners: 3 })
    t.same(world.node(3).status().hints, [])
  })

  t.test('a write whose outcome at an owner is unknown is not made again here', async t => {
    const world = await formWorld({ nodes: 4 })
    const key = keyWhere(world, 3, owners => !owners.includes(3))
    for (const host of OWNERS) world.fabric.cut(host, 3)
    const error = await failure(world, world.node(3).put(key, 'v', { ...any, timeoutMs: 500 }))
    t.match(error, { code: 'ERR_TIMEOUT' })
    t.same(world.node(3).status().hints, [])
  })

  t.test(
    'a write that was kept outlives a loss of power of the owners it is handed to',
    async t => {
      const { world, key } = await alone()
      world.diskFaults = { ...world.diskFaults, syncMeanMs: 1e9 }
      await world.until(world.node(3).put(key, 'v', { ...any, durability: 'flush' }))
      await reunite(world)
      for (const host of OWNERS) world.power(host)
      for (const host of OWNERS) t.ok(storedAt(world, host, key), `n${host} has it still`)
    }
  )

  t.test('a write that is kept too slowly tells the time it was given', async t => {
    const { world, key } = await alone()
    world.diskFaults = { ...world.diskFaults, commitMeanMs: 1e6 }
    const error = await failure(world, world.node(3).put(key, 'v', { ...any, timeoutMs: 500 }))
    t.match(error, { code: 'ERR_TIMEOUT', timeoutMs: 500, message: /in 500 ms/ })
  })

  t.test('a write is refused when the disk refuses it, and is nowhere', async t => {
    const { world, key } = await alone()
    world.diskFaults = { ...world.diskFaults, refuse: 1 }
    t.match(await failure(world, world.node(3).put(key, 'v', any)), { code: 'ERR_STORE' })
    world.diskFaults = { ...world.diskFaults, refuse: 0 }
    t.same(world.node(3).status().hints, [])
    for (const host of OWNERS) mend(world, host, 3)
    await world.run(10_000)
    t.equal(storedAt(world, 0, key), undefined)
  })

  t.test('nothing is lost and nothing comes back, whatever else goes on', async t => {
    for (let seed = 0; seed < 6; seed++) {
      const { world, key } = await alone({ seed })
      const chance = new Stream(seed, 'any')
      await world.until(world.node(0).put(key, 'old', { level: 'all' }))
      await world.until(world.node(0).delete(key, { level: 'all' }))
      const kept: string[] = []
      for (let i = 0; i < 5; i++) {
        if (chance.chance(0.4)) {
          await world.until(world.node(0).put(key, `owner ${i}`, { level: 'quorum' }))
        }
        kept.push((await world.until(world.node(3).put(key, `kept ${i}`, any))).version)
        if (chance.chance(0.3)) {
          world.crash(3)
          await world.run(chance.int(10, 500))
          world.start(3)
          await runUntil(world, () => world.host(3).node !== undefined)
          await isolated(world)
        }
      }
      await reunite(world)
      await world.run(20_000)
      const rows = OWNERS.map(host => rowsOf(world.host(host).disk).get(key))
      t.equal(new Set(rows.map(row => row?.bytes)).size, 1, `seed ${seed}: owners are equal`)
      const values = rows[0]?.row.entries.map(({ value }) => value && text(value)) ?? []
      t.ok(values.includes('kept 4'), `seed ${seed}: the last is there`)
      t.notOk(values.includes('old'), 'and what was deleted is not')
      t.equal(new Set(kept).size, 5)
      t.same(world.fabric.bugs, [])
    }
  })
})

/** Of a node that reaches none of the owners of anything. */
function createBlind(
  { replica, clock }: Pick<ReplicaParts, 'replica' | 'clock'>,
  owners: () => NodeId[],
  keep: BlindComponents['keep']
): Blind {
  const view = { ownersOf: () => ownersOf(owners()) }
  return new Blind({
    replica,
    membership: { id: 'c', view } as unknown as Membership,
    random: new Stream(1, 'actors'),
    clock,
    timers: new HandTime(),
    log: silent,
    keep
  })
}

t.test('increments that no owner took are added to what the owners have, each once', async t => {
  const { replica, clock } = await openReplica()
  const owners = ['a', 'b'] as unknown as NodeId[]
  let held: Row = ROW_EMPTY
  const blind = createBlind(
    { replica, clock },
    () => owners,
    async ({ change }) => (held = change(held))
  )
  const key = utf8('k')
  await replica.mutate(key, { do: 'increment', by: 100n }, false)
  const request = { key, flush: false, timeoutMs: 1_000 }
  for (const by of [1n, 20n, -3n]) {
    const operation = { do: 'increment', by } as const
    const written = await blind.write({ ...request, operation })
    t.same(written.hinted, owners)
    t.notOk('number' in written, 'the value is not known here')
  }
  const words = { do: 'put', value: utf8('text') } as const
  for (let i = 0; i < 2; i++) await replica.apply(key, 'row', encodeRow(held))
  const answer = replica.read(key)
  t.equal(answer.answer === 'row' && readCounter(answer.row, clock.wallMs()), 118n)
  await blind.write({ ...request, operation: words })
  const refused = blind.write({ ...request, operation: { do: 'increment', by: 1n } })
  await t.rejects(refused, { code: 'ERR_NUMBER' }, 'of a text that is kept')
})

t.test('the writes of a key that are kept together are of one actor, and no longer', async t => {
  const { replica, clock } = await openReplica()
  const owners = ['a' as NodeId]
  let held: Row = ROW_EMPTY
  const blind = createBlind(
    { replica, clock },
    () => owners,
    async ({ change }) => (held = change(held))
  )
  const request = { key: utf8('k'), flush: false, timeoutMs: 1_000 }
  const fields = Array.from({ length: 300 }, (_, i) => utf8(`${i}`))
  await blind.write({ ...request, operation: { do: 'set-add', fields } })
  const more = await Promise.all(
    fields.map(field =>
      blind.write({
        ...request,
        operation: { do: 'set-add', fields: [concat([utf8('more '), field])] }
      })
    )
  )
  t.equal(new Set(more.map(({ version }) => version)).size, fields.length, 'each has its own dot')
  t.equal(held.entries.length, 2 * fields.length)
  t.equal(new Set(held.entries.map(({ dot }) => dot.actor)).size, 1)
  const before = held.entries[0]?.dot.actor
  held = ROW_EMPTY
  await blind.write({ ...request, operation: { do: 'set-add', fields: [utf8('later')] } })
  t.not(held.entries[0]?.dot.actor, before, 'what it wrote before may be missing here')
})

t.test('a write that has nobody to be kept for, and no disk here either, is refused', async t => {
  const { replica, clock, store } = await openReplica()
  let owners: NodeId[] = []
  const blind = createBlind(
    { replica, clock },
    () => owners,
    async ({ change }) => change(ROW_EMPTY)
  )
  const operation = { do: 'put', value: utf8('v') } as const
  const request = { key: utf8('k'), flush: false, timeoutMs: 1_000, operation }
  await t.rejects(blind.write(request), { code: 'ERR_UNAVAILABLE', owners: 0 })
  owners = ['c' as NodeId]
  store.refuses = () => true
  await t.rejects(blind.write(request), { code: 'ERR_STORE' })
  store.refuses = () => false
  t.same((await blind.write(request)).acknowledged, owners)
})

t.test('writes of one key that are kept at once have dots of their own', async t => {
  const world = await formWorld({ nodes: 4 })
  const key = keyWhere(world, 3, owners => !owners.includes(3))
  const owners = [0, 1, 2]
  for (const host of owners) cut(world, host, 3)
  const node = world.node(3)
  const down = () => node.status().members.filter(({ liveness }) => liveness === 'down')
  await runUntil(world, () => down().length === owners.length)
  const level = 'any'
  await world.until(node.mapSet(key, { first: 'x' }, { level }))
  const many = (name: string) =>
    Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`${name}${i}`, name]))
  const kept = [many('a'), many('b')].map(fields => node.mapSet(key, fields, { level }))
  await world.until(Promise.all(kept))
  for (const host of owners) mend(world, host, 3)
  await runUntil(world, () => node.status().hints.length === 0, 120_000)
  const entries = await world.until(world.node(0).mapEntries(key))
  t.equal(entries?.length, 41, 'all that was acknowledged is there')
  t.same(world.fabric.bugs, [])
})
