import fc from 'fast-check'
import t from 'tap'
import { printDot, type Dot } from '../src/lattice/dot.ts'
import { decodeRow, encodeRow } from '../src/lattice/encode.ts'
import { timeOf } from '../src/lattice/hlc.ts'
import {
  isRefusal,
  kindOf,
  readCounter,
  readMap,
  readSet,
  readValue,
  siblingsOf,
  type MapEntry
} from '../src/lattice/kinds.ts'
import { mutate } from '../src/lattice/mutate.ts'
import type { Operation } from '../src/lattice/operation.ts'
import { join, joinDelta, ROW_EMPTY, type Row } from '../src/lattice/row.ts'
import { bounded, SIBLINGS_MAX } from '../src/lattice/siblings.ts'
import { hex, text, utf8 } from '../src/util/bytes.ts'
import { living, playWithWrites } from './fixtures/causal-model.ts'
import { playWithModel } from './fixtures/counter-model.ts'
import { actor, history, historyOf, play } from './fixtures/lattice-arbitrary.ts'

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

const field = fc.constantFrom(...['a', 'b', 'c'].map(utf8))
const gone = fc.constant({ do: 'delete' as const })
/** One field a write, so that a write is alive as a whole or not at all. */
const one = field.map(each => [each])

t.test('a set', async t => {
  const changes = historyOf(
    fc.oneof(
      fc.record({ do: fc.constantFrom('set-add' as const, 'set-remove' as const), fields: one }),
      gone
    )
  )

  t.test('holds what was added and not removed by one who saw it, in every view', async t => {
    check(changes, steps => {
      const { rows, seen } = playWithWrites(steps)
      for (const [i, row] of rows.entries()) {
        const members = (readSet(row, 0) as Uint8Array[]).map(text).join()
        const expected = ['a', 'b', 'c'].filter(name => living(seen[i]!, utf8(name)).length > 0)
        if (members !== expected.join()) throw new Error(`${members}, not ${expected}`)
      }
    })
    t.pass()
  })

  t.test('keeps a member that is added while another removes it', async t => {
    const dot = (by: number, ms: number) => ({ actor: actor(by), time: timeOf(ms) })
    const begin = done(ROW_EMPTY, { do: 'set-add', fields: [utf8('m')] }, dot(0, 1))
    const added = done(begin, { do: 'set-add', fields: [utf8('m')] }, dot(1, 2))
    const removed = done(begin, { do: 'set-remove', fields: [utf8('m')] }, dot(2, 9))
    t.same(readSet(removed, 0), [])
    t.same(readSet(join(added, removed), 0), [utf8('m')])
  })
})

t.test('a map shows of each field the highest of the concurrent values', async t => {
  const changes = historyOf(
    fc.oneof(
      fc.tuple(field, fc.constantFrom('x', 'y', '')).map(([name, value]) => ({
        do: 'map-set' as const,
        pairs: [[name, utf8(value)] as const]
      })),
      fc.record({ do: fc.constant('map-delete' as const), fields: one }),
      gone
    )
  )
  check(changes, steps => {
    const { rows, seen } = playWithWrites(steps)
    for (const [i, row] of rows.entries()) {
      const shown = new Map(
        (readMap(row, 0) as MapEntry[]).map(({ field, dot }) => [text(field), printDot(dot)])
      )
      for (const name of ['a', 'b', 'c']) {
        const [best] = living(seen[i]!, utf8(name))
        const expected = best && printDot(best.delta.dot)
        if (shown.get(name) !== expected) throw new Error(`${name} ${shown.get(name)}`)
      }
    }
  })
  t.pass()
})

t.test('a register', async t => {
  const changes = historyOf(
    fc.oneof(
      fc.nat(9).map(value => ({ do: 'put' as const, value: utf8(`v${value}`) })),
      gone
    )
  )

  t.test('has exactly the concurrent maximal writes as siblings (I6), in every view', async t => {
    check(changes, steps => {
      const { rows, seen } = playWithWrites(steps)
      for (const [i, row] of rows.entries()) {
        const siblings = siblingsOf(row, 0).map(({ dot }) => printDot(dot))
        const expected = living(seen[i]!, undefined).map(({ delta }) => printDot(delta.dot))
        if (siblings.join() !== expected.join()) throw new Error(`${siblings}, not ${expected}`)
      }
    })
    t.pass()
  })

  t.test('beyond its bounds drops the lowest versions, the same whoever joins', async t => {
    const many = (by: number, count: number, bytes: number) =>
      Array.from({ length: count }, (_, i) => {
        const dot = { actor: actor(by + i), time: timeOf(by + i) }
        return done(ROW_EMPTY, { do: 'put', value: new Uint8Array(bytes).fill(i) }, dot)
      }).reduce((a, b) => bounded(join(a, b)).row)
    const [a, b] = [many(0, 50, 9), many(50, 50, 9)]
    const both = bounded(join(a, b))
    t.equal(both.row.entries.length, SIBLINGS_MAX)
    t.equal(both.dropped.length, 36)
    t.same(both.row.entries[0]?.dot.time, timeOf(36))
    const again = [join(both.row, a), join(b, both.row)].map(row =>
      hex(encodeRow(bounded(row).row))
    )
    t.same(again, Array(2).fill(hex(encodeRow(both.row))), 'what was dropped does not come back')
    t.equal(bounded(join(many(0, 2, 900_000), many(9, 2, 900_000))).row.entries.length, 2)
    t.same(bounded(a), { row: a, dropped: [] })
  })
})

t.test('what expires', async t => {
  const instants = Array.from({ length: 30 }, (_, ms) => ms - 1)

  t.test('changes no byte of a row, and the same bytes show the same at every instant', async t => {
    check(history, steps => {
      const { rows } = play(steps)
      for (const row of rows) {
        const before = hex(encodeRow(row))
        const again = decodeRow(encodeRow(row)) as Row
        for (const nowMs of instants) {
          if (shows(row, nowMs) !== shows(again, nowMs)) throw new Error(`at ${nowMs}`)
        }
        if (hex(encodeRow(row)) !== before) throw new Error('reading changed it')
      }
    })
    t.pass()
  })

  t.test('is over for good, unless somebody writes', async t => {
    check(history, steps => {
      for (const row of play(steps).rows) {
        const kinds = instants.map(nowMs => kindOf(row, nowMs) === undefined)
        if (kinds.join() !== [...kinds].sort().join()) throw new Error('it came back')
      }
    })
    t.pass()
  })

  t.test('leaves increments alone that had not seen the expiry', async t => {
    const dot = (by: number, ms: number) => ({ actor: actor(by), time: timeOf(ms) })
    const begin = done(ROW_EMPTY, { do: 'increment', by: 5n }, dot(0, 1))
    const expiring = done(begin, { do: 'expire', expiresAt: 20 }, dot(1, 2))
    const unseen = done(begin, { do: 'increment', by: 2n }, dot(0, 3))
    const both = join(expiring, unseen)
    t.equal(readCounter(both, 19), 7n)
    t.equal(readCounter(both, 20), 2n)
    const after = done(both, { do: 'increment', by: 1n }, dot(2, 9), 10)
    t.equal(readCounter(after, 19), 8n)
    t.equal(readCounter(after, 20), 2n, 'what saw it goes with it')
    const lifted = done(both, { do: 'expire' }, dot(1, 10), 10)
    t.equal(readCounter(lifted, 20), 7n)
    const late = done(both, { do: 'increment', by: 1n }, dot(2, 11), 25)
    t.equal(readCounter(join(late, lifted), 25), 3n, 'what was over is not brought back')
  })
})

function shows(row: Row, nowMs: number): string {
  return JSON.stringify(
    [kindOf(row, nowMs), readValue, readCounter, readSet, readMap].map(each =>
      typeof each === 'function' ? each(row, nowMs) : each
    ),
    (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)
  )
}

function done(row: Row, operation: Operation, dot: Dot, nowMs = 0): Row {
  const mutation = mutate(row, operation, dot, nowMs)
  if (isRefusal(mutation)) throw new Error('refused')
  return joinDelta(row, mutation.delta)
}

t.test('an expiry does not change what shows', t => {
  const [a, b] = [actor(0), actor(1)]
  const at = (by: typeof a, ms: number) => ({ actor: by, time: timeOf(ms) })
  const step = (row: Row, operation: Operation, dot: Dot): Row => {
    const mutation = mutate(row, operation, dot, 0)
    if (isRefusal(mutation)) throw new Error('refused')
    return joinDelta(row, mutation.delta)
  }
  const losers: Operation[] = [
    { do: 'put', value: utf8('text') },
    { do: 'set-add', fields: [utf8('member')] }
  ]
  for (const operation of losers) {
    const lower = step(ROW_EMPTY, operation, at(a, 1))
    const both = join(lower, step(ROW_EMPTY, { do: 'increment', by: 5n }, at(b, 2)))
    t.equal(readCounter(both, 0), 5n)
    const after = step(both, { do: 'expire', expiresAt: 100 }, at(a, 3))
    t.equal(readCounter(after, 0), 5n, `over a ${operation.do}`)
    t.equal(readCounter(after, 100), undefined, 'and it expires')
  }
  t.end()
})
