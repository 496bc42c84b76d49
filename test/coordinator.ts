import t from 'tap'
import type { Fanout } from '../src/coordinator/fanout.ts'
import type { Liveness } from '../src/cluster/liveness.ts'
import type { Membership } from '../src/cluster/membership.ts'
import { Reader } from '../src/coordinator/reader.ts'
import { Writer } from '../src/coordinator/writer.ts'
import { QuorumFailedError } from '../src/errors.ts'
import { timeOf } from '../src/lattice/hlc.ts'
import { assign, joinDelta, ROW_EMPTY } from '../src/lattice/row.ts'
import type { ReplicaAnswer } from '../src/quorum/read.ts'
import type { Owners } from '../src/quorum/write.ts'
import type { Mutated, Replica } from '../src/replica/replica.ts'
import { utf8 } from '../src/util/bytes.ts'
import { Counters } from '../src/util/counters.ts'
import type { NodeId } from '../src/util/node-id.ts'
import { HandTime, turn } from './fixtures/hand-time.ts'
import { setTo, silent } from './fixtures/engine-parts.ts'
import { actor } from './fixtures/lattice-arbitrary.ts'

const [a, b, c, d] = ['a', 'b', 'c', 'd'] as unknown as [NodeId, NodeId, NodeId, NodeId]
const owners = [a, b, c]
const key = utf8('k')

const delta = assign(ROW_EMPTY, utf8('v'), { actor: actor(1), time: timeOf(1) })

/** A promise that the test settles. */
function deferred<T>() {
  let resolve: (value: T) => void = () => {}
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<T>((yes, no) => ([resolve, reject] = [yes, no]))
  return { promise, resolve, reject }
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
    } as unknown as Fanout
    const membership = { view: { ownersOf: () => ({ current: owners }) } } as unknown as Membership
    const liveness = { inOrder: () => owners } as unknown as Liveness
    const reader = new Reader({ membership, liveness, fanout, timers: time, meter: new Counters() })
    const read = reader.read({ key, level: 'quorum', timeoutMs: 1_000 })
    await time.pass(200)
    answers.get(a)?.resolve({ answer: 'row', row })
    answers.get(b)?.resolve({ answer: 'absent' })
    await turn()
    t.same(repairs, [b])
    return { read, late, repair }
  }

  t.test('does not count one who answers late with less while a repair fails', async t => {
    const { read, late, repair } = await repairing()
    late.resolve({ answer: 'absent' })
    await turn()
    repair.reject(new Error('gone'))
    const error = await read.catch((error: unknown) => error)
    t.ok(error instanceof QuorumFailedError)
    t.match(error, { needed: 2, acknowledged: [a] })
    t.same([...(error as QuorumFailedError).failures.keys()], [b])
  })

  t.test('counts one that was behind once it is repaired', async t => {
    const { read, repair } = await repairing()
    repair.resolve()
    t.match(await read, { repaired: [b], siblings: 0 })
  })
})

t.test('a write', async t => {
  const never = new Promise<never>(() => {})
  const request = { key, mutation: setTo('v'), level: 'quorum' as const, flush: false }

  interface Parts {
    readonly owners?: Owners
    readonly mutated?: Promise<Mutated>
    /** By node; others never answer. */
    readonly applies?: readonly NodeId[]
    readonly down?: readonly NodeId[]
    readonly hint?: () => Promise<void>
  }

  /** On node `a`. */
  function writerOver(parts: Parts) {
    const time = new HandTime()
    const view = { ownersOf: () => parts.owners ?? { current: owners, next: owners } }
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
      hint: parts.hint ?? (() => Promise.resolve())
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

  t.test('counts in its errors the group of owners that is short', async t => {
    const moving = { current: [a, b, c], next: [b, c, d] }
    const { time, writer } = writerOver({ owners: moving, applies: [b] })
    const ended = writer.write({ ...request, timeoutMs: 100 }).catch((error: unknown) => error)
    await time.pass(100)
    t.match(await ended, { code: 'ERR_TIMEOUT', needed: 2, acknowledged: [b], timeoutMs: 100 })
    const down = writerOver({ owners: { current: [a, b], next: [b, c] }, applies: [b] })
    const all = { ...request, level: 'all' as const, timeoutMs: 100 }
    const late = down.writer.write(all).catch((error: unknown) => error)
    await down.time.pass(100)
    t.match(await late, { message: /got 1 of 2 answers/ })
  })
})
