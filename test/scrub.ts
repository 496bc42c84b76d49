/**
 * The scrub: what is damaged on disk is found before it is asked for, and comes back from the other
 * owners; a tree that disagrees with its rows is found and laid out anew.
 */
import fc from 'fast-check'
import t from 'tap'
import { runCommand } from '../src/fronts/resp/commands.ts'
import type { ScrubProgress } from '../src/options.ts'
import type { Replica } from '../src/replica/replica.ts'
import { START, type Position, type Verified, type VerifyBudget } from '../src/replica/verify.ts'
import { rowKey } from '../src/ring/row-key.ts'
import { slotOf } from '../src/ring/slot.ts'
import { MemoryDisk } from '../src/store/memory.ts'
import { text, utf8 } from '../src/util/bytes.ts'
import {
  copyDisk,
  damage,
  openReplica,
  rootOf,
  rootOfRebuilt,
  setTo
} from './fixtures/engine-parts.ts'
import { cut, formWorld, keyWhere, runUntil, storedAt } from './fixtures/engine-world.ts'
import type { World } from './fixtures/sim/world.ts'

const ALL: VerifyBudget = { slots: 20_000, rows: 1e6, bytes: 1e9 }
const KEYS = Array.from({ length: 90 }, (_, i) => utf8(i < 60 ? `{deep}${i}` : `key ${i}`))

/** Four nodes and a key of which each of its owners, all but n3, has a damaged copy. */
async function lostByAll() {
  const world = await formWorld({ nodes: 4 })
  const key = keyWhere(world, 3, owners => !owners.includes(3))
  await world.until(world.node(0).put(key, 'v', { level: 'all' }))
  for (const host of [0, 1, 2]) rot(world, host, key)
  for (const host of [0, 1, 2]) await world.until(world.node(host).scrub())
  await runUntil(world, () => world.hosts.every(({ node }) => !node?.status().fillingSlots))
  return { world, key }
}

async function filled() {
  const disk = new MemoryDisk()
  const parts = await openReplica({ disk })
  await Promise.all(KEYS.map(key => parts.replica.mutate(key, setTo('v'), false)))
  for (let left = 1; left > 0; left = await parts.replica.checkpoint());
  return { ...parts, disk }
}

async function verifyAll(replica: Replica, budget = ALL): Promise<Verified> {
  const sums = { slots: 0, rows: 0, bytes: 0 }
  const [damaged, wrong]: [Uint8Array[], number[]] = [[], []]
  const lost = new Map<number, number>()
  for (let at: Position | undefined = START; at !== undefined;) {
    const part: Verified = await replica.verify(at, budget)
    for (const name of ['slots', 'rows', 'bytes'] as const) sums[name] += part[name]
    damaged.push(...part.damaged)
    wrong.push(...part.wrong)
    for (const [slot, rows] of part.lost) lost.set(slot, (lost.get(slot) ?? 0) + rows)
    at = part.next
  }
  return { next: undefined, ...sums, damaged, wrong, lost }
}

t.test('verifying', async t => {
  t.test('finds nothing wrong where nothing is, and counts what it read', async t => {
    const { replica, disk } = await filled()
    const bytes = [...disk.space('rows').range({})].reduce(
      (n, [k, v]) => n + k.length + v.length,
      0
    )
    t.same(await verifyAll(replica), {
      next: undefined,
      slots: 16_384,
      rows: KEYS.length,
      bytes,
      damaged: [],
      wrong: [],
      lost: new Map()
    })
    t.equal(replica.keeper.unsaved, 0)
  })

  t.test('reads every row once, however small the parts and whatever changes', async t => {
    const budget = fc.record({
      slots: fc.integer({ min: 100, max: 20_000 }),
      rows: fc.integer({ min: 1, max: 40 }),
      bytes: fc.integer({ min: 1, max: 4_000 })
    })
    await fc.assert(
      fc.asyncProperty(budget, async budget => {
        const { replica } = await filled()
        const verified = await verifyAll(replica, budget)
        if (verified.rows !== KEYS.length) throw new Error(`${verified.rows} rows`)
        if (verified.slots !== 16_384) throw new Error(`${verified.slots} slots`)
        if (verified.wrong.length > 0) throw new Error('nothing was wrong')
      }),
      { numRuns: 8 }
    )
    t.pass()
  })

  t.test('goes on in the right place when the tree grows between two parts', async t => {
    const { replica } = await filled()
    const slot = slotOf(KEYS[0] as Uint8Array)
    const first = await replica.verify({ slot, tokenHigh: 0 }, { ...ALL, rows: 20 })
    t.equal(first.next?.slot, slot)
    const more = Array.from({ length: 200 }, (_, i) => utf8(`{deep}more ${i}`))
    await Promise.all(more.map(key => replica.mutate(key, setTo('v'), false)))
    const rest = await replica.verify(first.next as Position, { ...ALL, slots: 1 })
    t.same(rest.wrong, [])
    t.equal(rest.next?.slot, slot + 1)
  })

  t.test('finds a damaged row, whichever byte is wrong, and has it set aside', async t => {
    const key = KEYS[3] as Uint8Array
    const { replica, store } = await filled()
    const length = store.get('rows', replica.rows.locate(key).id)?.length as number
    for (let at = 0; at < length; at += 5) {
      const { replica, disk, meter } = await filled()
      const { id, slot } = replica.rows.locate(key)
      damage(disk, id, at)
      const verified = await replica.verify({ slot, tokenHigh: 0 }, { ...ALL, slots: 1 })
      t.same(verified.damaged, [id], `byte ${at}`)
      t.same(verified.wrong, [], 'the tree had the row as it was')
      await replica.between(() => {})
      t.equal(replica.quarantine.size, 1)
      t.equal(replica.read(key).answer, 'unknown')
      t.equal(rootOf(replica), rootOfRebuilt(disk))
      t.equal(meter.totals()['scrub.trees-rebuilt'] ?? 0, 0)
    }
  })

  t.test('finds a row that lies where its key does not belong', async t => {
    const { replica, disk } = await filled()
    const key = KEYS[70] as Uint8Array
    const { id, token, slot } = replica.rows.locate(key)
    const elsewhere = rowKey(slot ^ 1, token, key)
    disk.space('rows').set(elsewhere, disk.space('rows').get(id))
    disk.space('rows').set(id, undefined)
    t.equal(replica.read(key).answer, 'absent', 'nothing else notices')
    const { damaged } = await verifyAll(replica)
    t.same(damaged, [id], 'told by where it belongs')
    await replica.between(() => {})
    t.equal(replica.read(key).answer, 'unknown')
    t.ok(replica.quarantine.hasDamaged(id))
    t.equal(rootOf(replica), rootOfRebuilt(disk))
  })

  t.test('finds a tree that disagrees with its rows, lays it out anew and saves it', async t => {
    const wrongs: [string, (replica: Replica, slot: number) => void][] = [
      ['a row too many', ({ forest }, slot) => forest.add(slot, 5, new Uint8Array(32).fill(1))],
      [
        'another sum',
        ({ forest }, slot) => {
          const depth = forest.depth(slot)
          const { counts, sums } = forest.leaves(slot, 0, 2 ** depth)
          sums[sums.length - 1] = (sums[sums.length - 1] as number) ^ 128
          forest.restore(slot, depth, { counts, sums })
        }
      ],
      ['no rows at all', ({ forest }, slot) => forest.reset(slot, 0)]
    ]
    for (const [what, spoil] of wrongs) {
      const { replica, disk, meter } = await filled()
      const slot = slotOf(KEYS[0] as Uint8Array)
      spoil(replica, slot)
      t.not(rootOf(replica), rootOfRebuilt(disk), what)
      t.same((await verifyAll(replica)).wrong, [slot], what)
      t.equal(rootOf(replica), rootOfRebuilt(disk))
      t.equal(meter.totals()['scrub.trees-rebuilt'], 1)
      t.equal(replica.keeper.unsaved, 1)
      t.same((await verifyAll(replica)).wrong, [])
    }
  })

  t.test(
    'takes a row that vanished, or is what it was before, for one that was acknowledged',
    async t => {
      const key = KEYS[3] as Uint8Array
      for (const what of ['vanished', 'older'] as const) {
        const { replica, disk } = await filled()
        const { id, slot } = replica.rows.locate(key)
        const older = disk.space('rows').get(id)?.slice()
        await replica.mutate(key, setTo('later'), false)
        const [before, { actor }] = [rootOf(replica), replica.identity]
        disk.space('rows').set(id, what === 'older' ? older : undefined)
        const { wrong, damaged, lost } = await verifyAll(replica)
        t.same({ wrong, damaged }, { wrong: [slot], damaged: [] }, what)
        t.same([...lost], what === 'older' ? [] : [[slot, 1]])
        t.equal(replica.read(key).answer, 'unknown')
        t.not(replica.identity.actor, actor)
        t.not(rootOf(replica), before)
        t.equal(rootOf(replica), rootOfRebuilt(disk))
        const { replica: after } = await openReplica({ disk: copyDisk(disk) })
        t.equal(after.read(key).answer, 'unknown', 'also after a crash')
        t.equal(rootOf(after), rootOfRebuilt(disk))
      }
    }
  )

  t.test('lets the tree forget nothing that the disk has not been told', async t => {
    const key = KEYS[3] as Uint8Array
    for (let refused = 0; refused < 3; refused++) {
      const { replica, disk, store } = await filled()
      const { id, slot } = replica.rows.locate(key)
      disk.space('rows').set(id, undefined)
      let commits = 0
      store.refuses = () => commits++ === refused
      await t.rejects(verifyAll(replica), { code: 'ERR_STORE' })
      t.equal(replica.read(key).answer, 'unknown')
      const { replica: after } = await openReplica({ disk: copyDisk(disk) })
      const again = await verifyAll(after)
      t.ok(after.read(key).answer === 'unknown', `commit ${refused}`)
      t.same(again.wrong, [slot], 'it is found again')
      t.same((await verifyAll(replica)).wrong, [slot])
      t.equal(rootOf(replica), rootOfRebuilt(disk))
    }
  })

  t.test('reports what lies under no key at all, and keeps it', async t => {
    const { replica, disk } = await filled()
    const { id, slot } = replica.rows.locate(KEYS[3] as Uint8Array)
    const value = disk.space('rows').get(id)
    const stump = id.slice(0, 6)
    disk.space('rows').set(id, undefined)
    disk.space('rows').set(stump, value)
    t.same((await verifyAll(replica)).damaged, [stump])
    await replica.between(() => {})
    t.equal(disk.space('rows').get(stump), undefined)
    t.ok(replica.quarantine.hasNamed(String.fromCharCode(...stump)))
    t.ok(replica.filling.has(slot))
    t.equal(rootOf(replica), rootOfRebuilt(disk))
  })

  t.test('of one slot says whether its tree was wrong', async t => {
    const { replica, disk } = await filled()
    const slot = slotOf(KEYS[0] as Uint8Array)
    t.notOk(await replica.verifySlot(slot))
    replica.forest.add(slot, 5, new Uint8Array(32).fill(1))
    t.notOk(await replica.verifySlot(slot + 1))
    t.ok(await replica.verifySlot(slot))
    t.notOk(await replica.verifySlot(slot))
    t.equal(rootOf(replica), rootOfRebuilt(disk))
  })

  t.test('never takes a change under way for a wrong tree', async t => {
    const { replica } = await filled()
    const jobs = KEYS.map((key, i) => replica.mutate(key, setTo(`later ${i}`), false))
    const verified = verifyAll(replica, { slots: 2_000, rows: 8, bytes: 1e6 })
    for (const [i, key] of KEYS.entries()) {
      await replica.verify({ slot: slotOf(key), tokenHigh: 0 }, { ...ALL, rows: 4 })
      jobs.push(replica.mutate(key, setTo(`last ${i}`), false))
    }
    await Promise.all(jobs)
    t.same((await verified).wrong, [])
  })
})

/** Turns a bit of the row of the key on the disk of the host. */
function rot(world: World, host: number, key: string): void {
  const { disk } = world.host(host)
  const pair = disk.pairs('rows').find(([id]) => text(id).endsWith(key))
  if (pair === undefined) throw new Error('the row is not there')
  const value = pair[1].slice()
  value[value.length - 1] = (value[value.length - 1] as number) ^ 1
  disk.write({ space: 'rows', key: pair[0], value })
}

t.test('a scrub', async t => {
  t.test('has the rows of a rotten disk come back from the other owners', async t => {
    const world = await formWorld()
    const keys = Array.from({ length: 20 }, (_, i) => `key ${i}`)
    for (const key of keys) await world.until(world.node(0).put(key, 'v', { level: 'all' }))
    const rotten = ['key 3', 'key 14', 'key 15']
    const whole = rotten.map(key => storedAt(world, 2, key))
    for (const key of rotten) rot(world, 2, key)
    const told: ScrubProgress[] = []
    const node = world.node(2)
    const report = await world.until(node.scrub({ onProgress: progress => told.push(progress) }))
    t.match(report, { slots: 16_384, rows: 20, damagedRows: 3, healed: 3, missing: 0 })
    t.match(report, { treesRebuilt: 0 })
    t.match(told.at(-1), { ...report, slotsTotal: 16_384, rowsTotal: 20 })
    t.ok(told.some(({ slots }) => slots > 0 && slots < 16_384))
    t.same(
      rotten.map(key => storedAt(world, 2, key)),
      whole
    )
    const { counters, quarantined, fillingSlots, scrub } = node.status()
    t.match(counters, { 'scrub.damaged-rows': 3, 'scrub.passes': 1, 'scrub.slots': 16_384 })
    t.same([quarantined, fillingSlots], [0, 0])
    t.match(scrub, { running: false, lastPassMs: Number })
    t.match(await world.until(node.scrub()), { damagedRows: 0 })
    t.same(world.fabric.bugs, [])
  })

  t.test('has a row that vanished from the disk come back from the other owners', async t => {
    const world = await formWorld()
    for (const key of ['a', 'b']) await world.until(world.node(0).put(key, 'v', { level: 'all' }))
    for (const { index } of world.hosts) await world.until(world.node(index).pause('anti-entropy'))
    const whole = storedAt(world, 2, 'a')
    const { disk } = world.host(2)
    const [id] = disk.pairs('rows').find(([id]) => text(id).endsWith('a')) ?? []
    disk.write({ space: 'rows', key: id as Uint8Array, value: undefined })
    const told: ScrubProgress[] = []
    const node = world.node(2)
    const report = await world.until(node.scrub({ onProgress: progress => told.push(progress) }))
    t.match(report, { rows: 1, damagedRows: 0, lostRows: 1, treesRebuilt: 1, missing: 0 })
    t.equal(storedAt(world, 2, 'a'), whole)
    t.ok(told.some(({ healing, missing }) => healing && missing === 1))
    t.equal(node.status().fillingSlots, 0)
    t.same(world.fabric.bugs, [])
  })

  t.test('says what is missing where nobody else has it', async t => {
    const world = await formWorld({ nodes: 1, n: 1 })
    await world.until(world.node(0).put('k', 'v', { level: 'one' }))
    rot(world, 0, 'k')
    const report = await world.until(world.node(0).scrub())
    t.match(report, { damagedRows: 1, healed: 0, missing: 1 })
    t.equal(world.node(0).status().quarantined, 1)
  })

  t.test('leaves a row that every owner has lost, to be deleted', async t => {
    const world = await formWorld()
    const [a, b, none] = ['a', 'b', 'never written']
    for (const key of [a, b]) await world.until(world.node(0).put(key, 'v', { level: 'all' }))
    for (const { index } of world.hosts) for (const key of [a, b]) rot(world, index, key)
    for (const { index } of world.hosts) await world.until(world.node(index).scrub())
    const node = world.node(1)
    const isFull = () => world.hosts.every((_, host) => !world.node(host).status().fillingSlots)
    await runUntil(world, isFull)
    const lost = { code: 'ERR_CORRUPT', message: /whole copy of "a"; .*damaged.*delete it/ }
    await t.rejects(world.until(node.get(a)), lost)
    await t.rejects(world.until(node.setRemove(a, 'm')), lost, 'only a delete goes on without it')
    t.match((await world.until(node.explain(a))).why, /and 3 of them do not know: .*damaged/)
    await world.until(node.delete(a))
    t.equal(await world.until(node.get(a)), undefined)
    t.match(await world.until(node.increment(a)), { value: 1n })
    const session = { id: 1, version: 2 as const, busy: false, closing: false }
    const context = { node, startedMs: 0, port: 0, clients: 1, connections: 1, commands: 0 }
    const command = ['DEL', b, none].map(utf8)
    const reply = await world.until(runCommand(command, session, context))
    t.equal(reply && text(reply), ':1\r\n')
    t.equal(await world.until(node.get(b)), undefined)
    t.same(world.fabric.bugs, [])
  })

  t.test('a row that every owner has lost is told of by whoever is asked', async t => {
    const { world, key } = await lostByAll()
    const lost = { code: 'ERR_CORRUPT', message: /No owner has a whole copy.*damaged.*delete it/ }
    for (const level of ['one', 'quorum', 'all'] as const) {
      await t.rejects(world.until(world.node(3).get(key, { level })), lost)
    }
    await world.until(world.node(3).put(key, 'again'))
    t.equal(text((await world.until(world.node(3).get(key))) as Uint8Array), 'again')
  })

  t.test('a row that one owner has, and is not reached, is not told to be lost', async t => {
    const { world, key } = await lostByAll()
    for (const { index } of world.hosts) {
      for (const task of ['anti-entropy', 'hints'] as const) {
        await world.until(world.node(index).pause(task))
      }
    }
    for (const host of [0, 1]) cut(world, host, 2)
    const isDown = (host: number) =>
      world
        .node(3)
        .status()
        .members.some(({ id, liveness }) => id === `n${host}` && liveness === 'down')
    await world.until(world.node(2).put(key, 'only here', { level: 'one' }))
    const early = { code: 'ERR_QUORUM' }
    for (const level of ['quorum', 'all'] as const) {
      await t.rejects(world.until(world.node(3).get(key, { level })), early, level)
    }
    const value = await world.until(world.node(3).get(key, { level: 'one' }))
    t.equal(value && text(value), 'only here')
    world.pause(2, 2_000)
    const hung = world.node(3).get(key, { level: 'all', timeoutMs: 500 })
    await t.rejects(world.until(hung), early, 'all that is known is told, also where one hangs')
    await world.run(5_000)
    world.crash(2)
    await runUntil(world, () => isDown(2))
    for (const level of ['one', 'quorum'] as const) {
      await t.rejects(world.until(world.node(3).get(key, { level })), early, level)
    }
  })

  t.test('ends when it is aborted, and another one can begin then', async t => {
    const world = await formWorld({ nodes: 1, n: 1 })
    const stop = new AbortController()
    const node = world.node(0)
    const scrub = node.scrub({
      signal: stop.signal,
      onProgress: () => stop.abort(new Error('enough'))
    })
    t.ok(node.status().scrub.running)
    await t.rejects(node.scrub(), { code: 'ERR_OVERLOADED' })
    await t.rejects(world.until(scrub), { message: 'enough' })
    t.notOk(node.status().scrub.running)
    t.match(await world.until(node.scrub()), { slots: 16_384 })
  })

  t.test('goes on by itself, pass after pass, over restarts', async t => {
    const world = await formWorld({ scrubMs: 1_000 })
    const key = keyWhere(world, 3, owners => owners.includes(1))
    await world.until(world.node(0).put(key, 'v', { level: 'all' }))
    await world.run(25_000)
    const { slot, lastPassMs } = world.node(1).status().scrub
    t.ok(slot >= 16 * 256)
    t.equal(lastPassMs, undefined)
    await world.stop(1)
    world.start(1)
    await runUntil(world, () => world.host(1).node !== undefined)
    t.ok(world.node(1).status().scrub.slot >= 16 * 256, 'where it was, or nearly')
    const before = storedAt(world, 1, key)
    rot(world, 1, key)
    const passed = () => world.node(1).status().scrub.lastPassMs !== undefined
    await runUntil(world, passed, 90_000)
    await runUntil(world, () => storedAt(world, 1, key) === before, 180_000)
    t.same(world.fabric.bugs, [])
  })

  t.test('does nothing by itself while it is paused', async t => {
    const world = await formWorld({ nodes: 1, n: 1 })
    await world.until(world.node(0).pause('scrub'))
    const { slot } = world.node(0).status().scrub
    await world.run(100_000)
    t.equal(world.node(0).status().scrub.slot, slot)
    await world.until(world.node(0).resume('scrub'))
    await world.run(100_000)
    t.ok(world.node(0).status().scrub.slot > slot)
  })
})
