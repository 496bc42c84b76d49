/** What a node says of how much in sync it is, it has proofs for. */
import fc from 'fast-check'
import t from 'tap'
import { SLOTS } from '../src/ring/slot.ts'
import { sumOfAll, Verified } from '../src/ring/verified.ts'
import type { NodeId } from '../src/util/node-id.ts'
import { pack } from '../src/util/msgpack.ts'
import { decodeInSync, encodeInSync } from '../src/wire/settle.ts'

const [a, b, c] = ['a', 'b', 'c'] as NodeId[] as [NodeId, NodeId, NodeId]
const all = Array.from({ length: SLOTS }, (_, slot) => slot)

t.test('a node', async t => {
  t.test('that was compared with nobody has verified nothing', async t => {
    const verified = new Verified()
    t.same(
      verified.sum(a, () => [a, b], 100),
      { slots: SLOTS, verified: 0, worstMs: undefined }
    )
  })

  t.test('without other owners has nothing to verify', async t => {
    const sum = new Verified().sum(a, () => [a], 100)
    t.same(sum, { slots: SLOTS, verified: SLOTS, worstMs: 0 })
  })

  t.test('has verified a slot once every other owner is proven equal', async t => {
    const verified = new Verified()
    verified.note(b, all, 10)
    verified.note(c, [5], 30)
    t.same(
      verified.sum(a, () => [a, b, c], 100),
      { slots: SLOTS, verified: 1, worstMs: undefined }
    )
    verified.note(c, all, 20)
    t.same(
      verified.sum(a, () => [a, b, c], 100),
      { slots: SLOTS, verified: SLOTS, worstMs: 90 }
    )
    verified.note(b, all, 60)
    t.same(
      verified.sum(a, () => [a, b, c], 100),
      { slots: SLOTS, verified: SLOTS, worstMs: 80 }
    )
    t.equal(verified.sum(c, () => [a, b], 100).slots, 0, 'of what it owns')
  })

  t.test('is not made younger by older news', async t => {
    const verified = new Verified()
    verified.note(b, [1], 50)
    verified.note(b, [1], 20)
    t.equal(verified.at(1, b), 50)
    verified.retain([c])
    t.equal(verified.at(1, b), -Infinity)
  })
})

t.test('a count of proofs is that of a list of them', async t => {
  const news = fc.record({ peer: fc.constantFrom(a, b, c), slot: fc.nat(3), at: fc.nat(50) })
  fc.assert(
    fc.property(fc.array(news), fc.nat(50), fc.nat(3), (list, since, slot) => {
      const verified = new Verified()
      for (const { peer, slot, at } of list) verified.note(peer, [slot], at)
      const proven = new Set(
        list.filter(one => one.slot === slot && one.at >= since).map(({ peer }) => peer)
      )
      return verified.count(slot, [a, b, c], since) === proven.size
    })
  )
  t.pass()
})

t.test('of a cluster the worst node decides', async t => {
  const sums = [
    { slots: 10, verified: 10, worstMs: 5 },
    { slots: 8, verified: 8, worstMs: 9 }
  ]
  t.same(sumOfAll(sums), { slots: 18, verified: 18, worstMs: 9 })
  const unproven = { slots: 10, verified: 8, worstMs: undefined }
  t.same(sumOfAll([...sums, unproven]), { slots: 28, verified: 26, worstMs: undefined })
  t.same(sumOfAll([]), { slots: 0, verified: 0, worstMs: 0 })
})

t.test('an age is told to others only by who has proven all that it owns', async t => {
  const none = { slots: 9, verified: 8, worstMs: undefined }
  const every = { slots: 9, verified: 9, worstMs: 7 }
  for (const sum of [none, every]) t.same(decodeInSync(encodeInSync(sum)), sum)
  for (const wrong of [
    [9, 8, 7],
    [9, 9, null],
    [9, 10, 7],
    [9, 9, -1]
  ]) {
    t.equal(decodeInSync(pack(wrong)), undefined, JSON.stringify(wrong))
  }
})
