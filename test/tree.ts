/** What is shown of Merkle trees is what they are, and where two nodes differ is where they do. */
import fc from 'fast-check'
import t from 'tap'
import { mapText, treeText } from '../src/fronts/cli/tree.ts'
import { depthFor } from '../src/digest/limits.ts'
import { slotOf } from '../src/ring/slot.ts'
import { utf8 } from '../src/util/bytes.ts'
import type { NodeId } from '../src/util/node-id.ts'
import { decodeShownRoots, decodeShownTree, decodeTreeRequest } from '../src/wire/tree.ts'
import { cut, formWorld, runUntil } from './fixtures/engine-world.ts'

t.test('two nodes that differ', async t => {
  const world = await formWorld()
  for (let i = 0; i < 40; i++) {
    await world.until(world.node(0).put(`{same}${i}`, 'v', { level: 'all' }))
  }
  for (const { index } of world.hosts) {
    await world.until(world.node(index).pause('anti-entropy'))
    await world.until(world.node(index).pause('hints'))
  }
  cut(world, 0, 2)
  cut(world, 1, 2)
  await world.until(world.node(0).put('{same}7', 'other'))
  world.fabric.mendAll()
  await runUntil(world, () =>
    world
      .node(0)
      .status()
      .members.every(m => m.liveness === 'alive')
  )
  const slot = slotOf(utf8('{same}7'))
  const [one, , other] = world.hosts.map(({ index }) => world.node(index))
  if (one === undefined || other === undefined) throw new Error('there are three nodes')

  t.test('are shown to differ in that slot and no other', async t => {
    const map = await world.until(one.slots({ peer: other.id }))
    t.same(map.differing, [slot])
    t.equal(map.rows[slot], 40)
    t.match(mapText(map), new RegExp(`1 differ: ${slot}$`))
    t.same((await world.until(one.slots({ peer: world.node(1).id }))).differing, [])
  })

  t.test('are shown to differ along one path', async t => {
    const tree = await world.until(one.tree(slot, { peer: other.id }))
    t.match(tree, { slot, rows: 40, depth: depthFor(40), peer: { rows: 40 } })
    t.ok(tree.depth > 0, 'there is something to draw')
    const unequal = tree.hashes.flatMap((hash, i) => (hash === tree.peer?.hashes[i] ? [] : [i]))
    t.equal(unequal.length, tree.depth + 1, 'one node a level')
    for (const i of unequal.slice(1)) t.ok(unequal.includes((i - 1) >> 1), 'below one another')
    const text = treeText(tree)
    t.equal([...text.matchAll(/≠/g)].length, tree.depth + 1)
    t.match(text, /^slot \d+: 40 rows, the peer has 40, \d+ leaves\nroot {2}\w+ ≠ \w+\n/)
    const alone = await world.until(one.tree(slot))
    t.same(alone.hashes, tree.hashes)
  })

  t.test('are folded to the shallower one', async t => {
    const fresh = await world.until(other.tree(slot, { peer: one.id }))
    t.equal(fresh.depth, depthFor(40))
    t.match(await world.until(one.tree(0, { peer: other.id })), { rows: 0, depth: 0 })
  })

  t.test('are asked for by what there is', async t => {
    await t.rejects(one.tree(16_384), { code: 'ERR_ARGUMENT', message: /0 to 16383/ })
    await t.rejects(one.tree(0.5), { code: 'ERR_ARGUMENT' })
    await t.rejects(one.slots({ peer: 'nobody' as never }), { code: 'ERR_ARGUMENT' })
  })
  t.same(world.fabric.bugs, [])
})

t.test('a look that is given up rejects with the reason of its signal', async t => {
  const world = await formWorld()
  const [node, peer] = [world.node(0), world.node(1).id]
  const given = { message: 'changed my mind' }
  const signal = AbortSignal.abort(new Error(given.message))
  for (const options of [{ signal }, { peer, signal }]) {
    await t.rejects(world.until(node.slots(options)), given)
    await t.rejects(world.until(node.tree(1, options)), given)
  }
  cut(world, 0, 1)
  const looks: ((options: { peer: NodeId; signal: AbortSignal }) => Promise<unknown>)[] = [
    options => node.slots(options),
    options => node.tree(1, options)
  ]
  for (const look of looks) {
    const stop = new AbortController()
    const waiting = t.rejects(look({ peer, signal: stop.signal }), given, 'also while it waits')
    await world.run(20)
    stop.abort(new Error(given.message))
    await world.until(waiting)
  }
})

t.test('bytes that are no tree are not read as one', async t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
      const tree = decodeShownTree(bytes)
      if (tree && tree.hashes.length !== (2 ** (tree.depth + 1) - 1) * 8) throw new Error('size')
      if (decodeShownRoots(bytes)) throw new Error('it is far too short')
      decodeTreeRequest(bytes)
    })
  )
  t.pass()
})

t.test('a map is darker where more rows lie', async t => {
  const rows = Array.from({ length: 16_384 }, (_, slot) => (slot < 16 ? 100 : slot < 32 ? 1 : 0))
  const [head, first] = mapText({ rows, differing: undefined }).split('\n')
  t.equal(head, '1616 rows in 32 of 16384 slots')
  t.match(first, /^ {4}0 █░ +$/)
  t.match(mapText({ rows, differing: [] }), /no slot differs$/)
})
