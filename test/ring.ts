import fc from 'fast-check'
import t, { type Test } from 'tap'
import { Detector, HELPERS, URGENT_PROBES, type Action } from '../src/ring/detector.ts'
import {
  decodeTable,
  emptyTable,
  encodeTable,
  fingerprint,
  joinTables,
  MEMBERS_MAX,
  MemberTable,
  withMember,
  type Member,
  type MemberState
} from '../src/ring/members.ts'
import { placement, sharedSlots } from '../src/ring/placement.ts'
import { viewOf } from '../src/ring/view.ts'
import {
  leafOf,
  leafRange,
  parseRowKey,
  rowKey,
  slotRange,
  tokenHigh,
  type KeyRange
} from '../src/ring/row-key.ts'
import { crc16, slotOf, SLOTS } from '../src/ring/slot.ts'
import { compare, hex, utf8 } from '../src/util/bytes.ts'
import type { NodeId } from '../src/util/node-id.ts'

const id = (name: string | number): NodeId => `n${name}` as NodeId

const states: MemberState[] = ['joining', 'filled', 'up', 'leaving', 'left']

function member(name: string | number, fields: Partial<Member> = {}): Member {
  const plain = { incarnation: 1n, state: 'up', addresses: [], weight: 1, zone: '', actor: 1n }
  return { id: id(name), ...plain, ...fields } as Member
}

/** Few names and few values, so that statements about one node often meet. */
const anyMember = fc.record({
  id: fc.constantFrom(...['a', 'b', 'c', 'd'].map(id)),
  incarnation: fc.constantFrom(0n, 1n, 2n ** 64n - 1n),
  state: fc.constantFrom(...states),
  addresses: fc.subarray(['/ip4/10.0.0.1/tcp/1', '/ip4/10.0.0.2/tcp/1']),
  weight: fc.constantFrom(1, 2),
  zone: fc.constantFrom('', 'east'),
  actor: fc.constantFrom(1n, 2n)
})

const anyTable = fc.array(anyMember, { maxLength: 6 }).map(members => new MemberTable(members))

const same = (a: MemberTable, b: MemberTable): boolean =>
  hex(encodeTable(a)) === hex(encodeTable(b)) && fingerprint(a) === fingerprint(b)

void t.test('slots are those of Redis Cluster', async t => {
  t.equal(crc16(utf8('123456789')), 0x31c3)
  const published = {
    '': 0,
    foo: 12_182,
    bar: 5_061,
    hello: 866,
    somekey: 11_058,
    'foo{hash_tag}': 2_515,
    'bar{hash_tag}': 2_515
  }
  for (const [key, slot] of Object.entries(published)) t.equal(slotOf(utf8(key)), slot, key)
})

void t.test('a hash tag alone decides the slot, where there is one', async t => {
  const hashed = {
    '{user1000}.following': 'user1000',
    '{user1000}.followers': 'user1000',
    'foo{{bar}}zap': '{bar',
    'foo{bar}{zap}': 'bar',
    'a{b}c}d': 'b',
    '}{x}': 'x'
  }
  for (const [key, tag] of Object.entries(hashed)) {
    t.equal(slotOf(utf8(key)), crc16(utf8(tag)) % SLOTS, key)
  }
  for (const whole of ['foo{}{bar}', '{}', '{', '}', 'a{b', 'a}b{', '{}x']) {
    t.equal(slotOf(utf8(whole)), crc16(utf8(whole)) % SLOTS, whole)
  }
})

const anySlot = fc.integer({ min: 0, max: SLOTS - 1 })
const anyToken = fc.uint8Array({ minLength: 8, maxLength: 8 })
const anyKey = fc.uint8Array({ minLength: 1, maxLength: 1_024 })

const within = (key: Uint8Array, { from, to }: KeyRange): boolean =>
  compare(key, from) >= 0 && compare(key, to) < 0

void t.test('a row key tells what it was made of', async () => {
  fc.assert(
    fc.property(anySlot, anyToken, anyKey, (slot, token, key) => {
      const parsed = parseRowKey(rowKey(slot, token, key))
      return parsed?.slot === slot && !compare(parsed.token, token) && !compare(parsed.key, key)
    })
  )
})

void t.test('what is not a row key is not taken for one', async t => {
  const token = new Uint8Array(8)
  t.equal(parseRowKey(new Uint8Array()), undefined)
  t.equal(parseRowKey(rowKey(1, token, new Uint8Array())), undefined)
  t.equal(parseRowKey(rowKey(SLOTS, token, utf8('k'))), undefined)
  t.equal(parseRowKey(rowKey(1, token, new Uint8Array(1_025))), undefined)
  t.ok(parseRowKey(rowKey(SLOTS - 1, token, new Uint8Array(1_024))))
})

void t.test('a row lies in the range of its slot and of its leaf, and in no other', async () => {
  const anyDepth = fc.integer({ min: 0, max: 16 })
  fc.assert(
    fc.property(anySlot, anyToken, anyKey, anyDepth, anySlot, (slot, token, key, depth, other) => {
      const row = rowKey(slot, token, key)
      const leaf = leafOf(token, depth)
      const another = other % 2 ** depth
      return (
        within(row, slotRange(slot)) &&
        within(row, leafRange(slot, depth, leaf)) &&
        within(row, slotRange(other)) === (slot === other) &&
        within(row, leafRange(slot, depth, another)) === (leaf === another)
      )
    }),
    { numRuns: 1_000 }
  )
})

void t.test('the leaves of a slot follow each other without gaps', async t => {
  for (const slot of [0, 255, SLOTS - 1]) {
    for (const depth of [0, 1, 8, 10]) {
      let end = slotRange(slot).from
      for (let leaf = 0; leaf < 2 ** depth; leaf++) {
        const { from, to } = leafRange(slot, depth, leaf)
        // A bound may be written longer or shorter; the first key there is decides.
        const first = rowKey(slot, new Uint8Array(8), new Uint8Array([0]))
        if (leaf === 0) t.ok(compare(first, from) >= 0)
        else t.equal(compare(from, end), 0)
        end = to
      }
      t.same(end, slotRange(slot).to)
    }
  }
  t.throws(() => leafRange(0, 3, 8), RangeError)
  t.throws(() => leafRange(0, 17, 0), RangeError)
})

void t.test('a leaf is the upper bits of the token', async t => {
  const token = Uint8Array.from([0xff, 0x01, 0x02, 0x03, 4, 5, 6, 7])
  t.equal(tokenHigh(token), 0xff010203)
  t.equal(leafOf(token, 0), 0)
  t.equal(leafOf(token, 1), 1)
  t.equal(leafOf(token, 12), 0xff0)
})

void t.test('joining tables is commutative, associative and idempotent', async () => {
  fc.assert(
    fc.property(anyTable, anyTable, anyTable, (a, b, c) => {
      const [ab, ba] = [joinTables(a, b), joinTables(b, a)]
      return (
        same(ab, ba) &&
        same(joinTables(ab, c), joinTables(a, joinTables(b, c))) &&
        joinTables(a, a) === a &&
        joinTables(ab, b) === ab &&
        joinTables(a, emptyTable) === a
      )
    }),
    { numRuns: 500 }
  )
})

void t.test('statements about one node end in one table, in whatever order they come', async () => {
  fc.assert(
    fc.property(fc.array(anyMember, { maxLength: 8 }), members => {
      const forward = members.reduce(withMember, emptyTable)
      const backward = [...members, ...members].reverse().reduce(withMember, emptyTable)
      return same(forward, backward) && same(forward, new MemberTable(members))
    })
  )
})

void t.test('the higher incarnation wins, then the later state', async t => {
  const table = (fields: Partial<Member>): MemberTable => new MemberTable([member('a', fields)])
  const newest = (...tables: MemberTable[]): Member | undefined =>
    tables.reduce(joinTables).get(id('a'))
  const back = table({ incarnation: 2n, state: 'joining' })
  t.match(newest(table({ state: 'left' }), back), { incarnation: 2n, state: 'joining' })
  for (let i = 1; i < states.length; i++) {
    const [earlier, later] = [states[i - 1], states[i]] as [MemberState, MemberState]
    t.equal(newest(table({ state: later }), table({ state: earlier }))?.state, later)
    t.equal(newest(table({ state: earlier }), table({ state: later }))?.state, later)
  }
})

void t.test('a table is iterated in the order of ids and is its encoding', async t => {
  const table = new MemberTable(['c', 'a', 'b'].map(name => member(name)))
  t.same(
    Array.from(table, ({ id }) => id),
    ['na', 'nb', 'nc']
  )
  fc.assert(
    fc.property(anyTable, table => {
      const decoded = decodeTable(encodeTable(table))
      return decoded !== undefined && same(decoded, table) && joinTables(table, decoded) === table
    })
  )
})

void t.test('the fingerprint differs when anything differs', async t => {
  const base = member('a', { addresses: ['/ip4/10.0.0.1/tcp/1'] })
  const variants: Partial<Member>[] = [
    {},
    { id: id('b') },
    { incarnation: 2n },
    { state: 'leaving' },
    { addresses: [] },
    { addresses: ['/ip4/10.0.0.1/tcp/2'] },
    { weight: 2 },
    { zone: 'east' },
    { actor: 2n }
  ]
  const prints = variants.map(fields => fingerprint(new MemberTable([{ ...base, ...fields }])))
  t.equal(new Set([...prints, fingerprint(emptyTable)]).size, variants.length + 1)
  t.ok(prints.every(print => /^[0-9a-f]{16}$/.test(print)))
  const many = Array.from({ length: 20_000 }, (_, i) =>
    fingerprint(new MemberTable([member('a', { incarnation: BigInt(i) })]))
  )
  t.equal(new Set(many).size, many.length)
})

void t.test('malformed tables are refused, whatever their bytes', async t => {
  const bytes = encodeTable(new MemberTable([member('a', { addresses: ['/x'] }), member('b')]))
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = Uint8Array.from(bytes)
      changed[at] = (changed[at] as number) ^ change
      const table = decodeTable(changed)
      return table === undefined || hex(encodeTable(table)) === hex(changed)
    }),
    { numRuns: 2_000 }
  )
  fc.assert(fc.property(fc.uint8Array(), noise => decodeTable(noise) === undefined))
  for (let end = 0; end < bytes.length; end++) {
    t.equal(decodeTable(bytes.subarray(0, end)), undefined)
  }
  t.equal(decodeTable(Uint8Array.from([...bytes, 0])), undefined)
})

void t.test('a member over a limit is refused by name', async t => {
  const faults: [Partial<Member>, RegExp][] = [
    [{ id: '' as NodeId }, /its id/],
    [{ id: 'x'.repeat(129) as NodeId }, /its id/],
    [{ incarnation: -1n }, /its incarnation/],
    [{ incarnation: 2n ** 64n }, /its incarnation/],
    [{ state: 'gone' as MemberState }, /its state/],
    [{ addresses: Array.from({ length: 17 }, () => '/x') }, /more than 16 addresses/],
    [{ addresses: ['x'.repeat(257)] }, /an address/],
    [{ addresses: ['a b'] }, /an address/],
    [{ weight: 0 }, /its weight/],
    [{ weight: 1.5 }, /its weight/],
    [{ zone: 'ost\u{fffd}' }, /its zone/],
    [{ actor: 2n ** 64n }, /its actor/]
  ]
  for (const [fields, message] of faults) {
    const act = (): MemberTable => withMember(emptyTable, member('a', fields))
    t.throws(act, { code: 'ERR_ARGUMENT', message })
  }
  const many = (count: number): MemberTable =>
    new MemberTable(Array.from({ length: count }, (_, i) => member(i)))
  t.throws(() => encodeTable(many(MEMBERS_MAX + 1)), { code: 'ERR_ARGUMENT', message: /256/ })
  t.equal(decodeTable(encodeTable(many(MEMBERS_MAX)))?.size, MEMBERS_MAX)
})

/** Sampled, so that a property over placements stays quick. */
const sample = Array.from({ length: 400 }, (_, i) => (i * 41) % SLOTS)

const anyMembers = fc.uniqueArray(
  fc.record({
    id: fc.integer({ min: 0, max: 999 }).map(id),
    weight: fc.integer({ min: 1, max: 5 })
  }),
  { minLength: 1, maxLength: 8, selector: ({ id }) => id }
)

void t.test('a preference list has n different members, or all of them', async () => {
  fc.assert(
    fc.property(anyMembers, fc.integer({ min: 1, max: 5 }), (members, n) => {
      const { owners, nodes } = placement(members, n)
      return sample.every(slot => {
        const list = owners(slot)
        const length = Math.min(n, members.length)
        return new Set(list).size === length && list.every(owner => nodes.includes(owner))
      })
    })
  )
})

void t.test('the order in which members are named changes nothing', async () => {
  fc.assert(
    fc.property(anyMembers, members => {
      const [one, other] = [placement(members, 3), placement([...members].reverse(), 3)]
      return sample.every(slot => one.owners(slot).join() === other.owners(slot).join())
    })
  )
})

void t.test('a member that comes or goes moves no slot between two others', async () => {
  fc.assert(
    fc.property(anyMembers, fc.integer({ min: 1, max: 4 }), (members, n) => {
      const [newcomer, ...others] = members as [{ id: NodeId; weight: number }]
      const [before, after] = [placement(others, n), placement(members, n)]
      return sample.every(slot => {
        const kept = after.owners(slot).filter(owner => owner !== newcomer.id)
        return kept.join() === before.owners(slot).slice(0, kept.length).join()
      })
    })
  )
})

void t.test('slots are spread by weight', async t => {
  const members = [1, 1, 1, 1, 2, 4].map((weight, i) => ({ id: id(i), weight }))
  const { owners } = placement(members, 1)
  const shares = new Map(members.map(({ id }) => [id, 0]))
  for (let slot = 0; slot < SLOTS; slot++) {
    const [owner] = owners(slot) as [NodeId]
    shares.set(owner, (shares.get(owner) as number) + 1)
  }
  for (const { id, weight } of members) {
    const fair = (SLOTS * weight) / 10
    t.ok(Math.abs((shares.get(id) as number) - fair) < 5 * Math.sqrt(fair), `${id}`)
  }
})

void t.test('placement is the same for ever', async t => {
  const { owners } = placement(
    [0, 1, 2, 3, 4].map(i => ({ id: id(i), weight: 1 + (i % 2) })),
    3
  )
  t.same(
    [0, 1, 5_061, 16_383].map(slot => owners(slot).join(' ')),
    ['n1 n3 n4', 'n3 n1 n0', 'n0 n1 n3', 'n0 n3 n4']
  )
})

void t.test('shared slots are those that all of the nodes own', async t => {
  const place = placement(
    [0, 1, 2, 3].map(i => ({ id: id(i), weight: 1 })),
    2
  )
  const [mine, ours] = [sharedSlots(place, id(0)), sharedSlots(place, id(0), id(1))]
  t.ok(mine.every(slot => place.owners(slot).includes(id(0))))
  t.same(
    [...ours],
    [...mine].filter(slot => place.owners(slot).includes(id(1)))
  )
  t.ok(ours.length > 2_000 && ours.length < 3_500)
  t.equal(sharedSlots(place, id(0), id(9)).length, 0)
})

void t.test('a view', async t => {
  const members = (...of: MemberState[]): MemberTable =>
    new MemberTable(of.map((state, i) => member(i, { state })))
  const slots = Array.from({ length: 200 }, (_, slot) => slot)

  void t.test('tells who counts and who will', async t => {
    const nodes = (...of: MemberState[]): [string, string, string] => {
      const { current, next, all } = viewOf(members(...of), 3)
      return [current.nodes.join(' '), next.nodes.join(' '), all.nodes.join(' ')]
    }
    t.same(nodes('up', 'up', 'left'), ['n0 n1', 'n0 n1', 'n0 n1'])
    t.same(nodes('up', 'joining'), ['n0', 'n0 n1', 'n0 n1'])
    t.same(nodes('up', 'filled', 'joining'), ['n0', 'n0 n1 n2', 'n0 n1 n2'])
    t.same(nodes('up', 'up', 'leaving'), ['n0 n1 n2', 'n0 n1', 'n0 n1 n2'])
    t.same(nodes('joining'), ['', 'n0', 'n0'])
    t.same(nodes(), ['', '', ''])
    t.match(viewOf(emptyTable, 3).ownersOf(7), { current: [], next: [], all: [] })
  })

  void t.test('in which nobody comes or goes has owners and no others', async t => {
    const view = viewOf(members('up', 'up', 'up', 'up'), 3)
    t.equal(view.current, view.next)
    t.equal(view.fingerprint, fingerprint(view.table))
    for (const slot of slots) {
      const { current, all, reads, writes } = view.ownersOf(slot)
      t.same(all, current)
      for (const { ranked, unsettled, n } of [reads, writes]) {
        t.same([ranked, unsettled.size, n], [current, 0, 3])
      }
    }
  })

  void t.test(
    'has reads go by the old owners until a newcomer is filled, and writes not',
    async t => {
      const joining = viewOf(members('up', 'up', 'joining'), 1)
      const filled = viewOf(members('up', 'up', 'filled'), 1)
      for (const slot of slots) {
        const [before, after] = [joining.ownersOf(slot), filled.ownersOf(slot)]
        t.same(before.reads, { ranked: before.current, unsettled: new Set(), n: 1 })
        for (const voters of [before.writes, after.writes, after.reads]) {
          t.same(voters, { ranked: before.all, unsettled: new Set(['n2']), n: 1 })
        }
        t.same(new Set(before.all), new Set([...before.current, ...before.next]))
      }
      const up = viewOf(members('up', 'up', 'up'), 1)
      for (const slot of slots) t.same(up.ownersOf(slot).reads.ranked, filled.next.owners(slot))
    }
  )

  void t.test('has every owner that any node may take for one, and no others', async t => {
    const states: MemberState[] = ['up', 'up', 'joining', 'filled', 'up', 'joining', 'up']
    const { ownersOf, all } = viewOf(members(...states), 2)
    const newcomers = states.flatMap((state, i) => (state === 'up' ? [] : [i]))
    const views = Array.from({ length: 2 ** newcomers.length }, (_, bits) => {
      const isHeard = (i: number) => ((bits >> newcomers.indexOf(i)) & 1) === 1
      const isCounted = (i: number) => !newcomers.includes(i) || isHeard(i)
      return viewOf(members(...states.map((_, i) => (isCounted(i) ? 'up' : 'left'))), 2).current
    })
    for (const slot of slots) {
      const each = new Set(views.flatMap(placement => placement.owners(slot)))
      t.same(new Set(ownersOf(slot).all), each)
      t.same(ownersOf(slot).writes.ranked, ownersOf(slot).all)
      for (const node of all.nodes) t.equal(all.owned(node)[slot], each.has(node) ? 1 : 0)
    }
  })
})

/** A detector with peers that were heard at 0, and the printed actions of each call. */
function createDetector(peers: number): { detector: Detector; ids: NodeId[] } {
  let state = 7
  const random = (): number => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0)
  const detector = new Detector({ random })
  const ids = Array.from({ length: peers }, (_, i) => id(i))
  detector.members(ids, -1)
  for (const peer of ids) detector.heard(peer, 0)
  return { detector, ids }
}

function print(actions: readonly Action[]): string {
  const texts = actions.map(action => {
    if ('probe' in action) return `probe ${action.probe}`
    if ('probeVia' in action) return `probe ${action.target} via ${action.probeVia}`
    return `${action.changed} is ${action.opinion}`
  })
  return texts.join(', ')
}

/** Ticks until the peer's turn has come. */
function probeInTurn(detector: Detector, peer: NodeId, from: number): number {
  for (let now = from; ; now += 1_000) {
    if (print(detector.tick(now)).includes(`probe ${peer}`)) return now
  }
}

void t.test('a new member is suspect until it is heard, and probed at once', async t => {
  const detector = new Detector({ random: () => 0 })
  t.equal(detector.opinion(id(0)), 'down', 'no member')
  t.equal(print(detector.members([id(0)], 5)), 'n0 is suspect, probe n0')
  t.equal(print(detector.members([id(0)], 6)), '')
  t.equal(print(detector.heard(id(0), 7)), 'n0 is alive')
  t.equal(print(detector.heard(id(0), 8)), '')
  detector.members([], 9)
  t.equal(detector.opinion(id(0)), 'down')
  t.equal(print(detector.probeFailed(id(0), 10)) + print(detector.heard(id(0), 10)), '')
})

void t.test('a new member that refuses its first probe is down', async t => {
  const detector = new Detector({ random: () => 0 })
  detector.members([id(0)], 5)
  t.equal(print(detector.probeFailed(id(0), 6)), 'n0 is down')
})

void t.test('a silent peer is tried through others, then suspect, then down', async t => {
  const { detector } = createDetector(4)
  const asked = probeInTurn(detector, id(0), 1_000)
  const helped = detector.probeFailed(id(0), asked + 500)
  t.equal(helped.length, HELPERS)
  const helpers = helped.map(action => ('probeVia' in action ? action.probeVia : id('none')))
  t.equal(new Set(helpers).size, HELPERS)
  t.notOk(helpers.includes(id(0)))
  const [first, second] = helpers as [NodeId, NodeId]
  t.equal(print(detector.probeFailed(id(0), asked + 900, first)), '')
  t.equal(print(detector.probeFailed(id(0), asked + 900, first)), '', 'counted once')
  t.equal(detector.opinion(id(0)), 'alive')
  t.equal(print(detector.probeFailed(id(0), asked + 901, second)), 'n0 is suspect')
  t.match(print(detector.tick(asked + 1_000)), /^probe n0/, 'has a second chance')
  t.equal(print(detector.probeFailed(id(0), asked + 1_500)), '', 'one failure is not the end')
  t.notMatch(print(detector.tick(asked + 3_900)), /n0 is down/)
  t.match(print(detector.tick(asked + 3_901)), /n0 is down/)
  t.equal(print(detector.heard(id(0), asked + 4_000)), 'n0 is alive')
})

void t.test('a peer that one helper reaches stays alive', async t => {
  const { detector } = createDetector(4)
  const asked = probeInTurn(detector, id(0), 1_000)
  const [one, two] = detector
    .probeFailed(id(0), asked + 500)
    .map(action => ('probeVia' in action ? action.probeVia : id('none'))) as [NodeId, NodeId]
  detector.heard(id(0), asked + 600)
  t.equal(print(detector.probeFailed(id(0), asked + 700, one)), '')
  t.equal(print(detector.probeFailed(id(0), asked + 700, two)), '')
  t.equal(detector.opinion(id(0)), 'alive')
})

void t.test('without others to ask, a failed probe makes suspect', async t => {
  const { detector } = createDetector(1)
  const asked = probeInTurn(detector, id(0), 1_000)
  t.equal(print(detector.probeFailed(id(0), asked + 500)), 'n0 is suspect')
})

void t.test('a lost connection and a refused probe are enough', async t => {
  const { detector } = createDetector(3)
  t.equal(print(detector.connection(id(1), false, 50)), 'n1 is suspect, probe n1')
  t.equal(print(detector.probeFailed(id(1), 52)), 'n1 is down')
  t.equal(print(detector.connection(id(1), true, 60)), 'n1 is alive')
})

void t.test('a probe that was lost with its connection says nothing new', async t => {
  const { detector } = createDetector(3)
  const asked = probeInTurn(detector, id(1), 1_000)
  detector.connection(id(1), false, asked + 10)
  t.equal(print(detector.probeFailed(id(1), asked + 11)), '')
  t.equal(print(detector.probeFailed(id(1), asked + 12)), 'n1 is down')
})

void t.test('a lost connection that opens again is no matter', async t => {
  const { detector } = createDetector(3)
  detector.connection(id(1), false, 50)
  t.equal(print(detector.connection(id(1), true, 55)), 'n1 is alive')
  t.equal(print(detector.probeFailed(id(1), 56)), '')
})

void t.test('a failure that is older than a sign of life is ignored', async t => {
  const { detector } = createDetector(3)
  const asked = probeInTurn(detector, id(1), 1_000)
  detector.heard(id(1), asked + 100)
  t.equal(print(detector.probeFailed(id(1), asked + 500)), '')
})

void t.test('every peer is probed once a turn, also those that are down', async t => {
  const { detector, ids } = createDetector(6)
  detector.connection(id(3), false, 10)
  detector.probeFailed(id(3), 11)
  for (let turn = 0; turn < 3; turn++) {
    const probed = ids.map((_, i) => {
      const [action] = detector.tick(1_000 * (6 * turn + i))
      return action && 'probe' in action ? action.probe : undefined
    })
    t.same(new Set(probed), new Set(ids))
  }
})

void t.test('ticking more often probes no more', async t => {
  const { detector } = createDetector(5)
  let probes = 0
  for (let now = 0; now < 10_000; now += 50) probes += detector.tick(now).length
  t.equal(probes, 10)
})

/** Peers of a seeded world: who is dead, and what the detector makes of it. */
async function checkWorld(t: Test, size: number, dead: readonly number[]): Promise<void> {
  const { detector, ids } = createDetector(size)
  const isDead = (peer: NodeId): boolean => dead.some(i => id(i) === peer)
  const answer = (actions: readonly Action[], now: number): number => {
    let probes = 0
    for (const action of actions) {
      if ('changed' in action) continue
      const target = 'probe' in action ? action.probe : action.target
      const via = 'probe' in action ? undefined : action.probeVia
      probes++
      const failed = isDead(target) || (via !== undefined && isDead(via))
      const more = failed ? detector.probeFailed(target, now + 1, via) : detector.heard(target, now)
      probes += answer(more, now + 1)
    }
    return probes
  }
  const bound = 1 + URGENT_PROBES + HELPERS
  for (let now = 1_000; now < 1_000 * (2 * size + 6); now += 1_000) {
    const probes = answer(detector.tick(now), now)
    if (probes > bound) t.fail(`${probes} probes in one period of ${size} peers`)
  }
  const wrong = ids.filter(peer => (detector.opinion(peer) === 'down') !== isDead(peer))
  t.same(wrong, [], `${size} peers, ${dead.length} dead`)
}

void t.test('the dead are found within two turns, the living never, at bounded load', async t => {
  for (const size of [1, 2, 3, 10, 100]) {
    for (const share of [0, 0.3, 1]) {
      const dead = Array.from({ length: Math.floor(size * share) }, (_, i) => i)
      await checkWorld(t, size, dead)
    }
  }
})

void t.test('no order of events brings the detector down or leaves a heard peer down', async () => {
  const event = fc.record({
    kind: fc.constantFrom('tick', 'heard', 'failed', 'via', 'open', 'lost', 'members'),
    peer: fc.nat(4),
    after: fc.nat(2_000)
  })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), events => {
      const { detector } = createDetector(4)
      let now = 0
      for (const { kind, peer, after } of events) {
        now += after
        if (kind === 'tick') detector.tick(now)
        else if (kind === 'failed') detector.probeFailed(id(peer), now)
        else if (kind === 'via') detector.probeFailed(id(peer), now, id((peer + 1) % 5))
        else if (kind === 'lost') detector.connection(id(peer), false, now)
        else if (kind === 'members') detector.members([0, 1, 2, peer].map(id), now)
        else if (kind === 'open') detector.connection(id(peer), true, now)
        else detector.heard(id(peer), now)
      }
      detector.members([0, 1, 2, 3].map(id), now)
      for (let i = 0; i < 4; i++) detector.heard(id(i), now + 1)
      return [0, 1, 2, 3].every(i => detector.opinion(id(i)) === 'alive')
    })
  )
})
