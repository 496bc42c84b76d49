/** What `explain` says of a key is what the owners hold, and changes nothing of it. */
import fc from 'fast-check'
import t from 'tap'
import { explanationText } from '../src/fronts/cli/explain.ts'
import { printDot, type Actor, type Dot } from '../src/lattice/dot.ts'
import type { Time } from '../src/lattice/hlc.ts'
import { assign, erase, join, joinDelta, ROW_EMPTY, type Row } from '../src/lattice/row.ts'
import { isRefusal } from '../src/lattice/kinds.ts'
import { mutate } from '../src/lattice/mutate.ts'
import type { Operation } from '../src/lattice/operation.ts'
import { judge } from '../src/quorum/explain.ts'
import { utf8 } from '../src/util/bytes.ts'
import { decodeHolding, encodeHolding } from '../src/wire/explain.ts'
import { cut, formWorld, keyWhere, runUntil, storedAt } from './fixtures/engine-world.ts'
import type { World } from './fixtures/sim/world.ts'

const dot = (actor: number, ms: number): Dot => {
  return { actor: BigInt(actor) as Actor, time: (BigInt(ms) << 16n) as Time }
}
const put = (row: Row, value: string, at: Dot) => joinDelta(row, assign(row, utf8(value), at))

t.test('the verdict', async t => {
  const first = put(ROW_EMPTY, 'first', dot(1, 10))

  t.test('names the one that follows, and who is behind', async t => {
    const second = put(first, 'second', dot(2, 5))
    const verdict = judge([first, second, ROW_EMPTY], 0)
    t.equal(verdict.version, printDot(dot(2, 5)), 'causality wins over the clock')
    t.match(verdict.why, /nothing is concurrent/)
    t.same(verdict.behind, [true, false, true])
  })

  t.test('of concurrent values tells by what the winner won', async t => {
    const other = put(ROW_EMPTY, 'other', dot(2, 12))
    t.match(judge([first, other], 0), {
      version: printDot(dot(2, 12)),
      why: /concurrent with 1 other and has the latest time, 2 ms after/,
      behind: [true, true]
    })
    const tied = put(ROW_EMPTY, 'tied', dot(3, 10))
    t.match(judge([first, tied], 0).why, /higher actor wins, 0000000000000003/)
  })

  t.test('tells a deleted key from one never written', async t => {
    const gone = joinDelta(first, erase(first, dot(1, 11)))
    t.match(judge([gone], 0), { kind: undefined, version: printDot(dot(1, 11)), why: /deleted/ })
    t.match(judge([ROW_EMPTY], 0), { kind: undefined, version: undefined, why: /Nobody/ })
  })

  t.test('says that what expired is passed over', async t => {
    const entry = { dot: dot(1, 10), value: utf8('v'), expiresAt: 100 }
    const row = join(ROW_EMPTY, { ...ROW_EMPTY, entries: [entry] })
    t.match(judge([row], 100).why, /has expired/)
    t.notMatch(judge([row], 99).why, /has expired/)
  })

  t.test('passes over what expired beside it: the version, the losers and the reason', async t => {
    const brief = { dot: dot(2, 20), value: utf8('brief'), expiresAt: 100 }
    const beside = (row: Row) => join(row, { ...ROW_EMPTY, entries: [brief] })
    t.match(judge([beside(first)], 99), { version: printDot(dot(2, 20)), why: /concurrent with 1/ })
    t.match(judge([beside(first)], 100), {
      version: printDot(dot(1, 10)),
      why: /^It is the only value left\. 1 entry has expired\.$/
    })
    const dead = { actor: 3n as Actor, amount: 5n }
    const mark = { time: dot(3, 9).time, amount: dead.amount }
    const zero = { time: 0n as Time, amount: 0n }
    const totals = [{ actor: dead.actor, total: mark, floor: zero }]
    const counter = { ...ROW_EMPTY, totals }
    t.match(judge([beside(counter)], 99).why, /latest\. 1 entry of another kind lost to it\.$/)
    t.match(judge([beside(counter)], 100), {
      kind: 'counter',
      version: printDot(dot(3, 9)),
      why: /what 1 actor adds\. 1 entry has expired\.$/
    })
    const member = { dot: dot(1, 10), field: utf8('m') }
    const set = { ...ROW_EMPTY, entries: [member] }
    t.match(judge([beside(set)], 100), {
      kind: 'set',
      version: printDot(dot(1, 10)),
      why: /did not see it\. 1 entry has expired\.$/
    })
    const lapse = { ...mark, stamp: dot(3, 9), expiresAt: 100 }
    const lapsing = { ...ROW_EMPTY, totals: [{ ...totals[0]!, lapse }] }
    t.match(judge([lapsing, first], 99).why, /latest\. 1 entry of another kind lost to it\.$/)
    t.match(judge([lapsing, first], 100), {
      kind: 'register',
      version: printDot(dot(1, 10)),
      why: /^It is the only value left\. 1 entry has expired\.$/
    })
  })

  t.test('does not take a copy that is damaged or being filled for one never written', async t => {
    t.match(
      judge([ROW_EMPTY, ROW_EMPTY], 0, 2).why,
      /has a row, and 2 of them do not know: .*damaged/
    )
    t.notMatch(judge([first, ROW_EMPTY], 0, 1).why, /damaged/, 'another has it')
  })
})

t.test('the verdict on what is no register', async t => {
  const apply = (row: Row, operation: Operation, at: Dot) => {
    const made = mutate(row, operation, at, 0)
    if (isRefusal(made)) throw new Error('it was refused')
    return joinDelta(row, made.delta)
  }
  const fields = (...names: string[]) => names.map(utf8)

  t.test('adds up a counter', async t => {
    const base = put(ROW_EMPTY, '5', dot(1, 1))
    const one = apply(base, { do: 'increment', by: 3n }, dot(1, 2))
    const other = apply(base, { do: 'increment', by: 4n }, dot(2, 2))
    t.match(judge([one, other], 0), {
      kind: 'counter',
      why: /what 2 actors add/,
      behind: [true, true]
    })
  })

  t.test('counts members, fields and what lost', async t => {
    const a = apply(ROW_EMPTY, { do: 'set-add', fields: fields('x', 'y') }, dot(1, 1))
    const verdict = judge([a, put(ROW_EMPTY, 'text', dot(2, 0))], 0)
    t.match(verdict, { kind: 'set', why: /set of 2 members.* 1 entry of another kind lost/ })
    const counted = apply(ROW_EMPTY, { do: 'increment', by: 2n }, dot(1, 1))
    t.match(judge([counted, put(ROW_EMPTY, 'text', dot(2, 2))], 0), {
      kind: 'register',
      why: /^It is the only value, and the latest. 1 entry of another kind lost to it.$/
    })
    t.equal(verdict.shown.size, 2)
    const pair = (value: string) => [[utf8('f'), utf8(value)] as const]
    const m = apply(ROW_EMPTY, { do: 'map-set', pairs: pair('1') }, dot(1, 1))
    const n = apply(ROW_EMPTY, { do: 'map-set', pairs: pair('2') }, dot(2, 2))
    t.match(judge([m, n], 0), { kind: 'map', why: /map of 1 field.*1 concurrent lost/ })
    t.same([...judge([m, n], 0).shown], [printDot(dot(2, 2))])
  })
})

t.test('what a node holds comes back over the wire as it was, and garbage does not', async t => {
  const row = put(ROW_EMPTY, 'v', dot(1, 10))
  for (const each of [row, undefined]) {
    const holding = {
      counts: each === undefined,
      row: each,
      hintedFor: ['n1'],
      aside: each === undefined ? 'ahead' : undefined,
      matched: [{ peer: 'n2', agoMs: 7 }]
    }
    t.same(decodeHolding(encodeHolding(holding as never)), holding)
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      decodeHolding(bytes)
    })
  )
})

const isDown = (world: World, host: number) =>
  world
    .node(host)
    .status()
    .members.filter(({ liveness }) => liveness === 'down')

t.test('explaining a key', async t => {
  const explain = (world: World, host: number, key: string) =>
    world.until(world.node(host).explain(key))

  /** n2 misses the second write, because it is cut off. */
  async function diverged() {
    const world = await formWorld()
    await world.until(world.node(0).put('k', 'old', { level: 'all' }))
    for (const { index } of world.hosts) {
      for (const task of ['hints', 'anti-entropy'] as const) {
        await world.until(world.node(index).pause(task))
      }
    }
    cut(world, 0, 2)
    cut(world, 1, 2)
    const written = await world.until(world.node(0).put('k', 'new'))
    await runUntil(world, () => world.node(0).status().hints.length > 0)
    world.fabric.mendAll()
    await runUntil(world, () =>
      world
        .node(0)
        .status()
        .members.every(m => m.liveness === 'alive')
    )
    return { world, written }
  }

  t.test('shows who is behind, who keeps a hint, and repairs nothing', async t => {
    const { world, written } = await diverged()
    const before = storedAt(world, 2, 'k')
    const said = await explain(world, 2, 'k')
    t.equal(said.version, written.version)
    t.same([...said.owners].sort(), ['n0', 'n1', 'n2'])
    const copies = new Map(said.copies.map(copy => [copy.node as string, copy]))
    t.match(copies.get('n0'), { answer: 'row', behind: false, hintedFor: ['n2'] })
    t.match(copies.get('n2'), { self: true, answer: 'row', behind: true, hintedFor: [] })
    t.equal(copies.get('n0')?.digest, copies.get('n1')?.digest)
    t.not(copies.get('n0')?.digest, copies.get('n2')?.digest)
    t.same(
      copies.get('n2')?.entries?.map(({ wins }) => wins),
      [false]
    )
    await world.run(1_000)
    t.equal(storedAt(world, 2, 'k'), before, 'nothing was repaired')
    t.same(world.fabric.bugs, [])
    const text = explanationText(said, 0)
    t.match(text, /n2 \(this node\) {2}alive, row, behind/)
    t.match(text, /keeps a hint for n2/)
    t.match(text, /"new", 3 bytes {2}wins/)
  })

  t.test('tells what is kept for owners of whom none can be reached', async t => {
    const world = await formWorld({ nodes: 4 })
    const key = keyWhere(world, 3, owners => !owners.includes(3))
    for (const host of [0, 1, 2]) cut(world, host, 3)
    await runUntil(world, () => isDown(world, 3).length === 3)
    const { version } = await world.until(world.node(3).put(key, 'v', { level: 'any' }))
    const said = await explain(world, 3, key)
    t.match(said, { version, kind: 'register' })
    const copy = said.copies.find(({ node }) => node === 'n3')
    t.match(copy, { owner: false, self: true, answer: 'row', version })
    t.same([...(copy?.hintedFor ?? [])].sort(), ['n0', 'n1', 'n2'])
    t.same(said.copies.map(({ owner }) => owner).sort(), [false, true, true, true])
    t.match(explanationText(said, 0), /n3 \(this node, no owner\) {2}alive, row/)
  })

  t.test('asks every member for hints, and tells of those that keep one', async t => {
    const world = await formWorld({ nodes: 5 })
    const key = keyWhere(world, 3, owners => !owners.includes(3) && !owners.includes(4))
    for (const host of [0, 1, 2]) cut(world, host, 3)
    await runUntil(world, () => isDown(world, 3).length === 3)
    const { version } = await world.until(world.node(3).put(key, 'v', { level: 'any' }))
    await world.until(world.node(3).pause('hints'))
    world.fabric.mendAll()
    await runUntil(world, () => [0, 3, 4].every(host => isDown(world, host).length === 0))
    for (const host of [0, 3, 4]) {
      const said = await explain(world, host, key)
      t.match(said, { version, kind: 'register' })
      const names = said.copies.map(({ node }) => node as string)
      t.same(names.sort(), ['n0', 'n1', 'n2', 'n3'], `asked at ${host}`)
      const copy = said.copies.find(({ node }) => node === 'n3')
      t.match(copy, { owner: false, self: host === 3, answer: 'row', version })
      t.same([...(copy?.hintedFor ?? [])].sort(), ['n0', 'n1', 'n2'])
    }
    await world.until(world.node(3).resume('hints'))
    await runUntil(world, () => world.node(3).status().hints.length === 0)
    const said = await explain(world, 0, key)
    t.same(
      said.copies.map(({ owner }) => owner),
      [true, true, true],
      'none keeps one any more'
    )
    t.same(world.fabric.bugs, [])
  })

  t.test('tells what waits for its time', async t => {
    const world = await formWorld()
    world.host(0).clock.jump(100_000)
    await world.until(world.node(0).put('k', 'v', { level: 'one' }))
    await runUntil(world, () => world.node(1).status().quarantined === 1)
    const said = await explain(world, 1, 'k')
    const copy = said.copies.find(({ node }) => node === 'n1')
    t.match(copy, { answer: 'absent', aside: 'ahead' })
    t.match(explanationText(said, 0), /keeps a version aside: it is more than a minute ahead/)
  })

  t.test('tells of an owner that cannot be asked, and of a key that nobody has', async t => {
    const world = await formWorld()
    await world.stop(2)
    const said = await explain(world, 0, 'never')
    t.match(said, { version: undefined, kind: undefined })
    const copy = said.copies.find(({ node }) => node === 'n2')
    t.match(copy, { answer: 'failed', error: /\w/ })
  })

  t.test('refuses what is no key', async t => {
    const world = await formWorld()
    await t.rejects(world.node(0).explain(''), { code: 'ERR_KEY_SIZE' })
  })
})
