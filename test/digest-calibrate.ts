/** Which kernels are chosen for a machine: by what a clock says, and only by that. */
import t from 'tap'
import { calibrate } from '../src/digest/calibrate.ts'
import { createForest } from '../src/digest/forest.ts'
import { fastestBuild } from '../src/digest/wasm.ts'
import { hex, utf8 } from '../src/util/bytes.ts'
import { createJavaScriptForest } from '../src/digest/javascript.ts'
import { KEY } from './fixtures/digest-model.ts'
import { fillTree } from './fixtures/digest-script.ts'

/** The kernels in the order in which they are tried. */
interface Speeds {
  readonly eight: number
  readonly four: number
  readonly vector: number
  readonly words: number
}

/** A clock on which each kernel takes so long, but `slow` times that before round `until`. */
function clockOf({ eight, four, vector, words }: Speeds, until = 0, slow = 1) {
  const order = [eight, four, vector, words]
  let readings = 0
  let pauses = 0
  let now = 5
  return {
    pauses: () => pauses,
    monoMs: () => {
      const kernel = (readings >> 1) % 4
      const factor = readings >> 3 < until ? slow : 1
      // Every second reading is the end of a slice.
      if (readings++ % 2 === 1) now += (order[kernel] as number) * factor
      return now
    },
    pause: async () => void pauses++
  }
}

const SAME = { eight: 1, four: 1, vector: 1, words: 1 }

const noSimd = fastestBuild() === 'scalar' && 'this machine has no SIMD'

t.test('without SIMD nothing is tried, and the one kernel there is is chosen', async t => {
  const clock = clockOf(SAME)
  const { lanes, vector, eightNs } = await calibrate(clock, 'scalar')
  t.same({ lanes, vector, eightNs }, { lanes: 1, vector: false, eightNs: NaN })
  t.equal(clock.pauses(), 0)
  const forest = createForest(KEY, { lanes, vector, build: 'scalar' })
  const twin = createJavaScriptForest(KEY)
  t.equal(fillTree(forest), fillTree(twin))
})

t.test('the kernels that a clock says are faster are chosen', { skip: noSimd }, async t => {
  const chosen = async (speeds: Partial<Speeds>) => {
    const { lanes, vector } = await calibrate(clockOf({ ...SAME, ...speeds }))
    return { lanes, vector }
  }
  t.same(await chosen({ four: 0.9 }), { lanes: 4, vector: false })
  t.same(await chosen({ eight: 0.9 }), { lanes: 8, vector: false })
  t.same(await chosen({ vector: 0.9 }), { lanes: 8, vector: true })
  t.same(await chosen({ words: 0.9, four: 0.5 }), { lanes: 4, vector: false })
  t.same(await chosen({}), { lanes: 8, vector: false }, 'nothing is ahead')
  t.same(await chosen({ four: 0.99, vector: 0.99 }), { lanes: 8, vector: false }, 'not by enough')
})

t.test(
  'the fastest slice of each kernel counts, and is what is said',
  { skip: noSimd },
  async t => {
    const clock = clockOf({ eight: 0.02, four: 0.01, vector: 0.03, words: 0.04 }, 19, 7)
    t.same(await calibrate(clock), {
      lanes: 4,
      vector: true,
      eightNs: 39.1,
      fourNs: 19.5,
      vectorNs: 58.6,
      wordsNs: 78.1
    })
    t.equal(clock.pauses(), 20, 'others had a turn before every round')
  }
)

t.test('a real clock leads to kernels of this machine, and they hash as any others', async t => {
  const kernels = await calibrate({
    monoMs: () => performance.now(),
    pause: () => new Promise(resolve => setImmediate(resolve))
  })
  const { eightNs, fourNs, vectorNs, wordsNs } = kernels
  t.ok((noSimd === false ? [4, 8] : [1]).includes(kernels.lanes))
  t.ok([eightNs, fourNs, vectorNs, wordsNs].every(ns => (noSimd === false ? ns > 1 : ns !== ns)))
  t.comment(JSON.stringify(kernels))
  const rows = Array.from({ length: 50 }, (_, i) => utf8('x'.repeat(i * i)))
  const [chosen, other] = [createForest(KEY, kernels), createForest(KEY, { build: 'scalar' })]
  t.equal(hex(chosen.digestMany(rows)), hex(other.digestMany(rows)))
})
