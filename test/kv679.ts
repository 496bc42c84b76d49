/**
 * The schedules of Riak's issue kv679, step by step, each under the name of its test in riak_test
 * (P1 to P4). In all of them the clock of a key goes back at its coordinator, and a write that was
 * acknowledged is taken for one that was seen long ago.
 *
 * Riak's fallbacks are nodes that keep a row for an owner that is away. Here the coordinator keeps
 * a hint, so where a schedule needs the very row that a fallback had kept, the row is taken down when
 * the fallback would have got it and applied when it would have handed it over. Riak's clients write
 * without a context and get siblings; here the row of the coordinator is the context.
 */
import t, { type Test } from 'tap'
import type { Row } from '../src/lattice/row.ts'
import { decodeRow, encodeRow } from '../src/lattice/encode.ts'
import { MemoryDisk } from '../src/store/memory.ts'
import { text, utf8 } from '../src/util/bytes.ts'
import { damage, openReplica, setTo, type ReplicaParts } from './fixtures/engine-parts.ts'
import { backUp, createWorld, formWorld, runUntil } from './fixtures/engine-world.ts'
import { rowsOf } from './fixtures/sim/inspect.ts'
import type { World } from './fixtures/sim/world.ts'

const KEY = 'test'
const isUp = (world: World, host: number) => world.host(host).node !== undefined

const valuesOf = (row: Row | undefined) => row?.entries.map(each => text(each.value ?? utf8('')))
const valuesAt = (world: World, host: number) =>
  valuesOf(rowsOf(world.host(host).disk).get(KEY)?.row)

type Level = 'one' | 'two' | 'quorum' | 'all'

async function write(world: World, host: number, values: readonly string[], level: Level) {
  for (const value of values) await world.until(world.node(host).put(KEY, value, { level }))
}

/** As the schedules of data loss do: only what they say moves rows. */
async function withoutRepair(world: World): Promise<void> {
  for (const { index, node } of world.hosts) {
    if (node === undefined) continue
    await world.until(world.node(index).pause('anti-entropy'))
    await world.until(world.node(index).pause('hints'))
  }
}

async function started(world: World, ...hosts: number[]): Promise<void> {
  for (const host of hosts) world.start(host)
  await runUntil(world, () => hosts.every(host => isUp(world, host)))
}

async function areDown(world: World, at: number, ...hosts: number[]): Promise<void> {
  const isDown = (host: number) =>
    world
      .node(at)
      .status()
      .members.some(({ id, liveness }) => id === `n${host}` && liveness === 'down')
  await runUntil(world, () => hosts.every(isDown))
}

async function areAlive(world: World, at: number, ...hosts: number[]): Promise<void> {
  const isAlive = (host: number) =>
    world
      .node(at)
      .status()
      .members.some(({ id, liveness }) => id === `n${host}` && liveness === 'alive')
  await runUntil(world, () => hosts.every(isAlive))
}

/** Everything runs and repairs again; ends when all owners hold the same of the key. */
async function healed(t: Test, world: World): Promise<void> {
  for (const { index } of world.hosts) {
    await world.until(world.node(index).resume('anti-entropy'))
    await world.until(world.node(index).resume('hints'))
  }
  await runUntil(world, () => {
    const roots = world.hosts.map(({ node }) => node?.status())
    const filling = roots.some(status => status?.fillingSlots !== 0)
    return !filling && new Set(roots.map(status => status?.root)).size === 1
  })
  t.same(world.fabric.bugs, [])
}

t.test('P1 kv679_dataloss: the coordinator loses its copy and writes again', async t => {
  async function lost(lose: (world: World) => Promise<void>) {
    const world = await formWorld()
    await withoutRepair(world)
    await write(world, 0, ['phil', 'bob'], 'all')
    await world.stop(0)
    await lose(world)
    await started(world, 0)
    await areAlive(world, 0, 1, 2)
    return world
  }

  t.test('with its whole directory', async t => {
    const world = await lost(async world => world.wipe(0))
    await write(world, 0, ['jon'], 'two')
    t.equal(text((await world.until(world.node(0).get(KEY))) as Uint8Array), 'jon')
    t.same(valuesAt(world, 1), ['jon'], 'it was coordinated by an owner that had seen bob')
    await healed(t, world)
    t.same(
      [0, 1, 2].map(host => valuesAt(world, host)),
      [['jon'], ['jon'], ['jon']]
    )
  })

  t.test('with the row alone, which can no longer be read', async t => {
    const world = await lost(async world => {
      const [pair] = world.host(0).disk.pairs('rows')
      const value = pair?.[1] as Uint8Array
      value[value.length - 1] = (value.at(-1) as number) ^ 1
    })
    await t.rejects(write(world, 0, ['ann'], 'two'), { code: 'ERR_CORRUPT' }, 'it sees that now')
    await write(world, 0, ['jon'], 'two')
    t.equal(text((await world.until(world.node(0).get(KEY))) as Uint8Array), 'jon')
    await healed(t, world)
    t.same(
      [0, 1, 2].map(host => valuesAt(world, host)),
      [['jon'], ['jon'], ['jon']]
    )
  })
})

t.test('P2 kv679_dataloss_fb: an old copy brings the coordinator back in time', async t => {
  const world = await formWorld()
  await withoutRepair(world)
  const [coordinator, ...primaries] = [0, 1, 2] as const
  // Two primaries down; two writes at the one that is left and its fallbacks.
  for (const host of primaries) await world.stop(host)
  await areDown(world, coordinator, ...primaries)
  await write(world, coordinator, ['bob', 'jim'], 'one')
  const fallback = backUp(world.host(coordinator).disk)
  // The primaries are back, and the fallbacks are gone before they hand over; two more writes.
  await started(world, ...primaries)
  await areAlive(world, coordinator, ...primaries)
  await write(world, coordinator, ['jon', 'joe'], 'all')
  t.same(valuesAt(world, 1), ['joe'])
  // The primaries are killed; the coordinator loses its data and gets that of the fallbacks.
  for (const host of primaries) world.crash(host)
  await world.stop(coordinator)
  world.host(coordinator).disk = fallback
  await started(world, coordinator)
  t.same(valuesAt(world, coordinator), ['jim'])
  await areDown(world, coordinator, ...primaries)
  await write(world, coordinator, ['anne'], 'one')
  await started(world, ...primaries)
  await healed(t, world)
  for (const host of [0, 1, 2]) t.same(valuesAt(world, host)?.sort(), ['anne', 'joe'])
  t.equal(text((await world.until(world.node(1).get(KEY))) as Uint8Array), 'anne')
})

t.test('P2 kv679_dataloss_fb2: a local read fails while others hand over', async t => {
  const diskOf1 = new MemoryDisk()
  const p1 = await openReplica({ disk: diskOf1 })
  const p2 = await openReplica()
  const key = utf8(KEY)
  const tick = () => [p1, p2].forEach(({ clock }) => (clock.now += 1_000))
  const writeAt = async ({ replica }: ReplicaParts, value: string) => {
    tick()
    return (await replica.mutate(key, setTo(value), false)).bytes
  }
  const handOver = (to: ReplicaParts, row: Uint8Array) => to.replica.apply(key, 'row', row)
  const rowAt = ({ replica }: ReplicaParts) => {
    const answer = replica.read(key)
    return answer.answer === 'row' ? answer.row : undefined
  }
  // One write at P1, kept by the first fallback; two more, kept by the second; one at P2.
  const fallback1 = await writeAt(p1, 'alice')
  await writeAt(p1, 'bob')
  const fallback2 = await writeAt(p1, 'charlie')
  const fallback3 = await writeAt(p2, 'dave')
  // The row at P1 cannot be read when the third fallback hands over.
  damage(diskOf1, p1.replica.rows.locate(key).id)
  const before = p1.replica.identity.actor
  await handOver(p1, fallback3).catch(() => undefined)
  await handOver(p1, fallback3)
  t.same(rowAt(p1), undefined, 'what it now has does not vote')
  await t.rejects(writeAt(p1, 'eve'), { code: 'ERR_CORRUPT' }, 'nor may it be written on')
  // The first fallback hands over to P2, and P2 repairs P1.
  await handOver(p2, fallback1)
  await handOver(p1, encodeRow(rowAt(p2) as Row))
  await p1.replica.filling.end([p1.replica.rows.locate(key).slot])
  t.same(valuesOf(rowAt(p1))?.sort(), ['alice', 'dave'])
  // A write at P1 reaches P2; then the second fallback hands over, and P2 repairs P1.
  const emma = await writeAt(p1, 'emma')
  await handOver(p2, emma)
  await handOver(p2, fallback2)
  await handOver(p1, encodeRow(rowAt(p2) as Row))
  for (const each of [p1, p2]) t.same(valuesOf(rowAt(each))?.sort(), ['charlie', 'emma'])
  t.not(p1.replica.identity.actor, before)
})

t.test('P3 kv679_tombstone: a fallback brings a tombstone after a new value', async t => {
  const world = await formWorld({ nodes: 3 })
  await withoutRepair(world)
  await write(world, 0, ['bob', 'phil', 'pete'], 'all')
  await world.stop(2)
  await areDown(world, 0, 2)
  await world.until(world.node(1).delete(KEY, { level: 'two' }))
  const doomstone = rowsOf(world.host(1).disk).get(KEY)?.row as Row
  t.same(doomstone.entries, [])
  await started(world, 2)
  await areAlive(world, 0, 1, 2)
  t.equal(await world.until(world.node(0).get(KEY, { level: 'all' })), undefined)
  await write(world, 0, ['jon'], 'all')
  // What a fallback would hand over now, to a replica that holds what each owner holds.
  for (const host of [0, 1, 2]) {
    const late = await openReplica()
    const row = rowsOf(world.host(host).disk).get(KEY)?.row as Row
    await late.replica.apply(utf8(KEY), 'row', encodeRow(row))
    const { bytes } = await late.replica.apply(utf8(KEY), 'row', encodeRow(doomstone))
    t.same(valuesOf(decodeRow(bytes)), ['jon'])
  }
  await healed(t, world)
  for (const host of [0, 1, 2]) {
    const value = await world.until(world.node(host).get(KEY, { level: 'all' }))
    t.equal(value && text(value), 'jon')
  }
})

t.test('P3 kv679_tombstone2: a crashed primary brings a tombstone after a new value', async t => {
  const world = await formWorld()
  await withoutRepair(world)
  await write(world, 0, ['bob', 'phil', 'pete'], 'all')
  await world.until(world.node(0).delete(KEY, { level: 'all' }))
  world.crash(2)
  await areDown(world, 0, 2)
  await world.run(15_000)
  await write(world, 0, ['jon'], 'two')
  await started(world, 2)
  await areAlive(world, 0, 1, 2)
  t.same(valuesAt(world, 2), [], 'it still holds the tombstone')
  for (let i = 0; i < 5; i++) {
    await world.run(100)
    const value = await world.until(world.node(0).get(KEY, { level: 'all' }))
    t.equal(value && text(value), 'jon')
  }
  await healed(t, world)
  t.same(valuesAt(world, 2), ['jon'])
})

t.test(
  'P4 kv679_uid: no two directories have one actor, not even a copy and its original',
  async t => {
    const world = await createWorld({ nodes: 4 })
    await started(world, 0)
    await started(world, 1, 2)
    world.host(3).disk = backUp(world.host(1).disk, 'another disk')
    await started(world, 3)
    const actors = world.hosts.map(({ index }) => world.node(index).status().actor)
    t.equal(new Set(actors).size, 4)
    await world.stop(1)
    await started(world, 1)
    t.equal(
      world.node(1).status().actor,
      actors[1],
      'and one that was closed in order keeps its own'
    )
  }
)
