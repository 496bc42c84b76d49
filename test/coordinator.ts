import t from 'tap'
import type { Fanout } from '../src/coordinator/fanout.ts'
import type { Liveness } from '../src/cluster/liveness.ts'
import type { Membership } from '../src/cluster/membership.ts'
import type { CatchUp } from '../src/coordinator/catch-up.ts'
import type { Blind } from '../src/coordinator/blind.ts'
import { Coordinator, type CoordinatorComponents } from '../src/coordinator/coordinator.ts'
import { REPAIRS_MAX } from '../src/coordinator/read-repair.ts'
import { Reader } from '../src/coordinator/reader.ts'
import { Writer } from '../src/coordinator/writer.ts'
import {
  HearsayError,
  NetworkError,
  QuorumFailedError,
  RemoteError,
  TimeoutError,
  UnavailableError
} from '../src/errors.ts'
import { encodeRow } from '../src/lattice/encode.ts'
import { timeOf } from '../src/lattice/hlc.ts'
import type { Network } from '../src/ports.ts'
import { assign, joinDelta, ROW_EMPTY, winner } from '../src/lattice/row.ts'
import type { ReplicaAnswer } from '../src/quorum/read.ts'
import type { Mutated, Replica } from '../src/replica/replica.ts'
import type { Owners } from '../src/ring/view.ts'
import { utf8 } from '../src/util/bytes.ts'
import { Counters } from '../src/util/counters.ts'
import type { NodeId } from '../src/util/node-id.ts'
import {
  decodeForward,
  decodeWritten,
  encodeFailure,
  encodeForward,
  encodeWritten
} from '../src/wire/forward.ts'
import {
  decodePassed,
  decodePassing,
  encodePassed,
  encodePassing,
  ID_BYTES
} from '../src/wire/passing.ts'
import { HandTime, turn } from './fixtures/hand-time.ts'
import { joining, ownersOf } from './fixtures/owners.ts'
import { setTo, silent } from './fixtures/engine-parts.ts'
import { actor } from './fixtures/lattice-arbitrary.ts'
import { Stream } from './fixtures/sim/random.ts'

const [a, b, c, d] = ['a', 'b', 'c', 'd'] as unknown as [NodeId, NodeId, NodeId, NodeId]
const owners = [a, b, c]
const key = utf8('k')

const never = new Promise<never>(() => {})
const delta = assign(ROW_EMPTY, utf8('v'), { actor: actor(1), time: timeOf(1) })

/** A promise that the test settles. */
function deferred<T>() {
  let resolve: (value: T) => void = () => {}
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<T>((yes, no) => ([resolve, reject] = [yes, no]))
  return { promise, resolve, reject }
}

const quorumRead = {
  key,
  level: 'quorum' as const,
  timeoutMs: 1_000,
  readRepair: 'blocking' as const
}

/** On node `d`, which owns nothing; `over` stands for how owners answer. */
function readerOver(over: object, time: HandTime, meter = new Counters()) {
  const view = { ownersOf: () => ownersOf(owners) }
  const membership = { id: d, view } as unknown as Membership
  const liveness = { inOrder: () => [...owners], opinion: () => 'alive' } as unknown as Liveness
  const fanout = {
    digestOf: () => encodeRow,
    isWholeHere: () => true,
    ...over
  } as unknown as Fanout
  return new Reader({ membership, liveness, fanout, clock: time, timers: time, meter })
}

t.test('a quorum read', async t => {
  /** `a` has the value and `b` has not; then `c` is asked because of its slowness, and `b` repaired. */
  async function repairing() {
    const time = new HandTime()
    const late = deferred<ReplicaAnswer>()
    const repair = deferred<void>()
    const row = joinDelta(ROW_EMPTY, delta)
    const answers = new Map([
      [a, deferred<ReplicaAnswer>()],
      [b, deferred<ReplicaAnswer>()],
      [c, late]
    ])
    const repairs: NodeId[] = []
    const fanout = {
      read: (node: NodeId) => answers.get(node)?.promise,
      apply: (node: NodeId) => {
        repairs.push(node)
        return repair.promise
      }
    }
    const reader = readerOver(fanout, time)
    const read = reader.read({ ...quorumRead, timeoutMs: 1_000 })
    await time.pass(200)
    answers.get(a)?.resolve({ answer: 'row', row })
    answers.get(b)?.resolve({ answer: 'absent' })
    await turn()
    t.same(repairs, [b])
    return { read, late, repair, repairs }
  }

  t.test('compares one who answers late, while a repair fails, before it counts', async t => {
    const { read, late, repair, repairs } = await repairing()
    late.resolve({ answer: 'absent' })
    await turn()
    repair.reject(new Error('gone'))
    t.equal(winner((await read).row), undefined, 'only one had it')
    t.same(repairs, [b, c])
  })

  t.test('counts one who answers late with the same in the place of one not repaired', async t => {
    const { read, late, repair, repairs } = await repairing()
    repair.reject(new Error('gone'))
    await turn()
    late.resolve({ answer: 'row', row: joinDelta(ROW_EMPTY, delta) })
    t.ok(winner((await read).row))
    t.same(repairs, [b])
  })

  t.test('counts one that was behind once it is repaired', async t => {
    const { read, repair } = await repairing()
    repair.resolve()
    t.match(await read, { repaired: [b] })
  })
})

t.test('a read', async t => {
  const row = joinDelta(ROW_EMPTY, delta)
  const holds: ReplicaAnswer = { answer: 'row', row }
  const absent: ReplicaAnswer = { answer: 'absent' }

  /** Owners that answer after so many milliseconds, each with what it holds. */
  function owning(parts: Record<string, readonly [afterMs: number, answer: ReplicaAnswer]>) {
    const time = new HandTime()
    const meter = new Counters()
    const asked: NodeId[] = []
    const written: NodeId[] = []
    const reader = readerOver(
      {
        read: (node: NodeId) => {
          asked.push(node)
          const [afterMs, answer] = parts[node] as readonly [number, ReplicaAnswer]
          return new Promise(resolve => time.after(afterMs, () => resolve(answer)))
        },
        apply: async (node: NodeId) => void written.push(node)
      },
      time,
      meter
    )
    const read = async (options: Partial<typeof quorumRead> | object = {}) => {
      asked.length = 0
      const result = reader.read({ ...quorumRead, ...options })
      result.catch(() => undefined)
      await time.pass(2_000)
      return { ...(await result), asked: [...asked] }
    }
    return { time, meter, read, written }
  }

  t.test('asks the fastest first once it knows them', async t => {
    const { read } = owning({ a: [40, holds], b: [20, holds], c: [5, holds] })
    t.same((await read({ level: 'all' })).asked, [a, b, c])
    t.same((await read()).asked, [c, b])
    t.same((await read({ level: 'one' })).asked, [c])
  })

  t.test('asks one more when one is later than it nearly always was', async t => {
    const parts: Record<string, readonly [number, ReplicaAnswer]> = {
      a: [10, holds],
      b: [11, holds],
      c: [12, holds]
    }
    const { read, meter, time } = owning(parts)
    for (let i = 0; i < 10; i++) await read({ level: 'all' })
    t.equal(meter.totals()['read.hedged'], undefined)
    parts.a = [500, holds]
    const before = time.now
    const slow = read()
    await time.pass(25)
    t.equal(meter.totals()['read.hedged'], 1)
    t.same((await slow).asked, [a, b, c])
    t.ok(time.now - before >= 25)
    t.same((await read()).asked, [b, c], 'and then others first')
  })

  t.test('does not take one for fast because it fails quickly', async t => {
    const failed: ReplicaAnswer = { answer: 'failed', error: new Error('gone') }
    const { read } = owning({ a: [1, failed], b: [50, holds], c: [60, holds] })
    t.same((await read()).asked, [a, b, c])
    t.same((await read()).asked, [b, c])
  })

  t.test('repairs before, after or not at all, and only who is behind', async t => {
    const parts = { a: [5, holds], b: [5, absent], c: [5, holds] } as const
    for (const readRepair of ['blocking', 'async', 'off'] as const) {
      const { read, written, meter } = owning(parts)
      const { row, repaired } = await read({ level: 'all', readRepair })
      t.ok(winner(row))
      t.same(repaired, readRepair === 'blocking' ? [b] : [])
      t.same(written, readRepair === 'off' ? [] : [b], readRepair)
      t.equal(meter.totals()['read-repair.later'], readRepair === 'async' ? 1 : undefined)
    }
  })

  t.test('does not fail because what it repairs afterwards cannot be repaired', async t => {
    const time = new HandTime()
    const meter = new Counters()
    const read = async (node: NodeId) => (node === a ? absent : holds)
    const apply = () => Promise.reject(new Error('full'))
    const reader = readerOver({ read, apply }, time, meter)
    t.ok(winner((await reader.read({ ...quorumRead, readRepair: 'async' })).row))
    await turn()
    t.equal(meter.totals()['read-repair.failed'], 1)
  })

  t.test('asks another owner in the place of one that cannot be repaired', async t => {
    const read = async (node: NodeId) => (node === a ? absent : holds)
    const apply = () => Promise.reject(new Error('full'))
    const reader = readerOver({ read, apply }, new HandTime())
    const { row, answers } = await reader.read(quorumRead)
    t.ok(winner(row))
    t.same(answers.map(({ node }) => node).sort(), [a, b, c])
  })

  t.test('leaves out what only one has and as many as it needs refuse', async t => {
    const read = async (node: NodeId) => (node === a ? holds : absent)
    const full = new Error('full')
    const reader = readerOver({ read, apply: () => Promise.reject(full) }, new HandTime())
    const { row } = await reader.read(quorumRead)
    t.equal(winner(row), undefined)
    const error = await reader
      .read({ ...quorumRead, level: 'all' })
      .catch((error: unknown) => error)
    t.ok(error instanceof QuorumFailedError)
    const { needed, failures } = error as QuorumFailedError
    t.equal(needed, 3)
    t.same(
      [...failures],
      [
        [b, full],
        [c, full]
      ],
      'and says why'
    )
  })

  t.test('whose last owner fails while it goes on ends at once', async t => {
    const failed: ReplicaAnswer = { answer: 'failed', error: new Error('gone') }
    const read = async (node: NodeId) => ({ a: holds, b: absent, c: failed })[node as 'a']
    const reader = readerOver(
      { read, apply: () => Promise.reject(new Error('full')) },
      new HandTime()
    )
    const error = await reader.read(quorumRead).catch((error: unknown) => error)
    t.match(error, { code: 'ERR_QUORUM', acknowledged: [a] })
    t.same([...(error as QuorumFailedError).failures.keys()].sort(), [b, c])
  })

  t.test('leaves repairs out when too many are under way, and counts them', async t => {
    const meter = new Counters()
    const read = async (node: NodeId) => (node === a ? absent : holds)
    const reader = readerOver({ read, apply: () => never }, new HandTime(), meter)
    const request = { ...quorumRead, readRepair: 'async' as const }
    for (let i = 0; i < REPAIRS_MAX + 5; i++) await reader.read(request)
    t.match(meter.totals(), { 'read-repair.later': REPAIRS_MAX, 'read-repair.no-room': 5 })
  })
})

t.test('a write', async t => {
  const request = { key, operation: setTo('v'), level: 'quorum' as const, flush: false }

  interface Parts {
    readonly owners?: Owners
    readonly mutated?: Promise<Mutated>
    /** By node; others never answer. */
    readonly applies?: readonly NodeId[]
    readonly down?: readonly NodeId[]
    readonly hint?: () => Promise<boolean>
  }

  /** On node `a`. */
  function writerOver(parts: Parts) {
    const time = new HandTime()
    const view = { ownersOf: () => parts.owners ?? ownersOf(owners) }
    const mutated = parts.mutated ?? Promise.resolve({ key, bytes: key, delta })
    const writer = new Writer({
      replica: { mutate: () => mutated } as unknown as Replica,
      membership: { id: a, view } as unknown as Membership,
      liveness: { isAlive: (node: NodeId) => !parts.down?.includes(node) } as unknown as Liveness,
      fanout: {
        apply: (node: NodeId) => (parts.applies?.includes(node) ? Promise.resolve() : never)
      } as unknown as Fanout,
      clock: time,
      timers: time,
      log: silent,
      hint: parts.hint ?? (() => Promise.resolve(true))
    })
    return { time, writer }
  }

  t.test('that is decided is told in time, however slowly hints are kept', async t => {
    const { time, writer } = writerOver({ applies: [b], down: [c], hint: () => never })
    const write = writer.write({ ...request, timeoutMs: 100 })
    await time.pass(100)
    t.match(await write, { acknowledged: [a, b], hinted: [] })
  })

  t.test('can be given up while its own disk is slow, or the hints are', async t => {
    const reason = new Error('changed my mind')
    for (const parts of [{ mutated: never }, { applies: [b], down: [c], hint: () => never }]) {
      const { time, writer } = writerOver(parts)
      const controller = new AbortController()
      const { signal } = controller
      const write = writer.write({ ...request, timeoutMs: 100, signal })
      const ended = write.catch((error: unknown) => error)
      await time.pass(10)
      controller.abort(reason)
      t.equal(await ended, reason)
    }
  })

  t.test('counts in its errors what has come for those who count least', async t => {
    const moving = joining([b, c, d, a], [d], 3)
    const { time, writer } = writerOver({ owners: moving, applies: [b] })
    const ended = writer.write({ ...request, timeoutMs: 100 }).catch((error: unknown) => error)
    await time.pass(100)
    t.match(await ended, { code: 'ERR_TIMEOUT', needed: 2, acknowledged: [b], timeoutMs: 100 })
    const down = writerOver({ owners: joining([b, c, a], [c], 2), applies: [b] })
    const all = { ...request, level: 'all' as const, timeoutMs: 100 }
    const late = down.writer.write(all).catch((error: unknown) => error)
    await down.time.pass(100)
    t.match(await late, { message: /got 1 of 2 answers/ })
  })
})

t.test('a write through a node that does not own the key', async t => {
  const written = { version: 'v', acknowledged: [a], hinted: [] }
  const passed = (outcome: Uint8Array) => encodePassed({ outcome })
  const done = passed(encodeWritten(written))
  const failed = (error: HearsayError) => passed(encodeFailure(error))
  const unsent = new NetworkError('no way', true)
  const write = {
    key,
    operation: { do: 'put' as const, value: utf8('v') },
    level: 'quorum' as const,
    flush: false,
    timeoutMs: 1_000
  }

  interface Asked {
    readonly node: NodeId
    /** What the owner was given to answer in. */
    readonly timeoutMs: number
    /** How long the answer is waited for. */
    readonly deadlineMs: number
  }

  interface Parts {
    readonly connected?: readonly NodeId[]
    readonly down?: readonly NodeId[]
  }

  /** `answer` stands for the owners; those that never answer are given up when the time is up. */
  function through(
    answer: (node: NodeId) => Promise<Uint8Array>,
    { connected = owners, down = [] }: Parts = {}
  ) {
    const time = new HandTime()
    const asked: Asked[] = []
    const ask = (node: NodeId, _: string, body: Uint8Array, options: { deadlineMs: number }) => {
      const { deadlineMs } = options
      asked.push({ node, deadlineMs, timeoutMs: timeoutOf(body) as number })
      const late = new NetworkError('late', !connected.includes(node))
      return Promise.race([
        answer(node),
        new Promise<never>((_, reject) => time.after(deadlineMs, () => reject(late)))
      ])
    }
    const timeoutOf = (body: Uint8Array) => {
      const write = decodePassing(body)?.write
      return write && decodeForward(write)?.timeoutMs
    }
    const view = { ownersOf: () => ownersOf(owners) }
    const isAlive = (node: NodeId) => !down.includes(node)
    const coordinator = new Coordinator({
      replica: {} as Replica,
      writer: {} as Writer,
      catchUp: {} as CatchUp,
      blind: {} as Blind,
      membership: { id: d, view, serve: () => {}, ask } as unknown as Membership,
      liveness: {
        isAlive,
        inOrder: (nodes: NodeId[]) => nodes.filter(isAlive)
      } as unknown as Liveness,
      network: { connected: () => connected } as unknown as Network,
      clock: time,
      timers: time,
      random: new Stream(1, 'ids'),
      meter: new Counters()
    })
    const run = (options: Partial<typeof write> = {}) =>
      coordinator.write({ ...write, ...options }).catch((error: unknown) => error)
    return { time, asked, run, nodes: () => asked.map(({ node }) => node) }
  }

  t.test('asks the next owner while it is certain that nothing was done', async t => {
    const refusals: (() => Promise<Uint8Array>)[] = [
      () => Promise.reject(unsent),
      () => Promise.resolve(failed(new HearsayError('ERR_CORRUPT', 'not whole'))),
      () => Promise.resolve(failed(new HearsayError('ERR_CLOSED', 'closed'))),
      () => Promise.resolve(failed(new HearsayError('ERR_OVERLOADED', 'busy'))),
      () => Promise.reject(new RemoteError('ERR_CLOSED', 'closed')),
      () => Promise.reject(new RemoteError('ERR_OVERLOADED', 'busy')),
      () => Promise.reject(new HearsayError('ERR_OVERLOADED', 'too many wait here')),
      () => Promise.reject(new HearsayError('ERR_NETWORK', 'The members changed too often.'))
    ]
    for (const refuse of refusals) {
      const { run, nodes } = through(node => (node === c ? Promise.resolve(done) : refuse()))
      t.same(await run(), written, `${refuse}`)
      t.same(nodes(), [a, b, c])
    }
  })

  t.test('asks nobody else once something may have been done', async t => {
    const ends: [() => Promise<Uint8Array>, object][] = [
      [() => Promise.reject(new NetworkError('gone', false)), { code: 'ERR_TIMEOUT' }],
      [
        () => Promise.reject(new RemoteError('ERR_INTERNAL', 'oh')),
        { code: 'ERR_REMOTE', message: /oh.*outcome is unknown/ }
      ],
      [
        () => Promise.resolve(utf8('gibberish')),
        { code: 'ERR_PROTOCOL', message: /outcome is unknown/ }
      ],
      [() => Promise.resolve(failed(new HearsayError('ERR_STORE', 'full'))), { code: 'ERR_STORE' }],
      [() => Promise.resolve(passed(utf8('x'))), { message: /outcome is unknown/ }]
    ]
    for (const [end, expected] of ends) {
      const { time, run, nodes } = through(end)
      const ended = run()
      await time.pass(1_000)
      t.match(await ended, expected)
      t.same([...new Set(nodes())], [a])
    }
  })

  t.test('is unavailable only when too few owners are alive, and says how many are', async t => {
    const few = await through(() => Promise.reject(unsent), { down: [b, c] }).run()
    t.ok(few instanceof UnavailableError)
    t.match(few, { needed: 2, alive: 1 })
    const none = await through(() => Promise.reject(unsent), { down: owners }).run()
    t.match(none, { code: 'ERR_UNAVAILABLE', needed: 2, alive: 0 })
    const enough = await through(() => Promise.reject(unsent)).run()
    t.match(enough, { code: 'ERR_NETWORK', message: /of "k".*nothing was stored.*no way/ })
    const closed = failed(new HearsayError('ERR_CLOSED', 'The node is closed.'))
    const leaving = await through(() => Promise.resolve(closed)).run()
    t.match(leaving, { code: 'ERR_NETWORK' }, 'it is not this node that is closed')
  })

  t.test('that no owner takes fails with what the last one said of the row', async t => {
    const busy = failed(new HearsayError('ERR_OVERLOADED', 'busy'))
    t.match(await through(() => Promise.resolve(busy)).run(), { code: 'ERR_OVERLOADED' })
  })

  t.test('is refused with the name of the key by an owner without its whole row', async t => {
    let handle: ((from: NodeId, body: Uint8Array) => Promise<Uint8Array>) | undefined
    const view = { ownersOf: () => ownersOf(owners) }
    new Coordinator({
      replica: { isWhole: () => false },
      membership: { id: a, view, serve: (_: string, each: typeof handle) => (handle = each) },
      clock: new HandTime(),
      random: new Stream(1, 'ids')
    } as unknown as CoordinatorComponents)
    const id = new Uint8Array(ID_BYTES)
    const body = encodePassing({ id, again: undefined, write: encodeForward(write) })
    const reply = decodePassed((await handle?.(d, body)) as Uint8Array)
    const refused = decodeWritten((reply as { outcome: Uint8Array }).outcome)
    t.match(refused, { code: 'ERR_CORRUPT', message: /the whole row of "k" .* try again/ })
  })

  t.test('takes no longer than it may, however many owners are asked', async t => {
    const { time, asked, run } = through(async node => {
      if (node === c) return never
      await time.pass(300)
      throw unsent
    })
    const ended = run()
    await time.pass(1_000)
    t.match(await ended, { code: 'ERR_TIMEOUT', needed: 2, acknowledged: [], timeoutMs: 1_000 })
    t.same(
      asked.map(({ deadlineMs }) => deadlineMs),
      [1_000, 700, 400]
    )
    for (const each of asked) t.ok(each.timeoutMs < each.deadlineMs, 'and the answer is in time')
  })

  t.test('leaves time for the others while it dials one that may be behind a wall', async t => {
    const { time, asked, run } = through(node => (node === c ? Promise.resolve(done) : never), {
      connected: [c]
    })
    const ended = run()
    await time.pass(999)
    t.same(await ended, written)
    t.same(
      asked.map(({ node }) => node),
      [a, b, c]
    )
  })

  t.test('says how long it took when an owner was lost', async t => {
    const { time, asked, run } = through(async () => {
      throw new NetworkError('gone', false)
    })
    const ended = run()
    await time.pass(1_000)
    const error = await ended
    t.ok(error instanceof TimeoutError)
    t.match(error, { needed: 2, timeoutMs: 1_000 }, 'all that it had')
    t.equal(asked.length, 6)
  })

  t.test('says how long it took when an owner says that it took too long', async t => {
    const { time, run } = through(async () => {
      await time.pass(900)
      return failed(new TimeoutError('write', 2, [a], 850))
    })
    t.match(await run(), { code: 'ERR_TIMEOUT', acknowledged: [a], timeoutMs: 900 })
  })

  t.test('that is given up is given up with the reason', async t => {
    const reason = new Error('changed my mind')
    const time = new HandTime()
    const controller = new AbortController()
    const membership = {
      id: d,
      view: { ownersOf: () => ownersOf(owners) },
      serve: () => {},
      ask: async () => {
        controller.abort(reason)
        throw new NetworkError('given up', true)
      }
    } as unknown as Membership
    const liveness = { inOrder: () => owners } as unknown as Liveness
    const network = { connected: () => owners } as unknown as Network
    const [replica, writer, catchUp] = [{} as Replica, {} as Writer, {} as CatchUp]
    const random = new Stream(1, 'ids')
    const parts = {
      replica,
      writer,
      catchUp,
      blind: {} as Blind,
      membership,
      liveness,
      network,
      clock: time,
      timers: time,
      random,
      meter: new Counters()
    }
    const ended = new Coordinator(parts).write(write, controller.signal)
    t.equal(await ended.catch((error: unknown) => error), reason)
  })
})
