import fc from 'fast-check'
import t from 'tap'
import { encodeRow } from '../src/lattice/encode.ts'
import { TIME_ZERO, timeOf } from '../src/lattice/hlc.ts'
import { assign, join, joinDelta, ROW_EMPTY, type Row } from '../src/lattice/row.ts'
import { needed, overlaps, parseLevel, readLevel, type Level } from '../src/quorum/level.ts'
import { Latency, PATIENCE_MS_MAX, PEERS_MAX, SAMPLES_MAX } from '../src/quorum/latency.ts'
import { Read, type Ask, type ReplicaAnswer } from '../src/quorum/read.ts'
import { Tally, type Voters } from '../src/quorum/tally.ts'
import { tallyOfWrite } from '../src/quorum/write.ts'
import { hex, utf8 } from '../src/util/bytes.ts'
import type { NodeId } from '../src/util/node-id.ts'
import { actor } from './fixtures/lattice-arbitrary.ts'
import { moving, settled } from './fixtures/owners.ts'

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
    const tally = new Tally(settled([a, b, c]), 2)
    tally.acknowledge(a)
    tally.acknowledge(a)
    t.equal(tally.outcome, 'pending')
    tally.acknowledge(b)
    t.equal(tally.outcome, 'reached')
  })

  t.test('does not count a node that is no owner', async t => {
    const tally = new Tally(settled([a, b]), 1)
    tally.acknowledge(d)
    t.equal(tally.outcome, 'pending')
  })

  t.test('has to be enough with the newcomer and without', async t => {
    const voters = moving([a, b, d, c], [d], 3)
    const tally = new Tally(voters, 'quorum')
    tally.acknowledge(d)
    tally.acknowledge(c)
    t.equal(tally.outcome, 'pending', 'only one of them counts to any node')
    tally.acknowledge(b)
    t.equal(tally.outcome, 'reached')
    const other = new Tally(voters, 'quorum')
    other.acknowledge(a)
    other.acknowledge(c)
    t.equal(other.outcome, 'pending', 'to those who count d, c is no owner')
    other.refuse(d, no)
    other.refuse(b, no)
    t.equal(other.outcome, 'impossible')
  })

  t.test('tells what is needed and has come for those who count least', async t => {
    const tally = new Tally(moving([a, b, d, c], [d], 3), 'quorum')
    t.same(tally.progress, { needed: 2, acknowledged: [], owners: 3 })
    tally.acknowledge(c)
    t.same(tally.progress, { needed: 2, acknowledged: [], owners: 3 })
    tally.acknowledge(d)
    t.same(tally.progress, { needed: 2, acknowledged: [c], owners: 3 })
  })

  t.test('is impossible exactly when too many have refused', async t => {
    const tally = new Tally(settled([a, b, c]), 2)
    tally.refuse(a, no)
    t.equal(tally.outcome, 'pending')
    tally.refuse(a, no)
    t.equal(tally.outcome, 'pending')
    tally.refuse(b, no)
    t.equal(tally.outcome, 'impossible')
    t.same([...tally.failures.keys()], [a, b])
  })

  t.test('takes an acknowledgement for the last word', async t => {
    const tally = new Tally(settled([a, b]), 2)
    tally.refuse(a, no)
    tally.acknowledge(a)
    tally.refuse(a, no)
    tally.acknowledge(b)
    t.equal(tally.outcome, 'reached')
    t.equal(tally.failures.size, 0)
  })

  t.test('agrees with counting for each node, whomever that takes for an owner', async t => {
    const all = [a, b, c, d, 'e', 'f'] as NodeId[]
    const voters = fc.record({
      ranked: fc.shuffledSubarray(all, { minLength: 1 }),
      newcomers: fc.subarray(all),
      n: fc.integer({ min: 1, max: 4 })
    })
    const level = fc.constantFrom<Level>('one', 'two', 'quorum', 'all', 3)
    const said = fc.array(fc.tuple(fc.constantFrom(...all), fc.boolean()))
    fc.assert(
      fc.property(voters, level, said, ({ ranked, newcomers, n }, level, said) => {
        const tally = new Tally(moving(ranked, newcomers, n), level)
        for (const [node, yes] of said) {
          if (yes) tally.acknowledge(node)
          else tally.refuse(node, no)
        }
        const yes = new Set(said.filter(([, yes]) => yes).map(([node]) => node))
        const heard = new Set(said.map(([node]) => node))
        const views = ownersOfEachNode(tally.voters)
        const isEnough = (isSaid: (node: NodeId) => boolean) =>
          views.every(
            owners => owners.filter(isSaid).length >= Math.max(1, needed(level, owners.length))
          )
        const expected = isEnough(node => yes.has(node))
          ? 'reached'
          : isEnough(node => yes.has(node) || !heard.has(node))
            ? 'pending'
            : 'impossible'
        if (tally.outcome !== expected) throw new Error(`${tally.outcome}, not ${expected}`)
      }),
      { numRuns: 2_000 }
    )
    t.pass()
  })
})

/** Of every node there may be: each has heard of some newcomers, whichever those are. */
function ownersOfEachNode({ ranked, unsettled, n }: Voters): NodeId[][] {
  const newcomers = ranked.filter(node => unsettled.has(node))
  return Array.from({ length: 2 ** newcomers.length }, (_, bits) => {
    const isHeard = (node: NodeId) => ((bits >> newcomers.indexOf(node)) & 1) === 1
    return ranked.filter(node => !unsettled.has(node) || isHeard(node)).slice(0, n)
  })
}

function rowOf(value: string, at: number, by: number, on: Row = ROW_EMPTY): Row {
  const time = at === 0 ? TIME_ZERO : timeOf(at)
  return joinDelta(on, assign(on, utf8(value), { actor: actor(by), time }))
}

function readOf(owners: NodeId[], level: number): Read {
  return new Read({ voters: settled(owners), level, candidates: owners })
}

t.test('a read', async t => {
  const one = rowOf('one', 1, 0)
  const two = rowOf('two', 2, 1, one)
  const other = rowOf('other', 2, 2, one)
  const is = (row: Row) => ({ answer: 'row' as const, row })
  const unknown = { answer: 'unknown' as const }
  const failed = { answer: 'failed' as const, error: no }

  t.test('asks as many as it needs first, and each only once', async t => {
    const read = readOf([a, b, c], 2)
    t.same(read.start(), [
      { node: a, whole: true },
      { node: b, whole: false }
    ])
    t.match(read.askNext(), { node: c })
    t.equal(read.askNext(), undefined)
  })

  t.test('counts neither what is unknown nor what failed', async t => {
    for (const answer of [unknown, failed]) {
      const read = readOf([a, b, c], 2)
      read.answer(a, is(one))
      read.answer(b, answer)
      t.equal(read.outcome, 'pending')
      read.answer(c, { answer: 'absent' })
      t.equal(read.outcome, 'reached')
      t.same(read.progress.acknowledged, [a, c])
      t.same(read.result().behind, [c])
    }
  })

  t.test('is lost where one has lost the row and nobody has one, or has not said', async t => {
    const lost = { answer: 'unknown' as const, isLost: true }
    for (const [first, second, isLost] of [
      [lost, lost, true],
      [lost, unknown, false],
      [{ answer: 'absent' as const }, lost, true],
      [unknown, unknown, false],
      [lost, is(one), false],
      [lost, failed, false]
    ] as const) {
      const read = readOf([a, b], 2)
      read.answer(a, first)
      read.answer(b, second)
      t.equal(read.isLost, isLost)
    }
    const early = readOf([a, b], 2)
    early.answer(a, lost)
    t.equal(early.outcome, 'impossible')
    t.ok(early.mayBeLost)
    t.notOk(early.isLost, 'the other one may have it')
    const held = readOf([a, b, c], 3)
    held.answer(a, lost)
    held.answer(b, { answer: 'digest', digest: new Uint8Array(32) })
    t.notOk(held.mayBeLost, 'one has said that it holds something')
    const down = new Read({ voters: settled([a, b]), level: 1, candidates: [a] })
    down.answer(a, lost)
    t.notOk(down.mayBeLost, 'and so may one that is down')
    t.notOk(down.isLost)
  })

  t.test('is impossible when too many do not know, and says why', async t => {
    const read = readOf([a, b, c], 2)
    read.answer(a, unknown)
    read.answer(b, failed)
    t.equal(read.outcome, 'impossible')
    t.match(read.failures.get(a)?.message, /does not know/)
    t.equal(read.failures.get(b), no)
  })

  t.test('joins what it heard and names those that had less', async t => {
    const read = readOf([a, b, c], 3)
    read.answer(a, is(one))
    read.answer(b, is(two))
    read.answer(c, { answer: 'absent' })
    const { row, behind, answered } = read.result()
    t.equal(hex(encodeRow(row)), hex(encodeRow(two)))
    t.same(answered, [a, b, c])
    t.same(behind, [a, c])
  })

  t.test('of two concurrent rows is answered by neither alone', async t => {
    const read = readOf([a, b], 2)
    read.answer(a, is(two))
    read.answer(b, is(other))
    const { row, behind } = read.result()
    t.equal(row.entries.length, 2)
    t.same(behind, [a, b])
  })

  t.test('of equal rows, or of nothing, finds nobody behind', async t => {
    for (const answer of [is(two), { answer: 'absent' as const }]) {
      const read = readOf([a, b], 2)
      read.answer(a, answer)
      read.answer(b, answer)
      t.same(read.result().behind, [])
    }
  })

  t.test('also uses what a late one said', async t => {
    const read = readOf([a, b, c], 1)
    read.answer(a, is(one))
    t.equal(read.outcome, 'reached')
    read.answer(b, is(two))
    const result = read.result()
    t.same(result.behind, [a])
    read.answer(c, { answer: 'absent' })
    t.same(result.answered, [a, b], 'but not of who is later than the result')
  })
})

t.test('a read with digests', async t => {
  const one = rowOf('one', 1, 0)
  const two = rowOf('two', 2, 1, one)
  const other = rowOf('other', 2, 2, one)
  const both = join(two, other)
  const is = (row: Row) => ({ answer: 'row' as const, row })
  const digest = (row: Row) => ({ answer: 'digest' as const, digest: encodeRow(row) })
  const nodesOf = (asks: readonly Ask[]) => asks.map(({ node }) => node)

  t.test('takes one that equals the row of another for an answer', async t => {
    const read = readOf([a, b, c], 2)
    read.start()
    read.answer(b, digest(two))
    t.same(read.fetch(), [], 'the row is on its way')
    t.equal(read.outcome, 'pending')
    read.answer(a, is(two))
    t.equal(read.outcome, 'reached')
    t.same(read.fetch(), [])
    t.same(read.result(), { row: two, answered: [a, b], behind: [] })
  })

  t.test('fetches the row where it differs, and of several that are equal one', async t => {
    const read = readOf([a, b, c, d], 4)
    read.start()
    for (const node of [b, c]) read.answer(node, digest(two))
    read.answer(d, digest(other))
    read.answer(a, is(one))
    t.same(read.fetch(), [
      { node: b, whole: true },
      { node: d, whole: true }
    ])
    t.same(read.fetch(), [], 'once')
    read.answer(b, is(two))
    t.same(read.progress.acknowledged, [a, b, c])
    read.answer(d, is(other))
    t.equal(read.outcome, 'reached')
    t.same(read.result().behind, [a, b, c, d], 'two are concurrent')
  })

  t.test('takes one that equals the join of the others for an answer', async t => {
    const read = readOf([a, b, c], 3)
    read.start()
    read.answer(a, is(two))
    read.answer(b, is(other))
    read.answer(c, digest(both))
    t.equal(read.outcome, 'reached')
    t.same(read.result(), { row: both, answered: [a, b, c], behind: [a, b] })
  })

  t.test('fetches the row elsewhere when the first is late, failed or does not know', async t => {
    const answers: (ReplicaAnswer | undefined)[] = [
      undefined,
      { answer: 'failed', error: no },
      { answer: 'unknown' }
    ]
    for (const answer of answers) {
      const read = readOf([a, b, c], 2)
      read.start()
      if (answer === undefined) read.late(a)
      else read.answer(a, answer)
      t.match(read.askNext(), { node: c, whole: true }, 'nothing was sent yet')
      read.answer(c, { answer: 'failed', error: no })
      read.answer(b, digest(two))
      t.same(read.fetch(), [{ node: b, whole: true }])
    }
  })

  t.test('does not forget an answer because a later one fails', async t => {
    const read = readOf([a, b, c], 3)
    read.start()
    read.answer(b, digest(two))
    read.late(a)
    t.same(nodesOf(read.fetch()), [b])
    read.answer(a, is(two))
    read.answer(b, { answer: 'failed', error: no })
    t.same(read.progress.acknowledged, [a, b])
    t.equal(read.failures.size, 0)
  })

  t.test('ends as it would without, whatever comes in whatever order', async t => {
    const pool = [one, two, other, both, rowOf('newer', 3, 1, both)]
    const holding = fc.oneof(
      fc.constantFrom(...pool),
      fc.constantFrom('absent' as const, 'unknown' as const, 'failed' as const)
    )
    const holdings = fc.array(holding, { minLength: 1, maxLength: 4 })
    const run = (held: (Row | string)[], needed: number, order: () => number) => {
      const nodes = [a, b, c, d].slice(0, held.length)
      const read = readOf(nodes, needed)
      const holds = (node: NodeId) => held[nodes.indexOf(node)] as Row | string
      const underWay: Ask[] = [...read.start()]
      let asked = underWay.length
      while (read.outcome === 'pending') {
        const ask = underWay.splice(order() % underWay.length, 1)[0]
        if (ask === undefined) throw new Error('it waits for nobody')
        if (order() % 3 === 0) read.late(ask.node)
        const row = holds(ask.node)
        if (typeof row !== 'string') read.answer(ask.node, ask.whole ? is(row) : digest(row))
        else if (row === 'failed') read.answer(ask.node, { answer: row, error: no })
        else read.answer(ask.node, { answer: row as 'absent' | 'unknown' })
        const more = typeof row === 'string' && row !== 'absent' ? [read.askNext()] : []
        for (const each of [...more, ...read.fetch()]) {
          if (each === undefined) continue
          underWay.push(each)
          if (++asked > 2 * nodes.length) throw new Error('it asks again and again')
        }
      }
      return { read, nodes, holds }
    }
    fc.assert(
      fc.property(
        holdings,
        fc.integer({ min: 1, max: 4 }),
        fc.infiniteStream(fc.nat(100)),
        (held, count, chance) => {
          const needed = Math.min(count, held.length)
          const { read, nodes, holds } = run(held, needed, () => chance.next().value as number)
          const knowing = nodes.filter(
            node => !['unknown', 'failed'].includes(holds(node) as string)
          )
          const expected = knowing.length >= needed ? 'reached' : 'impossible'
          if (read.outcome !== expected) throw new Error(`${read.outcome}, not ${expected}`)
          if (expected === 'impossible') return
          const { row, answered, behind } = read.result()
          const rows = answered
            .map(node => holds(node))
            .map(each => (each === 'absent' ? ROW_EMPTY : (each as Row)))
          const joined = hex(encodeRow(rows.reduce(join, ROW_EMPTY)))
          if (hex(encodeRow(row)) !== joined) throw new Error('it is not the join')
          const less = answered.filter((_, i) => hex(encodeRow(rows[i] as Row)) !== joined)
          if (less.join() !== behind.join()) throw new Error('others are behind')
          if (answered.length < needed) throw new Error('too few')
        }
      ),
      { numRuns: 500 }
    )
    t.pass()
  })
})

t.test('latency', async t => {
  const heard = (...answers: [NodeId, number][]) => {
    const latency = new Latency()
    for (const [node, ms] of answers) latency.add(node, ms, 0)
    return latency
  }

  t.test('puts the fastest first, and tries who was never heard', async t => {
    const latency = heard([a, 30], [b, 10])
    t.same(latency.order([a, b], 0), [b, a])
    t.same(latency.order([a, b, c], 0), [c, b, a])
    t.same(latency.order([d, c], 0), [d, c], 'of two unknown ones as they stand')
  })

  t.test('follows what a peer does lately', async t => {
    const latency = heard([a, 10], [b, 20])
    for (let i = 0; i < 10; i++) latency.add(a, 200, 0)
    t.same(latency.order([a, b], 0), [b, a])
    for (let i = 0; i < 20; i++) latency.add(a, 1, 0)
    t.same(latency.order([a, b], 0), [a, b])
  })

  t.test('does not shun for ever who was slow once', async t => {
    const latency = heard([a, 500])
    for (let now = 0; now <= 60_000; now += 1_000) {
      latency.add(b, 10, now)
      if (now === 30_000) t.same(latency.order([a, b], now), [b, a])
    }
    t.same(latency.order([a, b], 60_000), [a, b])
  })

  t.test('waits for a peer as long as 95 % of its last answers took, within bounds', async t => {
    t.equal(new Latency().patienceMs(a), 150, 'nothing is known')
    const latency = heard(...Array.from({ length: 20 }, (_, i): [NodeId, number] => [a, 10 + i]))
    t.equal(latency.patienceMs(a), 28)
    t.equal(heard(...Array.from({ length: 9 }, (): [NodeId, number] => [a, 0.2])).patienceMs(a), 5)
    for (let i = 0; i < SAMPLES_MAX; i++) latency.add(a, 60_000, 0)
    t.equal(latency.patienceMs(a), PATIENCE_MS_MAX)
    for (let i = 0; i < SAMPLES_MAX; i++) latency.add(a, 7, 0)
    t.equal(latency.patienceMs(a), 7, 'what is long ago does not count')
  })

  t.test('remembers only so many peers, those heard last', async t => {
    const latency = heard([a, 99], [b, 99])
    latency.add(a, 99, 1)
    for (let i = 0; i < PEERS_MAX - 1; i++) latency.add(`peer ${i}` as NodeId, 5, 2)
    t.equal(latency.expectedMs(b, 2), 0)
    t.ok(latency.expectedMs(a, 2) > 0)
  })
})

t.test('a write', async t => {
  const alive =
    (...nodes: NodeId[]) =>
    (node: NodeId) =>
      nodes.includes(node)

  t.test('has to reach its level with a newcomer and without', async t => {
    const tally = tallyOfWrite(moving([b, c, d, a], [d], 3), 'quorum')
    tally.acknowledge(a)
    tally.acknowledge(b)
    t.equal(tally.outcome, 'pending', 'the next owners have it once only')
    tally.acknowledge(d)
    t.equal(tally.outcome, 'reached')
  })

  t.test('knows beforehand that too few are alive, with the newcomer or without', async t => {
    const write = tallyOfWrite(settled([a, b, c]), 'quorum')
    t.equal(write.shortage(alive(a, b)), undefined)
    t.same(write.shortage(alive(a)), { needed: 2, alive: 1, owners: 3 })
    const all = tallyOfWrite(moving([a, d, b], [d], 2), 'all')
    t.same(all.shortage(alive(a, b)), { needed: 2, alive: 1, owners: 2 })
  })

  t.test('at a level above the number of owners is always short', async t => {
    const write = tallyOfWrite(settled([a]), 'two')
    t.same(write.shortage(alive(a)), { needed: 2, alive: 1, owners: 1 })
    for (const level of ['one', 'all'] as const) {
      const nobody = tallyOfWrite(settled([], 3), level)
      t.same(nobody.shortage(alive()), { needed: 1, alive: 0, owners: 0 })
    }
  })

  t.test('at level any is content with one of all owners, now or next', async t => {
    const tally = tallyOfWrite(moving([a, b, c], [c], 2), 'any')
    tally.refuse(a, no)
    tally.refuse(b, no)
    t.equal(tally.outcome, 'pending')
    tally.acknowledge(c)
    t.equal(tally.outcome, 'reached')
  })
})
