import t from 'tap'
import type { Level } from '../src/index.ts'
import { notesOn } from '../src/quorum/notes.ts'
import { text } from '../src/util/bytes.ts'
import { decodeReadAnswer } from '../src/wire/rows.ts'
import { decodeReply } from '../src/wire/view.ts'
import { cut, formWorld, keyWhere, mend, runUntil, storedAt } from './fixtures/engine-world.ts'
import type { World } from './fixtures/sim/world.ts'

const LARGE = 'x'.repeat(100_000)

/** What came back in answer to reads: how many rows, digests and so on, and all bytes sent. */
function listen(world: World) {
  const heard = { rows: 0, digests: 0, bytes: 0, applies: 0 }
  world.fabric.onSend = (kind, bytes) => {
    heard.bytes += bytes.length
    if (kind.startsWith('request:apply')) heard.applies++
    if (!kind.startsWith('answer')) return
    const reply = decodeReply(bytes.slice())
    const answer = reply && 'body' in reply ? decodeReadAnswer(reply.body) : undefined
    if (answer?.answer === 'row') heard.rows++
    if (answer?.answer === 'digest') heard.digests++
  }
  return heard
}

/** Without repair but by reads. */
async function quietWorld(nodes = 3): Promise<World> {
  const world = await formWorld({ nodes })
  for (const { index } of world.hosts) {
    await world.until(world.node(index).pause('hints'))
    await world.until(world.node(index).pause('anti-entropy'))
  }
  return world
}

/** Writes where `behind` cannot hear of it. */
async function writeWithout(world: World, behind: number, key: string, value: string) {
  const others = world.hosts.map(({ index }) => index).filter(index => index !== behind)
  for (const other of others) cut(world, other, behind)
  await runUntil(world, () =>
    world
      .node(0)
      .status()
      .members.some(({ id, liveness }) => id === `n${behind}` && liveness === 'down')
  )
  await world.until(world.node(0).put(key, value))
  for (const other of others) mend(world, other, behind)
  await runUntil(world, () =>
    world
      .node(0)
      .status()
      .members.every(({ liveness }) => liveness === 'alive')
  )
}

const read = (world: World, host: number, key: string, level: Level = 'all') =>
  world.until(world.node(host).read(key, { level }))

t.test('a converged large value costs one row, digests of the others, and no writes', async t => {
  const world = await quietWorld(4)
  const key = keyWhere(world, 3, owners => !owners.includes(3))
  await world.until(world.node(0).put(key, LARGE, { level: 'all' }))
  await world.run(1_000)
  const heard = listen(world)
  const { value, answers, repaired } = await read(world, 3, key)
  t.equal(value && text(value), LARGE)
  t.ok(answers.length === 3 && answers.every(({ answer }) => answer === 'row'))
  t.equal(new Set(answers.map(({ version }) => version)).size, 1)
  t.same(repaired, [])
  t.match(heard, { rows: 1, digests: 2, applies: 0 })
  t.ok(heard.bytes < LARGE.length + 2_000, `${heard.bytes} bytes`)
  const small = listen(world)
  await read(world, 0, key)
  t.match(small, { rows: 0, digests: 2 }, 'an owner has the row itself')
})

t.test('a small value is sent by everybody: a round trip is worth more than its bytes', async t => {
  const world = await quietWorld()
  await world.until(world.node(0).put('k', 'v', { level: 'all' }))
  const heard = listen(world)
  await read(world, 0, 'k')
  t.match(heard, { rows: 2, digests: 0 })
})

t.test(
  'where a digest differs the row is fetched, joined, and the one behind repaired',
  async t => {
    for (const reader of [0, 1, 2]) {
      const world = await quietWorld()
      await world.until(world.node(0).put('k', `old ${LARGE}`, { level: 'all' }))
      await world.run(1_000)
      await writeWithout(world, 2, 'k', `new ${LARGE}`)
      const heard = listen(world)
      const { value, repaired } = await read(world, reader, 'k')
      t.equal(value && text(value).slice(0, 3), 'new', `through n${reader}`)
      t.same(repaired, ['n2'])
      t.equal(heard.applies, reader === 2 ? 0 : 1, 'only the one that is behind is written to')
      // n2 alone has nothing to compare with: it fetches one of the two equal rows.
      t.match(heard, { rows: 1, digests: 2 })
      await world.run(1_000)
      t.equal(storedAt(world, 2, 'k'), storedAt(world, 0, 'k'))
      const again = listen(world)
      t.same((await read(world, reader, 'k')).repaired, [])
      t.match(again, { rows: 0, digests: 2, applies: 0 })
      t.same(world.fabric.bugs, [])
    }
  }
)

t.test('a large value is read while the fastest owner is gone', async t => {
  const world = await quietWorld(4)
  const key = keyWhere(world, 3, owners => !owners.includes(3))
  await world.until(world.node(0).put(key, LARGE, { level: 'all' }))
  for (const silent of [0, 1, 2]) {
    world.fabric.cut(silent, 3)
    const { value } = await read(world, 3, key, 'two')
    t.equal(value && text(value), LARGE, `without n${silent}`)
    world.fabric.mend(silent, 3)
    await runUntil(world, () =>
      world
        .node(3)
        .status()
        .members.every(({ liveness }) => liveness === 'alive')
    )
  }
  t.same(world.fabric.bugs, [])
})

t.test('a read that repairs afterwards answers first, and the row gets there', async t => {
  const world = await quietWorld()
  await writeWithout(world, 2, 'k', 'v')
  const later = await world.until(world.node(0).read('k', { level: 'all', readRepair: 'async' }))
  t.same(later.repaired, [])
  t.equal(storedAt(world, 2, 'k'), undefined)
  await runUntil(world, () => storedAt(world, 2, 'k') === storedAt(world, 0, 'k'))
})

t.test('a read that repairs nothing leaves the others as they are', async t => {
  const world = await quietWorld()
  await writeWithout(world, 2, 'k', 'v')
  const off = { level: 'all', readRepair: 'off' } as const
  t.equal(text((await world.until(world.node(0).get('k', off))) as Uint8Array), 'v')
  await world.run(10_000)
  t.equal(storedAt(world, 2, 'k'), undefined)
})

t.test(
  'defaults that need not meet, or that no key can reach, are noted, and others are not',
  async t => {
    const notes = (readLevel: Level, writeLevel: Level, n = 3) =>
      notesOn({ readLevel, writeLevel }, n).join()
    t.match(notes('one', 'one'), /level one and writes at level one need not meet.*n is 3/)
    t.match(notes('quorum', 'any'), /need not meet/)
    for (const [read, write] of [
      ['quorum', 'quorum'],
      ['one', 'all'],
      [1, 3],
      ['all', 'one']
    ] as const) {
      t.equal(notes(read, write), '')
    }
    t.match(notes('three', 5), /^Level 5 asks for more replicas than a key has \(n is 3\)/)
    t.match(notes('two', 'two', 1), /^Level two asks/)
    const world = await formWorld()
    t.same(world.node(0).status().notes, [])
    t.match(world.node(0).status().defaults, { readLevel: 'quorum', readRepair: 'blocking' })
  }
)
