import t from 'tap'
import type { Fanout } from '../src/coordinator/fanout.ts'
import type { Liveness } from '../src/cluster/liveness.ts'
import type { Membership } from '../src/cluster/membership.ts'
import { Reader } from '../src/coordinator/reader.ts'
import { QuorumFailedError } from '../src/errors.ts'
import { timeOf } from '../src/lattice/hlc.ts'
import { assign, joinDelta, ROW_EMPTY } from '../src/lattice/row.ts'
import type { ReplicaAnswer } from '../src/quorum/read.ts'
import { utf8 } from '../src/util/bytes.ts'
import { Counters } from '../src/util/counters.ts'
import type { NodeId } from '../src/util/node-id.ts'
import { HandTime, turn } from './fixtures/hand-time.ts'
import { actor } from './fixtures/lattice-arbitrary.ts'

const [a, b, c] = ['a', 'b', 'c'] as unknown as [NodeId, NodeId, NodeId]
const owners = [a, b, c]
const key = utf8('k')

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
    const dot = { actor: actor(1), time: timeOf(1) }
    const row = joinDelta(ROW_EMPTY, assign(ROW_EMPTY, utf8('v'), dot))
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
