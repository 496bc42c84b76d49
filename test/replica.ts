import fc from 'fast-check'
import t from 'tap'
import { QUARANTINE_ROWS_MAX } from '../src/replica/quarantine.ts'
import { HearsayError, StoreError } from '../src/errors.ts'
import { printActor } from '../src/lattice/dot.ts'
import { encodeDelta, encodeRow } from '../src/lattice/encode.ts'
import { mutate, type Mutation } from '../src/lattice/mutate.ts'
import { millisecondsOf, timeOf, type Time } from '../src/lattice/hlc.ts'
import {
  assign,
  erase,
  joinDelta,
  ROW_EMPTY,
  winner,
  type Delta,
  type Row
} from '../src/lattice/row.ts'
import { ROW_BYTES_MAX } from '../src/replica/refusals.ts'
import { VERIFIED, type Replica } from '../src/replica/replica.ts'
import { MemoryDisk } from '../src/store/memory.ts'
import { equal, hex, text, utf8 } from '../src/util/bytes.ts'
import {
  copyDisk,
  createReplica,
  damage,
  deleteIt,
  dump,
  HandClock,
  NOON,
  openReplica,
  rootOf,
  rootOfRebuilt,
  setTo,
  type ReplicaParts
} from './fixtures/engine-parts.ts'
import { actor, history, play } from './fixtures/lattice-arbitrary.ts'

const k = utf8('k')
const DECADE_MS = 10 * 365 * 86_400_000
const rowCommits = ({ store }: ReplicaParts) =>
  store.commits.filter(({ writes }) => writes.some(({ space }) => space === 'rows')).length

function valueOf(replica: Replica, key = k): string | undefined {
  const answer = replica.read(key)
  if (answer.answer !== 'row') return answer.answer
  const value = winner(answer.row)?.value
  return value && text(value)
}

/** A row as another actor would have written it. */
function foreign(value: string, at = NOON, by = 3): { row: Uint8Array; delta: Uint8Array } {
  const dot = { actor: actor(by), time: timeOf(at) }
  const delta = assign(ROW_EMPTY, utf8(value), dot)
  return { row: encodeRow(joinDelta(ROW_EMPTY, delta)), delta: encodeDelta(delta) }
}

const pick = (rows: readonly Row[]) => rows[0] as Row
const printed = ({ key, bytes }: { key: Uint8Array; bytes: Uint8Array }) =>
  `${hex(key)} ${hex(bytes)}`
const bytesAt = (rows: readonly { bytes: Uint8Array }[], i: number) => rows[i]?.bytes as Uint8Array

function idOf({ replica }: ReplicaParts, key = k): Uint8Array {
  return replica.rows.locate(key).id
}

t.test('apply', async t => {
  t.test('writes nothing when it changes nothing', async t => {
    const parts = await openReplica()
    const { row } = foreign('a')
    await parts.replica.apply(k, 'row', row)
    const before = parts.store.commits.length
    const { bytes } = await parts.replica.apply(k, 'row', row)
    t.same(bytes, row)
    t.equal(parts.store.commits.length, before)
  })

  t.test('puts the changes of one turn into one commit, each key once', async t => {
    const parts = await openReplica()
    const { replica } = parts
    const before = parts.store.commits.length
    await Promise.all([
      replica.mutate(k, setTo('a'), false),
      replica.mutate(k, setTo('b'), false),
      replica.mutate(utf8('l'), setTo('c'), false)
    ])
    t.equal(parts.store.commits.length, before + 1)
    const rows = parts.store.commits.at(-1)?.writes.filter(({ space }) => space === 'rows')
    t.equal(rows?.length, 2)
    t.equal(valueOf(replica), 'b')
  })

  t.test('flushes the batch in which one change asks for it, changed or not', async t => {
    const parts = await openReplica()
    await parts.replica.apply(k, 'row', foreign('a').row)
    t.equal(parts.store.commits.at(-1)?.durability, 'commit')
    await parts.replica.apply(k, 'row', foreign('a').row, true)
    t.equal(parts.store.commits.at(-1)?.durability, 'flush')
  })

  t.test('that a disk refuses rejects every change of the batch and leaves no trace', async t => {
    const disk = new MemoryDisk()
    const parts = await openReplica({ disk })
    const { replica, store } = parts
    await replica.mutate(k, setTo('before'), false)
    const [rows, root] = [dump(store), rootOf(replica)]
    store.refuses = () => true
    const results = await Promise.allSettled([
      replica.mutate(k, setTo('after'), false),
      replica.apply(utf8('l'), 'row', foreign('x').row)
    ])
    t.ok(results.every(({ status }) => status === 'rejected'))
    t.match((results[0] as PromiseRejectedResult).reason, StoreError)
    store.refuses = () => false
    t.same(dump(store), rows)
    t.equal(rootOf(replica), root)
    t.equal(rootOf(replica), rootOfRebuilt(disk))
    await replica.mutate(k, setTo('later'), false)
    t.equal(valueOf(replica), 'later')
    t.equal(rootOf(replica), rootOfRebuilt(disk))
  })

  t.test('is worked off however soon after an answer it comes', async t => {
    const { replica } = await openReplica()
    for (let hops = 0; hops < 12; hops++) {
      let answered: Promise<unknown> = replica.mutate(k, setTo('a'), false)
      for (let hop = 0; hop < hops; hop++) answered = answered.then(() => {})
      await answered
      const next = replica.mutate(k, setTo(`after ${hops}`), false)
      const turns = new Promise(resolve => setImmediate(() => setImmediate(resolve)))
      t.not(await Promise.race([next, turns]), undefined, `${hops} turns later`)
    }
  })

  t.test('refuses a row over 1 MiB and takes one just below', async t => {
    const { replica } = await openReplica()
    const large = replica.mutate(k, setTo(new Uint8Array(ROW_BYTES_MAX)), false)
    await t.rejects(large, { code: 'ERR_ROW_SIZE' })
    t.equal(valueOf(replica), 'absent')
    await replica.mutate(k, setTo(new Uint8Array(ROW_BYTES_MAX - 200)), false)
    t.equal(replica.read(k).answer, 'row')
  })

  t.test('takes keys from 1 to 1,024 bytes', async t => {
    const { replica } = await openReplica()
    for (const key of [new Uint8Array([0]), new Uint8Array(1_024).fill(255)]) {
      await replica.mutate(key, setTo('v'), false)
      t.equal(valueOf(replica, key), 'v')
    }
  })

  t.test('is refused once the replica is closed', async t => {
    const { replica } = await openReplica()
    const last = replica.mutate(k, setTo('last'), false)
    await replica.close()
    await last
    await t.rejects(replica.mutate(k, setTo('late'), false), { code: 'ERR_CLOSED' })
    t.equal(valueOf(replica), 'last')
  })
})

t.test('applying many rows', async t => {
  const rowOf = (i: number) => ({ key: utf8(`key ${i}`), bytes: foreign(`${i}`).row })
  const many = (count: number) => Array.from({ length: count }, (_, i) => rowOf(i))
  const key = fc.nat(12).map(i => utf8(i < 8 ? `{deep}${i}` : `key ${i}`))
  const bytes = fc.oneof(
    { weight: 4, arbitrary: history.map(steps => encodeRow(pick(play(steps).rows))) },
    { weight: 4, arbitrary: fc.tuple(fc.nat(9), fc.nat(3)).map(at => foreign('x', ...at).row) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 9 }) },
    { weight: 1, arbitrary: fc.constant(foreign('ahead', NOON + 1e6).row) }
  )

  t.test('gives what applying one after the other gives', async t => {
    const batches = fc.array(fc.array(fc.record({ key, bytes }), { maxLength: 20 }))
    await fc.assert(
      fc.asyncProperty(batches, async batches => {
        const [disk, other] = [new MemoryDisk(), new MemoryDisk()]
        const [bulk, single] = await Promise.all([
          openReplica({ disk }),
          openReplica({ disk: other })
        ])
        for (const rows of batches) {
          const { joined, refusals } = await bulk.replica.applyAll(rows)
          const results = await Promise.allSettled(
            rows.map(({ key, bytes }) => single.replica.apply(key, 'row', bytes))
          )
          const rejected = results.filter(({ status }) => status === 'rejected')
          const others = results.flatMap((result, i) =>
            result.status === 'fulfilled' && !equal(result.value.bytes, bytesAt(rows, i))
              ? [result.value]
              : []
          )
          if (refusals.length !== rejected.length) throw new Error('other refusals')
          const [a, b] = [joined, others].map(each => each.map(printed).sort().join())
          if (a !== b) throw new Error('other joins')
        }
        // What is refused is told so before it is in quarantine.
        await Promise.all([bulk, single].map(({ replica }) => replica.between(() => {})))
        const [a, b] = [bulk, single].map(({ replica, store }) =>
          [
            ...dump(store),
            [...replica.quarantine.entries()].map(([id, { reason }]) => `${hex(id)} ${reason}`),
            replica.quarantine.size,
            replica.tombstones.count,
            rootOf(replica)
          ].join('\n')
        )
        if (a !== b) throw new Error(`${a}\n\nis not\n\n${b}`)
        if (rootOf(bulk.replica) !== rootOfRebuilt(disk)) throw new Error('another root')
      }),
      { numRuns: 60 }
    )
    t.pass()
  })

  t.test('joins writes of the same keys, in whatever order they come', async t => {
    const disk = new MemoryDisk()
    const { replica } = await openReplica({ disk })
    const rows = many(20)
    const before = rows.map(({ key }) => replica.mutate(key, setTo('before'), false))
    const all = replica.applyAll([...rows, ...rows])
    const after = rows.map(({ key }) => replica.mutate(key, setTo('after'), false))
    await Promise.all([...before, all, ...after])
    for (const { key } of rows) {
      const answer = replica.read(key)
      const row = answer.answer === 'row' ? answer.row : ROW_EMPTY
      t.same(row.entries.map(({ value }) => value && text(value)).sort(), [
        text(key).slice(4),
        'after'
      ])
    }
    t.equal(rootOf(replica), rootOfRebuilt(disk))
  })

  t.test('goes behind what is asked for one by one, and beside it only a little', async t => {
    const { replica, store } = await openReplica()
    const first = store.commits.length
    const all = replica.applyAll(many(3_000))
    await replica.mutate(k, setTo('v'), false)
    t.equal(store.commits.length, first + 1)
    const rows = store.commits.at(-1)?.writes.filter(({ space }) => space === 'rows') ?? []
    t.ok(rows.length > 1 && rows.length < 100, `${rows.length} rows in its commit`)
    t.same(await all, { joined: [], refusals: [] })
    t.equal(replica.keeper.rows, 3_001)
  })

  t.test('answers once, with an error for each row, when the disk refuses', async t => {
    const disk = new MemoryDisk()
    const { replica, store } = await openReplica({ disk })
    store.refuses = () => true
    const rows = [...many(5), { key: k, bytes: utf8('no row') }]
    const { joined, refusals } = await replica.applyAll(rows)
    t.equal(refusals.length, 6)
    t.same(joined, [])
    store.refuses = () => false
    t.same(await replica.applyAll(many(5)), { joined: [], refusals: [] })
    t.same(await replica.applyAll([]), { joined: [], refusals: [] })
    t.equal(rootOf(replica), rootOfRebuilt(disk))
    await replica.close()
    const closed = { slot: Number, error: { code: 'ERR_CLOSED' } }
    t.match((await replica.applyAll(many(2))).refusals, [closed, closed])
  })

  t.test('that a slot has none of reads nothing, however many there are', async t => {
    const disk = new MemoryDisk()
    const { replica, store } = await openReplica({ disk })
    const rows = many(200).map((row, i) => ({ ...row, key: utf8(`{one slot}${i}`) }))
    const before = store.rowsRead
    await replica.applyAll(rows)
    t.equal(store.rowsRead, before)
    t.equal(rootOf(replica), rootOfRebuilt(disk))
  })
})

t.test('the forest', async t => {
  t.test('is that of the rows when one commit makes a tree outgrow its leaves', async t => {
    const disk = new MemoryDisk()
    const { replica } = await openReplica({ disk })
    const keys = Array.from({ length: 40 }, (_, i) => utf8(`{one slot}${i}`))
    await Promise.all(keys.map(key => replica.mutate(key, setTo('v'), false)))
    t.equal(replica.keeper.rows, 40)
    t.equal(rootOf(replica), rootOfRebuilt(disk))
  })

  const key = fc.nat(30).map(i => utf8(i < 20 ? `{deep}${i}` : `key ${i}`))
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('put' as const), key, value: fc.nat(9) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('row' as const), key, value: fc.nat(9) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('delta' as const), key, at: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('damage' as const), key }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('malformed' as const), key }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('refuse' as const), key }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), key }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), key }) }
  )

  t.test('equals one built anew after any history', async t => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(step, { maxLength: 12 }), { maxLength: 8 }),
        async turns => {
          const disk = new MemoryDisk()
          let parts = await openReplica({ disk })
          for (const turn of turns) {
            const jobs: Promise<unknown>[] = []
            const { replica, store } = parts
            store.refuses = () => turn.some(each => each.do === 'refuse')
            for (const each of turn) {
              if (each.do === 'put')
                jobs.push(replica.mutate(each.key, setTo(`${each.value}`), false))
              if (each.do === 'delete') jobs.push(replica.mutate(each.key, deleteIt, false))
              if (each.do === 'row') {
                jobs.push(replica.apply(each.key, 'row', foreign(`${each.value}`, each.value).row))
              }
              if (each.do === 'delta') {
                jobs.push(replica.apply(each.key, 'delta', foreign('d', each.at, 4).delta))
              }
              if (each.do === 'malformed') jobs.push(replica.apply(each.key, 'row', utf8('no row')))
              const id = replica.rows.locate(each.key).id
              if (each.do === 'damage' && store.get('rows', id)) damage(disk, id)
            }
            await Promise.allSettled(jobs)
            store.refuses = () => false
            if (turn.some(each => each.do === 'restart')) await replica.close()
            if (turn.some(each => each.do === 'crash' || each.do === 'restart')) {
              parts = await openReplica({ disk })
            }
          }
          // Reading what was damaged has it set aside; a change waits until that is done.
          Array.from(parts.replica.rows.scan({}))
          await parts.replica.mutate(utf8('last'), setTo('v'), false)
          const { replica } = parts
          const stored = [...parts.store.range('rows')].length
          if (replica.keeper.rows !== stored) throw new Error(`${replica.keeper.rows} of ${stored}`)
          if (rootOf(replica) !== rootOfRebuilt(disk)) throw new Error('the forest is not the rows')
        }
      ),
      { numRuns: 150 }
    )
    t.pass()
  })
})

t.test('a row that is damaged on disk', async t => {
  async function damaged(at: number) {
    const disk = new MemoryDisk()
    const parts = await openReplica({ disk })
    await parts.replica.mutate(k, setTo('precious'), false)
    const whole = parts.replica.rows.read(parts.replica.rows.locate(k))?.bytes as Uint8Array
    damage(disk, idOf(parts), at)
    return { ...parts, disk, whole }
  }

  t.test('is never served, whichever byte is wrong', async t => {
    const { store, replica } = await damaged(0)
    const length = store.get('rows', idOf({ replica } as ReplicaParts))?.length as number
    for (let at = 0; at < length; at++) {
      const parts = await damaged(at)
      t.equal(parts.replica.read(k).answer, 'unknown', `byte ${at}`)
    }
  })

  t.test('is put in quarantine, and the actor is given up', async t => {
    const parts = await damaged(-1)
    const { replica, disk } = parts
    const before = replica.identity.actor
    replica.read(k)
    await replica.mutate(utf8('other'), setTo('v'), false)
    t.not(replica.identity.actor, before)
    const [entry] = [...replica.quarantine.entries()]
    t.equal(entry?.[1].reason, 'damaged')
    t.equal(replica.read(k).answer, 'unknown')
    t.equal(rootOf(replica), rootOfRebuilt(disk))
    t.notOk(replica.isWhole(k))
    await t.rejects(replica.mutate(k, setTo('blind'), false), { code: 'ERR_CORRUPT' })
  })

  t.test('stays unknown over a restart and while only a delta has come', async t => {
    const { replica, disk } = await damaged(-1)
    replica.read(k)
    await replica.close()
    const after = await openReplica({ disk })
    t.equal(after.replica.read(k).answer, 'unknown')
    await after.replica.apply(k, 'delta', foreign('later').delta)
    t.equal(after.replica.read(k).answer, 'unknown')
  })

  t.test('is found by a start after a crash, which reads what has changed', async t => {
    const { replica, disk } = await damaged(-1)
    const before = replica.identity.actor
    const after = await openReplica({ disk })
    t.equal(after.replica.quarantine.size, 1)
    t.not(after.replica.identity.actor, before)
    t.same(dump(after.store), [])
  })

  t.test('is healed by the row of a peer, once its slot is compared with the others', async t => {
    const { replica, disk, whole } = await damaged(-1)
    replica.read(k)
    await replica.apply(utf8('other'), 'row', foreign('x').row)
    await replica.apply(k, 'row', whole)
    t.equal(replica.read(k).answer, 'unknown', 'one peer may be as far behind as the damaged row')
    await replica.filling.end([replica.rows.locate(k).slot])
    t.equal(valueOf(replica), 'precious')
    t.equal(replica.quarantine.size, 0)
    t.ok(replica.isWhole(k))
    t.equal(rootOf(replica), rootOfRebuilt(disk))
    await replica.mutate(k, setTo('next'), false)
    t.equal(valueOf(replica), 'next')
  })

  t.test('stays unknown where nobody else had a copy, until something is put there', async t => {
    const { replica, disk } = await damaged(-1)
    replica.read(k)
    await replica.apply(utf8('other'), 'row', foreign('x').row)
    await replica.filling.end([replica.rows.locate(k).slot])
    t.equal(replica.read(k).answer, 'unknown', 'filling has brought nothing')
    const count = replica.mutate(k, { do: 'increment', by: 1n }, false)
    await t.rejects(count, {
      code: 'ERR_CORRUPT',
      message: /whole copy of "k"; what there was is damaged.*put or del/
    })
    await t.rejects(replica.apply(k, 'delta', new Uint8Array([1])), { code: 'ERR_CORRUPT' })
    t.equal([...replica.quarantine.entries()][0]?.[1].reason, 'damaged', 'and stays in quarantine')
    await replica.close()
    const after = await openReplica({ disk })
    t.equal(after.replica.read(k).answer, 'unknown', 'nor has a restart')
    await after.replica.mutate(k, setTo('new'), false)
    t.equal(valueOf(after.replica), 'new')
  })

  t.test('is not called absent while, and after, the disk refuses what would heal it', async t => {
    const { replica, store, whole } = await damaged(-1)
    replica.read(k)
    await replica.apply(utf8('other'), 'row', foreign('x').row)
    let during: string | undefined
    store.refuses = () => {
      during = replica.read(k).answer
      return true
    }
    await t.rejects(replica.apply(k, 'row', whole), StoreError)
    t.equal(during, 'unknown')
    t.equal(replica.read(k).answer, 'unknown')
    store.refuses = () => false
    await replica.apply(k, 'row', whole)
    await replica.filling.end([replica.rows.locate(k).slot])
    t.equal(valueOf(replica), 'precious')
  })

  t.test('does not take along what was written over it meanwhile', async t => {
    const { replica, store, disk } = await damaged(0)
    damage(disk, replica.rows.locate(k).id, 0)
    store.refuses = writes => {
      // The bytes turn after the change has read them and before it is committed.
      if (writes.some(({ space }) => space === 'rows')) {
        store.refuses = () => false
        damage(disk, replica.rows.locate(k).id, -1)
        replica.read(k)
      }
      return false
    }
    await replica.mutate(k, setTo('over it'), false)
    await replica.mutate(utf8('other'), setTo('v'), false)
    t.equal(valueOf(replica), 'over it')
  })

  t.test(
    'leaves no change unanswered that comes while the disk refuses to set it aside',
    async t => {
      for (let hops = 0; hops < 12; hops++) {
        const { replica, store } = await damaged(-1)
        store.refuses = () => true
        replica.read(k)
        for (let hop = 0; hop < hops; hop++) await Promise.resolve()
        const job = replica.mutate(utf8('other'), setTo('v'), false)
        const answered = job.then(
          () => 'done',
          () => 'refused'
        )
        const turns = new Promise(resolve => setImmediate(() => setImmediate(resolve)))
        t.equal(await Promise.race([answered, turns]), 'refused', `${hops} turns later`)
      }
    }
  )

  for (const operation of [setTo('w'), deleteIt]) {
    t.test(`is made up for by a ${operation.do}, as its error advises`, async t => {
      const { replica } = await damaged(-1)
      t.equal(replica.read(k).answer, 'unknown')
      await replica.mutate(utf8('other'), setTo('v'), false)
      await replica.filling.end([replica.rows.locate(k).slot])
      t.equal(replica.quarantine.size, 1)
      await t.rejects(replica.mutate(k, { do: 'increment', by: 1n }, false), {
        code: 'ERR_CORRUPT'
      })
      await replica.mutate(k, operation, false)
      t.equal(replica.quarantine.size, 0)
      t.equal(valueOf(replica), operation.do === 'put' ? 'w' : undefined)
    })
  }

  t.test('whose key was damaged is missed under its own key and no other', async t => {
    const disk = new MemoryDisk()
    const { replica } = await openReplica({ disk })
    const { row } = foreign('v')
    await replica.apply(k, 'row', row)
    const { id, slot } = replica.rows.locate(k)
    const other = id.slice()
    other[other.length - 1] = (other.at(-1) as number) ^ 1
    disk.space('rows').set(other, disk.space('rows').get(id))
    disk.space('rows').set(id, undefined)
    await replica.verify({ slot, tokenHigh: 0 }, VERIFIED)
    await replica.mutate(utf8('any'), setTo('v'), false)
    t.equal(replica.quarantine.size, 1)
    await replica.filling.end([slot])
    const wrong = other.slice(10)
    t.equal(replica.read(wrong).answer, 'absent', 'nobody has ever written it')
    t.equal(replica.read(k).answer, 'unknown')
    await replica.apply(k, 'row', row)
    t.equal(replica.quarantine.size, 0, 'healed')
  })

  t.test('is unknown while the disk refuses to set it aside', async t => {
    const { replica, store } = await damaged(-1)
    store.refuses = () => true
    t.equal(replica.read(k).answer, 'unknown')
    await t.rejects(replica.mutate(utf8('other'), setTo('v'), false), StoreError)
    t.equal(replica.read(k).answer, 'unknown')
    t.equal(replica.read(utf8('any other')).answer, 'unknown', 'it might be damaged too')
    store.refuses = () => false
    await replica.mutate(utf8('other'), setTo('v'), false)
    t.equal(replica.quarantine.size, 1)
  })
})

t.test('what cannot be joined', async t => {
  t.test('is put in quarantine as malformed and blocks nobody', async t => {
    const parts = await openReplica()
    const { replica } = parts
    const good = replica.apply(utf8('good'), 'row', foreign('v').row)
    await t.rejects(replica.apply(k, 'row', utf8('gibberish')), { code: 'ERR_CORRUPT' })
    await t.rejects(replica.apply(utf8('l'), 'delta', foreign('v').row), { code: 'ERR_CORRUPT' })
    await good
    t.same(
      [...replica.quarantine.entries()].map(([, { reason }]) => reason),
      ['malformed', 'malformed']
    )
    t.equal(replica.read(k).answer, 'absent', 'this replica itself has lost nothing')
    await replica.apply(k, 'row', foreign('v').row)
    t.equal(replica.quarantine.size, 1, 'the whole row makes up for it')
  })

  for (const kind of ['row', 'delta'] as const) {
    t.test(`a ${kind} from more than 60 s ahead waits until its time has come`, async t => {
      const parts = await openReplica()
      const { replica, clock } = parts
      const ahead = foreign('from the future', NOON + 61_000)[kind]
      await t.rejects(replica.apply(k, kind, ahead), { code: 'ERR_CLOCK_SKEW' })
      t.equal(replica.read(k).answer, 'absent')
      const { time } = (await replica.mutate(utf8('own'), setTo('v'), false)).delta.dot
      t.ok(millisecondsOf(time) < NOON + 1_000, 'the clock was not dragged along')
      await replica.retryAhead()
      t.equal(replica.read(k).answer, 'absent')
      clock.now += 2_000
      const around: unknown[] = []
      await replica.retryAhead(async slots => void around.push([...slots], valueOf(replica)))
      const { slot } = replica.rows.locate(k)
      t.same(around, [[slot], 'absent', [slot], 'from the future'])
      t.equal(valueOf(replica), 'from the future')
      t.equal(replica.quarantine.size, 0)
      const commits = rowCommits(parts)
      await replica.retryAhead()
      t.equal(rowCommits(parts), commits)
    })
  }

  t.test('says that a row from too far ahead is not kept where there is no room', async t => {
    const { replica } = await openReplica()
    const { row: bytes } = foreign('from the future', NOON + 61_000)
    const rows = Array.from({ length: QUARANTINE_ROWS_MAX }, (_, i) => ({
      key: utf8(`${i}`),
      bytes
    }))
    const { refusals } = await replica.applyAll(rows)
    t.ok(refusals.every(({ error }) => 'code' in error && error.code === 'ERR_CLOCK_SKEW'))
    const refused = replica.apply(utf8('one more'), 'row', bytes)
    await t.rejects(refused, { code: 'ERR_OVERLOADED', message: /one more.*no room/ })
    t.equal(replica.quarantine.size, QUARANTINE_ROWS_MAX)
  })

  t.test('a row that is ahead is put aside once, however often it is offered', async t => {
    const parts = await openReplica()
    const { replica } = parts
    const [first, second] = [foreign('first', NOON + 61_000), foreign('second', NOON + 62_000)]
    const offer = async (kind: 'row' | 'delta', bytes: Uint8Array) => {
      const before = parts.store.commits.length
      await t.rejects(replica.apply(k, kind, bytes), { code: 'ERR_CLOCK_SKEW' })
      return parts.store.commits.length - before
    }
    t.equal(await offer('delta', first.delta), 1)
    t.equal(await offer('delta', first.delta), 0)
    t.equal(await offer('row', first.row), 1, 'a row makes up for more than a delta does')
    t.equal(await offer('row', first.row), 0)
    t.equal(await offer('delta', first.delta), 0)
    t.equal(await offer('row', second.row), 1)
    t.equal(await offer('row', first.row), 0, 'what waits has all of it')
    t.equal(replica.quarantine.size, 1)
  })

  t.test('what waits is not given up with a part of it that came in the same batch', async t => {
    const { replica, clock } = await openReplica()
    const [soon, later] = [foreign('soon', NOON + 61_000), foreign('later', NOON + 80_000, 4)]
    await t.rejects(replica.apply(k, 'row', soon.row), { code: 'ERR_CLOCK_SKEW' })
    clock.now += 2_000
    const both = [replica.apply(k, 'row', later.row), replica.apply(k, 'row', soon.row)]
    const ended = (await Promise.allSettled(both)).map(({ status }) => status)
    t.same(ended, ['rejected', 'fulfilled'])
    t.equal(valueOf(replica), 'soon')
    clock.now += 20_000
    await replica.retryAhead()
    t.equal(valueOf(replica), 'later')
  })

  t.test('what waits is not replaced by what cannot be read', async t => {
    const { replica, clock } = await openReplica()
    await t.rejects(replica.apply(k, 'row', foreign('soon', NOON + 61_000).row))
    const refused = { code: 'ERR_CORRUPT', message: /was not put in quarantine/ }
    await t.rejects(replica.apply(k, 'row', utf8('gibberish')), refused)
    clock.now += 2_000
    await replica.retryAhead()
    t.equal(valueOf(replica), 'soon')
  })

  t.test('a row that is ahead still waits after another row of its key has come', async t => {
    const { replica, clock } = await openReplica()
    const ahead = foreign('from the future', NOON + 61_000).row
    await t.rejects(replica.apply(k, 'row', ahead), { code: 'ERR_CLOCK_SKEW' })
    await replica.apply(k, 'row', foreign('of today', NOON, 5).row)
    clock.now += 2_000
    await replica.retryAhead()
    t.equal(valueOf(replica), 'from the future')
  })

  t.test('is kept over a restart', async t => {
    const disk = new MemoryDisk()
    const { replica, clock } = await openReplica({ disk })
    const ahead = foreign('from the future', NOON + 61_000).row
    await replica.apply(k, 'row', ahead).catch(() => {})
    await replica.close()
    clock.now += 2_000
    const after = await openReplica({ disk, clock })
    await after.replica.retryAhead()
    t.equal(valueOf(after.replica), 'from the future')
  })

  t.test('a row that has only seen what is ahead is taken, and its clock not followed', async t => {
    const { replica } = await openReplica()
    const far = { actor: actor(3), time: timeOf(NOON + DECADE_MS) }
    const left = joinDelta(ROW_EMPTY, assign(ROW_EMPTY, utf8('from the future'), far))
    const now = { actor: actor(4), time: timeOf(NOON) }
    const righted = joinDelta(left, assign(left, utf8('of today'), now))
    await replica.apply(k, 'row', encodeRow(righted))
    t.equal(valueOf(replica), 'of today')
    const { delta } = await replica.mutate(k, setTo('own'), false)
    t.ok(millisecondsOf(delta.dot.time) < NOON + 1_000)
    t.equal(valueOf(replica), 'own')
    const gone = joinDelta(left, erase(left, now))
    await replica.apply(utf8('gone'), 'row', encodeRow(gone))
    t.equal(replica.quarantine.size, 0)
  })

  for (const [what, operation, value] of [
    ['put', setTo('of today'), 'of today'],
    ['delete', deleteIt, undefined]
  ] as const) {
    t.test(`one ${what} is enough to be rid of what is ahead, here and elsewhere`, async t => {
      const [a, b] = await Promise.all([openReplica(), openReplica()])
      const ahead = foreign('from the future', NOON + DECADE_MS)
      for (const { replica } of [a, b]) {
        await t.rejects(replica.apply(k, 'delta', ahead.delta), { code: 'ERR_CLOCK_SKEW' })
      }
      const { delta } = await a.replica.mutate(k, operation, false)
      await b.replica.apply(k, 'delta', encodeDelta(delta))
      for (const { replica, clock } of [a, b]) {
        t.equal(replica.quarantine.size, 0)
        // Who held it all along sends it again, and it is known to be replaced.
        await replica.apply(k, 'row', ahead.row)
        clock.now += 2 * DECADE_MS
        await replica.retryAhead()
        t.equal(valueOf(replica), value)
      }
    })
  }

  t.test('what waits of one row is replaced together, came it at once or one by one', async t => {
    const far = (n: number) => ({ actor: actor(3), time: timeOf(NOON + DECADE_MS + n) })
    const adding = (row: Row, member: string, n: number) =>
      mutate(row, { do: 'set-add', fields: [utf8(member)] }, far(n), NOON) as Mutation
    const one = adding(ROW_EMPTY, 'one', 0).delta
    const two = adding(joinDelta(ROW_EMPTY, one), 'two', 1).delta
    const there = joinDelta(joinDelta(ROW_EMPTY, one), two)
    for (const atOnce of [true, false]) {
      const { replica } = await openReplica()
      const apply = (delta: Delta) => replica.apply(k, 'delta', encodeDelta(delta)).catch(() => {})
      if (atOnce) await Promise.all([apply(one), apply(two)])
      else for (const delta of [one, two]) await apply(delta)
      t.equal(replica.quarantine.size, 1)
      const { delta } = await replica.mutate(k, deleteIt, false)
      t.equal(replica.quarantine.size, 0)
      t.same(joinDelta(there, delta).entries, [], 'also where they were written')
    }
  })

  t.test('has other rows written no more than without it', async t => {
    const parts = await openReplica()
    const { replica, store } = parts
    const { row } = foreign('v')
    await replica.apply(utf8('other'), 'row', row)
    const ahead = foreign('from the future', NOON + DECADE_MS)
    await t.rejects(replica.apply(k, 'row', ahead.row), { code: 'ERR_CLOCK_SKEW' })
    const before = store.commits.length
    await replica.apply(utf8('other'), 'row', row)
    t.equal(store.commits.length, before, 'an apply that changes nothing')
    await replica.apply(utf8('third'), 'row', row)
    const writes = store.commits.at(-1)?.writes ?? []
    t.notOk(writes.some(({ space }) => space === 'quarantine'))
  })

  t.test('what is put aside and replaced in one batch leaves nothing behind', async t => {
    const { replica } = await openReplica()
    const ahead = foreign('from the future', NOON + DECADE_MS)
    const refused = replica.apply(k, 'delta', ahead.delta)
    const put = replica.mutate(k, setTo('of today'), false)
    await t.rejects(refused, { code: 'ERR_CLOCK_SKEW' })
    await put
    t.equal(replica.quarantine.size, 0)
    t.same([...replica.quarantine.entries()], [])
    await replica.apply(k, 'row', ahead.row)
    t.equal(valueOf(replica), 'of today')
  })

  t.test('an increment does not replace what is ahead', async t => {
    const { replica, clock } = await openReplica()
    const ahead = foreign('from the future', NOON + 61_000)
    await t.rejects(replica.apply(k, 'row', ahead.row), { code: 'ERR_CLOCK_SKEW' })
    await replica.mutate(k, { do: 'set-add', fields: [utf8('member')] }, false)
    t.equal(replica.quarantine.size, 1)
    clock.now += 2_000
    await replica.retryAhead()
    t.equal(valueOf(replica), 'from the future')
    t.equal(replica.quarantine.size, 0)
  })

  t.test('a row 60 s ahead is followed', async t => {
    const { replica } = await openReplica()
    await replica.apply(k, 'row', foreign('soon', NOON + 60_000).row)
    const { delta } = await replica.mutate(k, setTo('next'), false)
    t.ok(delta.dot.time > timeOf(NOON + 60_000))
    t.equal(valueOf(replica), 'next')
  })
})

t.test('a slot that is being filled', async t => {
  t.test('answers unknown, also for a row it has: others may know a later one', async t => {
    const { replica } = await openReplica()
    await replica.mutate(k, setTo('old'), false)
    const { slot } = replica.rows.locate(k)
    await replica.filling.begin([slot])
    t.equal(replica.read(k).answer, 'unknown')
    t.notOk(replica.isWhole(k))
    await replica.filling.end([slot])
    t.equal(valueOf(replica), 'old')
  })

  t.test('is still being filled after a restart', async t => {
    const disk = new MemoryDisk()
    const { replica } = await openReplica({ disk })
    await replica.filling.begin([1, 16_383])
    await replica.filling.end([1])
    const after = createReplica({ disk })
    t.notOk(after.replica.filling.has(1))
    t.ok(after.replica.filling.has(16_383))
  })

  t.test('is every one of a store that no longer knows how far it had come', async t => {
    const garbage = Uint8Array.of(0xc1, 7)
    const lost: [what: string, key: string, value: Uint8Array | undefined, filling: number][] = [
      ['nothing', 'unrelated', undefined, 0],
      ['the mark', 'mark', undefined, 16_384],
      ['what the mark says', 'mark', garbage, 16_384],
      ['what the earlier lives say', 'lives', Uint8Array.of(0x91, 7), 16_384],
      ['whose it is', 'identity', undefined, 16_384],
      ['what is said of whose it is', 'identity', garbage, 16_384]
    ]
    for (const [what, key, value, filling] of lost) {
      const disk = new MemoryDisk()
      const { replica, store } = await openReplica({ disk })
      await replica.mutate(k, setTo('old'), false)
      await replica.close()
      await store.commit([{ space: 'meta', key: utf8(key), value }])
      const after = await openReplica({ disk })
      t.equal(after.replica.filling.size, filling, what)
      t.equal(valueOf(after.replica), filling > 0 ? 'unknown' : 'old', what)
    }
  })
})

t.test('the actor', async t => {
  const actorsOf = async (between: (disk: MemoryDisk, first: Replica) => Promise<MemoryDisk>) => {
    const disk = new MemoryDisk('here')
    const first = await openReplica({ disk })
    await first.replica.mutate(k, setTo('v'), false)
    const before = printActor(first.replica.identity.actor)
    const second = await openReplica({ disk: await between(disk, first.replica) })
    return [before, printActor(second.replica.identity.actor)]
  }
  t.test('goes on after an orderly close', async t => {
    const [before, after] = await actorsOf(async (disk, first) => {
      await first.close()
      return disk
    })
    t.equal(after, before)
  })
  t.test('is given up by a store that was not closed', async t => {
    const [before, after] = await actorsOf(async disk => disk)
    t.not(after, before)
  })
  t.test('is given up by a store that was moved or copied', async t => {
    const [before, after] = await actorsOf(async (disk, first) => {
      await first.close()
      return copyDisk(disk, 'there')
    })
    t.not(after, before)
  })
  t.test('differs between two new stores', async t => {
    const [one, other] = [await openReplica(), await openReplica()]
    t.not(one.replica.identity.actor, other.replica.identity.actor)
  })

  t.test('has a clock that does not go back over a restart', async t => {
    const disk = new MemoryDisk()
    const clock = new HandClock()
    const { replica } = await openReplica({ disk, clock })
    const { delta } = await replica.mutate(k, setTo('v'), false)
    await replica.close()
    clock.now -= 3_600_000
    const after = await openReplica({ disk, clock })
    t.ok(after.replica.identity.nextDot().time > delta.dot.time)
  })

  t.test('that was years ahead goes on under a new actor once the clock is right', async t => {
    const disk = new MemoryDisk()
    const clock = new HandClock()
    clock.now += DECADE_MS
    const { replica } = await openReplica({ disk, clock })
    await replica.mutate(k, setTo('v'), false)
    const { actor } = replica.identity
    await replica.close()
    clock.now = NOON
    const after = await openReplica({ disk, clock })
    t.not(after.replica.identity.actor, actor)
    const { delta } = await after.replica.mutate(k, setTo('w'), false)
    t.equal(millisecondsOf(delta.dot.time), NOON, 'others take it')
    t.equal(valueOf(after.replica), 'w')
  })

  t.test('does so as well while it runs', async t => {
    const clock = new HandClock()
    clock.now += DECADE_MS
    const { replica } = await openReplica({ clock })
    await replica.mutate(k, setTo('v'), false)
    const { actor } = replica.identity
    clock.now = NOON
    const { delta } = await replica.mutate(k, setTo('w'), false)
    t.not(delta.dot.actor, actor)
    t.equal(millisecondsOf(delta.dot.time), NOON)
    t.equal(valueOf(replica), 'w')
  })

  t.test('never names two events alike, whatever the wall clock does', async t => {
    const clock = new HandClock()
    const { replica } = await openReplica({ clock })
    const times = new Set<Time>()
    for (const jump of [0, -5_000, 0, 60_000, -60_000, 0]) {
      clock.now += jump
      times.add((await replica.mutate(k, setTo('v'), false)).delta.dot.time)
    }
    t.equal(times.size, 6)
    t.same([...times], [...times].sort())
  })
})

t.test('a blind write after a row was lost does not bury what others hold (kv679)', async t => {
  const disk = new MemoryDisk()
  const one = await openReplica({ disk })
  const other = await openReplica()
  const first = await one.replica.mutate(k, setTo('first'), false)
  await other.replica.apply(k, 'delta', encodeDelta(first.delta))
  damage(disk, idOf(one))
  one.replica.read(k)
  await t.rejects(one.replica.mutate(k, setTo('blind'), false), HearsayError)
  // Even where nobody noticed that the key was there: a wiped store is a new actor.
  const wiped = await openReplica({ clock: one.clock })
  const blind = await wiped.replica.mutate(k, setTo('blind'), false)
  await other.replica.apply(k, 'delta', encodeDelta(blind.delta))
  const answer = other.replica.read(k) as { row: Row }
  t.equal(answer.row.entries.length, 2, 'both are there')
})
