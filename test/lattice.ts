import fc from 'fast-check'
import t from 'tap'
import { contextOf, covers, fold, joinContexts, newestDot } from '../src/lattice/context.ts'
import { compareDots, printDot, type Actor, type Dot } from '../src/lattice/dot.ts'
import { isRefusal } from '../src/lattice/kinds.ts'
import { mutate } from '../src/lattice/mutate.ts'
import {
  decodeDelta,
  decodeRow,
  encodeDelta,
  encodeRow,
  newestTimeIn
} from '../src/lattice/encode.ts'
import { isJustLater, readPlainRow } from '../src/lattice/encode-plain.ts'
import { newLosers } from '../src/lattice/losers.ts'
import { millisecondsOf, observe, tick, timeOf, TIME_ZERO } from '../src/lattice/hlc.ts'
import {
  assign,
  erase,
  join,
  joinDelta,
  ROW_EMPTY,
  versionOf,
  winner,
  type Delta,
  type Row
} from '../src/lattice/row.ts'
import { isTombstone } from '../src/replica/tombstones.ts'
import { concat, hex, text, utf8 } from '../src/util/bytes.ts'
import { actor, history, play, type Step } from './fixtures/lattice-arbitrary.ts'

const bytesOf = (row: Row) => hex(encodeRow(row))
const pick = (rows: readonly Row[], i: number) => rows[i % rows.length] as Row
const check = <T>(arbitrary: fc.Arbitrary<T>, law: (value: T) => void) =>
  fc.assert(fc.property(arbitrary, law), { numRuns: 500 })

function add(row: Row, member: string, dot: Dot): Delta {
  const mutation = mutate(row, { do: 'set-add', fields: [utf8(member)] }, dot, 0)
  if (isRefusal(mutation)) throw new Error('refused')
  return mutation.delta
}

t.test('the clock', async t => {
  t.test('never gives a time twice, whatever the wall clock does', async t => {
    check(fc.array(fc.nat(1_000), { minLength: 2 }), walls => {
      let last = TIME_ZERO
      for (const wall of walls) {
        const next = tick(last, wall)
        if (next <= last || millisecondsOf(next) < wall) throw new Error('went back')
        last = next
      }
    })
    t.pass()
  })
  t.test('carries a full counter into the milliseconds', async t => {
    const full = (timeOf(5) + 0xffffn) as typeof TIME_ZERO
    t.equal(tick(full, 5), timeOf(6))
  })
  t.test('follows a remote time, but not one that is too far ahead', async t => {
    t.equal(observe(timeOf(10), timeOf(20), 15, 60_000), timeOf(20))
    t.equal(observe(timeOf(10), timeOf(5), 15, 60_000), timeOf(10))
    t.equal(observe(timeOf(10), timeOf(60_016), 15, 60_000), undefined)
  })
})

t.test('join', async t => {
  t.test('is commutative, associative and idempotent, byte for byte', async t => {
    check(fc.tuple(history, fc.nat(), fc.nat(), fc.nat()), ([steps, i, j, k]) => {
      const { rows } = play(steps)
      const [a, b, c] = [pick(rows, i), pick(rows, j), pick(rows, k)]
      if (bytesOf(join(a, b)) !== bytesOf(join(b, a))) throw new Error('not commutative')
      if (bytesOf(join(a, join(b, c))) !== bytesOf(join(join(a, b), c)))
        throw new Error('not associative')
      if (bytesOf(join(a, a)) !== bytesOf(a)) throw new Error('not idempotent')
    })
    t.pass()
  })
  t.test('makes all replicas byte-identical after any history of late deltas', async t => {
    check(
      fc.tuple(history, fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 })),
      ([steps, order]) => {
        const { rows } = play(steps)
        const forwards = rows.reduce(join)
        const backwards = order.map(i => rows[i]!).reduceRight((sum, row) => join(row, sum))
        if (bytesOf(forwards) !== bytesOf(backwards)) throw new Error('order matters')
      }
    )
    t.pass()
  })
  t.test('never loses a write that no other write has seen', async t => {
    check(history, steps => {
      const { rows, deltas } = play(steps)
      const all = rows.reduce(join)
      for (const delta of deltas) {
        if (!covers(all.context, delta.dot)) throw new Error('a write was not seen')
        for (const { dot } of delta.entries) {
          const replaced = deltas.some(later => covers(later.replaced, dot))
          const lives = all.entries.some(entry => compareDots(entry.dot, dot) === 0)
          if (!covers(all.context, dot)) throw new Error('an entry was not seen')
          if (lives === replaced) throw new Error('lost, or came back')
        }
      }
    })
    t.pass()
  })
})

t.test('deltas', async t => {
  t.test('in any order and number show what the whole rows would', async t => {
    check(
      history.chain(steps => {
        const { deltas } = play(steps)
        return fc.tuple(
          fc.constant(deltas),
          fc.shuffledSubarray(deltas, { minLength: deltas.length }),
          fc.array(fc.nat())
        )
      }),
      ([deltas, shuffled, again]) => {
        const twice = again.flatMap(i => deltas.slice(i % (deltas.length + 1)).slice(0, 1))
        const inOrder = deltas.reduce(joinDelta, ROW_EMPTY)
        const mixed = [...shuffled, ...twice].reduce(joinDelta, ROW_EMPTY)
        const visible = (row: Row) => hex(encodeRow({ ...row, context: contextOf([]) }))
        if (visible(inOrder) !== visible(mixed)) throw new Error('order or repetition shows')
        if (deltas.some(delta => !covers(mixed.context, delta.dot))) throw new Error('unseen')
        if (bytesOf(join(inOrder, mixed)) !== bytesOf(join(mixed, inOrder)))
          throw new Error('not joined')
      }
    )
    t.pass()
  })
  t.test('keep owners in step byte for byte when they arrive in order', async t => {
    const inStep = history.map(steps =>
      steps.flatMap((step): Step[] => {
        if (step.do === 'write') return [{ ...step, sendTo: [0, 1, 2, 3] }]
        return step.do === 'read' ? [step] : []
      })
    )
    check(inStep, steps => {
      const { rows } = play(steps)
      if (new Set(rows.map(bytesOf)).size !== 1) throw new Error('out of step')
      if (rows.some(row => row.context.loose.length > 0)) throw new Error('a dot stayed loose')
    })
    t.pass()
  })
  t.test('without their predecessor stay loose, so that the predecessor is not lost', async t => {
    const dots = [1, 2].map(ms => ({ actor: actor(0), time: timeOf(ms) }))
    const first = add(ROW_EMPTY, 'one', dots[0]!)
    const second = add(joinDelta(ROW_EMPTY, first), 'two', dots[1]!)
    const late = joinDelta(ROW_EMPTY, second)
    t.equal(late.context.vector.size, 0)
    t.equal(covers(late.context, dots[1]!), true)
    const whole = joinDelta(joinDelta(ROW_EMPTY, first), second)
    t.equal(bytesOf(join(late, whole)), bytesOf(whole))
  })
})

t.test('a delta that replaces everything makes up for those before it', async t => {
  const dots = [1, 2].map(ms => ({ actor: actor(0), time: timeOf(ms) }))
  const first = joinDelta(ROW_EMPTY, assign(ROW_EMPTY, utf8('one'), dots[0]!))
  const second = assign(first, utf8('two'), dots[1]!)
  t.equal(bytesOf(joinDelta(ROW_EMPTY, second)), bytesOf(joinDelta(first, second)))
})

t.test('a register', async t => {
  const dot = (i: number, ms: number) => ({ actor: actor(i), time: timeOf(ms) })
  t.test('shows the highest version of concurrent values', async t => {
    const a = joinDelta(ROW_EMPTY, assign(ROW_EMPTY, utf8('a'), dot(0, 5)))
    const b = joinDelta(ROW_EMPTY, assign(ROW_EMPTY, utf8('b'), dot(1, 4)))
    const both = join(a, b)
    t.equal(both.entries.length, 2)
    t.equal(text(winner(both)!.value!), 'a')
  })
  t.test('is replaced by what causally follows, even with an older clock', async t => {
    const a = joinDelta(ROW_EMPTY, assign(ROW_EMPTY, utf8('future'), dot(0, 1_000)))
    const b = joinDelta(a, assign(a, utf8('now'), dot(1, 4)))
    t.equal(text(winner(join(a, b))!.value!), 'now')
  })
  t.test('deleted is a tombstone that old values cannot undo', async t => {
    const a = joinDelta(ROW_EMPTY, assign(ROW_EMPTY, utf8('a'), dot(0, 1)))
    const gone = joinDelta(a, erase(a, dot(0, 2)))
    t.equal(winner(join(gone, a)), undefined)
    t.same(versionOf(gone), dot(0, 2))
    t.equal(bytesOf(join(gone, a)), bytesOf(gone))
  })
  t.test('an unseen write survives a delete', async t => {
    const a = joinDelta(ROW_EMPTY, assign(ROW_EMPTY, utf8('a'), dot(0, 1)))
    const gone = joinDelta(a, erase(a, dot(0, 9)))
    const other = joinDelta(a, assign(a, utf8('b'), dot(1, 2)))
    t.equal(text(winner(join(gone, other))!.value!), 'b')
  })
})

t.test('contexts keep one normal form', async t => {
  const dots = fc.array(
    fc.record({ actor: fc.nat(2).map(actor), time: fc.integer({ min: 1, max: 9 }).map(timeOf) })
  )
  check(fc.tuple(dots, dots), ([a, b]) => {
    const joined = joinContexts(contextOf(a), b.reduce(fold, contextOf([])))
    for (const loose of joined.loose) {
      if (loose.time <= (joined.vector.get(loose.actor) ?? 0n)) throw new Error('covered loose dot')
    }
    const texts = joined.loose.map(printDot)
    if (texts.join() !== [...new Set(texts)].sort().join()) throw new Error('not sorted once')
  })
  t.equal(newestDot(contextOf([])), undefined)
})

t.test('encoding', async t => {
  t.test('gives rows and deltas back, and equal rows give equal bytes', async t => {
    check(history, steps => {
      const { rows, deltas } = play(steps)
      for (const row of rows) {
        const again = decodeRow(encodeRow(row))
        if (!again || bytesOf(again) !== bytesOf(row)) throw new Error('row changed')
      }
      for (const delta of deltas) {
        const again = decodeDelta(encodeDelta(delta))
        if (!again || hex(encodeDelta(again)) !== hex(encodeDelta(delta)))
          throw new Error('delta changed')
      }
    })
    t.pass()
  })
  t.test('shows the newest time of a row without being decoded', async t => {
    check(fc.tuple(history, fc.nat()), ([steps, i]) => {
      for (const row of [pick(play(steps).rows, i), ROW_EMPTY]) {
        const found = newestTimeIn(encodeRow(row))
        if (found !== newestDot(row.context)?.time) throw new Error(`${found} was found`)
      }
    })
    // The head of an array has a length of its own for few, for many and for very many elements.
    for (const count of [1, 7, 8, 40_000]) {
      const seen = Array.from({ length: count }, (_, i) => [BigInt(i) as Actor, timeOf(i)] as const)
      const row = { ...ROW_EMPTY, context: { vector: new Map(seen), loose: [] } }
      t.equal(newestTimeIn(encodeRow(row)), timeOf(count - 1))
    }
    check(fc.uint8Array({ maxLength: 60 }), bytes => void newestTimeIn(bytes))
  })

  t.test('tells a plain row by its bytes: one whose join with nothing is those bytes', async t => {
    const holds = (bytes: Uint8Array) => {
      const plain = readPlainRow(bytes)
      if (plain === undefined) return
      const row = join(ROW_EMPTY, decodeRow(bytes) as Row)
      if (bytesOf(row) !== hex(bytes)) throw new Error('other bytes')
      if (plain.newest !== newestDot(row.context)?.time) throw new Error('another time')
      if (plain.isTombstone !== isTombstone(row)) throw new Error('a tombstone, or none')
    }
    let seen = 0
    check(fc.tuple(history, fc.nat(), fc.nat(255)), ([steps, at, byte]) => {
      for (const row of play(steps).rows) {
        const bytes = encodeRow(row)
        holds(bytes)
        if (readPlainRow(bytes) !== undefined) seen++
        const changed = bytes.slice()
        changed[at % bytes.length] = byte
        holds(changed)
        holds(bytes.subarray(0, at % bytes.length))
        holds(concat([bytes, Uint8Array.of(byte)]))
      }
    })
    t.ok(seen > 100, 'some were')
  })

  t.test('tells by the bytes of two plain rows that their join is the second', async t => {
    let seen = 0
    check(history, steps => {
      const rows = [...play(steps).rows, ...play(steps.slice(0, 3)).rows].map(encodeRow)
      const plain = rows.filter(bytes => readPlainRow(bytes) !== undefined)
      for (const before of plain) {
        for (const after of plain) {
          if (!isJustLater(before, after)) continue
          seen++
          const joined = join(decodeRow(before) as Row, decodeRow(after) as Row)
          if (bytesOf(joined) !== hex(after)) throw new Error('another join')
          if (hex(before) === hex(after)) throw new Error('nothing is later')
          if (newLosers(decodeRow(before) as Row, joined).length > 0) throw new Error('a loser')
        }
      }
    })
    t.ok(seen > 100, 'some were')
    const dot = (i: number, at: number) => ({ actor: actor(i), time: timeOf(at) })
    const one = joinDelta(ROW_EMPTY, assign(ROW_EMPTY, utf8('a'), dot(0, 5)))
    const two = joinDelta(one, assign(one, utf8('b'), dot(1, 6)))
    const gone = joinDelta(one, erase(one, dot(1, 6)))
    const blind = joinDelta(ROW_EMPTY, assign(ROW_EMPTY, utf8('c'), dot(1, 7)))
    // Nobody writes such rows: a value that is not the one its dot names, a value that was seen before.
    const forged = { ...one, entries: [{ dot: dot(0, 5), value: utf8('forged') }] }
    const undead = { ...two, entries: one.entries }
    const judged = (before: Row, after: Row) => isJustLater(encodeRow(before), encodeRow(after))
    t.same([judged(one, two), judged(one, gone)], [true, true])
    for (const [a, b] of [
      [one, one],
      [two, one],
      [gone, one],
      [one, blind],
      [two, blind],
      [one, forged],
      [one, undead],
      [gone, undead]
    ] as const) {
      t.notOk(judged(a, b))
    }
  })

  t.test('takes registers of every length and tombstones for plain, and nothing else', async t => {
    const dot = (i: number) => ({ actor: actor(i), time: timeOf(5 + i) })
    const write = (row: Row, i: number, value: Uint8Array) =>
      joinDelta(row, assign(row, value, dot(i)))
    const high = { actor: ((1n << 64n) - 1n) as Actor, time: timeOf(9) }
    for (const length of [0, 1, 255, 256, 65_535, 65_536, 200_000]) {
      const row = write(ROW_EMPTY, 0, new Uint8Array(length))
      t.same(readPlainRow(encodeRow(row)), { newest: timeOf(5), isTombstone: false }, `${length}`)
    }
    const later = [1, 2, 3].reduce((row, i) => write(row, i, utf8('v')), ROW_EMPTY)
    t.same(readPlainRow(encodeRow(later)), { newest: timeOf(8), isTombstone: false })
    const gone = joinDelta(later, erase(later, high))
    t.same(readPlainRow(encodeRow(gone)), { newest: timeOf(9), isTombstone: true })
    const one = write(ROW_EMPTY, 0, utf8('v'))
    const expiring = one.entries.map(entry => ({ ...entry, expiresAt: 7 }))
    const others: Record<string, Row> = {
      nothing: ROW_EMPTY,
      siblings: join(one, write(ROW_EMPTY, 1, utf8('w'))),
      'a loose dot': { ...one, context: contextOf([dot(0)]) },
      'a member': joinDelta(ROW_EMPTY, add(ROW_EMPTY, 'm', dot(0))),
      'an end': { ...one, entries: expiring }
    }
    for (const [what, row] of Object.entries(others)) {
      t.equal(readPlainRow(encodeRow(row)), undefined, what)
    }
  })

  t.test('takes any bytes without throwing', async t => {
    const row = joinDelta(
      ROW_EMPTY,
      assign(ROW_EMPTY, utf8('v'), { actor: actor(0), time: timeOf(1) })
    )
    const good = encodeRow(row)
    check(
      fc.tuple(fc.uint8Array({ maxLength: 80 }), fc.nat(), fc.nat(255)),
      ([noise, at, byte]) => {
        decodeRow(noise)
        decodeDelta(noise)
        const flipped = good.slice()
        flipped[at % good.length] = byte
        decodeRow(flipped)
      }
    )
    t.equal(decodeRow(new Uint8Array()), undefined)
    t.equal(decodeRow(good.subarray(0, good.length - 1)), undefined)
  })
})
