/**
 * The forest that comes back at a start: from checkpoints where they are true, from the rows where a
 * slot has changed since, whatever the process was doing when it died.
 */
import fc from 'fast-check'
import t from 'tap'
import { createForest } from '../src/digest/forest.ts'
import { HearsayError } from '../src/errors.ts'
import { encodeDelta, encodeRow } from '../src/lattice/encode.ts'
import { timeOf } from '../src/lattice/hlc.ts'
import { assign, joinDelta, ROW_EMPTY } from '../src/lattice/row.ts'
import {
  checkpointKey,
  decodeCheckpoint,
  encodeCheckpoint,
  HEADER_KEY,
  markKey,
  markRange,
  slotOfKey
} from '../src/replica/checkpoint.ts'
import type { Replica } from '../src/replica/replica.ts'
import { slotRange } from '../src/ring/row-key.ts'
import { slotOf } from '../src/ring/slot.ts'
import { MemoryDisk } from '../src/store/memory.ts'
import { hex, utf8 } from '../src/util/bytes.ts'
import {
  copyDisk,
  createReplica,
  damage,
  deleteIt,
  FOREST_KEY,
  NOON,
  openReplica,
  rootOf,
  rootOfRebuilt,
  setTo
} from './fixtures/engine-parts.ts'
import { actor } from './fixtures/lattice-arbitrary.ts'

const KEYS = Array.from({ length: 40 }, (_, i) => utf8(i < 25 ? `{deep}${i}` : `key ${i}`))
const SLOTS_USED = [...new Set(KEYS.map(slotOf))]

const marked = (disk: MemoryDisk) =>
  [...disk.space('forest').range(markRange)].map(([key]) => slotOfKey(key) as number)

const rowsIn = (disk: MemoryDisk, slot: number) =>
  [...disk.space('rows').range(slotRange(slot))].length

const rowsOf = (disk: MemoryDisk) => [...disk.space('rows').range({})].length

const treesOf = ({ forest }: Replica) =>
  SLOTS_USED.map(slot => `${forest.rows(slot)} ${forest.depth(slot)} ${hex(forest.root(slot))}`)

function treesOfRebuilt(disk: MemoryDisk): string[] {
  const { replica } = createReplica({ disk })
  replica.keeper.build()
  return treesOf(replica)
}

function foreign(value: string, by: number) {
  const delta = assign(ROW_EMPTY, utf8(value), { actor: actor(by), time: timeOf(NOON + by) })
  return { row: encodeRow(joinDelta(ROW_EMPTY, delta)), delta: encodeDelta(delta) }
}

async function filled(disk: MemoryDisk, keys = KEYS) {
  const parts = await openReplica({ disk })
  await Promise.all(keys.map(key => parts.replica.mutate(key, setTo('v'), false)))
  return parts
}

t.test('a start', async t => {
  t.test('after an orderly close reads no rows and has the same root', async t => {
    const disk = new MemoryDisk()
    const { replica } = await filled(disk)
    const root = rootOf(replica)
    await replica.close()
    t.same(marked(disk), [])
    const after = await openReplica({ disk })
    t.equal(after.store.rowsRead, 0)
    t.equal(after.replica.keeper.rows, KEYS.length)
    t.equal(rootOf(after.replica), root)
    t.equal(root, rootOfRebuilt(disk))
  })

  t.test('after a crash reads the rows of those slots that had changed, and no others', async t => {
    const disk = new MemoryDisk()
    const { replica } = await filled(disk)
    t.equal(await replica.checkpoint(), 0)
    const [deep, other] = [KEYS[0], KEYS[30]] as [Uint8Array, Uint8Array]
    await replica.mutate(deep, setTo('w'), false)
    await replica.mutate(other, deleteIt, false)
    t.same(new Set(marked(disk)), new Set([slotOf(deep), slotOf(other)]))
    const after = await openReplica({ disk })
    t.equal(after.store.rowsRead, 25 + rowsIn(disk, slotOf(other)))
    t.equal(rootOf(after.replica), rootOfRebuilt(disk))
    t.equal(after.replica.keeper.rows, KEYS.length)
  })

  t.test('on a store without checkpoints reads all rows once, and saves them', async t => {
    const disk = new MemoryDisk()
    const { replica } = await filled(disk)
    await replica.close()
    for (const [key] of [...disk.space('forest').range({})]) {
      disk.space('forest').set(key, undefined)
    }
    const after = await openReplica({ disk })
    t.equal(after.store.rowsRead, KEYS.length)
    t.equal(rootOf(after.replica), rootOfRebuilt(disk))
    await after.replica.close()
    t.equal((await openReplica({ disk })).store.rowsRead, 0)
  })

  t.test('believes no checkpoint of another cluster, version or slot', async t => {
    const disk = new MemoryDisk()
    const { replica } = await filled(disk)
    await replica.close()
    const whole = copyDisk(disk)
    const [slot, other] = SLOTS_USED as [number, number]
    const foreigner = createForest(new Uint8Array(32).fill(1))
    const saved = decodeCheckpoint(
      createForest(FOREST_KEY),
      slot,
      disk.space('forest').get(checkpointKey(slot)) as Uint8Array
    )
    t.ok(saved)
    if (saved === undefined) return
    const bad: [string, Uint8Array, number][] = [
      ['of another cluster', encodeCheckpoint(foreigner, slot, saved), rowsIn(disk, slot)],
      [
        'of another slot',
        encodeCheckpoint(createForest(FOREST_KEY), other, saved),
        rowsIn(disk, slot)
      ],
      ['empty', new Uint8Array(0), rowsIn(disk, slot)]
    ]
    for (const [what, value, rows] of bad) {
      const damaged = copyDisk(whole)
      damaged.space('forest').set(checkpointKey(slot), value)
      const after = await openReplica({ disk: damaged })
      t.equal(after.store.rowsRead, rows, what)
      t.equal(rootOf(after.replica), rootOfRebuilt(damaged), what)
      await after.replica.close()
      t.equal((await openReplica({ disk: damaged })).store.rowsRead, 0, `${what}, saved anew`)
    }
    whole.space('forest').set(HEADER_KEY, utf8('of a version to come'))
    const after = await openReplica({ disk: whole })
    t.equal(after.store.rowsRead, KEYS.length)
    t.equal(rootOf(after.replica), rootOfRebuilt(whole))
  })
})

t.test('a checkpoint', async t => {
  const hasher = createForest(FOREST_KEY)
  hasher.reset(5, 2)
  for (let i = 0; i < 9; i++) hasher.add(5, i * 2 ** 28, hasher.hash(utf8(`${i}`)))
  const value = encodeCheckpoint(hasher, 5, { depth: 2, leaves: hasher.leaves(5, 0, 4) })

  t.test('gives back the tree it was made of', async t => {
    const saved = decodeCheckpoint(hasher, 5, value)
    t.same(saved, { depth: 2, leaves: hasher.leaves(5, 0, 4) })
  })
  t.test('is not believed when any one bit of it is wrong, or when it is cut', async t => {
    for (let bit = 0; bit < value.length * 8; bit++) {
      const wrong = value.slice()
      wrong[bit >> 3] = (wrong[bit >> 3] as number) ^ (1 << (bit & 7))
      if (decodeCheckpoint(hasher, 5, wrong)) t.fail(`bit ${bit}`)
    }
    for (let end = 0; end < value.length; end++) {
      if (decodeCheckpoint(hasher, 5, value.subarray(0, end))) t.fail(`cut at ${end}`)
    }
    t.pass()
  })
  t.test('can be any bytes', async t => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        return decodeCheckpoint(hasher, 5, bytes) === undefined
      })
    )
    t.pass()
  })
})

t.test('saving', async t => {
  t.test('takes a few slots at a time and leaves what changes meanwhile marked', async t => {
    const disk = new MemoryDisk()
    const keys = Array.from({ length: 200 }, (_, i) => utf8(`k${i}`))
    const { replica, store } = await filled(disk, keys)
    const slots = new Set(keys.map(slotOf)).size
    t.equal(replica.keeper.unsaved, slots)
    const key = keys[0] as Uint8Array
    // The change is asked for first, but a step goes before the batch that is not yet under way.
    const change = replica.mutate(key, setTo('w'), false)
    t.equal(await replica.checkpoint(), slots - 64)
    await change
    t.ok(marked(disk).includes(slotOf(key)), 'it has changed since')
    const saves = store.commits.filter(({ writes }) =>
      writes.some(({ space, key }) => space === 'forest' && key[0] === checkpointKey(0)[0])
    )
    t.ok(saves.every(({ writes }) => writes.length <= 128))
    for (let left = 1; left > 0; left = await replica.checkpoint());
    t.same(marked(disk), [])
  })

  t.test('writes nothing when nothing has changed', async t => {
    const { replica, store } = await filled(new MemoryDisk())
    for (let left = 1; left > 0; left = await replica.checkpoint());
    const before = store.commits.length
    t.equal(await replica.checkpoint(), 0)
    t.equal(store.commits.length, before)
  })

  t.test('marks a slot once, however often it changes', async t => {
    const { replica, store } = await filled(new MemoryDisk())
    const key = KEYS[0] as Uint8Array
    await replica.mutate(key, setTo('w'), false)
    await replica.mutate(key, setTo('x'), false)
    const marks = store.commits.flatMap(({ writes }) => writes.map(({ key }) => hex(key)))
    t.equal(marks.filter(each => each === hex(markKey(slotOf(key)))).length, 1)
  })

  t.test('that the disk refuses leaves the marks, and is tried again', async t => {
    const disk = new MemoryDisk()
    const { replica, store } = await filled(disk)
    const before = marked(disk)
    store.refuses = writes => writes.some(({ space }) => space === 'forest')
    await t.rejects(replica.checkpoint(), { code: 'ERR_STORE' })
    t.same(marked(disk), before)
    t.equal(replica.keeper.unsaved, before.length)
    store.refuses = () => false
    t.equal(await replica.checkpoint(), 0)
  })

  t.test('leaves out a tree that is behind its rows until it is laid out anew', async t => {
    const disk = new MemoryDisk()
    const { replica } = await openReplica({ disk })
    const { add } = replica.forest
    replica.forest.add = () => {
      throw new HearsayError('ERR_OVERLOADED', 'The memory is used up.')
    }
    const key = KEYS[0] as Uint8Array
    await replica.mutate(key, setTo('v'), false)
    await t.rejects(replica.checkpoint(), { code: 'ERR_OVERLOADED' })
    t.same(marked(disk), [slotOf(key)])
    replica.forest.add = add
    t.equal(await replica.checkpoint(), 0)
    t.equal(replica.keeper.rows, 1)
    t.equal(rootOf(replica), rootOfRebuilt(disk))
  })

  t.test('is refused once the replica is closed', async t => {
    const { replica } = await filled(new MemoryDisk())
    await replica.close()
    await t.rejects(replica.checkpoint(), { code: 'ERR_CLOSED' })
  })
})

t.test('after a crash at any commit the forest is that of the rows', async t => {
  const key = fc.nat(KEYS.length - 1).map(i => KEYS[i] as Uint8Array)
  const doing = (verb: string) => fc.record({ do: fc.constant(verb), key, value: fc.nat(9) })
  const step = fc.oneof(
    { weight: 6, arbitrary: doing('put') },
    { weight: 1, arbitrary: doing('delete') },
    { weight: 2, arbitrary: doing('row') },
    { weight: 2, arbitrary: doing('delta') },
    { weight: 1, arbitrary: doing('malformed') },
    { weight: 1, arbitrary: doing('damage') },
    { weight: 4, arbitrary: doing('checkpoint') },
    { weight: 1, arbitrary: doing('refuse') },
    { weight: 1, arbitrary: doing('restart') }
  )

  /** What a process would find that starts from this disk. */
  async function check(disk: MemoryDisk, isDamaged: boolean): Promise<void> {
    const unsaved = marked(disk).reduce((rows, slot) => rows + rowsIn(disk, slot), 0)
    const { replica, store } = await openReplica({ disk })
    if (!isDamaged && store.rowsRead !== unsaved) {
      throw new Error(`${store.rowsRead} rows were read, ${unsaved} had changed`)
    }
    // What is damaged in a slot that had not changed is found when it is read.
    if (isDamaged) Array.from(replica.rows.scan({}))
    await replica.between(() => {})
    const expected = treesOfRebuilt(disk)
    if (replica.keeper.rows !== rowsOf(disk)) throw new Error('the rows are counted wrong')
    if (`${treesOf(replica)}` !== `${expected}`) throw new Error('the forest is not the rows')
  }

  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(step, { maxLength: 8 }), { maxLength: 7 }), async turns => {
      const disk = new MemoryDisk()
      const crashes: MemoryDisk[] = []
      let isDamaged = false
      const open = async () => {
        const parts = createReplica({ disk })
        const { store } = parts
        const commit = store.commit.bind(store)
        store.commit = async (...args) => {
          await commit(...args)
          crashes.push(copyDisk(disk))
        }
        await parts.replica.open()
        return parts
      }
      let { replica, store } = await open()
      for (const turn of turns) {
        store.refuses = () => turn.some(each => each.do === 'refuse')
        const jobs = turn.map(async each => {
          const { row, delta } = foreign(`${each.value}`, each.value + 1)
          if (each.do === 'put') await replica.mutate(each.key, setTo(`${each.value}`), false)
          if (each.do === 'delete') await replica.mutate(each.key, deleteIt, false)
          if (each.do === 'row') await replica.apply(each.key, 'row', row)
          if (each.do === 'delta') await replica.apply(each.key, 'delta', delta)
          if (each.do === 'malformed') await replica.apply(each.key, 'row', utf8('no row'))
          if (each.do === 'checkpoint') await replica.checkpoint()
          const { id } = replica.rows.locate(each.key)
          if (each.do === 'damage' && store.get('rows', id)) {
            isDamaged = true
            damage(disk, id)
            replica.read(each.key)
          }
        })
        await Promise.allSettled(jobs)
        store.refuses = () => false
        if (turn.some(each => each.do === 'restart')) {
          await replica.close()
          ;({ replica, store } = await open())
        }
        for (const crash of crashes.splice(0)) await check(crash, isDamaged)
      }
      await replica.close()
      await check(disk, isDamaged)
    }),
    { numRuns: 60 }
  )
  t.pass()
})
