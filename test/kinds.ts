import fc from 'fast-check'
import t from 'tap'
import { readCounter } from '../src/lattice/kinds.ts'
import { join } from '../src/lattice/row.ts'
import { utf8 } from '../src/util/bytes.ts'
import { playWithModel } from './fixtures/counter-model.ts'
import { historyOf } from './fixtures/lattice-arbitrary.ts'

const check = <T>(arbitrary: fc.Arbitrary<T>, law: (value: T) => void, numRuns = 1_000) =>
  fc.assert(fc.property(arbitrary, law), { numRuns })

t.test('a counter', async t => {
  const operation = fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: -9, max: 9 }) },
    { weight: 1, arbitrary: fc.constant('set' as const) },
    { weight: 1, arbitrary: fc.constant('delete' as const) }
  )
  const counting = historyOf(
    fc.tuple(operation, fc.integer({ min: -999, max: 999 })).map(([what, value]) => {
      if (what === 'delete') return { do: 'delete' as const }
      if (what === 'set') return { do: 'put' as const, value: utf8(String(value)) }
      return { do: 'increment' as const, by: BigInt(what) }
    })
  )

  t.test('shows what the writes seen add up to, whatever was late, lost or repeated', async t => {
    check(counting, steps => {
      const { rows, shown } = playWithModel(steps)
      for (const [i, row] of rows.entries()) {
        const value = readCounter(row, 0)
        if (value !== shown[i]) throw new Error(`replica ${i} shows ${value}, not ${shown[i]}`)
      }
    })
    t.pass()
  })

  t.test('is exact once all have joined', async t => {
    check(counting, steps => {
      const all = [0, 1, 2, 3].flatMap(from =>
        [0, 1, 2, 3].map(to => ({ do: 'sync' as const, from, to }))
      )
      const { rows, shown } = playWithModel([...steps, ...all, ...all])
      const value = readCounter(rows.reduce(join), 0)
      if (value !== shown[0]) throw new Error(`${value}, not ${shown[0]}`)
    })
    t.pass()
  })
})
