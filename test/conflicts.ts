/** What loses to a concurrent write is counted, noted once, and can be read; deleted rows are counted. */
import t from 'tap'
import { conflictText } from '../src/fronts/cli/conflicts.ts'
import { encodeDelta, encodeRow } from '../src/lattice/encode.ts'
import { assign, joinDelta, ROW_EMPTY } from '../src/lattice/row.ts'
import type { Actor, Dot } from '../src/lattice/dot.ts'
import { timeOf } from '../src/lattice/hlc.ts'
import { isRefusal } from '../src/lattice/kinds.ts'
import { mutate } from '../src/lattice/mutate.ts'
import type { Conflict } from '../src/options.ts'
import { CONFLICTS_MAX, CONFLICT_BYTES_MAX, VALUE_BYTES_MAX } from '../src/replica/conflicts.ts'
import { MemoryDisk } from '../src/store/memory.ts'
import { text, utf8 } from '../src/util/bytes.ts'
import {
  damage,
  deleteIt,
  NOON,
  openReplica,
  setTo,
  type ReplicaParts
} from './fixtures/engine-parts.ts'

const dot = (actor: number, ms: number): Dot => {
  return { actor: BigInt(actor) as Actor, time: timeOf(NOON + ms) }
}
/** A value that nobody else has seen. */
const blind = (value: string | Uint8Array, at: Dot) =>
  encodeDelta(assign(ROW_EMPTY, typeof value === 'string' ? utf8(value) : value, at))

const put = ({ replica }: ReplicaParts, key: string, value: string | Uint8Array, at: Dot) =>
  replica.apply(utf8(key), 'delta', blind(value, at))

t.test('a conflict', async t => {
  t.test('is noted once, however often and in whatever order the writes come', async t => {
    const heard: Conflict[] = []
    const parts = await openReplica()
    const { replica, meter } = parts
    replica.conflicts.onConflict(conflict => heard.push(conflict))
    await put(parts, 'k', 'low', dot(1, 1))
    t.equal(replica.conflicts.size, 0, 'one value is no conflict')
    await put(parts, 'k', 'high', dot(2, 2))
    await put(parts, 'k', 'low', dot(1, 1))
    await put(parts, 'k', 'high', dot(2, 2))
    t.equal(replica.conflicts.size, 1)
    const [conflict] = replica.conflicts.list(10)
    t.match(conflict, { reason: 'concurrent', field: undefined, valueBytes: 3, atMs: NOON })
    t.equal(text(conflict?.value as Uint8Array), 'low')
    t.same(heard, [conflict])
    t.equal(meter.totals()['conflicts.concurrent'], 1)
    t.match(
      conflictText(conflict as Conflict),
      /"k" .* lost to .*\(concurrent\) {2}"low", 3 bytes$/
    )
  })

  t.test('is not noted again when the values are written anew to expire', async t => {
    const parts = await openReplica()
    await put(parts, 'k', 'low', dot(1, 1))
    await put(parts, 'k', 'high', dot(2, 2))
    for (const seconds of [10, 20, 30]) {
      const operation = { do: 'expire' as const, expiresAt: NOON + seconds * 1_000 }
      await parts.replica.mutate(utf8('k'), operation, false)
    }
    t.equal(parts.replica.conflicts.size, 1)
    await put(parts, 'k', 'other', dot(3, 1))
    t.equal(parts.replica.conflicts.size, 2)
  })

  t.test('is noted again when more increments lose, and not when one is replaced', async t => {
    const parts = await openReplica()
    const k = utf8('k')
    const notes = () => parts.replica.conflicts.list(10).map(({ value }) => text(value!))
    const increment = (by: bigint, at: Dot) => {
      const made = mutate(ROW_EMPTY, { do: 'increment', by }, at, NOON)
      if (isRefusal(made)) throw new Error('it was refused')
      return made.delta
    }
    const [five, seven] = [increment(5n, dot(1, 1)), increment(7n, dot(2, 2))]
    await parts.replica.apply(k, 'delta', encodeDelta(five))
    await put(parts, 'k', 'text', dot(3, 9))
    t.same(notes(), ['5'])
    await parts.replica.apply(k, 'delta', encodeDelta(seven))
    t.same(notes(), ['12', '5'], 'all that lost, the newest note first')
    for (const each of [five, seven]) await parts.replica.apply(k, 'delta', encodeDelta(each))
    await put(parts, 'k', 'other', dot(4, 3))
    t.same(notes(), ['other', '12', '5'])
    const counted = joinDelta(ROW_EMPTY, five)
    const replaced = joinDelta(counted, assign(counted, utf8('other'), dot(1, 4)))
    await parts.replica.apply(k, 'row', encodeRow(replaced))
    t.same(notes(), ['other', '12', '5'], 'a sum that is less has lost nothing more')
    t.equal(parts.meter.totals()['conflicts.other-kind'], 2)
  })

  t.test('is none where a write has seen the other, or says the same', async t => {
    const parts = await openReplica()
    const first = joinDelta(ROW_EMPTY, assign(ROW_EMPTY, utf8('a'), dot(1, 1)))
    await parts.replica.apply(utf8('k'), 'row', encodeRow(first))
    const second = joinDelta(first, assign(first, utf8('b'), dot(2, 2)))
    await parts.replica.apply(utf8('k'), 'row', encodeRow(second))
    await put(parts, 'same', 'v', dot(1, 1))
    await put(parts, 'same', 'v', dot(2, 2))
    t.equal(parts.replica.conflicts.size, 0)
  })

  t.test('is durable with the write, and gone with one that the disk refused', async t => {
    const disk = new MemoryDisk()
    const parts = await openReplica({ disk })
    await put(parts, 'k', 'low', dot(1, 1))
    parts.store.refuses = () => true
    await t.rejects(put(parts, 'k', 'high', dot(2, 2)), { code: 'ERR_STORE' })
    t.equal(parts.replica.conflicts.size, 0)
    parts.store.refuses = () => false
    await put(parts, 'k', 'high', dot(2, 2))
    const before = parts.replica.conflicts.list(10)
    t.equal(before.length, 1)
    const again = await openReplica({ disk })
    t.same(again.replica.conflicts.list(10), before)
  })

  t.test('counts also when there are more at once than the log has room for', async t => {
    const parts = await openReplica()
    const keys = Array.from({ length: CONFLICTS_MAX + 50 }, (_, i) => `k${i}`)
    await Promise.all(keys.map(key => put(parts, key, 'low', dot(1, 1))))
    await Promise.all(keys.map(key => put(parts, key, 'high', dot(2, 2))))
    t.equal(parts.replica.conflicts.size, CONFLICTS_MAX)
    t.equal(parts.meter.totals()['conflicts.concurrent'], keys.length)
  })

  t.test('makes room for newer ones, and keeps a long value cut', async t => {
    const parts = await openReplica()
    const long = new Uint8Array(2 * VALUE_BYTES_MAX).fill(7)
    const many = CONFLICTS_MAX + 50
    for (let i = 0; i < many; i++) {
      await put(parts, `k${i}`, long, dot(1, 1))
      await put(parts, `k${i}`, 'high', dot(2, 2))
    }
    const { conflicts } = parts.replica
    t.ok(conflicts.size <= CONFLICTS_MAX)
    const all = conflicts.list(CONFLICTS_MAX)
    t.equal(all.length, conflicts.size)
    t.equal(text((all[0] as Conflict).key), `k${many - 1}`, 'the newest is first')
    t.equal(all[0]?.value?.length, VALUE_BYTES_MAX)
    t.equal(all[0]?.valueBytes, long.length)
    const stored = [...parts.store.range('conflicts')]
    t.equal(stored.length, conflicts.size)
    t.ok(stored.reduce((sum, [, value]) => sum + value.length, 0) <= CONFLICT_BYTES_MAX)
    t.equal(conflicts.list(3).length, 3)
  })

  t.test('of too many siblings is told, and the row stays within its bounds', async t => {
    const parts = await openReplica()
    for (let i = 0; i < 70; i++) await put(parts, 'k', `v${i}`, dot(100 + i, i))
    const answer = parts.replica.read(utf8('k'))
    t.equal(answer.answer === 'row' && answer.row.entries.length, 64)
    const dropped = parts.replica.conflicts.list(1_000).filter(c => c.reason === 'overflow')
    t.equal(dropped.length, 6)
    t.equal(text(dropped[0]?.value as Uint8Array), 'v5')
  })

  t.test('does not depend on those who listen', async t => {
    const parts = await openReplica()
    const stop = parts.replica.conflicts.onConflict(() => {
      throw new Error('a bug of the caller')
    })
    await put(parts, 'k', 'low', dot(1, 1))
    await put(parts, 'k', 'high', dot(2, 2))
    t.equal(parts.replica.conflicts.size, 1)
    stop()
  })
})

t.test('tombstones', async t => {
  t.test('are counted as rows are deleted and written again, over restarts too', async t => {
    const disk = new MemoryDisk()
    const parts = await openReplica({ disk })
    const { replica } = parts
    for (const key of ['a', 'b', 'c']) await replica.mutate(utf8(key), setTo('v'), false)
    t.equal(replica.tombstones.count, 0)
    await replica.mutate(utf8('a'), deleteIt, false)
    await replica.mutate(utf8('b'), deleteIt, false)
    await replica.mutate(utf8('b'), deleteIt, false)
    t.equal(replica.tombstones.count, 2)
    await replica.mutate(utf8('a'), setTo('again'), false)
    await replica.mutate(utf8('never'), deleteIt, false)
    t.equal(replica.tombstones.count, 2)
    t.equal((await openReplica({ disk })).replica.tombstones.count, 2, 'after a crash')
    await replica.close()
    t.equal((await openReplica({ disk })).replica.tombstones.count, 2, 'after a close')
  })

  t.test('are counted anew where the count is lost', async t => {
    const disk = new MemoryDisk()
    const { replica, store } = await openReplica({ disk })
    await replica.mutate(utf8('a'), setTo('v'), false)
    await replica.mutate(utf8('a'), deleteIt, false)
    await store.commit([replica.tombstones.forget()])
    t.equal((await openReplica({ disk })).replica.tombstones.count, 1)
  })

  t.test('are counted anew after a damaged one came back from elsewhere', async t => {
    const disk = new MemoryDisk()
    const { replica } = await openReplica({ disk })
    const a = utf8('a')
    await replica.mutate(a, setTo('v'), false)
    const whole = (await replica.mutate(a, deleteIt, false)).bytes.slice()
    damage(disk, replica.rows.locate(a).id)
    t.equal(replica.read(a).answer, 'unknown')
    await replica.between(() => {})
    await replica.apply(a, 'row', whole)
    t.equal((await openReplica({ disk })).replica.tombstones.count, 1)
  })
})

t.test(
  'a row that concurrent writes made too large can be made smaller, and no larger',
  async t => {
    const { replica } = await openReplica()
    const grown = async (field: string, at: Dot) => {
      const pairs = [[utf8(field), new Uint8Array(600 * 1024)] as const]
      const made = mutate(ROW_EMPTY, { do: 'map-set', pairs }, at, NOON)
      if (isRefusal(made)) throw new Error('it was refused')
      await replica.apply(utf8('k'), 'delta', encodeDelta(made.delta))
    }
    await grown('a', dot(1, 1))
    await grown('b', dot(2, 2))
    await grown('c', dot(3, 3))
    const more = { do: 'map-set', pairs: [[utf8('d'), utf8('v')]] } as const
    await t.rejects(replica.mutate(utf8('k'), more, false), { code: 'ERR_ROW_SIZE' })
    await replica.mutate(utf8('k'), { do: 'map-delete', fields: [utf8('a')] }, false)
    const answer = replica.read(utf8('k'))
    t.equal(answer.answer === 'row' && answer.row.entries.length, 2)
  }
)
