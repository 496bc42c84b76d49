/**
 * Trees over given hashes: every build against the twin and against a model that is rebuilt at each
 * question.
 */
import { blake3 } from '@noble/hashes/blake3.js'
import fc from 'fast-check'
import t from 'tap'
import { createJavaScriptTree } from '../src/digest/javascript-hash-tree.ts'
import { createTree, type HashTree } from '../src/digest/tree.ts'
import { concat, hex, utf8 } from '../src/util/bytes.ts'
import { KEY, modelGroup } from './fixtures/digest-model.ts'
import { inits } from './fixtures/digest-script.ts'

const implementations: Readonly<Record<string, (leaves: number) => HashTree>> = {
  ...Object.fromEntries(
    Object.entries(inits).map(([name, init]) => [
      name,
      (leaves: number) => createTree(KEY, leaves, init)
    ])
  ),
  twin: leaves => createJavaScriptTree(KEY, leaves)
}

const hashOf = (i: number) => blake3(utf8(String(i)))
const hashesOf = (first: number, count: number) =>
  concat(Array.from({ length: count }, (_, i) => hashOf(first + i)))

type Step =
  | { readonly verb: 'set'; readonly first: number; readonly count: number }
  | { readonly verb: 'setAt'; readonly positions: readonly number[] }
  | { readonly verb: 'setRows'; readonly first: number; readonly lengths: readonly number[] }

const step = (leaves: number): fc.Arbitrary<Step> => {
  const at = fc.nat(leaves - 1)
  return fc.oneof(
    fc.record({ verb: fc.constant('set'), first: at, count: fc.nat(leaves) }),
    fc.record({ verb: fc.constant('setAt'), positions: fc.array(at, { maxLength: 40 }) }),
    fc.record({
      verb: fc.constant('setRows'),
      first: at,
      lengths: fc.array(fc.nat(300), { minLength: 1, maxLength: 20 })
    })
  )
}

/** A number of leaves and what happens to them. */
const history = fc
  .oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 700 }))
  .chain(leaves => fc.tuple(fc.constant(leaves), fc.array(step(leaves), { maxLength: 8 })))

/** Does the step to the tree, and to the list of leaves. */
function apply(tree: HashTree, leaves: Uint8Array[], step: Step, seed: number): void {
  if (step.verb === 'set') {
    const count = Math.min(step.count, leaves.length - step.first)
    const hashes = hashesOf(seed, count)
    tree.set(step.first, hashes)
    for (let i = 0; i < count; i++) leaves[step.first + i] = hashOf(seed + i)
  } else if (step.verb === 'setAt') {
    tree.setAt(Uint32Array.from(step.positions), hashesOf(seed, step.positions.length))
    step.positions.forEach((position, i) => (leaves[position] = hashOf(seed + i)))
  } else {
    const rows = step.lengths
      .slice(0, leaves.length - step.first)
      .map((length, i) => new Uint8Array(length).fill(seed + i))
    let end = 0
    tree.setRows(
      step.first,
      concat(rows),
      Uint32Array.of(0, ...rows.map(row => (end += row.length)))
    )
    rows.forEach((row, i) => (leaves[step.first + i] = blake3(row, { key: KEY })))
  }
}

for (const [name, create] of Object.entries(implementations)) {
  t.test(`the tree of ${name}`, async t => {
    t.test('has the levels of the model after any history', async t => {
      fc.assert(
        fc.property(history, ([count, steps]) => {
          const tree = create(count)
          const leaves = Array.from({ length: count }, () => new Uint8Array(32))
          steps.forEach((step, i) => {
            apply(tree, leaves, step, 1_000 * i)
            if (i % 2 === 0) tree.root()
          })
          modelGroup(leaves).forEach((hashes, level) => {
            const read = hex(tree.level(level, 0, hashes.length))
            if (read !== hex(concat(hashes))) throw new Error(`level ${level} differs`)
          })
          tree.free()
        }),
        { numRuns: 25 }
      )
      t.pass()
    })
    t.test('refuses bad arguments and stays usable', async t => {
      const tree = create(10)
      tree.set(0, hashesOf(0, 10))
      const root = hex(tree.root())
      const argument = { code: 'ERR_ARGUMENT' }
      t.throws(() => tree.set(0, hashesOf(0, 11)), argument, 'more than there are')
      t.throws(() => tree.set(9, hashesOf(0, 2)), argument, 'past the end')
      t.throws(() => tree.set(-1, hashesOf(0, 1)), argument)
      t.throws(() => tree.set(0, new Uint8Array(31)), argument, 'not whole hashes')
      t.throws(() => tree.setAt(Uint32Array.of(10), hashOf(1)), argument, 'no such leaf')
      t.throws(() => tree.setAt(Uint32Array.of(1), hashesOf(0, 2)), argument)
      t.throws(() => tree.setRows(10, new Uint8Array(5), Uint32Array.of(0, 5)), argument)
      t.throws(() => tree.setRows(0, new Uint8Array(5), Uint32Array.of(0, 6)), argument)
      t.throws(() => tree.setRows(0, new Uint8Array(5), Uint32Array.of(0)), argument, 'no rows')
      t.throws(() => tree.level(5, 0, 1), argument)
      t.throws(() => tree.level(4, 15, 2), argument)
      t.equal(hex(tree.root()), root)
      tree.set(3, new Uint8Array(0))
      tree.setAt(new Uint32Array(0), new Uint8Array(0))
      t.equal(hex(tree.root()), root, 'nothing was set')
      tree.free()
      tree.free()
      const closed = { code: 'ERR_CLOSED' }
      t.throws(() => tree.root(), closed)
      t.throws(() => tree.set(0, hashOf(1)), closed)
      t.throws(() => tree.setAt(Uint32Array.of(1), hashOf(1)), closed)
      t.throws(() => tree.setRows(0, new Uint8Array(5), Uint32Array.of(0, 5)), closed)
      for (const leaves of [0, -1, 1.5, 2 ** 24 + 1]) t.throws(() => create(leaves), argument)
    })
  })
}

t.test('every build and the twin agree on a large tree that is built and then changed', async t => {
  const leaves = 40_000
  const hashes = hashesOf(0, 1_000)
  const trees = Object.values(implementations).map(create => create(leaves))
  const roots = trees.map(tree => {
    for (let i = 0; i < leaves; i += 1_000)
      tree.set(
        i,
        hashes.map(byte => byte ^ (i / 1_000))
      )
    const before = hex(tree.root())
    const scattered = Uint32Array.from({ length: 1_000 }, (_, i) => (i * 7_919) % leaves)
    tree.setAt(scattered, hashes)
    const after = hex(tree.root())
    tree.setAt(Uint32Array.of(leaves - 1), hashOf(5))
    return [before, after, hex(tree.root())]
  })
  t.equal(new Set(roots[0]).size, 3)
  for (const others of roots) t.same(others, roots[0])
})

t.test('changing leaves gives the tree that building it anew gives', async t => {
  const leaves = 20_000
  const [changed, built] = [createTree(KEY, leaves), createTree(KEY, leaves)]
  const hashes = hashesOf(0, 500)
  for (let i = 0; i < leaves; i += 500) changed.set(i, hashes)
  changed.root()
  const positions = Uint32Array.from({ length: 500 }, (_, i) => 31 * i)
  for (let i = 0; i < 500; i += 100) {
    changed.setAt(positions.subarray(i, i + 100), hashes.subarray(32 * i, 32 * (i + 100)))
    changed.root()
  }
  for (let i = 0; i < leaves; i += 500) built.set(i, hashes)
  built.setAt(positions, hashes)
  t.equal(hex(changed.root()), hex(built.root()))
  t.equal(hex(changed.level(10, 0, 1_024)), hex(built.level(10, 0, 1_024)))
})

t.test('a tree goes on where its memory has grown, and ends where it has none', async t => {
  const tree = createTree(KEY, 1_000)
  const twin = createJavaScriptTree(KEY, 1_000)
  const rows = new Uint8Array(3_000_000).fill(9)
  const offsets = Uint32Array.of(0, 100, 2_900_000, 2_900_050, 3_000_000)
  for (const each of [tree, twin]) {
    each.set(0, hashesOf(0, 50))
    each.setRows(20, rows, offsets)
  }
  t.equal(hex(tree.root()), hex(twin.root()))
  const full = { code: 'ERR_OVERLOADED' }
  t.throws(() => createTree(KEY, 100_000, { arenaBytesMax: 2 ** 20 }), full)
  const small = createTree(KEY, 100, { arenaBytesMax: 2 ** 20 })
  small.set(0, hashesOf(0, 100))
  t.throws(() => small.setRows(0, rows, offsets), full)
  const [[root] = []] = modelGroup(range(100))
  t.equal(hex(small.root()), hex(root as Uint8Array), 'no leaf was set')
  small.setRows(0, rows, Uint32Array.of(0, 100, 200_000))
  t.not(hex(small.root()), hex(root as Uint8Array))
})

const range = (count: number) => Array.from({ length: count }, (_, i) => hashOf(i))
