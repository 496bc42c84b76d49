import fc from 'fast-check'
import t from 'tap'
import { encodeRow } from '../src/lattice/encode.ts'
import { TIME_ZERO, timeOf } from '../src/lattice/hlc.ts'
import { assign, joinDelta, ROW_EMPTY, type Row } from '../src/lattice/row.ts'
import { needed, overlaps, parseLevel, readLevel, type Level } from '../src/quorum/level.ts'
import { Read } from '../src/quorum/read.ts'
import { Tally } from '../src/quorum/tally.ts'
import { Write } from '../src/quorum/write.ts'
import { hex, utf8 } from '../src/util/bytes.ts'
import type { NodeId } from '../src/util/node-id.ts'
import { actor } from './fixtures/lattice-arbitrary.ts'

const [a, b, c, d] = ['a', 'b', 'c', 'd'] as unknown as [NodeId, NodeId, NodeId, NodeId]
const no = new Error('no')

t.test('a level', async t => {
  t.test('asks for so many of 1, 2, 3, 4 and 5 owners', async t => {
    const table: [Level, number[]][] = [
      ['one', [1, 1, 1, 1, 1]],
      ['two', [2, 2, 2, 2, 2]],
      ['three', [3, 3, 3, 3, 3]],
      ['quorum', [1, 2, 2, 3, 3]],
      ['all', [1, 2, 3, 4, 5]],
      ['any', [1, 1, 1, 1, 1]],
      [4, [4, 4, 4, 4, 4]]
    ]
    for (const [level, counts] of table) {
      t.same(
        counts.map((_, i) => needed(level, i + 1)),
        counts,
        `${level}`
      )
    }
  })

  t.test('of quorum meets itself in at least one owner', async t => {
    for (let owners = 1; owners < 20; owners++) t.ok(2 * needed('quorum', owners) > owners)
  })

  t.test('meets another exactly when both together ask more owners than there are', async t => {
    const table: [Level, Level, number, boolean][] = [
      ['quorum', 'quorum', 3, true],
      ['one', 'all', 3, true],
      ['one', 'quorum', 3, false],
      ['two', 'two', 4, false],
      ['quorum', 'two', 4, true],
      ['one', 'one', 1, true],
      ['all', 'any', 3, false],
      ['any', 'all', 3, true]
    ]
    for (const [read, write, owners, meet] of table) {
      t.equal(overlaps(read, write, owners), meet, `${read} and ${write} of ${owners}`)
    }
  })

  t.test('is read from words in any case and from numbers', async t => {
    t.equal(parseLevel('Quorum'), 'quorum')
    t.equal(parseLevel('2'), 2)
    t.equal(parseLevel(9_999), 9_999)
  })

  t.test('is refused with the words that exist when it is anything else', async t => {
    const wrong = ['', 'most', '0', '-1', '1.5', '10000', ' one', 0, -1, 1.5, 10_000, NaN, Infinity]
    for (const text of wrong) {
      t.equal(readLevel(text), undefined)
      t.throws(() => parseLevel(text), { code: 'ERR_LEVEL', message: /quorum, all/ }, `${text}`)
    }
  })
})

t.test('a tally', async t => {
  t.test('counts a node once, however often it acknowledges', async t => {
    const tally = new Tally([{ owners: [a, b, c], needed: 2 }])
    tally.acknowledge(a)
    tally.acknowledge(a)
    t.equal(tally.outcome, 'pending')
    tally.acknowledge(b)
    t.equal(tally.outcome, 'reached')
  })

  t.test('does not count a node that is no owner', async t => {
    const tally = new Tally([{ owners: [a, b], needed: 1 }])
    tally.acknowledge(d)
    t.equal(tally.outcome, 'pending')
  })

  t.test('has to reach the number in each group', async t => {
    const groups = [
      { owners: [a, b], needed: 2 },
      { owners: [b, c, d], needed: 2 }
    ]
    const tally = new Tally(groups)
    tally.acknowledge(a)
    tally.acknowledge(b)
    t.equal(tally.outcome, 'pending')
    tally.acknowledge(d)
    t.equal(tally.outcome, 'reached')
    const other = new Tally(groups)
    other.acknowledge(b)
    other.acknowledge(c)
    other.refuse(a, no)
    t.equal(other.outcome, 'impossible', 'the first group cannot reach it any more')
  })

  t.test('tells what the group needs and has that lacks most', async t => {
    const tally = new Tally([
      { owners: [a, b, c], needed: 2 },
      { owners: [c, d], needed: 2 }
    ])
    t.same(tally.shortest, { needed: 2, acknowledged: [] })
    tally.acknowledge(a)
    tally.acknowledge(b)
    t.same(tally.shortest, { needed: 2, acknowledged: [] }, 'neither of them is in it')
    tally.acknowledge(d)
    t.same(tally.shortest, { needed: 2, acknowledged: [d] })
  })

  t.test('is impossible exactly when too many have refused', async t => {
    const tally = new Tally([{ owners: [a, b, c], needed: 2 }])
    tally.refuse(a, no)
    t.equal(tally.outcome, 'pending')
    tally.refuse(a, no)
    t.equal(tally.outcome, 'pending')
    tally.refuse(b, no)
    t.equal(tally.outcome, 'impossible')
    t.same([...tally.failures.keys()], [a, b])
  })

  t.test('takes an acknowledgement for the last word', async t => {
    const tally = new Tally([{ owners: [a, b], needed: 2 }])
    tally.refuse(a, no)
    tally.acknowledge(a)
    tally.refuse(a, no)
    tally.acknowledge(b)
    t.equal(tally.outcome, 'reached')
    t.equal(tally.failures.size, 0)
  })

  t.test('agrees with counting, whatever is said in whatever order', async t => {
    const nodes = fc.subarray([a, b, c, d], { minLength: 1 })
    const group = nodes.chain(owners =>
      fc.record({ owners: fc.constant(owners), needed: fc.integer({ min: 1, max: 4 }) })
    )
    const said = fc.array(fc.tuple(fc.constantFrom(a, b, c, d), fc.boolean()))
    fc.assert(
      fc.property(fc.array(group, { minLength: 1, maxLength: 2 }), said, (groups, said) => {
        const tally = new Tally(groups)
        for (const [node, yes] of said) {
          if (yes) tally.acknowledge(node)
          else tally.refuse(node, no)
        }
        const yes = new Set(said.filter(([, yes]) => yes).map(([node]) => node))
        const heard = new Set(said.map(([node]) => node))
        const counts = groups.map(({ owners, needed }) => ({
          reached: owners.filter(node => yes.has(node)).length >= needed,
          lost: owners.filter(node => yes.has(node) || !heard.has(node)).length < needed
        }))
        const expected = counts.every(({ reached }) => reached)
          ? 'reached'
          : counts.some(({ lost }) => lost)
            ? 'impossible'
            : 'pending'
        if (tally.outcome !== expected) throw new Error(`${tally.outcome}, not ${expected}`)
      })
    )
    t.pass()
  })
})

function rowOf(value: string, at: number, by: number, on: Row = ROW_EMPTY): Row {
  const time = at === 0 ? TIME_ZERO : timeOf(at)
  return joinDelta(on, assign(on, utf8(value), { actor: actor(by), time }))
}

t.test('a read', async t => {
  const one = rowOf('one', 1, 0)
  const two = rowOf('two', 2, 1, one)
  const other = rowOf('other', 2, 2, one)
  const is = (row: Row) => ({ answer: 'row' as const, row })
  const unknown = { answer: 'unknown' as const }
  const failed = { answer: 'failed' as const, error: no }

  t.test('asks as many as it needs first, and each only once', async t => {
    const read = new Read([a, b, c], 2)
    t.same(read.start(), [a, b])
    t.equal(read.askNext(), c)
    t.equal(read.askNext(), undefined)
  })

  t.test('counts neither what is unknown nor what failed', async t => {
    for (const answer of [unknown, failed]) {
      const read = new Read([a, b, c], 2)
      read.answer(a, is(one))
      read.answer(b, answer)
      t.equal(read.outcome, 'pending')
      read.answer(c, { answer: 'absent' })
      t.equal(read.outcome, 'reached')
      t.same(read.acknowledged, [a, c])
      t.same(read.result().behind, [c])
    }
  })

  t.test('is impossible when too many do not know, and says why', async t => {
    const read = new Read([a, b, c], 2)
    read.answer(a, unknown)
    read.answer(b, failed)
    t.equal(read.outcome, 'impossible')
    t.match(read.failures.get(a)?.message, /does not know/)
    t.equal(read.failures.get(b), no)
  })

  t.test('joins what it heard and names those that had less', async t => {
    const read = new Read([a, b, c], 3)
    read.answer(a, is(one))
    read.answer(b, is(two))
    read.answer(c, { answer: 'absent' })
    const { row, behind, answered } = read.result()
    t.equal(hex(encodeRow(row)), hex(encodeRow(two)))
    t.same(answered, [a, b, c])
    t.same(behind, [a, c])
  })

  t.test('of two concurrent rows is answered by neither alone', async t => {
    const read = new Read([a, b], 2)
    read.answer(a, is(two))
    read.answer(b, is(other))
    const { row, behind } = read.result()
    t.equal(row.entries.length, 2)
    t.same(behind, [a, b])
  })

  t.test('of equal rows, or of nothing, finds nobody behind', async t => {
    for (const answer of [is(two), { answer: 'absent' as const }]) {
      const read = new Read([a, b], 2)
      read.answer(a, answer)
      read.answer(b, answer)
      t.same(read.result().behind, [])
    }
  })

  t.test('also uses what a late one said', async t => {
    const read = new Read([a, b, c], 1)
    read.answer(a, is(one))
    t.equal(read.outcome, 'reached')
    read.answer(b, is(two))
    const result = read.result()
    t.same(result.behind, [a])
    read.answer(c, { answer: 'absent' })
    t.same(result.answered, [a, b], 'but not of who is later than the result')
  })
})

t.test('a write', async t => {
  const alive =
    (...nodes: NodeId[]) =>
    (node: NodeId) =>
      nodes.includes(node)

  t.test('goes to every owner of both placements, each once', async t => {
    const owners = { current: [a, b, c], next: [d, a, b] }
    t.same(new Write(owners, 'quorum').replicas, [a, b, c, d])
  })

  t.test('has to reach its level in both placements', async t => {
    const { tally } = new Write({ current: [a, b, c], next: [b, c, d] }, 'quorum')
    tally.acknowledge(a)
    tally.acknowledge(b)
    t.equal(tally.outcome, 'pending', 'the next owners have it once only')
    tally.acknowledge(d)
    t.equal(tally.outcome, 'reached')
  })

  t.test('knows beforehand that too few are alive, in either placement', async t => {
    const same = [a, b, c]
    const write = new Write({ current: same, next: same }, 'quorum')
    t.equal(write.shortage(alive(a, b)), undefined)
    t.same(write.shortage(alive(a)), { needed: 2, alive: 1, owners: 3 })
    const moving = new Write({ current: [a, b], next: [a, d] }, 'all')
    t.same(moving.shortage(alive(a, b)), { needed: 2, alive: 1, owners: 2 })
  })

  t.test('at a level above the number of owners is always short', async t => {
    const write = new Write({ current: [a], next: [a] }, 'two')
    t.same(write.shortage(alive(a)), { needed: 2, alive: 1, owners: 1 })
    const nobody = new Write({ current: [], next: [] }, 'one')
    t.same(nobody.shortage(alive()), { needed: 1, alive: 0, owners: 0 })
  })

  t.test('at level any is content with one of all owners, now or next', async t => {
    const { tally, replicas } = new Write({ current: [a, b], next: [b, c] }, 'any')
    t.same(replicas, [a, b, c])
    tally.refuse(a, no)
    tally.refuse(b, no)
    t.equal(tally.outcome, 'pending')
    tally.acknowledge(c)
    t.equal(tally.outcome, 'reached')
  })
})
