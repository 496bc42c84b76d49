import t, { type Test } from 'tap'
import type { Liveness } from '../src/cluster/liveness.ts'
import { Remembered } from '../src/cluster/remembered.ts'
import { Membership, type MembershipComponents } from '../src/cluster/membership.ts'
import {
  HearsayError,
  NetworkError,
  QuorumFailedError,
  StoreError,
  TimeoutError,
  UnavailableError
} from '../src/errors.ts'
import { decodeRow, encodeRow } from '../src/lattice/encode.ts'
import { timeOf } from '../src/lattice/hlc.ts'
import { assign, joinDelta, ROW_EMPTY, type Row } from '../src/lattice/row.ts'
import { Hints, type HintsInit } from '../src/repair/hints.ts'
import {
  decodeTable,
  encodeTable,
  MemberTable,
  type Member,
  type MemberState
} from '../src/ring/members.ts'
import { MemoryDisk } from '../src/store/memory.ts'
import { text, utf8 } from '../src/util/bytes.ts'
import { CatchUp } from '../src/coordinator/catch-up.ts'
import { Counters } from '../src/util/counters.ts'
import type { NodeId } from '../src/util/node-id.ts'
import type { Clock, Timers } from '../src/ports.ts'
import { AntiEntropy } from '../src/repair/anti-entropy.ts'
import { MARK_NONE, MARKS_NONE as marks } from '../src/wire/mark.ts'
import { decodeExchangeAnswer, encodeExchangeRequest } from '../src/wire/exchange.ts'
import { decodeApply, encodeRefusals, type ApplyItem } from '../src/wire/rows.ts'
import { encodeReply } from '../src/wire/view.ts'
import { Hub, noTimers } from './fixtures/engine-network.ts'
import {
  damage,
  HandClock,
  NOON,
  openReplica,
  rootOf,
  setTo,
  silent,
  WatchedStore
} from './fixtures/engine-parts.ts'
import {
  backUp,
  createWorld,
  cut,
  formWorld,
  keyWhere,
  mend,
  runUntil,
  storedAt
} from './fixtures/engine-world.ts'
import { HandTime } from './fixtures/hand-time.ts'
import { actor } from './fixtures/lattice-arbitrary.ts'
import { ownersOf } from './fixtures/owners.ts'
import { rowsOf } from './fixtures/sim/inspect.ts'
import { Stream } from './fixtures/sim/random.ts'
import type { World } from './fixtures/sim/world.ts'

const owner = 'owner' as NodeId
const ROW = encodeRow(
  joinDelta(ROW_EMPTY, assign(ROW_EMPTY, utf8('v'), { actor: actor(1), time: timeOf(NOON) }))
)

/** Time that passes at once. */
const soon: Timers = {
  after: (_, fn) => {
    const waiting = setImmediate(fn)
    return () => clearImmediate(waiting)
  }
}

/** Hints over a real replica; `ask` stands for the owner. */
async function createHints(
  init: HintsInit & { disk?: MemoryDisk; timers?: Timers; clock?: Clock } = {}
) {
  const { disk, timers = soon, clock, ...bounds } = init
  const parts = await openReplica(disk ? { disk } : {})
  const sent: string[][] = []
  const items: ApplyItem[] = []
  const stage = {
    alive: true,
    state: 'up' as MemberState,
    owners: [owner],
    fingerprint: 'view',
    asked: [] as NodeId[],
    ask: async (): Promise<Uint8Array> => encodeRefusals([])
  }
  const view = {
    get fingerprint() {
      return stage.fingerprint
    },
    table: { get: () => ({ state: stage.state }) },
    ownersOf: () => ownersOf(stage.owners)
  }
  const membership = {
    peers: [owner],
    view,
    ask: async (to: NodeId, _protocol: string, body: Uint8Array) => {
      const received = decodeApply(body)?.items ?? []
      sent.push(received.map(({ key }) => text(key)))
      items.push(...received)
      stage.asked.push(to)
      return stage.ask()
    }
  } as unknown as Membership
  const liveness = { isAlive: () => stage.alive } as unknown as Liveness
  const components = { ...parts, clock: clock ?? parts.clock, membership, liveness, timers }
  const hints = new Hints({ ...components, log: silent }, bounds)
  const write = async (key: string) => {
    await parts.replica.mutate(utf8(key), setTo('v'), false)
    await hints.add(owner, utf8(key))
  }
  const count = () => hints.status()[0]?.count ?? 0
  return { ...parts, hints, sent, items, stage, membership, write, count }
}

t.test('hints', async t => {
  t.test('are removed when the owner has acknowledged them, and only those', async t => {
    const { hints, write, stage, sent, count } = await createHints()
    for (const key of ['a', 'b', 'c']) await write(key)
    stage.ask = async () => encodeRefusals([{ index: 1, code: 'ERR_STORE', message: 'full' }])
    await hints.replay()
    t.same(sent, [['a', 'b', 'c']])
    t.equal(count(), 1)
    stage.ask = async () => encodeRefusals([])
    await hints.replay()
    t.same(sent.at(-1), ['b'])
    t.equal(count(), 0)
  })

  t.test('that are refused hold up no others, and are tried again', async t => {
    const { hints, write, stage, sent, count } = await createHints()
    const keys = Array.from({ length: 300 }, (_, i) => `${1_000 + i}`)
    for (const key of keys) await write(key)
    const refuse = keys.slice(0, 256)
    stage.ask = async () =>
      encodeRefusals(
        sent
          .at(-1)!
          .flatMap((key, index) =>
            refuse.includes(key) ? [{ index, code: 'ERR_CLOCK_SKEW', message: 'ahead' }] : []
          )
      )
    await hints.replay()
    t.equal(count(), 256)
    t.same(sent.flat(), keys, 'each once in a turn')
    refuse.length = 0
    await hints.replay()
    t.equal(count(), 0)
  })

  t.test('stay when the owner cannot be reached or answers what cannot be read', async t => {
    const { hints, write, stage, count } = await createHints()
    await write('a')
    stage.ask = async () => {
      throw new NetworkError('gone', false)
    }
    await hints.replay()
    t.equal(count(), 1)
    stage.ask = async () => utf8('gibberish')
    await hints.replay()
    t.equal(count(), 1)
  })

  t.test('that are written again during their replay survive it', async t => {
    const { hints, write, stage, count, sent } = await createHints()
    await write('a')
    stage.ask = async () => {
      if (sent.length === 1) await write('a')
      return encodeRefusals([])
    }
    await hints.replay()
    t.equal(sent.length, 1)
    t.equal(count(), 1)
    await hints.replay()
    t.equal(count(), 0)
  })

  t.test('are one a key, and replay the row as it is then', async t => {
    const { hints, write, sent, count } = await createHints()
    for (let i = 0; i < 5; i++) await write('a')
    t.equal(count(), 1)
    await hints.replay()
    t.same(sent, [['a']])
  })

  t.test('go in batches, all of them in one replay', async t => {
    const { hints, write, sent, count } = await createHints()
    for (let i = 0; i < 300; i++) await write(`key ${i}`)
    await hints.replay()
    t.ok(sent.length >= 3)
    t.equal(new Set(sent.flat()).size, 300)
    t.equal(count(), 0)
  })

  t.test('wait while the owner is down', async t => {
    const { hints, write, sent, stage } = await createHints()
    await write('a')
    stage.alive = false
    await hints.replay()
    t.same(sent, [])
  })

  t.test('are left to anti-entropy when they are too old or their owner has left', async t => {
    const { hints, write, sent, stage, clock, count } = await createHints({ ageMaxMs: 1_000 })
    await write('a')
    clock.now += 1_000
    stage.alive = false
    await hints.replay()
    t.equal(count(), 1)
    clock.now += 1
    await hints.replay()
    t.equal(count(), 0)
    await write('b')
    stage.state = 'left'
    await hints.replay()
    t.equal(count(), 0)
    t.same(sent, [])
  })

  t.test('go also behind one that a clock has dated ahead of its time', async t => {
    const { hints, write, stage, clock, count } = await createHints({ ageMaxMs: 1_000 })
    stage.alive = false
    clock.now += 60_000
    await write('ahead')
    clock.now -= 60_000
    await write('of today')
    clock.now += 1_001
    await hints.replay()
    t.equal(count(), 1)
    clock.now += 60_001
    await hints.replay()
    t.equal(count(), 0)
  })

  t.test('go from the one that was written longest ago, also after a restart', async t => {
    for (const restarts of [false, true]) {
      const disk = new MemoryDisk()
      const before = await createHints({ disk, ageMaxMs: 1_000 })
      for (const key of ['b', 'c', 'a', 'b']) {
        await before.write(key)
        before.clock.now += 300
      }
      const parts = restarts ? await createHints({ disk, ageMaxMs: 1_000 }) : before
      const { hints, stage, clock, sent } = parts
      clock.now = before.clock.now + 101
      stage.alive = false
      await hints.replay()
      stage.alive = true
      await hints.replay()
      t.same(sent, [['a', 'b']], 'c is too old, and b was written again')
    }
  })

  t.test('that are too old go the next time when the disk refused it', async t => {
    const { hints, write, stage, clock, store, count } = await createHints({ ageMaxMs: 1_000 })
    stage.alive = false
    await write('a')
    clock.now += 500
    await write('b')
    clock.now += 501
    store.refuses = () => true
    await t.rejects(hints.replay(), StoreError)
    t.equal(count(), 2)
    store.refuses = () => false
    await hints.replay()
    t.equal(count(), 1)
    t.equal(hints.status()[0]?.oldestMs, 501)
  })

  t.test('of an owner that is down are not read again and again', async t => {
    const { hints, write, stage, store, clock } = await createHints()
    for (const key of ['a', 'b']) await write(key)
    stage.alive = false
    clock.now += 1_000
    store.range = () => {
      throw new Error('the store is read')
    }
    await hints.replay()
    t.match(hints.status(), [{ owner, count: 2, oldestMs: 1_000 }])
  })

  t.test('are removed in commits that are not too large for a full disk', async t => {
    const { hints, store, stage, clock } = await createHints({ ageMaxMs: 1_000 })
    const add = async () => {
      for (let i = 0; i < 2_500; i++) await hints.add(owner, utf8(`key ${i}`))
      store.commits.length = 0
    }
    const sizes = () => store.commits.map(({ writes }) => writes.length)
    await add()
    t.equal(await hints.drop(), 2_500)
    t.same(sizes(), [1_000, 1_000, 500])
    await add()
    stage.alive = false
    clock.now += 1_001
    await hints.replay()
    t.same(sizes(), [1_000, 1_000, 500])
    t.same(hints.status(), [])
  })

  t.test('of large rows go one by one, so that a message does not grow beyond a frame', async t => {
    const { hints, replica, sent, count } = await createHints()
    for (const key of ['a', 'b', 'c', 'd']) {
      const size = key === 'd' ? 10 : 900_000
      await replica.mutate(utf8(key), setTo(new Uint8Array(size)), false)
      await hints.add(owner, utf8(key))
    }
    await hints.replay()
    t.same(sent, [['a'], ['b'], ['c', 'd']])
    t.equal(count(), 0)
  })

  t.test('take no more room than they may, and give it back', async t => {
    const { hints, write, meter, count } = await createHints({ bytesMax: 50 })
    for (let i = 0; i < 9; i++) await write(`key ${i}`)
    const kept = count()
    t.ok(kept >= 1 && kept < 9)
    t.ok((hints.status()[0]?.bytes ?? 0) <= 50)
    t.equal(meter.totals()['hints.no-room'], 9 - kept)
    await write('key 0')
    t.equal(count(), kept)
    await hints.replay()
    for (let i = 0; i < 9; i++) await write(`next ${i}`)
    t.equal(count(), kept, 'there is as much room as before')
  })

  t.test('can be dropped', async t => {
    const { hints, write, sent, count } = await createHints()
    for (const key of ['a', 'b']) await write(key)
    t.equal(await hints.drop(), 2)
    t.equal(count(), 0)
    await hints.replay()
    t.same(sent, [])
  })

  t.test('survive a restart, and those of before are told from those of after', async t => {
    const disk = new MemoryDisk()
    const before = await createHints({ disk })
    await before.write('a')
    await before.write('b')
    const after = await createHints({ disk })
    t.equal(after.count(), 2)
    after.stage.ask = async () => {
      if (after.sent.length === 1) await after.write('a')
      return encodeRefusals([])
    }
    await after.hints.replay()
    await after.hints.replay()
    t.same(after.sent, [['a', 'b'], ['a']])
    t.equal(after.count(), 0)
  })

  t.test('that the disk refused to write again are removed as before', async t => {
    const { hints, write, store, sent, count } = await createHints()
    await write('a')
    store.refuses = writes => writes.some(({ space }) => space === 'hints')
    await t.rejects(hints.add(owner, utf8('a')), StoreError)
    await t.rejects(hints.add(owner, utf8('b')), StoreError)
    store.refuses = () => false
    await hints.replay()
    t.same(sent, [['a']])
    t.equal(count(), 0)
  })

  t.test('of which two writings in a row were refused are the one on disk', async t => {
    const { hints, write, store, sent, count } = await createHints()
    await write('a')
    store.refuses = writes => writes.some(({ space }) => space === 'hints')
    const refused = [1, 2].flatMap(() => [hints.add(owner, utf8('a')), hints.add(owner, utf8('b'))])
    for (const each of await Promise.allSettled(refused)) t.equal(each.status, 'rejected')
    store.refuses = () => false
    t.equal(count(), 1)
    await hints.replay()
    t.same(sent, [['a']])
    t.equal(count(), 0)
  })

  t.test('that the disk refused to remove are removed the next time', async t => {
    const { hints, write, store, sent, count } = await createHints()
    await write('a')
    store.refuses = writes => writes.some(({ space }) => space === 'hints')
    await hints.replay()
    t.equal(count(), 1)
    store.refuses = () => false
    await hints.replay()
    t.equal(sent.length, 2)
    t.equal(count(), 0)
  })

  t.test('for one owner leave room for those for others', async t => {
    const { hints, write, meter, count } = await createHints({ ownerBytesMax: 50 })
    for (let i = 0; i < 9; i++) await write(`key ${i}`)
    const kept = count()
    t.ok(kept >= 1 && kept < 9)
    t.equal(await hints.add(owner, utf8('another')), false, 'and it is told')
    t.equal(meter.totals()['hints.no-room'], 10 - kept)
    t.equal(await hints.add('other' as NodeId, utf8('k')), true)
  })

  t.test('go no faster than they may, and owners do not wait for each other', async t => {
    const time = new HandTime()
    const { hints, write, sent, membership } = await createHints({
      rowsPerSecondMax: 128,
      timers: time,
      clock: time
    })
    const other = 'other' as NodeId
    Object.assign(membership, { peers: [owner, other] })
    for (let i = 0; i < 300; i++) await write(`key ${i}`)
    await hints.add(other, utf8('key 0'))
    const replay = hints.replay()
    await time.pass(10)
    t.same(sent.map(({ length }) => length).sort(), [1, 128])
    await time.pass(980)
    t.equal(sent.length, 2)
    await time.pass(20)
    t.equal(sent.length, 3)
    await time.pass(1_000)
    t.equal(sent.length, 4)
    await time.pass(1_000)
    await replay
    t.same(hints.status(), [])
  })

  t.test('end their turn so that owners that came back get theirs', async t => {
    const time = new HandTime()
    const { hints, write, sent } = await createHints({
      rowsPerSecondMax: 1,
      timers: time,
      clock: time
    })
    for (let i = 0; i < 300; i++) await write(`key ${i}`)
    const replay = hints.replay()
    await time.pass(200_000)
    await replay
    t.equal(sent.length, 1)
    await hints.replay(AbortSignal.abort(new Error('paused'))).catch(() => undefined)
    t.equal(sent.length, 2)
  })

  t.test('stop between two batches when they are paused', async t => {
    const time = new HandTime()
    const { hints, write, sent } = await createHints({
      rowsPerSecondMax: 1,
      timers: time,
      clock: time
    })
    for (let i = 0; i < 300; i++) await write(`key ${i}`)
    const pause = new AbortController()
    const reason = new Error('paused')
    const ended = hints.replay(pause.signal).catch((error: unknown) => error)
    await time.pass(10)
    pause.abort(reason)
    t.equal(await ended, reason)
    t.equal(sent.length, 1)
  })

  t.test('of a row whose only copy was damaged end, once nobody is left to ask', async t => {
    const disk = new MemoryDisk()
    const { hints, write, replica, sent, count } = await createHints({ disk })
    await write('k')
    damage(disk, replica.rows.locate(utf8('k')).id, -1)
    await hints.replay()
    t.equal(count(), 1, 'it may come back')
    await replica.between(() => {})
    await hints.replay()
    t.equal(count(), 1, 'while its slot is filling')
    await replica.filling.end([replica.rows.locate(utf8('k')).slot])
    await hints.replay()
    t.equal(count(), 0)
    t.same(sent, [[]], 'there is nothing to send')
  })

  t.test('of rows that are not known here wait, and of absent ones end', async t => {
    const { hints, write, replica, sent, count } = await createHints()
    await write('a')
    await hints.add(owner, utf8('never written'))
    const { slot } = replica.rows.locate(utf8('a'))
    await replica.filling.begin([slot])
    await hints.replay()
    t.equal(count(), 1)
    await replica.filling.end([slot])
    await hints.replay()
    t.same(sent.at(-1), ['a'])
    t.equal(count(), 0)
  })
})

t.test('hints that carry a row', async t => {
  const key = utf8('k')
  const other = 'other' as NodeId
  const dotOf = (by: number) => ({ actor: actor(by), time: timeOf(NOON + by) })
  const setBy = (value: string, by: number) => (held: Row) =>
    joinDelta(held, assign(held, utf8(value), dotOf(by)))
  const keeping = (value: string, by: number, owners = [owner]) => {
    return { key, owners, change: setBy(value, by), flush: false }
  }
  /** What owners were sent, as values. */
  const valuesIn = (items: readonly ApplyItem[]) =>
    items.flatMap(({ bytes }) => decodeRow(bytes)?.entries.map(({ value }) => text(value!)) ?? [])

  t.test('are sent as they are, though the row is not here', async t => {
    const { hints, items, count } = await createHints()
    await hints.keep(keeping('v', 1))
    t.equal(count(), 1)
    t.same(hints.owners(key), [owner])
    await hints.replay()
    t.same(valuesIn(items), ['v'])
    t.equal(count(), 0)
  })

  t.test('wait in a line that has an end, also for one key', async t => {
    const { hints } = await createHints()
    const writes = Array.from({ length: 1_025 }, (_, i) => hints.keep(keeping('v', i + 1)))
    const results = await Promise.allSettled(writes)
    const refused = results.flatMap(each =>
      each.status === 'rejected' ? [each.reason as Error] : []
    )
    t.match(refused, [{ code: 'ERR_OVERLOADED' }])
    t.equal(refused.length, 1)
  })

  t.test('of one key are one, in which each write sees those before', async t => {
    const { hints, items, count } = await createHints()
    const writes = ['a', 'b', 'c'].map((value, i) => hints.keep(keeping(value, i + 1)))
    await Promise.all(writes)
    t.equal(count(), 1)
    await hints.replay()
    t.same(valuesIn(items), ['c'])
    const row = decodeRow(items[0]?.bytes as Uint8Array)
    t.equal(row?.context.vector.size, 3)
  })

  t.test('that carry a row stay when it went to one that was no owner any more', async t => {
    const { hints, stage, count } = await createHints()
    await hints.keep(keeping('v', 1))
    stage.ask = async () => {
      stage.owners = ['another' as NodeId]
      stage.fingerprint = 'later'
      return encodeRefusals([])
    }
    await hints.replay()
    t.equal(count(), 1)
  })

  t.test('stay beside a hint that carries none, and both are sent', async t => {
    const { hints, write, sent, count } = await createHints()
    await write('k')
    await hints.keep(keeping('kept', 1))
    t.equal(count(), 2)
    await hints.replay()
    t.same(sent, [['k', 'k']])
    t.equal(count(), 0)
  })

  t.test('are neither too old nor dropped, and survive a restart', async t => {
    const disk = new MemoryDisk()
    const { hints, write, clock, stage, count } = await createHints({ disk, ageMaxMs: 1_000 })
    await hints.keep(keeping('v', 1))
    await write('plain')
    stage.alive = false
    clock.now += 100_000
    await hints.replay()
    t.equal(count(), 1)
    t.equal(await hints.drop(), 0)
    const after = await createHints({ disk, ageMaxMs: 1_000 })
    t.equal(after.count(), 1)
    await after.hints.replay()
    t.same(valuesIn(after.items), ['v'])
  })

  t.test('that are written again during their replay survive it, with both writes', async t => {
    const { hints, stage, items, count } = await createHints()
    await hints.keep(keeping('first', 1))
    stage.ask = async () => {
      stage.ask = async () => encodeRefusals([])
      await hints.keep(keeping('second', 2))
      return encodeRefusals([])
    }
    await hints.replay()
    await hints.replay()
    t.same(valuesIn(items), ['first', 'second'])
    t.equal(count(), 0)
  })

  t.test('find room for all owners or are not kept for any', async t => {
    const { hints, store } = await createHints({ bytesMax: 150 })
    const refused = { code: 'ERR_OVERLOADED', message: /nothing was stored/ }
    await t.rejects(hints.keep(keeping('x'.repeat(60), 1, [owner, other])), refused)
    t.same(hints.status(), [])
    t.same([...store.range('hints')], [])
    await hints.keep(keeping('x', 1, [owner]))
    t.equal(hints.status().length, 1)
  })

  t.test('that the disk refused are not there, and those of before still are', async t => {
    const { hints, store, items } = await createHints()
    await hints.keep(keeping('first', 1))
    store.refuses = writes => writes.some(({ space }) => space === 'hints')
    await t.rejects(hints.keep(keeping('second', 2)), StoreError)
    store.refuses = () => false
    await hints.keep(keeping('third', 3))
    await hints.replay()
    t.same(valuesIn(items), ['third'])
    t.equal(decodeRow(items[0]?.bytes as Uint8Array)?.context.vector.size, 2, 'of two writes')
  })

  t.test('go to those who own the key by then', async t => {
    const { hints, stage, membership, items, count } = await createHints()
    await hints.keep(keeping('v', 1))
    stage.owners = [other]
    stage.fingerprint = 'next view'
    Object.assign(membership, { peers: [owner, other] })
    await hints.replay()
    t.same(items.length, 1)
    t.same(stage.asked, [other])
    t.equal(count(), 0)
  })

  t.test('that find no room at a new owner wait, and keep no other hint from going', async t => {
    const { hints, stage, membership, write, items, sent, count } = await createHints({
      bytesMax: 400
    })
    await hints.keep(keeping('x'.repeat(90), 1))
    await write('plain')
    const bytes = hints.status()[0]?.bytes ?? 0
    t.ok(bytes > 150 && bytes < 400, 'there is room for one and not for two beside the old one')
    Object.assign(membership, { peers: [owner, other] })
    stage.owners = [other, 'third' as NodeId, 'fourth' as NodeId]
    stage.fingerprint = 'next view'
    await hints.replay()
    t.same(sent, [['plain']], 'and nothing went to one who owns the key no more')
    t.equal(count(), 1)
    stage.owners = [other]
    await hints.replay()
    t.same(stage.asked, [owner, other])
    t.equal(valuesIn(items.slice(1)).length, 1)
    t.equal(count(), 0)
  })

  t.test('of a row that grew too large are refused', async t => {
    const { hints } = await createHints()
    const large = keeping('x'.repeat(1024 * 1024), 1)
    await t.rejects(hints.keep(large), { code: 'ERR_ROW_SIZE' })
    t.same(hints.status(), [])
  })
})

t.test('an exchange', async t => {
  const now: Timers = {
    after: (_, fn) => {
      let cancelled = false
      void Promise.resolve().then(() => cancelled || fn())
      return () => (cancelled = true)
    }
  }

  async function createSides() {
    const hub = new Hub()
    const sides = await Promise.all(
      ['a', 'b'].map(async id => {
        const parts = await openReplica()
        const { membership, network } = createMember(hub, id)
        const liveness = { isAlive: () => true } as unknown as Liveness
        const logged: object[] = []
        const info = (event: string, fields?: object) => void logged.push({ event, ...fields })
        const log = { ...silent, info }
        const components = { ...parts, membership, liveness, timers: now, log }
        return { ...parts, membership, network, logged, antiEntropy: new AntiEntropy(components) }
      })
    )
    for (const { membership } of sides) await membership.announce('up')
    const [a, b] = sides as [(typeof sides)[0], (typeof sides)[0]]
    await a.membership.compare('b' as NodeId)
    return { a, b, hub }
  }
  const peer = 'b' as NodeId

  t.test('is not complete under another view than the answer was given under', async t => {
    const { a, b, hub } = await createSides()
    await a.replica.mutate(utf8('ours'), setTo('v'), false)
    const { membership: c } = createMember(hub, 'c')
    await c.announce('up')
    const applyAll = b.replica.applyAll.bind(b.replica)
    b.replica.applyAll = async rows => {
      await b.membership.compare('c' as NodeId)
      return applyAll(rows)
    }
    await t.rejects(a.antiEntropy.exchange(peer), { code: 'ERR_NETWORK' })
    t.equal(a.antiEntropy.verified.at(0, peer), -Infinity)
    const totals = a.meter.totals()
    t.match(
      totals,
      { 'exchange.rows-sent': 1, 'exchange.rows-differed': 1 },
      'what it moved is counted all the same'
    )
    t.notOk(totals['exchange.runs'])
  })

  t.test(
    'proves nothing of slots that are filled since, nor of who is no longer a member',
    async t => {
      const { a, b } = await createSides()
      const proven = () => a.antiEntropy.verified.at(7, peer)
      await a.antiEntropy.exchange(peer)
      t.ok(proven() > 0)
      await a.replica.filling.begin([7])
      t.equal(proven(), -Infinity)
      const { request } = a.network
      a.network.request = async (...of) => {
        const answer = await request.apply(a.network, of)
        await a.replica.filling.begin([7])
        return answer
      }
      t.match(await a.antiEntropy.exchange(peer), { equal: true })
      t.equal(proven(), -Infinity, 'also while it runs')
      a.network.request = request
      await a.antiEntropy.exchange(peer)
      t.ok(proven() > 0)
      const before = proven()
      a.clock.now += 10
      a.replica.keeper.distrust([7])
      await a.antiEntropy.exchange(peer)
      t.equal(proven(), before, 'nor where the tree here is known to be wrong')
      t.equal(a.antiEntropy.verified.at(8, peer), before + 10)
      await b.membership.announce('left')
      await a.membership.compare(peer)
      t.equal(proven(), -Infinity)
      t.same(a.antiEntropy.status(), [])
    }
  )

  t.test('reports what it found and moved', async t => {
    const { a, b } = await createSides()
    await b.replica.mutate(utf8('theirs'), setTo('v'), false)
    await a.replica.mutate(utf8('ours'), setTo('v'), false)
    const report = await a.antiEntropy.exchange(peer)
    t.match(report, { peer, equal: true, complete: true, rowsSent: 1, rowsReceived: 1 })
    t.same(report.keys.map(text).sort(), ['ours', 'theirs'])
    t.same(rootOf(a.replica), rootOf(b.replica))
    const again = await a.antiEntropy.exchange(peer)
    t.match(again, { equal: true, roundTrips: 1, rowsSent: 0, rowsReceived: 0, keys: [] })
  })

  t.test('is not complete when the disk here refuses what was missing', async t => {
    const { a, b } = await createSides()
    await b.replica.mutate(utf8('theirs'), setTo('v'), false)
    a.store.refuses = writes => writes.some(({ space }) => space === 'rows')
    t.match(await a.antiEntropy.exchange(peer), { complete: false, equal: false })
    a.store.refuses = () => false
    t.match(await a.antiEntropy.exchange(peer), { complete: true, equal: true })
  })

  t.test('names the slot of a row that was missing and is from too far ahead', async t => {
    const { a, b } = await createSides()
    b.clock.now += 100_000
    await b.replica.mutate(utf8('theirs'), setTo('v'), false)
    const before = await a.antiEntropy.exchange(peer)
    t.match(before, { complete: true, equal: false })
    t.same([...before.withheld], [a.replica.rows.locate(utf8('theirs')).slot])
    t.equal(a.replica.quarantine.size, 1)
    await a.replica.mutate(utf8('theirs'), setTo('replaced'), false)
    const after = await a.antiEntropy.exchange(peer)
    t.match(after, { complete: true, equal: true })
    t.equal(after.withheld.size, 0, 'until it is put')
    t.equal(a.replica.quarantine.size, 0)
    t.strictSame(rootOf(a.replica), rootOf(b.replica))
  })

  t.test('sends what the other side does not take once, and says that it is not done', async t => {
    const { a, b } = await createSides()
    for (const key of ['one', 'two']) await a.replica.mutate(utf8(key), setTo('v'), false)
    const full = new StoreError('The disk is full.')
    const applyAll = b.replica.applyAll.bind(b.replica)
    b.replica.applyAll = async rows => ({
      joined: [],
      refusals: rows.map(() => ({ slot: 0, error: full }))
    })
    const refused = await a.antiEntropy.exchange(peer)
    t.match(refused, { rowsSent: 2, rowsDiffered: 2, equal: false, complete: false })
    b.replica.applyAll = applyAll
    t.match(await a.antiEntropy.exchange(peer), { rowsSent: 2, equal: true, complete: true })
    t.match(b.meter.totals(), { 'exchange.rows-refused': 2 })
  })

  t.test(
    'goes on past what is kept aside for its time, and says of which slots that is',
    async t => {
      const { a, b } = await createSides()
      for (const key of ['one', 'two']) await a.replica.mutate(utf8(key), setTo('v'), false)
      const slots = ['one', 'two'].map(key => a.replica.rows.locate(utf8(key)).slot)
      const ahead = new HearsayError('ERR_CLOCK_SKEW', 'It is from the future.')
      const refuse = (side: typeof a) => {
        side.replica.applyAll = async rows => ({
          joined: [],
          refusals: rows.map(({ key }) => ({ slot: a.replica.rows.locate(key).slot, error: ahead }))
        })
      }
      refuse(b)
      const there = await a.antiEntropy.exchange(peer)
      t.match(there, { rowsSent: 2, equal: false, complete: true })
      t.same(there.withheld, new Set(slots))
      await b.replica.mutate(utf8('three'), setTo('v'), false)
      refuse(a)
      const here = await a.antiEntropy.exchange(peer)
      t.match(here, { rowsReceived: 1, equal: false, complete: true, refusal: ahead })
      t.ok(here.withheld.has(b.replica.rows.locate(utf8('three')).slot))
    }
  )

  t.test('counts what is handed over as what is exchanged', async t => {
    const { a, b } = await createSides()
    await a.replica.mutate(utf8('ours'), setTo('v'), false)
    const { slot } = a.replica.rows.locate(utf8('ours'))
    t.match(await a.antiEntropy.handOver(peer, Uint16Array.of(slot)), { complete: true })
    t.match(a.meter.totals(), { 'exchange.rows-sent': 1, 'exchange.rows-differed': 1 })
    t.equal(b.replica.read(utf8('ours')).answer, 'row')
  })

  t.test('refuses what cannot be read, from either side', async t => {
    const { a, b } = await createSides()
    const ask = a.membership.ask(peer, 'exchange', utf8('gibberish'), { deadlineMs: 1_000 })
    await t.rejects(ask, { code: 'ERR_PROTOCOL' })
    b.membership.serve('exchange', async () => utf8('gibberish'))
    await t.rejects(a.antiEntropy.exchange(peer), { code: 'ERR_PROTOCOL' })
  })

  t.test('counts what it found, moved and read, and what does not follow the protocol', async t => {
    const { a, b } = await createSides()
    const begun = a.meter.totals()
    for (const name of ['rows-sent', 'rows-differed', 'bytes-differed', 'rows-read', 'row-bytes'])
      t.equal(begun[`exchange.${name}`], 0, `${name} before the first exchange`)
    for (const key of ['one', 'two', 'three']) await b.replica.mutate(utf8(key), setTo('v'), false)
    const report = await a.antiEntropy.exchange(peer)
    t.match(report, { rowsDiffered: 3, rowsReceived: 3, bytesDiffered: report.rowBytes })
    t.equal(report.overheadBytes + report.rowBytes, report.bytesSent + report.bytesReceived)
    t.ok(report.rowBytes > 3 * 40 && report.rowsRead >= 6)
    const { rowsDiffered, bytesDiffered, rowsRead, bytesSent, bytesReceived } = report
    const found = { rowsDiffered, bytesDiffered, rowsRead, bytesSent, bytesReceived }
    t.match(a.logged, [{ event: 'exchange-moved', peer, rowsReceived: 3, ...found }])
    const totals = a.meter.totals()
    t.match(totals, { 'exchange.rows-differed': 3, 'exchange.rows-read': report.rowsRead })
    t.match(totals, { 'exchange.row-bytes': report.rowBytes })
    t.match(totals, { 'exchange.bytes-differed': report.rowBytes })
    t.match(totals, { 'exchange.overhead-bytes': report.overheadBytes })
    t.notOk(totals['exchange.malformed'])
    const ask = a.membership.ask(peer, 'exchange', utf8('gibberish'), { deadlineMs: 1_000 })
    await t.rejects(ask, { code: 'ERR_PROTOCOL' })
    t.match(b.meter.totals(), { 'exchange.malformed': 1 })
    b.membership.serve('exchange', async () => utf8('gibberish'))
    await t.rejects(a.antiEntropy.exchange(peer), { code: 'ERR_PROTOCOL' })
    t.match(a.meter.totals(), { 'exchange.malformed': 1, 'exchange.runs': 1 })
  })

  t.test('costs equal sides at most 200 bytes, all layers of it together', async t => {
    const { a, b } = await createSides()
    for (const { replica } of [a, b]) await replica.apply(utf8('k'), 'row', ROW)
    let bytes = 0
    const { request } = a.network
    a.network.request = async (to, protocol, body) => {
      const answer = await request.call(a.network, to, protocol, body)
      bytes += body.length + answer.length
      return answer
    }
    t.match(await a.antiEntropy.exchange(peer), { equal: true, messages: 1 })
    t.ok(bytes > 40 && bytes <= 200, `${bytes} bytes`)
  })

  t.test('ends when its time is over, keeps what it moved, and the next one goes on', async t => {
    const { a, b } = await createSides()
    for (let i = 0; i < 9_000; i++) void b.replica.apply(utf8(`{t}${i}`), 'row', ROW)
    await b.replica.apply(utf8('last'), 'row', ROW)
    const applyAll = a.replica.applyAll.bind(a.replica)
    a.replica.applyAll = rows => {
      a.clock.now += rows.length
      return applyAll(rows)
    }
    const first = await a.antiEntropy.exchange(peer, { exchangeMs: 1_000 })
    t.match(first, { equal: false, complete: false })
    t.ok(first.rowsReceived > 1_000 && first.rowsReceived < 9_000, `${first.rowsReceived} rows`)
    const second = await a.antiEntropy.exchange(peer)
    t.match(second, { equal: true, rowsReceived: 9_001 - first.rowsReceived })
  })

  t.test('goes round all peers, however much one of them has to say', async t => {
    const { a, b } = await createSides()
    for (let i = 0; i < 9_000; i++) void b.replica.apply(utf8(`{t}${i}`), 'row', ROW)
    await b.replica.apply(utf8('last'), 'row', ROW)
    const peers = [peer, 'c' as NodeId]
    Object.defineProperty(a.membership, 'peers', { get: () => peers })
    const asked: NodeId[] = []
    const ask = a.membership.ask.bind(a.membership)
    a.membership.ask = (to, ...question) => {
      asked.push(to)
      // Each answer takes so long that a few of them are a turn.
      a.clock.now += 4_000
      return ask(peer, ...question)
    }
    a.antiEntropy.sharedSlots = () => Uint16Array.of(1)
    const reports = await a.antiEntropy.round()
    t.match(reports, [{ peer, equal: false, complete: false }])
    t.ok(asked.filter(to => to === peer).length < 6)
    t.ok(asked.includes('c' as NodeId))
  })

  t.test('is answered a few requests at a time, and the others are refused', async t => {
    const { a, b } = await createSides()
    let go: () => void = () => {}
    const held = new Promise<void>(resolve => (go = resolve))
    const applyAll = b.replica.applyAll.bind(b.replica)
    b.replica.applyAll = async rows => {
      await held
      return applyAll(rows)
    }
    const row = { key: utf8('k'), bytes: ROW }
    const none = { salt: 0, root: undefined, hashes: [], lists: [], wants: [] }
    const body = encodeExchangeRequest({ ...none, rows: [row] })
    const ask = () => a.membership.ask(peer, 'exchange', body, { deadlineMs: 60_000 })
    const all = Promise.allSettled(Array.from({ length: 6 }, ask))
    await turns()
    go()
    const results = await all
    const refused = results.filter(result => result.status === 'rejected')
    t.equal(refused.length, 2)
    for (const { reason } of refused) t.match(reason, { code: 'ERR_OVERLOADED' })
    await t.resolves(ask(), 'and when those are done there is room again')
  })

  t.test('is given up when the members change under it, and the next one finishes', async t => {
    const { a, b } = await createSides()
    await b.replica.mutate(utf8('theirs'), setTo('v'), false)
    const exchange = a.antiEntropy.exchange(peer)
    for (const { membership } of [a, b]) await membership.announce('up')
    await t.rejects(exchange, HearsayError)
    await a.membership.compare(peer)
    t.match(await a.antiEntropy.exchange(peer), { equal: true, rowsReceived: 1 })
  })
})

interface MemberParts {
  readonly membership: Membership
  readonly network: ReturnType<Hub['join']>
  readonly store: WatchedStore
  readonly meter: Counters
  rolledBack: number
}

function createMember(hub: Hub, id: string, disk = new MemoryDisk()): MemberParts {
  const network = hub.join(id)
  const store = new WatchedStore({ disk })
  const meter = new Counters()
  let incarnation = 0n
  const components: MembershipComponents = {
    network,
    store,
    clock: new HandClock(),
    timers: noTimers,
    random: new Stream(1, id),
    log: silent,
    meter,
    nextIncarnation: () => ++incarnation,
    actor: () => 1n,
    remembered: new Remembered({ store, log: silent, mark: () => MARK_NONE, knows: () => true }),
    onRolledBack: async () => {
      parts.rolledBack++
    }
  }
  const membership = new Membership(components, { n: 3 })
  const parts: MemberParts = { membership, network, store, meter, rolledBack: 0 }
  return parts
}

const member = (id: string, incarnation = 1n, state: MemberState = 'up'): Member => ({
  id: id as NodeId,
  incarnation,
  state,
  addresses: [`hub/${id}`],
  weight: 1,
  zone: '',
  actor: 1n
})

const tableOf = (...members: Member[]) => encodeTable(new MemberTable(members))
const tableSize = ({ membership }: MemberParts) => encodeTable(membership.view.table).length
const turns = () => new Promise(resolve => setImmediate(resolve))

t.test('members', async t => {
  t.test('with differing views agree on one before a request is served, once', async t => {
    for (const more of ['asks', 'is asked', 'both']) {
      const hub = new Hub()
      const [a, b] = [createMember(hub, 'a'), createMember(hub, 'b')]
      await a.membership.announce('up')
      await b.membership.announce('up')
      if (more !== 'is asked') a.network.gossip('c', tableOf(member('c')))
      if (more !== 'asks') b.network.gossip('d', tableOf(member('d')))
      const served: string[] = []
      b.membership.serve('read', async (from, body) => {
        t.equal(b.membership.view.fingerprint, a.membership.view.fingerprint)
        served.push(`${from} ${text(body)}`)
        return utf8('answer')
      })
      const options = { deadlineMs: 1_000 }
      const answer = await a.membership.ask('b' as NodeId, 'read', utf8('key'), options)
      t.equal(text(answer), 'answer')
      t.same(served, ['a key'], more)
      a.network.asked.length = 0
      await a.membership.ask('b' as NodeId, 'read', utf8('key'), options)
      t.equal(a.network.asked.length, 1, 'a view that is agreed on costs nothing')
    }
  })

  t.test('give up on one with whom no view can be agreed on', async t => {
    const hub = new Hub()
    const a = createMember(hub, 'a')
    const other = hub.join('b')
    let asked = 0
    other.handle('read', async () =>
      encodeReply({ table: tableOf(member('c', BigInt(++asked))), marks })
    )
    const ask = a.membership.ask('b' as NodeId, 'read', utf8('key'), { deadlineMs: 1_000 })
    await t.rejects(ask, { code: 'ERR_NETWORK', message: /changed too often/ })
    t.equal(asked, 5)
  })

  t.test('refuse what cannot be read', async t => {
    const hub = new Hub()
    const [a, b] = [createMember(hub, 'a'), createMember(hub, 'b')]
    b.membership.serve('read', async () => utf8('answer'))
    const options = { deadlineMs: 1_000 }
    const protocol = { code: 'ERR_PROTOCOL' }
    await t.rejects(a.network.request('b' as NodeId, 'read', utf8('no ask')), protocol)
    await t.rejects(a.network.request('b' as NodeId, 'members', utf8('no table')), protocol)
    hub.join('c').handle('read', async () => utf8('no reply'))
    await t.rejects(a.membership.ask('c' as NodeId, 'read', utf8('key'), options), protocol)
    hub.join('d').handle('read', async () => encodeReply({ table: utf8('no table'), marks }))
    await t.rejects(a.membership.ask('d' as NodeId, 'read', utf8('key'), options), protocol)
  })

  t.test('take from gossip only what a node says of itself', async t => {
    const { membership, network, meter } = createMember(new Hub(), 'a')
    network.gossip('b', tableOf(member('c')))
    network.gossip('b', tableOf(member('b'), member('c')))
    network.gossip('b', utf8('gibberish'))
    t.equal(membership.view.table.size, 0)
    t.equal(meter.totals()['gossip.refused'], 3)
    network.gossip('b', tableOf(member('b')))
    t.equal(membership.view.table.size, 1)
    t.same(network.learned.get('b' as NodeId), ['hub/b'])
  })

  t.test('beyond what a table may hold are left out, and change nothing', async t => {
    const { membership, network } = createMember(new Hub(), 'a')
    for (let i = 0; i < 260; i++) network.gossip(`b${i}`, tableOf(member(`b${i}`)))
    t.equal(membership.view.table.size, 256)
    const { fingerprint } = membership.view
    network.gossip('b0', tableOf(member('b0', 2n)))
    t.not(membership.view.fingerprint, fingerprint, 'those that are in it still are heard')
  })

  t.test('are not set back by what is old', async t => {
    const { membership, network } = createMember(new Hub(), 'a')
    network.gossip('b', tableOf(member('b', 5n, 'left')))
    network.gossip('b', tableOf(member('b', 4n, 'up')))
    t.equal(membership.view.table.get('b' as NodeId)?.state, 'left')
  })

  t.test('have each what the other had after a comparison', async t => {
    const hub = new Hub()
    const [a, b] = [createMember(hub, 'a'), createMember(hub, 'b')]
    await a.membership.announce('up')
    await b.membership.announce('joining')
    await a.membership.compare('b' as NodeId)
    t.equal(a.membership.view.fingerprint, b.membership.view.fingerprint)
    t.equal(b.membership.view.table.size, 2)
  })

  t.test('are told by one whose disk is full that it has not noted them', async t => {
    const hub = new Hub()
    const [a, b] = [createMember(hub, 'a'), createMember(hub, 'b')]
    await b.membership.announce('up')
    t.equal(await a.membership.compare('b' as NodeId), true)
    b.store.refuses = () => true
    await a.membership.announce('up')
    t.equal(await a.membership.compare('b' as NodeId), false)
    t.equal(a.membership.view.fingerprint, b.membership.view.fingerprint, 'it is told all the same')
    t.equal(await a.membership.compare('b' as NodeId), false)
    b.network.gossip('c', tableOf(member('c')))
    await a.membership.compare('b' as NodeId)
    t.equal(a.membership.view.table.size, 3, 'and tells what it has heard')
    b.store.refuses = () => false
    t.equal(await a.membership.compare('b' as NodeId), true, 'what was refused is written again')
    t.equal(b.store.get('meta', utf8('members'))?.length, tableSize(b))
  })

  t.test('that count do not go back to joining, whatever an earlier life has said', async t => {
    const hub = new Hub()
    const [a, b] = [createMember(hub, 'a'), createMember(hub, 'b')]
    await a.membership.announce('up')
    b.network.gossip('a', tableOf(member('a', 7n, 'joining')))
    await a.membership.compare('b' as NodeId)
    await turns()
    t.match(a.membership.self, { state: 'filled', incarnation: 9n })
    const states = a.store.commits.flatMap(({ writes }) =>
      writes.flatMap(
        ({ value }) => decodeTable(value as Uint8Array)?.get('a' as NodeId)?.state ?? []
      )
    )
    t.same(states, ['up', 'filled', 'filled'], 'nor on disk')
  })

  t.test('that come back say of themselves what the others heard last', async t => {
    for (const [own, others, said] of [
      ['filled', 'up', 'up'],
      ['up', 'filled', 'filled'],
      ['filled', 'filled', 'filled']
    ] as const) {
      const hub = new Hub()
      const [a, b] = [createMember(hub, 'a'), createMember(hub, 'b')]
      a.network.gossip('a', tableOf(member('a', 3n, own)))
      b.network.gossip('a', tableOf(member('a', 7n, others)))
      a.membership.announceOnContact()
      await a.membership.compare('b' as NodeId)
      t.match(a.membership.self, { state: said, incarnation: 8n })
      await b.membership.compare('a' as NodeId)
      t.match(b.membership.view.table.get('a' as NodeId), { state: said, incarnation: 8n })
    }
  })

  t.test('are known again after a restart', async t => {
    const disk = new MemoryDisk()
    const before = createMember(new Hub(), 'a', disk)
    await before.membership.announce('up')
    before.network.gossip('b', tableOf(member('b')))
    await before.membership.stop()
    const { membership } = createMember(new Hub(), 'a', disk)
    t.equal(membership.view.fingerprint, before.membership.view.fingerprint)
    t.same(membership.peers, ['b'])
  })

  t.test('announce themselves in words newer than any that are known', async t => {
    const { membership, network } = createMember(new Hub(), 'a')
    network.gossip('a', tableOf(member('a', 9n)))
    await membership.announce('up')
    t.equal(membership.self?.incarnation, 10n)
    const said = decodeTable(network.published.at(-1) as Uint8Array)
    t.same(said?.get('a' as NodeId), membership.self)
    t.equal(said?.size, 1)
  })

  t.test('that are remembered better than they remember notice it, and say so', async t => {
    const hub = new Hub()
    const [a, b] = [createMember(hub, 'a'), createMember(hub, 'b')]
    await a.membership.announce('up')
    b.network.gossip('a', tableOf(member('a', 7n)))
    await a.membership.compare('b' as NodeId)
    await turns()
    t.equal(a.rolledBack, 1)
    t.equal(a.membership.self?.incarnation, 8n)
    await a.membership.compare('b' as NodeId)
    t.equal(a.rolledBack, 1)
    t.equal(b.membership.view.table.get('a' as NodeId)?.incarnation, 8n)
  })
})

const up = (world: World, host: number) => world.host(host).node !== undefined
const opinionAt = (world: World, at: number, of: number) =>
  world
    .node(at)
    .status()
    .members.find(({ id }) => id === `n${of}`)
const isDown = (world: World, at: number, of: number) =>
  opinionAt(world, at, of)?.liveness === 'down'

t.test('a directory that was rolled back', async t => {
  /** Host 1 has forgotten what was written since its backup; n2 has never heard of that. */
  async function rolledBack() {
    const world = await formWorld()
    await world.until(world.node(0).put('k', 'old', { level: 'all' }))
    await world.stop(1)
    const backup = backUp(world.host(1).disk)
    const before = world.node(0).status()
    world.start(1)
    await runUntil(world, () => up(world, 1))
    for (const host of [0, 1, 2]) await world.until(world.node(host).pause('anti-entropy'))
    for (const host of [0, 1, 2]) await world.until(world.node(host).pause('hints'))
    cut(world, 0, 2)
    cut(world, 1, 2)
    await runUntil(world, () => isDown(world, 0, 2))
    await world.until(world.node(0).put('k', 'new', { level: 'two' }))
    const actor = world.node(1).status().actor
    await world.stop(1)
    world.host(1).disk = backup
    mend(world, 0, 2)
    mend(world, 1, 2)
    return { world, before, actor }
  }

  t.test('is noticed, and does not count until it is whole again', async t => {
    const { world, actor } = await rolledBack()
    world.start(1)
    await runUntil(world, () => up(world, 1))
    await runUntil(world, () => world.node(1).status().fillingSlots > 0)
    const status = world.node(1).status()
    t.not(status.actor, actor)
    t.equal(status.fillingSlots, 16_384)
    const { answers, value } = await world.until(world.node(1).read('k', { level: 'quorum' }))
    t.same(answers.map(({ node }) => node).sort(), ['n0', 'n2'], 'it asks itself last')
    t.equal(text(value as Uint8Array), 'new')
    const all = world.node(1).read('k', { level: 'all' })
    const error = await world.until(all.catch((error: unknown) => error))
    t.match((error as QuorumFailedError).failures.get('n1' as NodeId), { message: /does not know/ })
    for (const host of [0, 1, 2]) await world.until(world.node(host).resume('anti-entropy'))
    await runUntil(world, () => world.node(1).status().fillingSlots === 0)
    t.equal(storedAt(world, 1, 'k'), storedAt(world, 0, 'k'))
    const again = await world.until(world.node(1).read('k', { level: 'all' }))
    t.ok(again.answers.every(({ answer }) => answer === 'row'))
    t.same(world.fabric.bugs, [])
  })

  t.test('serves nothing old with those who missed what it has forgotten', async t => {
    const { world } = await rolledBack()
    await world.stop(0)
    await runUntil(world, () => isDown(world, 2, 0))
    world.start(1)
    await runUntil(world, () => up(world, 1))
    for (const host of [1, 2]) {
      const read = world.node(host).get('k', { level: 'quorum' })
      await t.rejects(world.until(read), { code: 'ERR_QUORUM' }, `through host ${host}`)
    }
    for (const host of [1, 2]) await world.until(world.node(host).resume('anti-entropy'))
    await world.run(30_000)
    t.ok(world.node(1).status().fillingSlots > 0, 'to have matched with n2 alone proves nothing')
    await t.rejects(world.until(world.node(2).get('k')), { code: 'ERR_QUORUM' })
    world.start(0)
    await runUntil(world, () => world.node(1).status().fillingSlots === 0)
    t.equal(text((await world.until(world.node(2).get('k'))) as Uint8Array), 'new')
  })

  t.test('is as whole as it gets where nobody else has copies', async t => {
    const world = await formWorld({ n: 1 })
    const key = keyWhere(world, 1, owners => owners[0] === 1)
    await world.until(world.node(1).put(key, 'v'))
    await world.stop(1)
    const backup = backUp(world.host(1).disk)
    world.start(1)
    await runUntil(world, () => up(world, 1))
    await world.stop(1)
    world.host(1).disk = backup
    world.start(1)
    await runUntil(world, () => up(world, 1))
    await runUntil(world, () => world.node(1).status().fillingSlots === 0)
    t.equal(text((await world.until(world.node(0).get(key))) as Uint8Array), 'v')
  })
})

t.test('a node that is told of another process with its identity', async t => {
  t.test('refuses every request with that, and the others go on without it', async t => {
    const world = await formWorld()
    await world.until(world.node(0).put('k', 'v', { level: 'all' }))
    const node = world.node(1)
    world.host(1).endpoint?.duplicated()
    const refused = { code: 'ERR_DUPLICATE_IDENTITY' }
    await t.rejects(world.until(node.get('k', { level: 'one' })), refused)
    await t.rejects(world.until(node.put('k', 'w', { level: 'one' })), refused)
    await t.rejects(world.until(node.delete('k')), refused)
    await t.rejects(world.until(node.repair()), refused)
    t.same(world.host(1).endpoint?.connected(), [])
    const { acknowledged } = await world.until(world.node(0).put('k', 'w', { level: 'quorum' }))
    t.same([...acknowledged].sort(), ['n0', 'n2'])
  })
})

t.test('an owner that was away while others joined', async t => {
  /** What it alone had acknowledged: the newcomers are filled without it, and wait for it to count. */
  async function stranded() {
    const world = await createWorld({ nodes: 5, n: 3 })
    await world.form(world.hosts.slice(0, 3))
    const key = keyWhere(world, 3, owners => !owners.includes(0))
    for (const host of [1, 2]) cut(world, 0, host)
    await world.until(world.node(0).put(key, 'alone', { level: 'one' }))
    await world.until(world.node(0).dropHints())
    world.crash(0)
    for (const host of [1, 2]) mend(world, 0, host)
    for (const host of [3, 4]) world.start(host)
    const states = () => [3, 4].map(host => opinionAt(world, 1, host)?.state)
    await runUntil(world, () => states().every(state => state === 'filled'))
    await world.run(20_000)
    t.same(states(), ['filled', 'filled'])
    t.notOk([1, 2, 3, 4].some(host => storedAt(world, host, key)))
    return { world, key }
  }

  t.test('hands over what it still holds, once', async t => {
    const { world, key } = await stranded()
    world.start(0)
    await runUntil(world, () => [3, 4].every(host => opinionAt(world, 1, host)?.state === 'up'))
    await runUntil(world, () => [1, 2, 3, 4].filter(host => storedAt(world, host, key)).length >= 3)
    t.equal(
      await world.until(
        world
          .node(1)
          .get(key)
          .then(value => value && text(value))
      ),
      'alone'
    )
    const failed = () => world.node(0).status().counters['leftovers.failed'] ?? 0
    const slots = () => world.node(0).status().counters['leftovers.slots'] ?? 0
    await world.run(10_000)
    const before = slots()
    t.ok(before >= 1)
    await world.until(world.node(1).put(key, 'later'))
    await world.run(10_000)
    t.equal(slots(), before)
    t.equal(failed(), 0)
    t.not(storedAt(world, 0, key), storedAt(world, 1, key), 'what is written later is not its own')
    world.crash(0)
    world.start(0)
    await runUntil(world, () => up(world, 0))
    await world.run(10_000)
    t.equal(slots(), 0, 'nor after a restart')
    t.same(world.fabric.bugs, [])
  })

  t.test('speaks of slots that the other owns, or is refused', async t => {
    const none = { salt: 0, root: undefined, hashes: [], lists: [], wants: [], rows: [] }
    const parts = await openReplica()
    const serve = new Map<string, (from: NodeId, body: Uint8Array) => Promise<Uint8Array>>()
    const flags = new Uint8Array(16_384).fill(1, 0, 10)
    const placement = { owned: () => flags }
    const membership = {
      id: 'a',
      peers: ['b'],
      view: { all: placement, fingerprint: 'view' },
      serve: (name: string, handler: (from: NodeId, body: Uint8Array) => Promise<Uint8Array>) =>
        serve.set(name, handler),
      onView: () => () => {}
    } as unknown as Membership
    const liveness = { isAlive: () => true } as unknown as Liveness
    new AntiEntropy({ ...parts, membership, liveness, log: silent, timers: noTimers })
    const ask = (...slots: number[]) =>
      serve.get('exchange')?.(
        'b' as NodeId,
        encodeExchangeRequest({ ...none, slots: Uint16Array.from(slots) })
      ) as Promise<Uint8Array>
    t.ok(await ask(3, 9))
    await t.rejects(ask(3, 10), { code: 'ERR_PROTOCOL' }, 'one of them is not its own')
    await t.rejects(ask(), { code: 'ERR_PROTOCOL' })
    t.equal(parts.meter.totals()['exchange.malformed'], 2)
    const row = { key: utf8('k'), bytes: ROW }
    parts.replica.mayTake = () => false
    const body = encodeExchangeRequest({ ...none, rows: [row], slots: Uint16Array.of(3) })
    const answer = await serve.get('exchange')?.('b' as NodeId, body)
    t.match(decodeExchangeAnswer(answer as Uint8Array), { refused: 1, aside: 1 })
    t.equal(parts.replica.read(row.key).answer, 'absent', 'and tells of what it may not take')
  })
})

t.test('a node that joins', async t => {
  /** Three are up and have rows; the fourth has begun to join and reaches n0 alone. */
  async function joining() {
    const world = await createWorld({ nodes: 4 })
    for (const host of [0, 1, 2]) world.start(host)
    await runUntil(world, () => [0, 1, 2].every(host => up(world, host)))
    await runUntil(world, () => !isDown(world, 0, 1) && !isDown(world, 0, 2))
    for (let i = 0; i < 60; i++) {
      await world.until(world.node(i % 3).put(`key ${i}`, `value ${i}`, { level: 'all' }))
    }
    cut(world, 3, 1)
    cut(world, 3, 2)
    world.start(3)
    await runUntil(world, () => opinionAt(world, 1, 3)?.state === 'joining')
    await world.run(5_000)
    return world
  }

  async function finishes(t: Test, world: World) {
    await runUntil(world, () => up(world, 3))
    t.equal(world.node(3).status().state, 'up')
    await runUntil(world, () => opinionAt(world, 1, 3)?.state === 'up')
    await runUntil(world, () => !isDown(world, 3, 1) && !isDown(world, 3, 2))
    for (let i = 0; i < 60; i++) {
      const { answers, value } = await world.until(world.node(3).read(`key ${i}`, { level: 'all' }))
      t.equal(value && text(value), `value ${i}`)
      t.ok(answers.every(({ answer }) => answer === 'row'))
    }
  }

  t.test('does not count before it has matched with a majority', async t => {
    const world = await joining()
    t.notOk(up(world, 3))
    for (let i = 0; i < 20; i++) {
      const { answers } = await world.until(world.node(1).read(`key ${i}`, { level: 'all' }))
      t.same(answers.map(({ node }) => node).sort(), ['n0', 'n1', 'n2'])
    }
    mend(world, 3, 1)
    mend(world, 3, 2)
    await finishes(t, world)
    t.same(world.fabric.bugs, [])
  })

  t.test('and crashes in the middle goes on with it when it is back', async t => {
    const world = await joining()
    world.crash(3)
    await world.run(2_000)
    world.start(3)
    await world.run(5_000)
    t.equal(opinionAt(world, 0, 3)?.state, 'joining')
    t.notOk(up(world, 3))
    mend(world, 3, 1)
    mend(world, 3, 2)
    await finishes(t, world)
  })

  t.test('does not count while its disk refuses what it is sent', async t => {
    const world = await joining()
    world.crash(3)
    mend(world, 3, 1)
    mend(world, 3, 2)
    world.start(3)
    world.diskFaults = { ...world.diskFaults, refuse: 0.6 }
    await world.run(10_000)
    world.diskFaults = { ...world.diskFaults, refuse: 0 }
    const rows = rowsOf(world.host(3).disk).size
    if (up(world, 3)) t.ok(rows >= 30, `it counts with ${rows} rows`)
    await finishes(t, world)
  })
})

t.test('a write', async t => {
  const applied = (world: World) => world.fabric.delivered.get('request:apply') ?? 0

  t.test('for which too few are alive is refused before anything is stored or sent', async t => {
    const world = await formWorld()
    await world.until(world.node(0).put('k', 'v', { level: 'all' }))
    const before = storedAt(world, 0, 'k')
    world.crash(1)
    world.crash(2)
    await runUntil(world, () => isDown(world, 0, 1) && isDown(world, 0, 2))
    const sent = applied(world)
    const error = await world.until(
      world
        .node(0)
        .put('k', 'w')
        .catch((error: unknown) => error)
    )
    t.ok(error instanceof UnavailableError)
    t.match(error, { verb: 'write', level: 'quorum', needed: 2, alive: 1 })
    t.equal(storedAt(world, 0, 'k'), before)
    t.equal(applied(world), sent)
    t.equal(world.node(0).status().hints.length, 0)
    const read = await world.until(
      world
        .node(0)
        .get('k')
        .catch((e: unknown) => e)
    )
    t.match(read, { code: 'ERR_UNAVAILABLE', verb: 'read', needed: 2, alive: 1 })
    const four = world.node(0).put('k', 'w', { level: 4 })
    t.match(await world.until(four.catch((e: unknown) => e)), { needed: 4, alive: 1 })
  })

  t.test('that too many refuse fails with what each of them said', async t => {
    const world = await formWorld()
    world.host(0).clock.jump(100_000)
    const error = await world.until(
      world
        .node(0)
        .put('k', 'v')
        .catch((error: unknown) => error)
    )
    t.ok(error instanceof QuorumFailedError)
    t.match(error, { verb: 'write', needed: 2, acknowledged: ['n0'] })
    const { failures } = error as QuorumFailedError
    t.same([...failures.keys()].sort(), ['n1', 'n2'])
    for (const failure of failures.values()) t.match(failure, { code: 'ERR_CLOCK_SKEW' })
    t.ok(storedAt(world, 0, 'k'), 'what was stored stays')
    t.equal(world.node(0).status().hints.length, 2, 'and will spread')
    await world.run(150_000)
    t.equal(storedAt(world, 1, 'k'), storedAt(world, 0, 'k'))
    t.equal(storedAt(world, 2, 'k'), storedAt(world, 0, 'k'))
    t.equal(world.node(1).status().quarantined, 0)
  })

  t.test('that too few answer in time ends with its outcome unknown', async t => {
    const world = await formWorld()
    world.fabric.cut(1, 0)
    world.fabric.cut(2, 0)
    const put = world.node(0).put('k', 'v', { timeoutMs: 300 })
    const error = await world.until(put.catch((error: unknown) => error))
    t.ok(error instanceof TimeoutError)
    t.match(error, { verb: 'write', needed: 2, acknowledged: ['n0'], timeoutMs: 300 })
    t.equal(storedAt(world, 1, 'k'), storedAt(world, 0, 'k'), 'it was done all the same')
  })

  t.test('and a read that nobody answers end with a timeout, not with refusals', async t => {
    for (let seed = 0; seed < 6; seed++) {
      const world = await formWorld({ seed })
      world.fabric.cut(1, 0)
      world.fabric.cut(2, 0)
      const put = world.node(0).put('k', 'v', { timeoutMs: 300 })
      const get = world.node(0).read('l', { timeoutMs: 300 })
      const ended = await world.until(Promise.allSettled([put, get]))
      for (const each of ended) t.match(each, { reason: { code: 'ERR_TIMEOUT' } }, `seed ${seed}`)
    }
  })

  t.test('does not wait longer than it may for its own disk', async t => {
    const world = await formWorld()
    world.diskFaults = { ...world.diskFaults, commitMinMs: 10_000 }
    const then = world.scheduler.now
    const put = world.node(0).put('k', 'v', { timeoutMs: 300 })
    const error = await world.until(put.catch((error: unknown) => error))
    t.match(error, { code: 'ERR_TIMEOUT', needed: 2, acknowledged: [] })
    t.ok(world.scheduler.now - then < 400)
    await world.run(30_000)
    t.equal(storedAt(world, 1, 'k'), storedAt(world, 0, 'k'), 'and goes on meanwhile')
    t.ok(storedAt(world, 1, 'k'))
  })

  t.test('that is given up is given up at once, with the reason', async t => {
    const world = await formWorld()
    const sent = applied(world)
    const reason = new Error('changed my mind')
    const given = AbortSignal.abort(reason)
    for (const call of [
      world.node(0).put('k', 'v', { signal: given }),
      world.node(0).read('k', { signal: given })
    ]) {
      t.equal(await call.catch((error: unknown) => error), reason)
    }
    await world.run(1_000)
    t.equal(applied(world), sent)
    t.equal(storedAt(world, 0, 'k'), undefined)
    world.fabric.cut(1, 0)
    world.fabric.cut(2, 0)
    const controller = new AbortController()
    const put = world.node(0).put('k', 'v', { signal: controller.signal })
    const get = world.node(0).read('k', { signal: controller.signal })
    const ended = Promise.allSettled([put, get])
    await world.run(50)
    const then = world.scheduler.now
    controller.abort(reason)
    for (const each of await world.until(ended)) {
      t.equal((each as PromiseRejectedResult).reason, reason)
    }
    t.ok(world.scheduler.now - then < 10)
    t.same(world.fabric.bugs, [])
  })

  t.test('at one owner is hinted for those who did not get it', async t => {
    const world = await formWorld()
    world.crash(2)
    await runUntil(world, () => isDown(world, 0, 2))
    const { hinted, acknowledged } = await world.until(
      world.node(0).put('k', 'v', { level: 'two' })
    )
    t.same(hinted, ['n2'])
    t.same([...acknowledged].sort(), ['n0', 'n1'])
    world.start(2)
    await runUntil(world, () => storedAt(world, 2, 'k') === storedAt(world, 0, 'k'))
    await runUntil(world, () => world.node(0).status().hints.length === 0)
    t.ok((world.node(0).status().counters['hints.replayed'] ?? 0) >= 1)
  })
})

t.test('a delete', async t => {
  /** A value that two nodes acknowledged and the third, which is to delete it, has not heard of. */
  async function missing() {
    const world = await formWorld()
    for (const host of [0, 1, 2]) {
      await world.until(world.node(host).pause('hints'))
      await world.until(world.node(host).pause('anti-entropy'))
    }
    cut(world, 0, 2)
    await world.until(world.node(0).put('k', 'v'))
    mend(world, 0, 2)
    t.equal(storedAt(world, 2, 'k'), undefined)
    return world
  }

  t.test('also deletes what its coordinator has missed', async t => {
    const world = await missing()
    const result = await world.until(world.node(2).delete('k'))
    t.same(
      Object.keys(result).sort(),
      ['acknowledged', 'changed', 'hinted', 'version'],
      'and nothing else'
    )
    const { version } = result
    for (const host of [0, 1, 2]) {
      const read = await world.until(world.node(host).read('k'))
      t.match(read, { value: undefined, version }, `through node ${host}`)
    }
    t.equal(storedAt(world, 0, 'k'), storedAt(world, 2, 'k'), 'owners are in step')
  })

  t.test('leaves a put of unknown outcome that nobody could tell it of', async t => {
    const world = await formWorld()
    for (const host of [1, 2]) cut(world, 0, host)
    const put = world.node(0).put('k', 'v', { timeoutMs: 300 })
    t.match(await world.until(put.catch((error: unknown) => error)), { code: 'ERR_TIMEOUT' })
    const { version } = await world.until(world.node(1).delete('k'))
    for (const host of [1, 2]) mend(world, 0, host)
    await runUntil(world, () => storedAt(world, 0, 'k') === storedAt(world, 1, 'k'))
    const read = await world.until(world.node(2).read('k'))
    t.equal(
      text(read.value ?? utf8('')),
      'v',
      'the two are concurrent, and a delete wins over none'
    )
    t.ok((read.version ?? '') < version)
    await world.until(world.node(0).delete('k'))
    t.equal(await world.until(world.node(2).get('k')), undefined)
  })

  t.test('that looked first has a whole number of milliseconds left', async t => {
    let now = 0
    const catchUp = new CatchUp({
      membership: {
        view: { ownersOf: () => ownersOf(['a', 'b', 'c'] as NodeId[]) }
      } as unknown as Membership,
      replica: { apply: () => Promise.reject(new Error('there is nothing to learn')) },
      reader: {
        read: async () => {
          now += 12.3
          return { row: ROW_EMPTY, answers: [], repaired: [] }
        }
      },
      clock: { monoMs: () => now, wallMs: () => now }
    })
    const operation = { do: 'delete' } as const
    const write = {
      key: utf8('k'),
      operation,
      level: 'quorum',
      flush: false,
      timeoutMs: 100
    } as const
    t.equal((await catchUp.before(write)).timeoutMs, 87, 'what is told by the wire')
    t.equal((await catchUp.before({ ...write, timeoutMs: 12 })).timeoutMs, 1)
  })

  t.test('that ran out of time after its look tells all the time that it had', async t => {
    const world = await formWorld()
    await world.until(world.node(0).put('k', 'v', { level: 'all' }))
    const before = storedAt(world, 0, 'k')
    const erase = world.node(0).delete('k', { level: 'all', timeoutMs: 300 })
    const ended = erase.catch((error: unknown) => error)
    await runUntil(world, () => storedAt(world, 0, 'k') !== before, 300, 1)
    world.fabric.cut(1, 0)
    world.fabric.cut(2, 0)
    const error = await world.until(ended)
    t.ok(error instanceof TimeoutError)
    t.match(error, { needed: 3, acknowledged: ['n0'], timeoutMs: 300 })
  })

  t.test('at a level of one does not wait for others', async t => {
    const world = await missing()
    cut(world, 0, 2)
    cut(world, 1, 2)
    await world.until(world.node(2).delete('k', { level: 'one' }))
    t.ok(storedAt(world, 2, 'k'))
  })

  t.test('that cannot look first has done nothing, and says so as a write', async t => {
    const world = await missing()
    cut(world, 0, 2)
    cut(world, 1, 2)
    const erase = () => world.node(2).delete('k', { timeoutMs: 300 })
    const failed = () => world.until(erase().catch((error: unknown) => error))
    t.match(await failed(), { code: 'ERR_TIMEOUT', verb: 'write', acknowledged: [] })
    await runUntil(world, () => isDown(world, 2, 0) && isDown(world, 2, 1))
    t.match(await failed(), { code: 'ERR_UNAVAILABLE', verb: 'write', alive: 1 })
    t.equal(storedAt(world, 2, 'k'), undefined)
  })
})

t.test('a write through a node that does not own the key', async t => {
  const passedOn = async (init = {}) => {
    const world = await formWorld({ nodes: 4, ...init })
    const key = keyWhere(world, 3, owners => !owners.includes(3) && owners[0] === 0)
    return { world, key, node: world.node(3) }
  }

  t.test('is coordinated by an owner and nothing of it stays behind', async t => {
    const { world, key, node } = await passedOn()
    const { acknowledged } = await world.until(node.put(key, 'v', { level: 'all' }))
    t.same([...acknowledged].sort(), ['n0', 'n1', 'n2'])
    t.equal(storedAt(world, 3, key), undefined)
    t.equal(text((await world.until(node.get(key))) as Uint8Array), 'v')
    await world.until(node.delete(key))
    t.equal(await world.until(node.get(key)), undefined)
  })

  t.test('is hinted under its own key, though its bytes are gone by then', async t => {
    const { world, key, node } = await passedOn()
    for (const [from, to] of [
      [2, 0],
      [2, 1]
    ] as const) {
      world.fabric.cut(from, to)
    }
    await world.until(node.put(key, 'v', { level: 'two' }))
    const hints = () => [0, 1].flatMap(host => world.host(host).disk.pairs('hints'))
    await runUntil(world, () => hints().length > 0)
    t.same(
      hints().map(([id]) => text(id)),
      [`n2\0${key}`]
    )
  })

  t.test('fails with the errors of its owner, of the same class and fields', async t => {
    const { world, key, node } = await passedOn()
    const failure = (options = {}, value: string | Uint8Array = 'v') =>
      world.until(node.put(key, value, options).catch((error: unknown) => error))
    const size = await failure({}, new Uint8Array(1024 * 1024))
    t.match(size, { code: 'ERR_ROW_SIZE' })
    const level = await failure({ level: 4 })
    t.ok(level instanceof UnavailableError)
    t.match(level, { verb: 'write', level: '4', needed: 4, alive: 3 })
    for (const host of [0, 1, 2])
      for (const to of [0, 1, 2]) if (host !== to) world.fabric.cut(host, to)
    const timeout = await failure({ timeoutMs: 200 })
    t.ok(timeout instanceof TimeoutError)
    t.match(timeout, { needed: 2, acknowledged: [/^n[012]$/] })
    const { timeoutMs } = timeout as TimeoutError
    t.ok(timeoutMs > 150 && timeoutMs <= 200, `it took ${timeoutMs} ms`)
  })

  t.test('fails with what the replicas said', async t => {
    const { world, key, node } = await passedOn()
    world.host(0).clock.jump(100_000)
    const error = await world.until(node.put(key, 'v', { level: 'all' }).catch((e: unknown) => e))
    t.ok(error instanceof QuorumFailedError)
    const { failures, needed } = error as QuorumFailedError
    t.equal(needed, 3)
    t.ok(failures.size >= 1)
    for (const failure of failures.values()) t.match(failure, { code: 'ERR_CLOCK_SKEW' })
  })

  t.test('is unavailable when no owner is alive', async t => {
    const world = await formWorld({ n: 1 })
    const key = keyWhere(world, 1, owners => owners[0] === 1)
    world.crash(1)
    await runUntil(world, () => isDown(world, 0, 1))
    const error = await world.until(
      world
        .node(0)
        .put(key, 'v')
        .catch((e: unknown) => e)
    )
    t.ok(error instanceof UnavailableError)
    t.match(error, { verb: 'write', level: 'quorum', needed: 1, alive: 0 })
  })

  t.test('says how many it needed when its owner falls silent', async t => {
    const { world, key, node } = await passedOn()
    for (const host of [0, 1, 2]) world.fabric.cut(host, 3)
    const put = node.put(key, 'v', { level: 'all', timeoutMs: 300 })
    const error = await world.until(put.catch((e: unknown) => e))
    t.ok(error instanceof TimeoutError)
    t.match(error, { needed: 3, acknowledged: [], timeoutMs: 300 })
    t.ok(storedAt(world, 0, key) ?? storedAt(world, 1, key) ?? storedAt(world, 2, key))
  })
})
