/**
 * BLAKE3 by every path there is: one row, batches that fill eight lanes, four, and what is left
 * over, rows of many chunks, rows of every length mixed; plain and keyed; by every build. Held to
 * the official vectors and to another author's BLAKE3.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { blake3 } from '@noble/hashes/blake3.js'
import fc from 'fast-check'
import t from 'tap'
import { createForest } from '../src/digest/forest.ts'
import { Core, fastestBuild, type CoreInit } from '../src/digest/wasm.ts'
import { concat, hex, utf8 } from '../src/util/bytes.ts'
import { KEY } from './fixtures/digest-model.ts'
import { builds, fillTree, implementations, inits } from './fixtures/digest-script.ts'
import { officialInput, vectors } from './fixtures/digest-vectors.ts'

/** A batch in linear memory, followed by bytes that must not matter. */
function hashRows(core: Core, keyed: boolean, rows: readonly Uint8Array[]): string[] {
  const { exports } = core
  const bytes = concat(rows)
  const sizes = [
    bytes.length + exports.PADDING_BYTES.value,
    4 * (rows.length + 1),
    32 * rows.length
  ]
  const [at, offsets, out] = sizes.map(size => core.allocate(size)) as [number, number, number]
  core.bytes().set(bytes, at)
  core.bytes().fill(0xa5, at + bytes.length, at + bytes.length + exports.PADDING_BYTES.value)
  let end = 0
  core.storeWords(Uint32Array.of(0, ...rows.map(row => (end += row.length))), offsets)
  const mode = keyed ? exports.KEYED.value : exports.PLAIN.value
  exports.hashRows(mode, at, offsets, rows.length, out)
  const hashes = rows.map((_, i) => hex(core.copy(out + 32 * i, 32)))
  sizes.forEach((size, i) => exports.release([at, offsets, out][i] as number, size))
  return hashes
}

const pack = (rows: readonly Uint8Array[]) => {
  let end = 0
  return {
    bytes: concat(rows),
    offsets: Uint32Array.of(0, ...rows.map(row => (end += row.length)))
  }
}

const row = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 200 }) },
  { weight: 3, arbitrary: fc.nat(2_000).map(officialInput) },
  { weight: 1, arbitrary: fc.nat(70_000).map(officialInput) }
)

for (const [name, init] of Object.entries(inits)) {
  t.test(`the kernels of ${name}`, async t => {
    const core = new Core(utf8(vectors.key), init)
    for (const keyed of [false, true]) {
      const wanted = vectors.cases.map(({ hash, keyed: under }) => (keyed ? under : hash))
      const inputs = vectors.cases.map(({ length }) => officialInput(length))
      const mode = keyed ? 'keyed' : 'plain'
      t.test(`give the official ${mode} hashes in one batch of all lengths`, async t => {
        t.same(hashRows(core, keyed, inputs), wanted)
        t.same(hashRows(core, keyed, inputs.toReversed()), wanted.toReversed())
      })
      t.test(`give the official ${mode} hashes in one to seventeen lanes`, async t => {
        inputs.forEach((input, i) => {
          const lanes = input.length > 10_000 ? [1, 3, 8] : [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 17]
          for (const count of lanes) {
            const hashes = hashRows(core, keyed, Array<Uint8Array>(count).fill(input))
            t.same(new Set(hashes), new Set([wanted[i]]), `${input.length} bytes, ${count} times`)
          }
        })
      })
    }
    t.test('give each lane its own hash, whatever the others hash', async t => {
      const own = new Core(KEY, init)
      fc.assert(
        fc.property(fc.array(row, { minLength: 1, maxLength: 60 }), fc.boolean(), (rows, keyed) => {
          const each = rows.map(row => hex(blake3(row, keyed ? { key: KEY } : {})))
          const hashes = hashRows(own, keyed, rows)
          if (hashes.join() !== each.join()) throw new Error('they differ')
        }),
        { numRuns: 60 }
      )
      t.pass()
    })
    t.test('join the pieces of very long rows', async t => {
      const own = new Core(KEY, init)
      const chunk = 1_024
      const piece = 1_024 * chunk
      for (const length of [piece, piece + 1, 2 * piece, 2 * piece + chunk + 1, 3 * piece + 5]) {
        const input = officialInput(length)
        const [hash] = hashRows(own, true, [input])
        t.equal(hash, hex(createForestLike(init).digest(input)))
        if (init.build === 'debug') continue
        t.equal(hash, hex(implementations['twin']?.().digest(input) as Uint8Array), `${length}`)
      }
    })
  })
}

const createForestLike = (init: CoreInit) => createForest(KEY, init)

t.test('a row of several pieces has the hash that another author gives it', async t => {
  const input = officialInput(2 * 1_024 * 1_024 + 4_321)
  const hash = hex(blake3(input, { key: KEY }))
  for (const create of Object.values(implementations)) t.equal(hex(create().digest(input)), hash)
})

for (const [name, create] of Object.entries(implementations)) {
  t.test(`rows of the ${name} implementation`, async t => {
    t.test('have the same digest packed, listed and alone', async t => {
      const hasher = create()
      fc.assert(
        fc.property(fc.array(row, { minLength: 1, maxLength: 50 }), rows => {
          const { bytes, offsets } = pack(rows)
          const out = new Uint8Array(32 * rows.length + 1)
          hasher.digestPacked(bytes, offsets, out)
          const listed = hex(hasher.digestMany(rows))
          const alone = new Uint8Array(32 * rows.length)
          rows.forEach((row, i) => hasher.digestInto(row, alone, 32 * i))
          if (hex(out) !== `${listed}00` || hex(alone) !== listed) throw new Error('they differ')
        }),
        { numRuns: 40 }
      )
      t.pass()
    })
    t.test('have under a key the digest of both with the length of the key', async t => {
      const hasher = create()
      for (const [ofKey, ofRow] of [
        [1, 0],
        [20, 100],
        [256, 3_000],
        [1_024, 300_000]
      ] as const) {
        const [key, bytes] = [officialInput(ofKey), officialInput(ofRow)]
        const out = new Uint8Array(33)
        hasher.digestRow(key, bytes, out, 1)
        const whole = concat([Uint8Array.of(ofKey >> 8, ofKey & 255), key, bytes])
        t.equal(hex(out), `00${hex(hasher.digest(whole))}`)
        t.throws(() => hasher.digestRow(key, bytes, out, 2), { code: 'ERR_ARGUMENT' })
      }
    })
    t.test('are found wherever the packed bytes begin', async t => {
      const hasher = create()
      const rows = Array.from({ length: 1_200 }, (_, i) => officialInput(i % 190))
      const { bytes, offsets } = pack([officialInput(77), ...rows, officialInput(9)])
      const out = new Uint8Array(32 * rows.length)
      const shifted = new Uint8Array(bytes.length + 3).subarray(3)
      shifted.set(bytes)
      hasher.digestPacked(shifted, offsets.subarray(1, rows.length + 2), out)
      t.equal(hex(out), hex(hasher.digestMany(rows)))
    })
    t.test('are refused when they cannot be there, and hashed when they can', async t => {
      const hasher = create()
      const argument = { code: 'ERR_ARGUMENT' }
      const rows = officialInput(100)
      const out = new Uint8Array(64)
      const packed = (...offsets: number[]) =>
        hasher.digestPacked(rows, Uint32Array.of(...offsets), out)
      t.throws(() => packed(), argument, 'no offsets')
      t.throws(() => packed(0), argument, 'no rows')
      t.throws(() => packed(0, 50, 101), argument, 'past the end')
      t.throws(() => packed(0, 2 ** 32 - 1), argument, 'far past the end')
      t.throws(() => packed(60, 50), argument, 'ends before it begins')
      t.throws(() => packed(0, 1, 2, 3), argument, 'no room for the third')
      for (const at of [33, -1, 0.5, NaN]) {
        t.throws(() => hasher.digestInto(rows, out, at), argument)
      }
      t.same(out, new Uint8Array(64), 'nothing was written')
      packed(0, 0, 100)
      t.equal(hex(out), hex(hasher.digestMany([new Uint8Array(0), rows])))
    })
  })
}

for (const build of builds) {
  t.test(
    `a row larger than the memory of the ${build} build is refused, alone and packed`,
    async t => {
      const forest = createForest(KEY, { build, arenaBytesMax: 2 ** 20 })
      const row = officialInput(2 ** 20)
      const full = { code: 'ERR_OVERLOADED' }
      t.throws(() => forest.digest(row), full)
      t.throws(() => forest.digestInto(row, new Uint8Array(32)), full)
      const out = new Uint8Array(64)
      t.throws(() => forest.digestPacked(row, Uint32Array.of(0, 10, 2 ** 20), out), full)
      t.same(out, new Uint8Array(64), 'nothing was written')
      t.throws(() => forest.digestMany([row.subarray(0, 10), row]), full)
      const fits = row.subarray(0, 200_000)
      t.equal(hex(forest.digest(fits)), hex(blake3(fits, { key: KEY })))
    }
  )
}

t.test('memory that grows between and within batches loses no row', async t => {
  const forest = createForest(KEY)
  const rows = [3, 150_000, 100, 0, 2_500_000, 64, 1_100_000, 5].map(officialInput)
  const { bytes, offsets } = pack(rows)
  const out = new Uint8Array(32 * rows.length)
  for (let round = 0; round < 3; round++) {
    forest.digestPacked(bytes, offsets, out.fill(0))
    t.equal(hex(out), hex(concat(rows.map(row => blake3(row, { key: KEY })))))
    for (let slot = 0; slot < 40; slot++) forest.reset(100 * round + slot, 10)
    forest.digestInto(rows[2] as Uint8Array, out, 0)
    t.equal(hex(out.subarray(0, 32)), hex(blake3(rows[2] as Uint8Array, { key: KEY })))
  }
})

t.test('hashing one row to where the caller wants it allocates nothing', async t => {
  const forest = createForest(KEY)
  const [input, out] = [officialInput(100), new Uint8Array(32)]
  const CALLS = 4_000
  const grown = (run: () => void) => {
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < CALLS; i++) run()
    return process.memoryUsage().heapUsed - before
  }
  // The least of some tries: a collection in between, or a compilation, is no allocation of ours.
  const leastOf = (run: () => void) => {
    const all = Array.from({ length: 15 }, () => grown(run))
    return Math.min(...all.filter(bytes => bytes >= 0))
  }
  t.ok(leastOf(() => forest.digestInto(input, out)) < 8 * CALLS, 'not even a number a call')
  const key = officialInput(20)
  t.ok(leastOf(() => forest.digestRow(key, input, out)) < 8 * CALLS, 'nor under its key')
  t.ok(leastOf(() => forest.digest(input)) > 32 * CALLS, 'as it would be seen')
})

const noSimd = fastestBuild() === 'scalar' && 'this machine has no SIMD'

t.test('a machine on which a module with SIMD is not valid runs the scalar build', async t => {
  t.equal(fastestBuild(utf8('no module')), 'scalar')
  t.equal(fastestBuild(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0)), 'release')
})

t.test(
  'a node that starts without SIMD hashes one row at a time and gets the same hashes',
  // Elsewhere there is no option that takes SIMD away.
  { skip: process.arch === 'x64' ? noSimd : 'this is no x64' },
  async t => {
    const file = fileURLToPath(new URL('./fixtures/digest-fallback.ts', import.meta.url))
    const options = process.execArgv.filter(option => !option.includes('processinfo'))
    const argv = ['--no-enable-sse4-1', ...options, file]
    const said = JSON.parse(execFileSync(process.execPath, argv, { encoding: 'utf8' })) as unknown
    const digests = vectors.cases.map(({ keyed }) => keyed).join('')
    const root = fillTree(createForest(utf8(vectors.key), { build: 'release' }))
    t.same(said, { build: 'scalar', lanes: 1, vector: false, digests, root })
  }
)

/** How often the kernels of eight, four and one lane run meanwhile. */
function runsOf(core: Core, run: () => void): number[] {
  const runs = () => [8, 4, 1].map(lanes => core.exports.runsOf(lanes))
  const before = runs()
  run()
  return runs().map((count, i) => count - (before[i] as number))
}

t.test('a width is the number of rows that are hashed at once', { skip: noSimd }, async t => {
  const eights = new Core(KEY, { build: 'debug', lanes: 8 })
  const fours = new Core(KEY, { build: 'debug', lanes: 4 })
  const ones = new Core(KEY, { build: 'debug', lanes: 1 })
  const rows = (count: number) => (core: Core) =>
    runsOf(core, () => hashRows(core, true, Array<Uint8Array>(count).fill(officialInput(100))))
  const each = (runs: (core: Core) => number[]) => [eights, fours, ones].map(runs)
  t.same(each(rows(16)), [
    [2, 0, 0],
    [0, 4, 0],
    [0, 0, 16]
  ])
  t.same(
    each(rows(22)),
    [
      [3, 0, 0],
      [0, 6, 0],
      [0, 0, 22]
    ],
    'six are worth eight, and two four'
  )
  t.same(each(rows(5)), [
    [0, 1, 1],
    [0, 1, 1],
    [0, 0, 5]
  ])
  t.same(
    each(rows(2)),
    [
      [0, 0, 2],
      [0, 1, 0],
      [0, 0, 2]
    ],
    'not so where eight are the fastest'
  )
  const tree = (core: Core) =>
    runsOf(core, () => void core.exports.treeLevel(core.exports.openTree(1_024), 0, 0))
  // At the top are four, two and one node; below, all lanes are filled.
  t.same(each(tree), [
    [127, 1, 3],
    [0, 256, 1],
    [0, 0, 1_023]
  ])
})

t.test('kernels are counted by the debug build only', { skip: noSimd }, async t => {
  const core = new Core(KEY, { build: 'release' })
  t.same(
    runsOf(core, () => hashRows(core, true, [officialInput(100)])),
    [0, 0, 0]
  )
})

t.test('there are kernels of eight lanes, of four and of one, and no others', async t => {
  for (const lanes of [0, 2, 16]) {
    const init = { lanes: lanes as 8 }
    t.throws(() => createForest(KEY, init), { code: 'ERR_ARGUMENT' })
  }
  const using = builds.filter(build => new Core(KEY, { build }).exports.SIMD.value === 1)
  t.same(using, noSimd === false ? ['release', 'debug'] : [])
})
