/**
 * The forest against its plain TypeScript twin and against a model that shares no code with either.
 * All of it on the release build in every width, on the scalar build, on the debug build, which
 * asserts, and on the twin. What hashes them is tested in digest-lanes.ts.
 */
import { blake3 } from '@noble/hashes/blake3.js'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { createForest, depthFor, SLOTS, type Forest } from '../src/digest/forest.ts'
import { createJavaScriptForest } from '../src/digest/javascript.ts'
import { STAGE_BYTES } from '../src/digest/wasm.ts'
import { concat, hex, utf8 } from '../src/util/bytes.ts'
import { KEY, modelGroup, modelTree } from './fixtures/digest-model.ts'
import { officialInput, vectors } from './fixtures/digest-vectors.ts'
import { builds, implementations, play, script, SLOTS_USED } from './fixtures/digest-script.ts'

const check = <T>(numRuns: number, arbitrary: fc.Arbitrary<T>, law: (value: T) => void) =>
  fc.assert(fc.property(arbitrary, law), { numRuns })
const same = (a: unknown, b: unknown) => {
  if (JSON.stringify(a) !== JSON.stringify(b)) throw new Error('they differ')
}
/** Distinct digests that look random. */
const digestOf = (i: number) => blake3(utf8(String(i)))
const tokenOf = (i: number) => new DataView(digestOf(i).buffer).getUint32(0)

for (const [name, create] of Object.entries(implementations)) {
  t.test(`the ${name} forest`, async t => {
    t.test('gives the official hashes of BLAKE3, plain and keyed', async t => {
      const forest = create(utf8(vectors.key))
      t.equal(vectors.cases.length, 35)
      const inputs = vectors.cases.map(({ length }) => officialInput(length))
      t.same(
        inputs.map(input => hex(forest.hash(input))),
        vectors.cases.map(({ hash }) => hash)
      )
      t.same(
        inputs.map(input => hex(forest.digest(input))),
        vectors.cases.map(({ keyed }) => keyed)
      )
      t.equal(hex(forest.digestMany(inputs)), vectors.cases.map(({ keyed }) => keyed).join(''))
    })
    t.test('hashes any batch as it hashes each row', async t => {
      const forest = create()
      const row = fc.oneof(
        { weight: 9, arbitrary: fc.uint8Array({ maxLength: 300 }) },
        { weight: 1, arbitrary: fc.nat(90_000).map(officialInput) }
      )
      check(60, fc.array(row, { maxLength: 40 }), rows => {
        const each = concat(rows.map(row => blake3(row, { key: KEY })))
        same(hex(forest.digestMany(rows)), hex(each))
        same(hex(concat(rows.map(row => forest.digest(row)))), hex(each))
      })
      const many = Array.from({ length: 1_000 }, (_, i) => digestOf(i))
      t.equal(hex(forest.digestMany(many)), hex(concat(many.map(row => forest.digest(row)))))
    })
    t.test('has the trees and groups of the model after any history', async t => {
      check(40, script, steps => {
        const forest = create()
        const { left } = play(forest, steps)
        for (const slot of SLOTS_USED) {
          const rows = left.get(slot) ?? []
          same(forest.rows(slot), rows.length)
          for (let depth = 0; depth <= forest.depth(slot); depth++) {
            modelTree(rows, depth).forEach((hashes, level) => {
              const read = forest.level(slot, depth, level, 0, hashes.length)
              same(hex(read), hex(concat(hashes)))
            })
          }
        }
        const group = forest.group(SLOTS_USED)
        const roots = Array.from(SLOTS_USED, slot => forest.root(slot))
        modelGroup(roots).forEach((hashes, level) =>
          same(hex(group.level(level, 0, hashes.length)), hex(concat(hashes)))
        )
      })
      t.pass()
    })
    t.test('reads any part of a level', async t => {
      const forest = create()
      forest.reset(3, 5)
      for (let i = 0; i < 200; i++) forest.add(3, tokenOf(i), digestOf(i))
      const whole = forest.level(3, 5, 4, 0, 16)
      for (let first = 0; first <= 16; first++) {
        const part = forest.level(3, 5, 4, first, 16 - first)
        t.equal(hex(part), hex(whole.subarray(32 * first)))
      }
      t.equal(hex(forest.level(3, 5, 0, 0, 1)), hex(forest.root(3)))
    })
    t.test('brings a folded copy up to date when its slot changes', async t => {
      const forest = create()
      forest.reset(9, 4)
      forest.add(9, 5, digestOf(1))
      const before = hex(forest.level(9, 2, 0, 0, 1))
      forest.add(9, 2 ** 31, digestOf(2))
      const after = hex(forest.level(9, 2, 0, 0, 1))
      t.not(after, before)
      forest.remove(9, 2 ** 31, digestOf(2))
      t.equal(hex(forest.level(9, 2, 0, 0, 1)), before)
    })
    t.test('has the same hashes in whatever order the digests came', async t => {
      const forest = create()
      for (const slot of [1, 2]) forest.reset(slot, 3)
      for (let i = 0; i < 100; i++) forest.add(1, tokenOf(i), digestOf(i))
      for (let i = 120; i-- > 0;) forest.add(2, tokenOf(i), digestOf(i))
      t.not(hex(forest.root(1)), hex(forest.root(2)))
      for (let i = 100; i < 120; i++) forest.remove(2, tokenOf(i), digestOf(i))
      t.equal(hex(forest.root(1)), hex(forest.root(2)))
    })
    t.test('tells two equal digests in one leaf from none', async t => {
      const forest = create()
      const empty = hex(forest.root(0))
      const half = new Uint8Array(32).fill(128, 31)
      forest.add(0, 1, half)
      forest.add(0, 2, half)
      t.not(hex(forest.root(0)), empty, 'the sum is 0 again, the count is not')
    })
    t.test('carries and borrows through every word of a sum', async t => {
      const forest = create()
      const ones = new Uint8Array(32).fill(255)
      const one = new Uint8Array(32).fill(1, 0, 1)
      const digests = [ones, one, digestOf(1), digestOf(2)]
      for (const digest of digests) {
        for (const each of digests) forest.add(0, 0, each)
        for (const each of digests) if (each !== digest) forest.remove(0, 0, each)
        const [[root]] = modelTree([{ tokenHigh: 0, digest }], 0) as [[Uint8Array]]
        t.equal(hex(forest.root(0)), hex(root))
        forest.remove(0, 0, digest)
      }
    })
    t.test('has groups of one slot, of none and of all', async t => {
      const forest = create()
      forest.add(4, 9, digestOf(9))
      const one = forest.group(Uint16Array.of(4))
      t.equal(one.depth, 0)
      t.equal(hex(one.root()), hex(forest.root(4)))
      const none = forest.group(Uint16Array.of())
      t.equal(none.depth, 0)
      t.equal(hex(none.root()), '00'.repeat(32))
      const all = forest.group(Uint16Array.from({ length: SLOTS }, (_, i) => i))
      t.equal(all.depth, 14)
      t.equal(hex(all.level(14, 4, 1)), hex(forest.root(4)))
      const before = hex(all.root())
      forest.add(SLOTS - 1, 0, digestOf(8))
      t.not(hex(all.root()), before)
      forest.remove(SLOTS - 1, 0, digestOf(8))
      t.equal(hex(all.root()), before)
    })
    t.test('finds exactly the hashes that differ', async t => {
      const forest = create()
      const positions = fc.uniqueArray(fc.nat(1_999), { maxLength: 50 })
      check(30, positions, positions => {
        const a = new Uint8Array(32 * 2_000).fill(1)
        const b = a.slice()
        for (const at of positions) b[32 * at + (at % 32)] = 2
        same(
          [...forest.difference(a, b)],
          [...positions].sort((x, y) => x - y)
        )
      })
      t.same([...forest.difference(new Uint8Array(0), new Uint8Array(0))], [])
    })
    t.test('refuses bad arguments and stays usable', async t => refuses(t, create()))
  })
}

function refuses(t: Test, forest: Forest) {
  forest.reset(7, 3)
  forest.add(7, 123, digestOf(1))
  const root = hex(forest.root(7))
  const group = forest.group(Uint16Array.of(7))
  const freed = forest.group(Uint16Array.of(7, 8))
  freed.free()
  freed.free()
  const argument = { code: 'ERR_ARGUMENT' }
  for (const slot of [SLOTS, -1, 1.5, NaN]) {
    t.throws(() => forest.add(slot, 0, digestOf(1)), argument)
    t.throws(() => forest.remove(slot, 0, digestOf(1)), argument)
    t.throws(() => forest.rows(slot), argument)
    t.throws(() => forest.depth(slot), argument)
    t.throws(() => forest.reset(slot, 0), argument)
    t.throws(() => forest.root(slot), argument)
  }
  for (const token of [-1, 2 ** 32, 0.5]) t.throws(() => forest.add(7, token, root32()), argument)
  for (const length of [0, 31, 33]) {
    t.throws(() => forest.add(7, 0, new Uint8Array(length)), argument)
    t.throws(() => forest.remove(7, 0, new Uint8Array(length)), argument)
  }
  for (const depth of [-1, 17, 2.5]) t.throws(() => forest.reset(7, depth), argument)
  t.throws(() => forest.level(7, 4, 0, 0, 1), argument, 'deeper than the tree')
  t.throws(() => forest.level(7, 3, 4, 0, 1), argument, 'a level below the leaves')
  t.throws(() => forest.level(7, 3, 2, 4, 1), argument, 'past the end of the level')
  t.throws(() => forest.level(7, 3, 2, 3, 2), argument, 'reaching past the end')
  t.throws(() => forest.level(7, 3, 2, -1, 2), argument)
  t.throws(() => forest.level(7, 3, 2, 0, -1), argument)
  t.throws(() => forest.leaves(7, 7, 2), argument, 'reaching past the last leaf')
  t.throws(() => forest.leaves(SLOTS, 0, 1), argument)
  const leaves = forest.leaves(7, 0, 8)
  t.throws(() => forest.restore(7, 2, leaves), argument, 'of another depth')
  t.throws(() => forest.restore(7, 17, leaves), argument)
  t.throws(() => forest.restore(SLOTS, 3, leaves), argument)
  t.throws(() => forest.restore(7, 3, { ...leaves, sums: root32() }), argument)
  const counts = new Uint32Array(8).fill(2 ** 31)
  t.throws(() => forest.restore(7, 3, { ...leaves, counts }), argument, 'more than can be counted')
  t.throws(() => forest.group(Uint16Array.of(SLOTS)), argument)
  t.throws(() => forest.group(new Uint16Array(SLOTS + 1)), argument)
  t.throws(() => group.level(1, 0, 1), argument)
  t.throws(() => freed.root(), { code: 'ERR_CLOSED' })
  t.throws(() => freed.level(0, 0, 0), { code: 'ERR_CLOSED' })
  t.throws(() => freed.refresh(1), { code: 'ERR_CLOSED' })
  t.throws(() => forest.difference(root32(), new Uint8Array(64)), argument)
  t.throws(() => forest.difference(new Uint8Array(5), new Uint8Array(5)), argument)
  t.throws(() => forest.remove(7, 2 ** 32 - 1, digestOf(1)), argument, 'an empty leaf')
  t.throws(() => forest.remove(6, 0, digestOf(1)), argument, 'an empty slot')
  t.equal(hex(forest.root(7)), root)
  t.equal(hex(group.root()), root)
  t.equal(forest.rows(7), 1)
}

const root32 = () => new Uint8Array(32)

t.test('the builds and the twin agree on everything seen during any history', async t => {
  check(60, script, steps => {
    const [first, ...others] = Object.values(implementations).map(create => play(create(), steps))
    for (const other of others) same(other.seen, first?.seen)
  })
  t.pass()
})

t.test(
  'a group takes the roots that changed a few at a time, and all when it is asked',
  async t => {
    for (const [name, create] of Object.entries(implementations)) {
      const forest = create()
      const slots = Uint16Array.from({ length: 10 }, (_, i) => i)
      const [group, other] = [forest.group(slots), forest.group(slots)]
      t.ok(group.refresh(10) && group.refresh(0), name)
      for (let i = 0; i < 5; i++) forest.add(i, tokenOf(i), digestOf(i))
      t.same([group.refresh(2), group.refresh(2), group.refresh(2)], [false, false, true], name)
      for (let i = 0; i < 5; i++) forest.add(i, tokenOf(i), digestOf(i))
      t.notOk(group.refresh(3), name)
      t.equal(hex(group.root()), hex(other.root()), name)
      t.ok(group.refresh(0), name)
    }
  }
)

t.test('the builds and the twin agree on a deep tree at every folded depth', async t => {
  const forests = Object.values(implementations).map(create => create())
  const roots = forests.map(forest => {
    forest.reset(11, 12)
    for (let i = 0; i < 5_000; i++) forest.add(11, tokenOf(i), digestOf(i))
    forest.root(11)
    for (let i = 0; i < 50; i++) forest.remove(11, tokenOf(i), digestOf(i))
    return Array.from({ length: 13 }, (_, depth) => hex(forest.level(11, depth, 0, 0, 1)))
  })
  t.equal(new Set(roots[0]).size, 13)
  for (const others of roots) t.same(others, roots[0])
})

t.test('memory that grows in the middle of everything loses nothing', async t => {
  const forest = createForest(KEY)
  const twin = createJavaScriptForest(KEY)
  const slots = Uint16Array.from({ length: 300 }, (_, i) => i)
  const groups = [forest.group(slots), twin.group(slots)]
  const long = officialInput(3 * 1024 * 1024)
  for (let i = 0; i < 3_000; i++) {
    for (const each of [forest, twin]) {
      if (i < 300) each.reset(i, i % 10)
      each.add(i % 300, tokenOf(i), digestOf(i))
    }
    if (i === 1_000) t.equal(hex(forest.digest(long)), hex(twin.digest(long)))
    if (i % 500 === 0)
      t.equal(hex(groups[0]?.root() as Uint8Array), hex(groups[1]?.root() as Uint8Array))
  }
  t.equal(hex(groups[0]?.root() as Uint8Array), hex(groups[1]?.root() as Uint8Array))
})

for (const build of builds) {
  t.test(`the ${build} build at the end of its memory`, async t => {
    t.test('refuses, keeps what it has, and goes on when some is given back', async t => {
      const forest = createForest(KEY, { build, arenaBytesMax: 2 ** 20 })
      forest.reset(0, 2)
      forest.add(0, 7, digestOf(7))
      const root = hex(forest.root(0))
      let full = 1
      t.throws(
        () => {
          for (; ; full++) forest.reset(full, 8)
        },
        { code: 'ERR_OVERLOADED' }
      )
      t.ok(full > 20, `${full} trees fit`)
      t.throws(() => forest.reset(0, 9), { code: 'ERR_OVERLOADED' })
      t.throws(() => forest.digest(new Uint8Array(2 ** 19)), { code: 'ERR_OVERLOADED' })
      t.throws(() => forest.digest(new Uint8Array(2 ** 21)), { code: 'ERR_OVERLOADED' })
      t.equal(forest.depth(0), 2)
      t.equal(hex(forest.root(0)), root)
      forest.reset(1, 0)
      forest.reset(full, 8)
      t.equal(forest.depth(full), 8)
    })
    t.test('gives back what it needed for a long row', async t => {
      const forest = createForest(KEY, { build, arenaBytesMax: 2 ** 20 })
      const row = officialInput(300_000)
      const digests = Array.from({ length: 5 }, () => hex(forest.digest(row)))
      t.same(new Set(digests), new Set([hex(blake3(row, { key: KEY }))]))
    })
    t.test('makes large blocks again of small ones that were given back', async t => {
      const forest = createForest(KEY, { build, arenaBytesMax: 2 ** 20 })
      t.throws(
        () => {
          for (let slot = 0; ; slot++) forest.reset(slot, 1)
        },
        { code: 'ERR_OVERLOADED' }
      )
      t.throws(() => forest.reset(SLOTS - 1, 12), { code: 'ERR_OVERLOADED' })
      for (let slot = 0; slot < SLOTS; slot += 2) forest.reset(slot, 0)
      for (let slot = 1; slot < SLOTS; slot += 2) forest.reset(slot, 0)
      forest.reset(SLOTS - 1, 12)
      t.equal(forest.depth(SLOTS - 1), 12)
    })
    t.test('needs no more than 16 bytes a row where leaves are full', async t => {
      const rows = 65_536
      // The stage, and 8 bytes for each slot.
      const fixed = STAGE_BYTES + 8 * SLOTS
      const forest = createForest(KEY, { build, arenaBytesMax: 16 * rows + fixed })
      const digest = digestOf(0)
      for (let slot = 0; slot < 8; slot++) {
        for (let depth = 0; depth <= depthFor(rows / 8); depth++) forest.reset(slot, depth)
        for (let i = 0; i < rows / 8; i++) forest.add(slot, i * 2 ** 19, digest)
      }
      t.equal(forest.depth(7), 10)
      t.equal(forest.rows(7), rows / 8)
    })
  })
}

t.test('a forest cannot be made without what it needs', async t => {
  t.throws(() => createForest(new Uint8Array(31)), { code: 'ERR_ARGUMENT' })
  t.throws(() => createJavaScriptForest(new Uint8Array(33)), { code: 'ERR_ARGUMENT' })
  t.throws(() => createForest(KEY, { arenaBytesMax: 1_000 }), { code: 'ERR_OVERLOADED' })
  for (const arenaBytesMax of [0, -1, 1.5, 2 ** 31]) {
    t.throws(() => createForest(KEY, { arenaBytesMax }), { code: 'ERR_ARGUMENT' })
  }
  t.throws(() => createForest(KEY, { build: 'absent' as 'debug' }), {
    code: 'ERR_INTERNAL',
    message: /npm run build/
  })
})

t.test('depthFor is the smallest depth with at most 12 rows a leaf', async t => {
  check(2_000, fc.nat(2 ** 20), rows => {
    const depth = depthFor(rows)
    if (depth < 16 && rows > 12 * 2 ** depth) throw new Error('too shallow')
    if (depth > 0 && rows <= 12 * 2 ** (depth - 1)) throw new Error('too deep')
  })
  t.same([0, 12, 13, 24, 25, 786_432, 786_433, 1e9].map(depthFor), [0, 0, 1, 1, 2, 16, 16, 16])
})

t.test('forests with different keys share no hash', async t => {
  const other = createForest(KEY.map(byte => byte ^ 1))
  const forest = createForest(KEY)
  t.not(hex(other.digest(utf8('a'))), hex(forest.digest(utf8('a'))))
  t.not(hex(other.root(0)), hex(forest.root(0)))
  t.equal(hex(other.hash(utf8('a'))), hex(forest.hash(utf8('a'))))
})
