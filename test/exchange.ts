import fc from 'fast-check'
import t from 'tap'
import {
  READ_BYTES_A_TURN,
  READ_ROWS_A_TURN,
  ROWS_A_MESSAGE,
  SMALL_MESSAGES
} from '../src/digest/exchange-budget.ts'
import {
  HASHES_A_MESSAGE,
  LISTS_A_MESSAGE,
  SLOT_TREE,
  WANTS_A_MESSAGE,
  type ExchangeAnswer,
  type ExchangeRequest,
  type HashBlock,
  type RowList
} from '../src/digest/exchange-message.ts'
import { freshRoot } from '../src/digest/exchange-comparison.ts'
import { respond } from '../src/digest/exchange-respond.ts'
import { Initiator, type ExchangeStep, type InitiatorInit } from '../src/digest/exchange.ts'
import {
  HearsayError,
  NumberError,
  QuorumFailedError,
  StoreError,
  TimeoutError,
  UnavailableError
} from '../src/errors.ts'
import { encodeRow } from '../src/lattice/encode.ts'
import { timeOf } from '../src/lattice/hlc.ts'
import { INTEGER_MAX, INTEGER_MIN } from '../src/lattice/kinds.ts'
import { assign, joinDelta, ROW_EMPTY } from '../src/lattice/row.ts'
import { SLOTS } from '../src/ring/slot.ts'
import { concat, hex, utf8 } from '../src/util/bytes.ts'
import type { NodeId } from '../src/util/node-id.ts'
import { finish } from '../src/util/sliced.ts'
import {
  decodeExchangeAnswer,
  decodeExchangeRequest,
  encodeExchangeAnswer,
  encodeExchangeRequest
} from '../src/wire/exchange.ts'
import {
  decodeForward,
  decodeWritten,
  encodeFailure,
  encodeForward,
  encodeWritten
} from '../src/wire/forward.ts'
import { decodeInvite, encodeInvite } from '../src/wire/invite.ts'
import {
  decodeApply,
  decodeReadAnswer,
  decodeRefusals,
  encodeApply,
  encodeReadAnswer,
  encodeRefusals
} from '../src/wire/rows.ts'
import { MARKS_NONE } from '../src/wire/mark.ts'
import { decodeAsk, decodeReply, encodeAsk, encodeReply } from '../src/wire/view.ts'
import {
  answer,
  applyTo,
  createSide,
  fill,
  KINDS,
  Lost,
  travels,
  walk,
  type Kind,
  type Side
} from './fixtures/engine-exchange.ts'
import { dump, NOON, rootOf, setTo } from './fixtures/engine-parts.ts'
import { actor, history, operation, play, seen } from './fixtures/lattice-arbitrary.ts'

/** Few rows with all kinds of difference, and many with few differences. */
const kinds: fc.Arbitrary<Kind[]> = fc.oneof(
  fc.array(fc.constantFrom(...KINDS), { maxLength: 60 }),
  fc
    .tuple(fc.nat(2_000), fc.array(fc.tuple(fc.nat(1_999), fc.constantFrom(...KINDS))))
    .map(([length, others]) => {
      const all: Kind[] = Array.from({ length }, () => 'same')
      for (const [i, kind] of others) if (i < length) all[i] = kind
      return all
    }),
  fc
    .tuple(fc.nat(700), fc.constantFrom(...KINDS))
    .map(([length, kind]) => Array.from({ length }, () => kind))
)

const sameRoots = (a: Side, b: Side) => rootOf(a.replica) === rootOf(b.replica)
const same = (a: Side, b: Side) => sameRoots(a, b) && dump(a.store).join() === dump(b.store).join()

async function pairOf(kinds: readonly Kind[], tagged = 3): Promise<[Side, Side]> {
  const sides: [Side, Side] = [await createSide(), await createSide()]
  await fill(...sides, kinds, tagged)
  return sides
}

/** So that they lie below more than a thousand nodes of the tree over slots. */
const MANY = 3_000

t.test('an exchange', async t => {
  t.test('makes both sides identical and moves no row that did not differ', async t => {
    await fc.assert(
      fc.asyncProperty(kinds, fc.integer({ min: 1, max: 4 }), async (kinds, tagged) => {
        const [here, there] = await pairOf(kinds, tagged)
        const { rows, complete, rowsDiffered, ...bytes } = await walk(here, there)
        if (!same(here, there)) throw new Error('the sides differ')
        const most = kinds.reduce((sum, kind) => sum + travels(kind), 0)
        if (rows > most) throw new Error(`${rows} rows moved and ${most} would do`)
        const differ = kinds.filter(kind => kind !== 'same').length
        const once = kinds.every(kind => travels(kind) < 2)
        const { bytesDiffered, rowBytes } = bytes
        if (bytesDiffered > rowBytes || (once && bytesDiffered !== rowBytes))
          throw new Error(`${bytesDiffered} bytes differed of ${rowBytes} that were moved`)
        if (bytesDiffered < 30 * differ) throw new Error(`only ${bytesDiffered} bytes differed`)
        if (rowsDiffered !== differ) throw new Error(`${rowsDiffered} of ${differ} were found`)
        if (!complete) throw new Error('it says that something is missing')
        const again = await walk(there, here)
        if (!again.equal || again.roundTrips !== 1) throw new Error('they still find a difference')
      }),
      { numRuns: 25 }
    )
    t.pass()
  })

  t.test('that is a gift leaves the other side as any would, and brings nothing back', async t => {
    await fc.assert(
      fc.asyncProperty(kinds, fc.boolean(), async (kinds, small) => {
        const [here, there] = await pairOf(kinds)
        const [before, other] = [dump(here.store).join(), await pairOf(kinds)]
        const size = small ? SMALL_MESSAGES : undefined
        const given = await walk(
          here,
          there,
          { ...(size && { theirSize: size }) },
          { isGift: true }
        )
        await walk(...other)
        if (dump(here.store).join() !== before) throw new Error('something came back')
        if (dump(there.store).join() !== dump(other[1].store).join())
          throw new Error('not all went')
        if (!given.complete) throw new Error('it says that something is missing')
      }),
      { numRuns: 25 }
    )
    t.pass()
  })

  t.test('of equal sides takes one message each way, of under 100 bytes', async t => {
    const [here, there] = await pairOf(Array.from({ length: 500 }, () => 'same'))
    const walked = await walk(here, there)
    t.match(walked, { equal: true, roundTrips: 1, rows: 0 })
    t.ok(walked.bytesSent < 100 && walked.bytesReceived < 100)
  })

  t.test('of empty sides, and of sides that share no slot, is over at once', async t => {
    t.match(await walk(await createSide(), await createSide()), { equal: true, roundTrips: 1 })
    const none = new Uint16Array()
    t.match(await walk(await createSide(none), await createSide(none)), { equal: true })
  })

  t.test('leaves slots alone that are not shared', async t => {
    const all = await createSide()
    await fill(
      all,
      await createSide(),
      Array.from({ length: 50 }, () => 'only here'),
      1
    )
    const slot = all.replica.rows.locate(utf8('{one slot}')).slot
    const [here, there] = [
      await createSide(new Uint16Array([slot + 1])),
      await createSide(new Uint16Array([slot + 1]))
    ]
    await fill(
      here,
      there,
      Array.from({ length: 50 }, () => 'only here'),
      1
    )
    t.match(await walk(here, there), { equal: true, rows: 0 })
    const [one, two] = [
      await createSide(new Uint16Array([slot])),
      await createSide(new Uint16Array([slot]))
    ]
    await fill(
      one,
      two,
      Array.from({ length: 50 }, () => 'only here'),
      1
    )
    t.match(await walk(one, two), { equal: false, rows: 50 })
    t.ok(same(one, two))
  })

  t.test('finds one row among thousands by a walk, not by a list of all', async t => {
    const all: Kind[] = Array.from({ length: 4_000 }, () => 'same')
    all[1_234] = 'newer here'
    const [here, there] = await pairOf(all, 1)
    const walked = await walk(here, there)
    t.ok(same(here, there))
    t.equal(walked.rows, 1)
    t.ok(walked.bytesReceived < 4_000, `${walked.bytesReceived} bytes`)
  })

  t.test('fills an empty side with a slot that is too large for one message', async t => {
    const count = 2 * ROWS_A_MESSAGE + 500
    for (const direction of ['pull', 'push'] as const) {
      const [full, empty] = await pairOf(
        Array.from({ length: count }, () => 'only here'),
        1
      )
      t.ok(full.own.forest.depth(full.replica.rows.locate(utf8('{one slot}')).slot) > 8)
      const walked = await (direction === 'pull' ? walk(empty, full) : walk(full, empty))
      t.ok(same(full, empty), direction)
      t.match(walked, { rows: count, complete: true })
      t.ok(walked.largest < 1024 * 1024, `${walked.largest} bytes`)
    }
  })

  t.test('sends everything to an empty side without a look at hashes', async t => {
    const [here, there] = await pairOf(Array.from({ length: MANY }, () => 'only there'))
    const walked = await walk(here, there)
    t.match(walked, { rows: MANY, rowsDiffered: MANY, complete: true, unexplained: [] })
    t.ok(walked.roundTrips <= 12, `${walked.roundTrips} round trips`)
    const overhead = walked.bytesReceived - walked.rowBytes
    t.ok(overhead < MANY * 16, `${overhead} bytes: to look below would take ten times as much`)
    t.ok(same(here, there))
  })

  t.test('says of an empty side that all slots are left, until their rows are there', async t => {
    const [here, there] = await pairOf(Array.from({ length: MANY }, () => 'only there'))
    const lefts: number[] = []
    await walk(here, there, { taken: ({ left }) => lefts.push(left) })
    t.equal(lefts[0], SLOTS)
    t.same(
      lefts,
      [...lefts].sort((a, b) => b - a),
      'it becomes less and less'
    )
    t.ok(lefts.filter(left => left > 0 && left < SLOTS).length > 1, `${lefts}`)
    t.equal(lefts.at(-1), 0)
  })

  t.test('looks where they are when an empty side lacks few rows', async t => {
    for (const [rows, bytesMax] of [
      [1, 1_500],
      [3, 3_000],
      [100, 20_000]
    ] as const) {
      const [here, there] = await pairOf(Array.from({ length: rows }, () => 'only there'))
      const walked = await walk(here, there)
      t.match(walked, { rows, rowsDiffered: rows, complete: true, unexplained: [] })
      const overhead = walked.bytesSent + walked.bytesReceived - walked.rowBytes
      t.ok(overhead <= bytesMax, `${overhead} bytes for ${rows}`)
      t.ok(same(here, there))
    }
  })

  t.test('reads few rows for each that differs, also of leaves that are half there', async t => {
    const small = { rows: 64, listed: 2_048, hashes: 512 }
    for (const every of [2, 8]) {
      const kinds = Array.from({ length: MANY }, (_, i) =>
        i % every === 0 ? ('only there' as const) : ('same' as const)
      )
      const [here, there] = await pairOf(kinds)
      const { rowsRead, rowsDiffered } = await walk(here, there, { theirSize: small })
      t.equal(rowsDiffered, Math.ceil(MANY / every))
      t.ok(rowsRead <= 20 * rowsDiffered, `${rowsRead / rowsDiffered} of 1 in ${every}`)
      t.ok(same(here, there))
    }
  })

  t.test('looks at hashes when an empty side is empty no more after the pause', async t => {
    const [here, there] = await pairOf(['only there', 'only there', 'only there'])
    const late = await pairOf(['only there', 'only there'])
    const walked = await walk(here, there, { settle: () => walk(here, late[1]) })
    t.match(walked, { rows: 1, complete: true })
    t.ok(same(here, there))
  })

  t.test('finds the slot in which an empty side differs from a tree without rows', async t => {
    const [here, there] = [await createSide(), await createSide()]
    there.replica.forest.add(7, 1, new Uint8Array(32).fill(1))
    const walked = await walk(here, there)
    t.match(walked, { equal: false, rows: 0, unexplained: [7] })
    t.match(await walk(there, here), { equal: false, rows: 0, unexplained: [7] })
  })

  t.test('goes on where large rows do not fit into one message', async t => {
    const [here, there] = await pairOf([])
    const large = Array.from({ length: 8 }, (_, i) => {
      const dot = { actor: actor(1), time: timeOf(NOON + i) }
      const delta = assign(ROW_EMPTY, new Uint8Array(300_000).fill(i), dot)
      return { key: utf8(`{t}${i}`), bytes: encodeRow(joinDelta(ROW_EMPTY, delta)) }
    })
    await applyTo(here, large.slice(0, 4))
    await applyTo(there, large.slice(4))
    const walked = await walk(here, there)
    t.ok(same(here, there))
    t.match(walked, { rows: 8, complete: true })
    t.ok(walked.largest < 2 * 1024 * 1024)
  })

  t.test('says so when joins did not fit, and the next ones move them', async t => {
    const [here, there] = await pairOf([])
    const row = (by: number, size: number) => {
      const dot = { actor: actor(by), time: timeOf(NOON) }
      return encodeRow(joinDelta(ROW_EMPTY, assign(ROW_EMPTY, new Uint8Array(size), dot)))
    }
    const keys = Array.from({ length: 8 }, (_, i) => utf8(`{t}${i}`))
    await applyTo(
      here,
      keys.map(key => ({ key, bytes: row(1, 10) }))
    )
    await applyTo(
      there,
      keys.map(key => ({ key, bytes: row(2, 300_000) }))
    )
    const wanted = { key: utf8('{t}wanted'), bytes: row(3, 10) }
    await applyTo(there, [wanted])
    const first = await walk(here, there)
    t.notOk(first.complete)
    t.equal(here.replica.read(wanted.key).answer, 'row', 'what was asked for came all the same')
    t.ok(first.largest < 2 * 1024 * 1024, `${first.largest} bytes`)
    for (let i = 0; i < 4 && !same(here, there); i++) await walk(here, there)
    t.ok(same(here, there))
  })

  t.test('puts no second large row into a message, whatever it is asked for', async t => {
    const [here, there] = await pairOf([])
    const size = 1_000_000
    for (let i = 0; i < 3; i++) {
      await applyTo(here, [
        { key: utf8(`{t}both ${i}`), bytes: sized(1, i === 0 ? size : 10) },
        { key: utf8(`{t}here ${i}`), bytes: sized(1, size) }
      ])
      await applyTo(there, [
        { key: utf8(`{t}both ${i}`), bytes: sized(2, i === 0 ? 10 : size) },
        { key: utf8(`{t}there ${i}`), bytes: sized(2, size) }
      ])
    }
    const walks = [await walk(here, there), await walk(here, there), await walk(here, there)]
    t.ok(sameRoots(here, there))
    for (const { largest } of walks) t.ok(largest < 1.1 * size, `${largest} bytes`)
  })

  t.test('sends a row as it is then, not as it was when it was compared', async t => {
    const [here, there] = await pairOf([])
    const keys = [0, 1, 2].map(i => utf8(`{t}${i}`))
    await applyTo(
      here,
      keys.map(key => ({ key, bytes: sized(1, 900_000) }))
    )
    const later = sized(1, 5, 1)
    const sent = new Map<string, number>()
    const initiator = new Initiator(here.own)
    let asked: (ExchangeRequest & { id: number })[] = []
    for (let step = finish(initiator.next()); step.do !== 'done'; step = finish(initiator.next())) {
      if (step.do === 'send') {
        asked.push({ id: step.id, ...step.message })
        for (const { key, bytes } of step.message.rows) sent.set(hex(key), bytes.length)
        if (sent.size !== 1) continue
        await applyTo(
          here,
          keys.map(key => ({ key, bytes: later }))
        )
      }
      for (const { id, ...message } of asked) {
        const bytes = await answer(there, encodeExchangeRequest(message))
        finish(initiator.receive(id, decodeExchangeAnswer(bytes) as ExchangeAnswer))
      }
      asked = []
    }
    const [first, ...others] = sent.values()
    t.ok(first && first > 900_000)
    t.same(
      others.map(length => length < 1_000),
      [true, true]
    )
  })

  t.test('reads no more in one turn than it may, on either side', async t => {
    for (const size of [10, 300_000]) {
      const [here, there] = await pairOf([])
      const rows = Array.from({ length: size > 10 ? 30 : 3_000 }, (_, i) => ({
        key: utf8(`{t}${i}`),
        bytes: sized(1, size)
      }))
      await applyTo(here, rows)
      await applyTo(there, rows.slice(1))
      let [bytes, count] = [0, 0]
      const watch = (side: Side): Side => {
        const { rows } = side.own
        const reader = {
          *leaf(...place: Parameters<typeof rows.leaf>) {
            for (const row of rows.leaf(...place)) {
              bytes += row.bytes.length
              count++
              yield row
            }
          },
          byToken: rows.byToken.bind(rows),
          locate: rows.locate.bind(rows)
        }
        return { ...side, own: { ...side.own, rows: reader } }
      }
      const turns = (work: Generator<void, unknown, void>) => {
        for (;;) {
          ;[bytes, count] = [0, 0]
          const { done, value } = work.next()
          if (bytes > READ_BYTES_A_TURN + 2 * size) throw new Error(`${bytes} bytes`)
          // One more is read to see that it is too many.
          if (count > READ_ROWS_A_TURN + 1) throw new Error(`${count} rows`)
          if (done === true) return value
        }
      }
      const [a, b] = [watch(here), watch(there)]
      const initiator = new Initiator(a.own)
      let moved = 0
      for (;;) {
        const step = turns(initiator.next()) as ReturnType<typeof finish<ExchangeStep>>
        if (step.do === 'done') break
        if (step.do !== 'send') continue
        const { message, id } = step
        const joined = await applyTo(there, message.rows)
        moved += message.rows.length
        turns(
          initiator.receive(
            id,
            turns(respond(b.own, message, { joined, refused: 0, aside: 0 })) as ExchangeAnswer
          )
        )
      }
      t.ok(sameRoots(here, there))
      t.equal(moved, 1)
    }
  })

  t.test('that broke anywhere leaves nothing behind, and the next one finishes', async t => {
    const point = fc.record({ at: fc.nat(6), delivered: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(kinds, fc.array(point, { maxLength: 4 }), async (kinds, points) => {
        const [here, there] = await pairOf(kinds, 2)
        for (const { at, delivered } of points) {
          const breaks = (n: number) => {
            if (n === at) throw new Lost()
          }
          await walk(here, there, delivered ? { answer: breaks } : { request: breaks }).catch(
            (error: unknown) => {
              if (!(error instanceof Lost)) throw error
            }
          )
        }
        await walk(here, there)
        if (!same(here, there)) throw new Error('the sides differ')
      }),
      { numRuns: 12 }
    )
    t.pass()
  })

  t.test('lists nothing of what became equal while it waited', async t => {
    for (const kind of ['newer here', 'newer there', 'only there', 'concurrent'] as const) {
      const [here, there] = await pairOf([kind, 'same'], 1e9)
      const settle = () => walk(here, there)
      const walked = await walk(here, there, { settle })
      t.equal(walked.rows, 0, kind)
      // What changed on this side can be seen without asking.
      if (kind.endsWith('there')) t.equal(walked.rowsRead, 0, kind)
    }
  })

  t.test(
    'moves no write that reached one side before it and the other while it waited',
    async t => {
      const held = fc.array(fc.constantFrom<Kind>('same', 'newer here', 'only there'), {
        maxLength: 40
      })
      const write = fc.record({ key: fc.nat(60), first: fc.boolean() })
      const writes = fc.array(write, { minLength: 1, maxLength: 20 })
      await fc.assert(
        fc.asyncProperty(held, writes, async (kinds, writes) => {
          const [here, there] = await pairOf(kinds, 1)
          const made = writes.map(({ key, first }, i) => ({
            sides: first ? [here, there] : [there, here],
            row: { key: utf8(`{one slot}w${key}`), bytes: sized(3, 20, 9_000 + i) }
          }))
          const deliver = async (to: number) => {
            for (const { sides, row } of made) await applyTo(sides[to] as Side, [row])
          }
          await deliver(0)
          const walked = await walk(here, there, { settle: () => deliver(1) })
          const most = kinds.filter(kind => kind !== 'same').length
          if (walked.rows > most) throw new Error(`${walked.rows} rows moved of ${most}`)
          if (!same(here, there)) throw new Error('the sides differ')
        }),
        { numRuns: 30 }
      )
      t.pass()
    }
  )

  t.test('finds with another salt what looks the same with one', async t => {
    const [here, there] = await pairOf(['same', 'newer here', 'only there'], 1)
    /** A side whose hashes and digests all look alike in the first of their parts. */
    const blind = (side: Side): Side => {
      const { forest, group, rows } = side.own
      const blinded = (hashes: Uint8Array) => hashes.map((byte, i) => (i % 32 < 4 ? 0 : byte))
      const own = {
        rows,
        forest: Object.assign(Object.create(forest) as typeof forest, {
          depth: (slot: number) => forest.depth(slot),
          rows: (slot: number) => forest.rows(slot),
          level: (...place: Parameters<typeof forest.level>) => blinded(forest.level(...place))
        }),
        group: {
          slots: group.slots,
          depth: group.depth,
          root: () => group.root(),
          refresh: (most: number) => group.refresh(most),
          free: () => group.free(),
          level: (...place: Parameters<typeof group.level>) => blinded(group.level(...place))
        }
      }
      return { ...side, own }
    }
    const [a, b] = [blind(here), blind(there)]
    const unseen = await walk(a, b, {}, { salt: 0 })
    t.match(unseen, { equal: false, rows: 0 })
    t.match(await walk(a, b, {}, { salt: 1 }), { rows: 2 })
    t.ok(same(here, there))
  })

  t.test('keeps to six round trips after the root, whatever differs', async t => {
    for (const some of [1, 50, 2_000]) {
      const all: Kind[] = Array.from({ length: 6_000 }, (_, i) =>
        i % Math.floor(6_000 / some) === 0 ? 'newer there' : 'same'
      )
      const [here, there] = await pairOf(all, 1e9)
      const { roundTrips, rows } = await walk(here, there)
      t.equal(rows, all.filter(kind => kind !== 'same').length)
      // The first is the root, and one more shows that the roots are equal then.
      t.ok(roundTrips + 1 <= 1 + 6, `${roundTrips} for ${some}`)
    }
  })

  t.test('moves the same rows in small messages, which are many and short', async t => {
    const all = Array.from({ length: 3_000 }, (_, i) => KINDS[i % 10] as Kind)
    const [large, small] = await Promise.all([pairOf(all), pairOf(all)])
    const one = await walk(...large)
    const many = await walk(...small, {}, { size: () => ({ rows: 64, listed: 256, hashes: 64 }) })
    t.ok(same(...small))
    t.equal(many.rowsDiffered, one.rowsDiffered)
    t.ok(many.messages > 3 * one.messages, `${many.messages} messages`)
    t.ok(many.largest < one.largest / 3, `${many.largest} bytes`)
  })

  t.test('hashes the trees that changed a few at a time', async t => {
    const { forest, group } = (await createSide()).own
    for (const slot of group.slots) forest.add(slot, slot, new Uint8Array(32).fill(slot))
    const turnsOf = () => {
      const work = freshRoot(group)
      let [turns, step] = [1, work.next()]
      for (; step.done !== true; step = work.next()) turns++
      t.same(step.value, group.root())
      return turns
    }
    t.equal(turnsOf(), group.slots.length / 512)
    t.equal(turnsOf(), 1)
  })

  t.test('goes on while rows change under it', async t => {
    const [here, there] = await pairOf(Array.from({ length: 400 }, (_, i) => KINDS[i % 10] as Kind))
    let n = 0
    const write = () => {
      const bytes = encodeRow(
        joinDelta(
          ROW_EMPTY,
          assign(ROW_EMPTY, utf8('v'), { actor: actor(3), time: timeOf(NOON + n) })
        )
      )
      for (let i = 0; i < 20; i++) {
        void here.replica.apply(utf8(`{one slot}new ${n++}`), 'row', bytes)
        void there.replica.apply(utf8(`{one slot}new ${n++}`), 'row', bytes)
      }
    }
    await walk(here, there, { request: write })
    await walk(here, there)
    t.ok(same(here, there))
    t.ok(n > 100)
  })
})

/** Plays an initiator against whatever answers; how many messages it took, and the error at its end. */
async function against(
  side: Side,
  peer: (n: number, request: ExchangeRequest) => ExchangeAnswer,
  init: InitiatorInit = {}
) {
  const initiator = new Initiator(side.own, init)
  for (let n = 0; n < 20_000; n++) {
    try {
      const step = finish(initiator.next())
      if (step.do === 'done') return { n, error: undefined, complete: initiator.complete }
      if (step.do === 'settle') continue
      if (step.do === 'wait') throw new Error('it waits for what was answered')
      const rows = finish(initiator.receive(step.id, peer(n, step.message)))
      const results = await Promise.allSettled(
        rows.map(({ key, bytes }) => side.replica.apply(key, 'row', bytes))
      )
      initiator.joined(results.flatMap(each => (each.status === 'fulfilled' ? [each.value] : [])))
    } catch (error) {
      return { n, error, complete: false }
    }
  }
  throw new Error('there is no end to it')
}

const NOTHING: ExchangeAnswer = {
  hashes: [],
  listsDone: 0,
  from: undefined,
  found: [],
  wantsDone: 0,
  rows: [],
  joins: 0,
  partial: false,
  refused: 0,
  aside: 0,
  rowsRead: 0
}

t.test('against a peer that does not follow the protocol, an exchange ends', async t => {
  const some = Array.from({ length: 200 }, (_, i) => KINDS[i % 10] as Kind)
  const token = (n: number, length = 8) => {
    const out = new Uint8Array(length)
    new DataView(out.buffer).setUint32(length - 4, n)
    return out
  }
  const leafOf = (side: Side, n: number): HashBlock => {
    const tree = side.replica.rows.locate(utf8('{one slot}')).slot
    return { tree, depth: 0, level: 0, first: 0, hashes: token(n, 4) }
  }

  t.test('when it begins at the root again and again', async t => {
    const [side] = await pairOf(some)
    const root = { tree: SLOT_TREE, depth: 14, level: 0, first: 0, hashes: token(1, 4) }
    const { error } = await against(side, () => ({ ...NOTHING, hashes: [root] }))
    t.match(error, { code: 'ERR_PROTOCOL' })
  })

  t.test('when all that it has differs, and still does however often it is asked', async t => {
    const slots = Uint16Array.from({ length: 300 }, (_, i) => i)
    slots[0] = (await createSide()).replica.rows.locate(utf8('{one slot}')).slot
    const side = await createSide(slots.sort())
    await fill(side, await createSide(), some, 1)
    let made = 0
    const below = (tree: number, depth: number, level: number, first: number) => {
      const next = Math.min(level + 4, depth)
      const count = 2 ** (next - level)
      const hashes = concat(Array.from({ length: count }, () => token(made++, 4)))
      return { tree, depth, level: next, first: first * count, hashes }
    }
    const { error, complete, n } = await against(side, (_, { root, hashes }) => {
      if (root !== undefined) return { ...NOTHING, hashes: [below(SLOT_TREE, 9, 0, 0)] }
      const positions = hashes.flatMap(block =>
        Array.from({ length: block.hashes.length / 4 }, (_, i) => ({
          ...block,
          first: block.first + i
        }))
      )
      const blocks = positions.map(({ tree, depth, level, first }) =>
        tree === SLOT_TREE && level === depth
          ? below(Math.min(first, slots.length - 1), 0, 0, 0)
          : below(tree, depth, level, first)
      )
      return { ...NOTHING, hashes: blocks }
    })
    t.match({ error, complete }, { error: undefined, complete: false })
    t.ok(n > 3, `${n} messages`)
  })

  t.test('when it shows one node again and again', async t => {
    const [side] = await pairOf(some)
    const hashes = Array.from({ length: 100 }, (_, i) => leafOf(side, i))
    const { error } = await against(side, () => ({ ...NOTHING, hashes }))
    t.match(error, { code: 'ERR_PROTOCOL', message: /more hashes than there are/ })
  })

  t.test('when it answers nothing to anything', async t => {
    const [side] = await pairOf(some)
    let first = true
    const result = await against(side, (_, request) => {
      if (!first) return NOTHING
      first = false
      t.ok(request.root)
      return { ...NOTHING, hashes: [leafOf(side, 1)] }
    })
    t.match(result, { error: undefined, complete: false })
  })

  t.test('when it speaks of lists, rows or slots that it was not asked about', async t => {
    const [side] = await pairOf(some)
    const wrong: [Partial<ExchangeAnswer>, string][] = [
      [{ found: [{ index: 100_000, newest: 1n }] }, 'finds rows that were not listed'],
      [{ listsDone: 2 }, 'more lists than it was sent'],
      [{ found: Array.from({ length: 9_999 }, () => ({ index: 0, newest: 1n })) }, 'more rows']
    ]
    for (const [answer, message] of wrong) {
      const { error } = await against(side, n =>
        n === 0 ? { ...NOTHING, hashes: [leafOf(side, 1)] } : { ...NOTHING, ...answer }
      )
      t.match(error, { code: 'ERR_PROTOCOL', message: new RegExp(message) })
    }
    const few = await createSide(Uint16Array.of(1, 2))
    const block = { ...leafOf(side, 1), tree: 2 }
    t.match((await against(few, () => ({ ...NOTHING, hashes: [block] }))).error, {
      code: 'ERR_PROTOCOL'
    })
    const deeper = { tree: SLOT_TREE, depth: 14, level: 14, first: 0, hashes: token(1, 4) }
    t.match((await against(few, () => ({ ...NOTHING, hashes: [deeper] }))).error, {
      code: 'ERR_PROTOCOL'
    })
    const root = few.own.group.root().map(byte => byte ^ 1)
    t.equal(finish(respond(few.own, { ...ASKED, root })).hashes.length, 1)
    for (const asked of [
      { hashes: [block] },
      { hashes: [deeper] },
      { lists: [{ ...LIST, tree: 2 }] },
      { wants: [WANT] }
    ])
      t.throws(() => finish(respond(few.own, { ...ASKED, ...asked })), { code: 'ERR_PROTOCOL' })
  })

  t.test(
    'when it has found rows that it then does not give, or gives others without end',
    async t => {
      for (const gives of [0, 1]) {
        const [side] = await pairOf(some)
        let made = 0
        const result = await against(side, (n, { lists, wants }) => {
          if (n === 0) return { ...NOTHING, hashes: [leafOf(side, n)] }
          const dot = { actor: actor(4), time: timeOf(NOON + made++) }
          const bytes = encodeRow(joinDelta(ROW_EMPTY, assign(ROW_EMPTY, utf8('v'), dot)))
          const rows = [{ key: utf8('{one slot}0'), bytes }]
          if (lists.length === 0)
            return { ...NOTHING, rows, wantsDone: gives * Math.min(1, wants.length) }
          const found = Array.from({ length: lists[0]!.rows.length / 8 }, (_, index) => {
            return { index, newest: timeOf(NOON + 60_000) }
          })
          return { ...NOTHING, rows, found, listsDone: lists.length }
        })
        t.equal(result.error, undefined)
        t.ok(made > 1)
      }
    }
  )

  t.test('when it never comes to the end of a list', async t => {
    const [side] = await pairOf(some)
    const row = { key: utf8('{one slot}0'), bytes: sized(1, 10) }
    let n = 0
    const peer = (_: number, { root }: ExchangeRequest): ExchangeAnswer =>
      root
        ? { ...NOTHING, hashes: [leafOf(side, 1)] }
        : { ...NOTHING, from: token(n++), rows: [row] }
    const endless = await against(side, peer, { messagesMax: 50 })
    t.match(endless.error, { code: 'ERR_PROTOCOL', message: /never comes to an end/ })
    t.equal(n, 49)
    const idle = (_: number, { root }: ExchangeRequest): ExchangeAnswer =>
      root ? { ...NOTHING, hashes: [leafOf(side, 1)] } : { ...NOTHING, from: token(n++) }
    t.match(await against(side, idle), { error: undefined, complete: false })
  })

  t.test('when it answers anything at all that can be read', async t => {
    const { answer } = messages()
    await fc.assert(
      fc.asyncProperty(fc.array(answer, { minLength: 1, maxLength: 4 }), async answers => {
        const [side] = await pairOf(some)
        const { error } = await against(
          side,
          n => answers[n % answers.length] as unknown as ExchangeAnswer
        )
        if (error !== undefined && !(error instanceof HearsayError)) throw error
      }),
      { numRuns: 40 }
    )
    t.pass()
  })

  t.test('and one that is asked anything at all answers or refuses with an error', async t => {
    const [side, other] = await pairOf(some)
    const { request } = messages()
    let [answered, refused] = [0, 0]
    const slots = Uint16Array.from({ length: 10_124 }, (_, i) => i)
    const own = { ...side.own, group: side.own.forest.group(slots) }
    const ask = async (asked: ExchangeRequest) => {
      try {
        encodeExchangeAnswer(finish(respond(own, asked)))
        answered++
      } catch (error) {
        if (!(error instanceof HearsayError) || error.code !== 'ERR_PROTOCOL') throw error
        refused++
      }
    }
    await fc.assert(
      fc.asyncProperty(request, asked => ask(asked as unknown as ExchangeRequest)),
      { numRuns: 300 }
    )
    t.ok(answered > 10 && refused > 10, `${answered} answered, ${refused} refused`)
    await walk(side, other)
    t.ok(same(side, other))
  })
})

const ASKED: ExchangeRequest = {
  salt: 0,
  root: undefined,
  hashes: [],
  lists: [],
  wants: [],
  rows: []
}
const WANT = { tree: 2, token: new Uint8Array(8) }
const LIST: RowList = {
  tree: 0,
  depth: 0,
  leaf: 0,
  from: undefined,
  to: undefined,
  rows: new Uint8Array()
}

const sized = (by: number, size: number, at = 0) => {
  const dot = { actor: actor(by), time: timeOf(NOON + at) }
  return encodeRow(joinDelta(ROW_EMPTY, assign(ROW_EMPTY, new Uint8Array(size), dot)))
}

/** Messages within the shapes that decode. */
function messages() {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
  const tree = fc.oneof(fc.constant(SLOT_TREE), fc.nat(3), fc.nat(16_383), fc.constant(10_123))
  const depth = fc.oneof(fc.nat(4), fc.nat(16), fc.constant(14))
  const inLevel = (level: number) => fc.nat(2 ** level - 1)
  const block = fc.tuple(tree, depth).chain(([tree, depth]) =>
    fc.nat(depth).chain(level =>
      inLevel(level).chain(first =>
        fc.record({
          tree: fc.constant(tree),
          depth: fc.constant(depth),
          level: fc.constant(level),
          first: fc.constant(first),
          hashes: fc
            .integer({
              min: level === 0 && tree >= 0 ? 0 : 1,
              max: Math.min(20, 2 ** level - first)
            })
            .chain(count => bytes(count * 4))
        })
      )
    )
  )
  const newest = fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { nil: undefined })
  const maybeToken = fc.option(bytes(8), { nil: undefined })
  const list = fc.tuple(fc.nat(16_383), depth).chain(([tree, depth]) =>
    fc.record({
      tree: fc.constant(tree),
      depth: fc.constant(depth),
      leaf: inLevel(depth),
      from: maybeToken,
      to: maybeToken,
      rows: fc.nat(5).chain(count => bytes(count * 8))
    })
  )
  const row = fc.record({
    key: fc.uint8Array({ minLength: 1, maxLength: 20 }),
    bytes: fc.uint8Array({ maxLength: 40 })
  })
  const few = { maxLength: 4 }
  const slots = fc
    .uniqueArray(fc.nat(16_383), { maxLength: 5 })
    .map(some => Uint16Array.from(some.sort((a, b) => a - b)))
  const plain = fc.record({
    salt: fc.nat(7),
    root: fc.option(bytes(32), { nil: undefined }),
    hashes: fc.array(block, few),
    lists: fc.array(list, few),
    wants: fc.array(fc.record({ tree: fc.nat(16_383), token: bytes(8) }), few),
    rows: fc.array(row, few)
  })
  const request = fc.oneof(
    plain,
    fc.tuple(slots, plain).map(([slots, rest]): ExchangeRequest => ({ slots, ...rest }))
  )
  const refused = fc
    .nat(65_536)
    .chain(refused => fc.record({ refused: fc.constant(refused), aside: fc.nat(refused) }))
  const plainAnswer = fc.record({
    hashes: fc.array(block, few),
    listsDone: fc.nat(4_096),
    from: maybeToken,
    found: fc.array(fc.record({ index: fc.nat(65_535), newest }), few),
    wantsDone: fc.nat(512),
    rows: fc.array(row, few),
    joins: fc.nat(65_536),
    partial: fc.boolean(),
    rowsRead: fc.nat(9_999)
  })
  const answer = fc
    .tuple(plainAnswer, refused)
    .map(([rest, counts]): ExchangeAnswer => ({ ...rest, ...counts }))
  return { request, answer }
}

/** A text that is equal for what is equal, bytes and classes of errors included. */
function show(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (each instanceof Uint8Array) return `bytes ${hex(each)}`
    if (each instanceof Map) return [...each].sort(([a], [b]) => (a < b ? -1 : 1))
    if (typeof each === 'bigint') return `${each}n`
    if (each === undefined) return 'nothing'
    if (each instanceof Error) return { ...each, class: each.constructor.name, text: each.message }
    return each
  })
}

t.test('on the wire', async t => {
  const check = <T>(arbitrary: fc.Arbitrary<T>, there: (value: T) => unknown) => {
    fc.assert(
      fc.property(arbitrary, value => {
        const [before, after] = [show(value), show(there(value))]
        if (before !== after) throw new Error(`${before} came back as ${after}`)
      }),
      { numRuns: 300 }
    )
  }
  const bytes = fc.uint8Array({ maxLength: 50 })
  const key = fc.uint8Array({ minLength: 1, maxLength: 1_024 })
  const word = fc.string({ maxLength: 20 })
  const nodes = fc.array(word, { maxLength: 5 }) as unknown as fc.Arbitrary<NodeId[]>
  const count = fc.nat(9_999)
  const { request, answer } = messages()

  t.test('messages of an exchange come back as they were', async t => {
    check(request, value => decodeExchangeRequest(encodeExchangeRequest(value)))
    check(answer, value => decodeExchangeAnswer(encodeExchangeAnswer(value)))
    t.pass()
  })

  t.test('changes, refusals and answers to reads come back as they were', async t => {
    const kind = fc.constantFrom('row' as const, 'delta' as const)
    const items = fc.array(fc.record({ key, kind, bytes }), { maxLength: 5 })
    check(fc.record({ flush: fc.boolean(), items }), value => decodeApply(encodeApply(value)))
    const refusal = fc.record({ index: fc.nat(4_096), code: word, message: word })
    check(fc.array(refusal, { maxLength: 5 }), value => decodeRefusals(encodeRefusals(value)))
    const row = fc.tuple(history, fc.nat(3)).map(([steps, i]) => play(steps).rows[i]!)
    const answers = fc.oneof(
      fc.constant({ answer: 'absent' as const }),
      fc.constant({ answer: 'unknown' as const }),
      fc.constant({ answer: 'unknown' as const, isLost: true }),
      row.map(row => ({ answer: 'row' as const, row }))
    )
    check(answers, value => decodeReadAnswer(encodeReadAnswer(value)))
    t.pass()
  })

  t.test('questions about the view come back as they were', async t => {
    const table = fc.option(bytes, { nil: undefined })
    const mark = fc.record({ life: fc.nat(), count: fc.nat() })
    const marks = fc.record({ mine: mark, yours: mark })
    check(fc.record({ view: word, table, body: bytes, marks }), ask => decodeAsk(encodeAsk(ask)))
    const reply = fc.oneof(fc.record({ body: bytes, marks }), fc.record({ table: bytes, marks }))
    check(reply, value => decodeReply(encodeReply(value)))
    t.pass()
  })

  t.test('writes that are passed on come back as they were', async t => {
    const level = fc.oneof(
      fc.constantFrom(
        'one' as const,
        'two' as const,
        'three' as const,
        'quorum' as const,
        'any' as const
      ),
      fc.integer({ min: 1, max: 9_999 })
    )
    const timeoutMs = fc.nat(86_400_000)
    const withSeen = fc.tuple(operation, seen).map(([each, seen]) => {
      return each.do === 'put' || each.do === 'delete' ? { ...each, seen } : each
    })
    const any = fc.oneof(operation, withSeen)
    check(fc.record({ key, operation: any, level, flush: fc.boolean(), timeoutMs }), write =>
      decodeForward(encodeForward(write))
    )
    const written = fc.record({ version: word, acknowledged: nodes, hinted: nodes })
    check(written, value => decodeWritten(encodeWritten(value)))
    const numbered = fc.tuple(written, fc.bigInt(INTEGER_MIN, INTEGER_MAX))
    check(
      numbered.map(([value, number]) => ({ ...value, number })),
      value => decodeWritten(encodeWritten(value))
    )
    t.pass()
  })

  t.test('errors of writes keep their class and their fields', async t => {
    const failures = fc
      .array(fc.tuple(word, word), { maxLength: 4 })
      .map(all => new Map(all.map(([id, text]) => [id as NodeId, new Error(text)])))
    const errors: fc.Arbitrary<HearsayError> = fc.oneof(
      fc
        .tuple(word, count, fc.nat(256), fc.nat(256))
        .map(([a, b, c, d]) => new UnavailableError('write', a, b, c, d)),
      fc
        .tuple(count, nodes, fc.nat(86_400_000))
        .map(([a, b, c]) => new TimeoutError('write', a, b, c)),
      fc.tuple(count, nodes, failures).map(([a, b, c]) => new QuorumFailedError('write', a, b, c)),
      fc
        .tuple(word, fc.boolean())
        .map(([text, isOutcomeUnknown]) => new StoreError(text, { isOutcomeUnknown })),
      fc
        .tuple(fc.constantFrom('text' as const, 'overflow' as const, 'amount' as const), word)
        .map(([why, text]) => new NumberError(why, text)),
      word.map(text => new HearsayError('ERR_ROW_SIZE', text))
    )
    check(errors, error => decodeWritten(encodeFailure(error)))
    t.pass()
  })

  t.test('invites come back as they were', async t => {
    const clusterKey = fc.uint8Array({ minLength: 32, maxLength: 32 })
    const peer = '/p2p/12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'
    const address = fc.nat(65_535).map(port => `/ip4/127.0.0.1/tcp/${port}${peer}`)
    const addresses = fc.array(address, { minLength: 1, maxLength: 16 })
    const n = fc.integer({ min: 1, max: 255 })
    const clusterId = fc.stringMatching(/^[\w-]{1,64}$/)
    check(fc.record({ clusterId, clusterKey, n, addresses }), value =>
      decodeInvite(encodeInvite(value))
    )
    t.pass()
  })

  const decoders: Record<string, (bytes: Uint8Array) => unknown> = {
    decodeExchangeRequest,
    decodeExchangeAnswer,
    decodeApply,
    decodeRefusals,
    decodeReadAnswer,
    decodeAsk,
    decodeReply,
    decodeForward,
    decodeWritten
  }
  const samples = [
    ...fc.sample(request, { numRuns: 30, seed: 1 }).map(encodeExchangeRequest),
    ...fc.sample(answer, { numRuns: 30, seed: 1 }).map(encodeExchangeAnswer),
    encodeApply({ flush: true, items: [{ key: utf8('k'), kind: 'row', bytes: utf8('v') }] }),
    encodeRefusals([{ index: 1, code: 'ERR_CORRUPT', message: 'no' }]),
    encodeAsk({ view: 'v', table: utf8('t'), body: utf8('b'), marks: MARKS_NONE }),
    encodeFailure(new TimeoutError('write', 2, ['a' as NodeId], 5)),
    encodeForward({
      key: utf8('k'),
      operation: setTo('v'),
      level: 'one',
      flush: true,
      timeoutMs: 9
    })
  ]

  t.test('bytes with faults are read as something within the limits or not at all', async t => {
    let [read, refused] = [0, 0]
    const flip = fc.tuple(fc.nat(), fc.nat(255))
    const faulty = fc
      .tuple(fc.constantFrom(...samples), fc.array(flip, { maxLength: 3 }), fc.nat(1))
      .map(([sample, flips, cut]) => {
        const out = sample.slice(0, sample.length - cut)
        for (const [at, value] of flips) out[at % Math.max(1, out.length)] = value
        return out
      })
    fc.assert(
      fc.property(fc.oneof(bytes, faulty), input => {
        for (const decode of Object.values(decoders)) {
          if (decode(input) === undefined) refused++
          else read++
        }
      }),
      { numRuns: 3_000 }
    )
    t.ok(read > 100 && refused > 100, `${read} read, ${refused} refused`)
  })

  t.test('absurd counts, depths and positions are refused', async t => {
    const block = { tree: 0, depth: 4, level: 2, first: 0, hashes: new Uint8Array(4) }
    const reads = (parts: Partial<ExchangeRequest>) =>
      decodeExchangeRequest(encodeExchangeRequest({ ...ASKED, ...parts })) !== undefined
    const block0 = { ...block, level: 0, hashes: new Uint8Array() }
    t.ok(reads({ hashes: [block, block0, { ...block, first: 3 }] }))
    t.notOk(reads({ salt: 8 }))
    t.notOk(reads({ root: new Uint8Array(31) }))
    t.notOk(reads({ hashes: [{ ...block, depth: 17 }] }))
    t.notOk(reads({ hashes: [{ ...block, level: 5 }] }))
    t.notOk(reads({ hashes: [{ ...block, first: 4 }] }))
    t.notOk(reads({ hashes: [{ ...block, first: -1 }] }))
    t.notOk(reads({ hashes: [{ ...block, first: 3, hashes: new Uint8Array(8) }] }))
    t.notOk(reads({ hashes: [{ ...block, hashes: new Uint8Array(3) }] }))
    t.notOk(reads({ hashes: [{ ...block, hashes: new Uint8Array() }] }))
    t.notOk(reads({ hashes: [{ ...block0, tree: SLOT_TREE }] }))
    t.notOk(reads({ hashes: [{ ...block, tree: 16_384 }] }))
    t.notOk(reads({ hashes: [{ ...block, tree: -2 }] }))
    const many = <T>(count: number, one: T): T[] => Array.from({ length: count }, () => one)
    const wide = { ...block, depth: 14, level: 14, hashes: new Uint8Array(4 * HASHES_A_MESSAGE) }
    t.ok(reads({ hashes: [wide] }))
    t.notOk(reads({ hashes: [wide, block] }), 'an answer to so many hashes would not fit a frame')
    t.notOk(reads({ hashes: many(HASHES_A_MESSAGE + 1, block0) }))
    t.ok(reads({ lists: [LIST, { ...LIST, rows: new Uint8Array(8) }] }))
    t.notOk(reads({ lists: [{ ...LIST, tree: SLOT_TREE }] }))
    t.notOk(reads({ lists: [{ ...LIST, depth: 17 }] }))
    t.notOk(reads({ lists: [{ ...LIST, leaf: 1 }] }))
    t.notOk(reads({ lists: [{ ...LIST, from: new Uint8Array(7) }] }))
    t.notOk(reads({ lists: [{ ...LIST, rows: new Uint8Array(9) }] }))
    t.ok(reads({ lists: many(LISTS_A_MESSAGE, LIST) }))
    t.notOk(reads({ lists: many(LISTS_A_MESSAGE + 1, LIST) }))
    t.notOk(reads({ wants: [{ ...WANT, tree: SLOT_TREE }] }))
    t.notOk(reads({ wants: [{ ...WANT, token: new Uint8Array(7) }] }))
    t.ok(reads({ wants: many(WANTS_A_MESSAGE, WANT) }))
    t.notOk(reads({ wants: many(WANTS_A_MESSAGE + 1, WANT) }))
    t.notOk(reads({ rows: [{ key: new Uint8Array(), bytes: new Uint8Array() }] }))
    t.notOk(reads({ rows: [{ key: new Uint8Array(1_025), bytes: new Uint8Array() }] }))
  })
})
