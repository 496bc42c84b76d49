import fc from 'fast-check'
import t from 'tap'
import { ContextTokens, TOKEN_CHARACTERS_MAX } from '../src/coordinator/context-tokens.ts'
import { createForest } from '../src/digest/forest.ts'
import { HearsayError } from '../src/errors.ts'
import { contextOf, covers, fold } from '../src/lattice/context.ts'
import type { Actor } from '../src/lattice/dot.ts'
import { timeOf } from '../src/lattice/hlc.ts'
import { encodeDelta } from '../src/lattice/encode.ts'
import { isRefusal, readCounter } from '../src/lattice/kinds.ts'
import { mutate } from '../src/lattice/mutate.ts'
import { assign, joinDelta, ROW_EMPTY } from '../src/lattice/row.ts'
import { pack } from '../src/util/msgpack.ts'
import { seenFields } from '../src/wire/operation.ts'
import { seenOf } from '../src/lattice/operation.ts'
import { ROW_BYTES_MAX } from '../src/replica/refusals.ts'
import { fromBase64Url, toBase64Url } from '../src/util/base64url.ts'
import { equal, hex, text, utf8 } from '../src/util/bytes.ts'
import { cut, formWorld, keyWhere, runUntil, storedAt } from './fixtures/engine-world.ts'
import { FakeNode } from './fixtures/fake-node.ts'
import { actor, history, play } from './fixtures/lattice-arbitrary.ts'
import { FOREST_KEY, openReplica } from './fixtures/engine-parts.ts'

const texts = (list: readonly Uint8Array[] | undefined) => list?.map(text)

/** What a call rejects with, as `code: message`. */
async function refusal(call: Promise<unknown>): Promise<string> {
  try {
    await call
  } catch (error) {
    if (error instanceof HearsayError) return `${error.code}: ${error.message}`
    throw error
  }
  return 'it was done'
}

t.test('the calls for each kind', async t => {
  t.test('count, also on a value that was put, and tell the value after', async t => {
    const node = new FakeNode()
    t.equal(await node.counter('n'), undefined)
    t.equal((await node.increment('n')).value, 1n)
    t.equal((await node.increment('n', 41)).value, 42n)
    t.equal((await node.increment('n', -(2n ** 40n))).value, 42n - 2n ** 40n)
    await node.put('n', '7')
    t.equal((await node.increment('n', 3)).value, 10n)
    t.equal(text((await node.get('n')) as Uint8Array), '10')
    t.match(await node.read('n'), { kind: 'counter' })
    t.equal((await node.delete('n')).changed, 1)
    t.equal((await node.delete('n')).changed, 0)
    t.equal(await node.get('n'), undefined)
    t.equal((await node.increment('n')).value, 1n, 'it begins anew')
  })

  t.test('tell the version of what shows, not of what has expired beside it', async t => {
    const world = await formWorld({ nodes: 1, n: 1 })
    const node = world.node(0)
    const fill: Record<string, () => Promise<{ version: string }>> = {
      text: () => node.put('text', 'v'),
      set: () => node.setAdd('set', 'm'),
      map: () => node.mapSet('map', { f: 'v' }),
      counter: () => node.increment('counter')
    }
    for (const [key, write] of Object.entries(fill)) {
      const { context } = await world.until(node.read(key, { siblings: true }))
      const { version } = await world.until(write())
      const brief = await world.until(node.put(key, 'brief', { context, ttlMs: 1_000 }))
      const versions = async () => {
        const { version } = await world.until(node.read(key, { siblings: true }))
        return [version, (await world.until(node.explain(key))).version]
      }
      t.same(await versions(), [brief.version, brief.version], key)
      await world.run(1_100)
      t.same(await versions(), [version, version], key)
    }
  })

  t.test('add to and remove from a set', async t => {
    const node = new FakeNode()
    t.equal(await node.setMembers('s'), undefined)
    t.equal((await node.setAdd('s', ['b', 'a', 'b'])).changed, 2)
    t.equal((await node.setAdd('s', 'c')).changed, 1)
    t.equal((await node.setAdd('s', utf8('c'))).changed, 0)
    t.same(texts(await node.setMembers('s')), ['a', 'b', 'c'])
    t.equal((await node.setRemove('s', ['a', 'x'])).changed, 1)
    t.equal(await node.setHas('s', 'a'), false)
    t.equal(await node.setHas('s', 'b'), true)
    t.equal((await node.setRemove('s', ['b', 'c'])).changed, 2)
    t.equal(await node.setMembers('s'), undefined)
    t.equal(await node.setHas('s', 'b'), false)
  })

  t.test('set and delete the fields of a map', async t => {
    const node = new FakeNode()
    t.equal(await node.mapEntries('m'), undefined)
    t.equal((await node.mapSet('m', { b: '2', a: '' })).changed, 2)
    t.equal((await node.mapSet('m', [[utf8('b'), '3']])).changed, 0)
    t.same((await node.mapEntries('m'))?.map(texts), [
      ['a', ''],
      ['b', '3']
    ])
    t.same(await node.mapGet('m', 'a'), new Uint8Array())
    t.equal(await node.mapGet('m', 'x'), undefined)
    t.equal((await node.mapDelete('m', ['a', 'b', 'x'])).changed, 2)
    t.equal(await node.mapEntries('m'), undefined)
  })

  t.test('put over everything, of whatever kind', async t => {
    const node = new FakeNode()
    for (const make of [
      () => node.setAdd('k', 'a'),
      () => node.mapSet('k', { a: 'b' }),
      () => node.increment('k')
    ]) {
      await make()
      await node.put('k', 'v')
      t.match(await node.read('k'), { value: utf8('v'), kind: 'register', siblings: 0 })
      await node.delete('k')
    }
  })
})

t.test('what expires', async t => {
  t.test('shows until its instant and not from then on, of every kind', async t => {
    const node = new FakeNode()
    const makes: Record<string, () => Promise<unknown>> = {
      register: () => node.put('register', 'v', { ttlMs: 100 }),
      counter: () => node.increment('counter', 5),
      set: () => node.setAdd('set', ['a', 'b']),
      map: () => node.mapSet('map', { a: 'b' })
    }
    for (const [key, make] of Object.entries(makes)) {
      await make()
      if (key !== 'register') t.equal((await node.expire(key, 100)).changed, 1)
      t.match(await node.read(key, { siblings: true }), { kind: key, expiresAt: node.nowMs + 100 })
    }
    node.nowMs += 99
    for (const kind of Object.keys(makes))
      t.match(await node.read(kind, { siblings: true }), { kind })
    node.nowMs += 1
    for (const key of Object.keys(makes)) {
      t.match(await node.read(key), { kind: undefined, value: undefined }, key)
      t.equal((await node.expire(key, 100)).changed, 0)
    }
    t.equal((await node.increment('counter')).value, 1n, 'from 0')
    t.equal((await node.setAdd('map', 'now a set')).changed, 1)
    node.nowMs -= 50
    t.equal(await node.counter('counter'), 1n, 'a clock that goes back brings nothing back')
  })

  t.test('is taken over by what is added, and can be lifted', async t => {
    const node = new FakeNode()
    await node.put('n', '5', { expiresAt: node.nowMs + 100 })
    await node.increment('n')
    await node.setAdd('s', 'a')
    await node.expire('s', 100)
    await node.setAdd('s', 'b')
    await node.increment('kept', 3)
    await node.expire('kept', 100)
    await node.expire('kept', undefined)
    node.nowMs += 100
    t.equal(await node.counter('n'), undefined)
    t.equal(await node.setMembers('s'), undefined)
    t.equal(await node.counter('kept'), 3n)
  })

  t.test('may be over already, and then replaces without being seen', async t => {
    const node = new FakeNode()
    await node.put('k', 'old')
    await node.put('k', 'never seen', { expiresAt: node.nowMs - 1 })
    t.equal(await node.get('k'), undefined)
  })
})

t.test('siblings', async t => {
  t.test('of two that write by turns are two and never more (Riak P14)', async t => {
    const node = new FakeNode()
    const read = () => node.read('k', { siblings: true })
    const contexts = [(await read()).context, (await read()).context]
    for (let i = 0; i < 100; i++) {
      await node.put('k', String(i), { context: contexts[i % 2] })
      const { values, context } = await read()
      if (values.length > 2) t.fail(`${values.length} after ${i}`)
      contexts[i % 2] = context
    }
    const { values, siblings } = await read()
    t.same(texts(values.map(({ value }) => value)), ['99', '98'])
    t.equal(siblings, 1)
  })

  t.test(
    'are replaced by a put or delete with the context of the read that showed them',
    async t => {
      const node = new FakeNode()
      const { context } = await node.read('k', { siblings: true })
      for (const value of ['a', 'b', 'c']) await node.put('k', value, { context })
      const seen = await node.read('k', { siblings: true })
      t.same(texts(seen.values.map(({ value }) => value)), ['c', 'b', 'a'])
      await node.put('k', 'unseen', { context })
      await node.delete('k', { context: seen.context })
      t.match(await node.read('k'), { value: utf8('unseen'), siblings: 0 })
      await node.increment('n', 5)
      const counted = await node.read('n', { siblings: true })
      await node.increment('n', 2)
      await node.put('n', '100', { context: counted.context })
      t.equal(await node.counter('n'), 102n, 'what the context had not seen counts on')
    }
  )

  t.test('beyond 64 are refused', async t => {
    const node = new FakeNode()
    const { context } = await node.read('k', { siblings: true })
    for (let i = 0; i < 64; i++) await node.put('k', String(i), { context })
    t.match(await refusal(node.put('k', 'x', { context })), /^ERR_SIBLINGS: "k" would have 65/)
    t.equal((await node.read('k', { siblings: true })).values.length, 64)
  })
})

t.test('a context', async t => {
  const tokens = new ContextTokens(createForest(FOREST_KEY))
  const key = utf8('k')

  t.test('says what was seen, whatever the row', async t => {
    fc.assert(
      fc.property(history, steps => {
        for (const row of play(steps).rows) {
          const seen = tokens.open(key, tokens.seal(key, row) as string)
          if (hex(pack(seenFields(seen))) !== hex(pack(seenFields(seenOf(row))))) {
            throw new Error('it says something else')
          }
        }
      })
    )
    t.pass()
  })

  t.test('is refused when any bit of it is another, and for another key or cluster', async t => {
    const row = joinDelta(
      ROW_EMPTY,
      assign(ROW_EMPTY, utf8('v'), { actor: actor(0), time: timeOf(9) })
    )
    const token = tokens.seal(key, row) as string
    const bytes = fromBase64Url(token) as Uint8Array
    const opens = (altered: unknown, by = tokens, of = key) => {
      try {
        by.open(of, altered)
        return true
      } catch (error) {
        if (error instanceof HearsayError && error.code === 'ERR_CONTEXT') return false
        throw error
      }
    }
    t.ok(opens(token))
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const altered = bytes.slice()
      altered[bit >> 3] = (altered[bit >> 3] as number) ^ (1 << (bit & 7))
      if (opens(toBase64Url(altered))) t.fail(`bit ${bit}`)
    }
    for (let at = 0; at < token.length; at++) {
      const other = token[at] === 'A' ? 'B' : 'A'
      if (opens(token.slice(0, at) + other + token.slice(at + 1))) t.fail(`character ${at}`)
      if (opens(token.slice(0, at))) t.fail(`cut to ${at}`)
    }
    t.notOk(opens(token, tokens, utf8('l')))
    t.notOk(opens(token, new ContextTokens(createForest(new Uint8Array(32).fill(8)))))
    for (const none of [`${token}A`, `${token}=`, '', 'é', 'A'.repeat(10_000), 7, null, {}]) {
      t.notOk(opens(none), String(none).slice(0, 20))
    }
  })

  t.test('is short however much the row has seen', async t => {
    const many = Array.from({ length: 500 }, (_, i) => ({ actor: actor(i % 250), time: timeOf(i) }))
    const context = many.reduce(
      (sum, dot) => fold(sum, { ...dot, actor: BigInt(dot.time) as Actor }),
      contextOf([])
    )
    const dot = { actor: actor(0), time: timeOf(900) }
    const row = { context, entries: [{ dot, value: utf8('v') }], totals: [] }
    const token = tokens.seal(key, row) as string
    t.ok(token.length <= TOKEN_CHARACTERS_MAX)
    t.ok(covers(tokens.open(key, token).context, dot))
  })

  t.test('is none where too many have counted to be named, until they are replaced', async t => {
    const { replica, clock } = await openReplica()
    const at = utf8('counter')
    for (let i = 1; i <= 300; i++) {
      const dot = { actor: BigInt(i) as Actor, time: timeOf(clock.now + i) }
      const mutation = mutate(ROW_EMPTY, { do: 'increment', by: 1n }, dot, clock.now)
      if (isRefusal(mutation)) throw new Error(mutation.refused)
      await replica.apply(at, 'delta', encodeDelta(mutation.delta))
    }
    const rowAt = () => {
      const held = replica.read(at)
      if (held.answer !== 'row') throw new Error(held.answer)
      return held.row
    }
    t.equal(readCounter(rowAt(), clock.now), 300n)
    t.equal(tokens.seal(at, rowAt()), undefined)
    clock.now += 1_000
    await replica.mutate(at, { do: 'put', value: utf8('0') }, false)
    t.type(tokens.seal(at, rowAt()), 'string')
  })

  t.test('as text gives back its bytes, and no other text does', async t => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
        const text = toBase64Url(bytes)
        return (
          equal(fromBase64Url(text) ?? utf8('none'), bytes) &&
          text === Buffer.from(bytes).toString('base64url')
        )
      })
    )
    t.equal(fromBase64Url('AB'), undefined, 'bits that belong to no byte')
    t.equal(fromBase64Url('A'), undefined)
  })
})

t.test('members and fields may be as long as a row', async t => {
  const node = new FakeNode()
  for (const length of [8_192, 8_193, 130_000, ROW_BYTES_MAX - 200]) {
    const long = new Uint8Array(length).fill(0xe9)
    const other = Uint8Array.from(long)
    other[length - 1] = 1
    t.equal((await node.setAdd('s', long)).changed, 1)
    t.equal((await node.setAdd('s', long)).changed, 0)
    t.ok(await node.setHas('s', long))
    t.notOk(await node.setHas('s', other))
    t.equal((await node.setRemove('s', long)).changed, 1)
    t.equal((await node.mapSet('m', [[long, 'v']])).changed, 1)
    t.equal(text((await node.mapGet('m', long)) as Uint8Array), 'v')
    t.equal(await node.mapGet('m', other), undefined)
    t.equal((await node.mapDelete('m', long)).changed, 1)
  }
})

t.test('a member or field that makes the row too long is refused with key and rule', async t => {
  const world = await formWorld({ nodes: 1 })
  const node = world.node(0)
  const says = (key: string) => new RegExp(`^ERR_ROW_SIZE: The row of "${key}" .* at most 1048576;`)
  for (const length of [ROW_BYTES_MAX, ROW_BYTES_MAX + 1]) {
    const tooLong = new Uint8Array(length)
    t.match(await refusal(world.until(node.setAdd('s', tooLong))), says('s'))
    t.match(await refusal(world.until(node.mapSet('m', [[tooLong, '']]))), says('m'))
  }
  t.notOk(await world.until(node.setHas('s', new Uint8Array(ROW_BYTES_MAX))))
  t.equal(node.status().rows, 0)
})

t.test('bad input changes nothing and is told with the key and the rule', async t => {
  const node = new FakeNode()
  await node.put('text', 'abc')
  await node.put('large', String(2n ** 63n - 1n))
  await node.setAdd('set', 'a')
  await node.mapSet('map', { a: 'b' })
  await node.increment('counter')
  const { context } = await node.read('other', { siblings: true })
  const long = 'k'.repeat(200)
  const holed = [, 'a'] as string[]
  const sign = Symbol('s') as unknown as number
  await node.setAdd(long, 'a')
  await node.setAdd('\u0000\u202e"', 'a')
  await node.put('marked', '\ufeff5')
  const binary = [[0xff, 1], [0xfe, 1], Array<number>(40).fill(0xff)].map(
    key => new Uint8Array(key)
  )
  for (const key of [...binary, '\ufeffa', '\ufffd']) await node.setAdd(key, 'a')
  const cases: [call: () => Promise<unknown>, says: RegExp][] = [
    [() => node.get('set'), /^ERR_KIND: "set" holds a set and was asked as a value/],
    [() => node.read('map'), /^ERR_KIND: "map" holds a map and was asked as a value/],
    [() => node.get(long), /^ERR_KIND: "k{64}…" holds/],
    [() => node.get('\u0000\u202e"'), /^ERR_KIND: "\\u0000\\u202e\\"" holds/],
    [() => node.get(binary[0] as Uint8Array), /^ERR_KIND: 0xff01 holds/],
    [() => node.get(binary[1] as Uint8Array), /^ERR_KIND: 0xfe01 holds/],
    [() => node.get(binary[2] as Uint8Array), /^ERR_KIND: 0x(?:ff){32}… holds/],
    [() => node.get('\ufffd'), /^ERR_KIND: "\ufffd" holds/],
    [() => node.get('\ufeffa'), /^ERR_KIND: "\\ufeffa" holds/],
    [() => node.increment('marked'), /^ERR_NUMBER: "marked" holds a text/],
    [() => node.increment('set'), /^ERR_KIND: "set" holds a set and was asked as a counter/],
    [() => node.counter('map'), /^ERR_KIND/],
    [() => node.setAdd('map', 'a'), /^ERR_KIND: "map" holds a map and was asked as a set/],
    [() => node.setRemove('text', 'a'), /^ERR_KIND: "text" holds a value and was asked as a set/],
    [() => node.setMembers('counter'), /^ERR_KIND: "counter" holds a counter/],
    [() => node.setHas('map', 'a'), /^ERR_KIND/],
    [() => node.mapSet('set', { a: 'b' }), /^ERR_KIND: "set" holds a set and was asked as a map/],
    [() => node.mapDelete('set', 'a'), /^ERR_KIND/],
    [() => node.mapGet('text', 'a'), /^ERR_KIND/],
    [() => node.mapEntries('counter'), /^ERR_KIND/],
    [() => node.increment('text'), /^ERR_NUMBER: "text" holds a text/],
    [() => node.counter('text'), /^ERR_NUMBER: "text" holds a text/],
    [() => node.increment('large'), /^ERR_NUMBER: The counter "large" would leave/],
    [() => node.increment('counter', 1.5), /^ERR_NUMBER/],
    [() => node.increment('counter', NaN), /^ERR_NUMBER/],
    [() => node.increment('counter', 2 ** 60), /^ERR_NUMBER/],
    [() => node.increment('counter', 2n ** 63n), /^ERR_NUMBER/],
    [() => node.increment('counter', '1' as unknown as number), /^ERR_NUMBER/],
    [() => node.put('text', 'v', { context }), /^ERR_CONTEXT: .* "text"/],
    [() => node.delete('text', { context: 'x' }), /^ERR_CONTEXT/],
    [() => node.put('text', 'v', { ttlMs: 0 }), /^ERR_ARGUMENT: ttlMs/],
    [() => node.put('text', 'v', { ttlMs: Infinity }), /^ERR_ARGUMENT: ttlMs/],
    [() => node.put('text', 'v', { ttlMs: '9' as unknown as number }), /^ERR_ARGUMENT: ttlMs/],
    [() => node.put('text', 'v', { expiresAt: 1.5 }), /^ERR_ARGUMENT: expiresAt/],
    [() => node.put('text', 'v', { expiresAt: 2 ** 53 }), /^ERR_ARGUMENT: expiresAt/],
    [() => node.put('text', 'v', { expiresAt: -1 }), /^ERR_ARGUMENT: expiresAt/],
    [() => node.put('text', 'v', { ttlMs: 1, expiresAt: 1 }), /^ERR_ARGUMENT: .*not both/],
    [() => node.expire('text', -5), /^ERR_ARGUMENT: ttlMs/],
    [() => node.put('text', 'v', { ttl: 5 } as object), /^ERR_ARGUMENT: .*"ttl"/],
    [() => node.read('text', { sibling: true } as object), /^ERR_ARGUMENT: .*"sibling"/],
    [() => node.setAdd('set', []), /^ERR_ARGUMENT: Name at least one member/],
    [() => node.setAdd('set', [7 as unknown as string]), /^ERR_ARGUMENT: A member is/],
    [() => node.setAdd('set', {} as string), /^ERR_ARGUMENT: members have to be/],
    [() => node.setAdd('set', holed), /^ERR_ARGUMENT: A member is .* not undefined/],
    [() => node.setRemove('set', holed), /^ERR_ARGUMENT: A member is .* not undefined/],
    [() => node.mapDelete('map', holed), /^ERR_ARGUMENT: A field is .* not undefined/],
    [() => node.setHas('set', ['a', 'b'] as never), /^ERR_ARGUMENT: A member is .* not object/],
    [() => node.mapGet('map', ['a', 'b'] as never), /^ERR_ARGUMENT: A field is .* not object/],
    [() => node.setHas('set', new Uint8Array(ROW_BYTES_MAX + 1)), /^ERR_ROW_SIZE: .*"set"/],
    [() => node.put('text', 'v', { expiresAt: sign }), /^ERR_ARGUMENT: expiresAt .*Symbol\(s\)/],
    [() => node.put('text', 'v', { ttlMs: sign }), /^ERR_ARGUMENT: ttlMs .*Symbol\(s\)/],
    [() => node.expire('text', sign), /^ERR_ARGUMENT: ttlMs .*Symbol\(s\)/],
    [() => node.setAdd('set', Array(16_385).fill('a')), /^ERR_ARGUMENT: .*16384/],
    [() => node.mapSet('map', {}), /^ERR_ARGUMENT: Name at least one field/],
    [() => node.mapSet('map', 'ab' as unknown as Record<string, string>), /^ERR_ARGUMENT: Fields/],
    [
      () => node.mapSet('map', [['a']] as unknown as Record<string, string>),
      /^ERR_ARGUMENT: A field/
    ],
    [() => node.mapSet('map', { a: new Uint8Array(ROW_BYTES_MAX + 1) }), /^ERR_ROW_SIZE/],
    [() => node.setAdd('', 'a'), /^ERR_KEY_SIZE/]
  ]
  const state = async () =>
    JSON.stringify(
      [
        await node.read('text'),
        await node.read('large'),
        await node.counter('counter'),
        texts(await node.setMembers('set')),
        (await node.mapEntries('map'))?.map(texts)
      ],
      (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)
    )
  const before = await state()
  for (const [call, says] of cases) t.match(await refusal(call()), says)
  t.equal(await state(), before)
})

t.test('across a cluster', async t => {
  t.test('increments, members and fields made on every side of a partition all count', async t => {
    const world = await formWorld()
    const on = (i: number) => world.node(i)
    await world.until(on(0).put('n', '100', { level: 'all' }))
    cut(world, 0, 1)
    cut(world, 1, 2)
    cut(world, 0, 2)
    for (let i = 0; i < 3; i++) {
      for (let times = 0; times <= i; times++) {
        await world.until(on(i).increment('n', 1, { level: 'one' }))
      }
      await world.until(on(i).setAdd('s', `by ${i}`, { level: 'one' }))
      await world.until(on(i).mapSet('m', { [`f${i}`]: String(i) }, { level: 'one' }))
    }
    world.fabric.mendAll()
    await runUntil(world, () =>
      ['n', 's', 'm'].every(key => new Set([0, 1, 2].map(i => storedAt(world, i, key))).size === 1)
    )
    for (let i = 0; i < 3; i++) {
      t.equal(await world.until(on(i).counter('n', { level: 'one' })), 106n)
      t.same(texts(await world.until(on(i).setMembers('s'))), ['by 0', 'by 1', 'by 2'])
      t.equal((await world.until(on(i).mapEntries('m')))?.length, 3)
    }
    t.same(world.fabric.bugs, [])
  })

  t.test(
    'a node that is no owner passes all of it on, also what is refused and by what context',
    async t => {
      const world = await formWorld({ nodes: 4 })
      const key = keyWhere(world, 3, owners => !owners.includes(3))
      const other = world.node(3)
      t.equal((await world.until(other.increment(key, 5n))).value, 5n)
      t.equal((await world.until(other.increment(key, -7))).value, -2n)
      const { context } = await world.until(other.read(key, { siblings: true }))
      await world.until(world.node(0).increment(key, 10))
      await world.until(other.put(key, '1', { context }))
      t.equal(await world.until(other.counter(key)), 11n)
      t.match(await refusal(world.until(other.setAdd(key, 'a'))), /^ERR_KIND: ".*" holds a counter/)
      await world.until(other.put(key, String(2n ** 63n - 1n)))
      await t.rejects(world.until(other.increment(key)), { code: 'ERR_NUMBER', why: 'overflow' })
      await world.until(other.put(key, 'x'))
      t.match(await refusal(world.until(other.increment(key))), /^ERR_NUMBER: ".*" holds a text/)
      t.equal((await world.until(other.delete(key))).changed, 1)
      t.equal((await world.until(other.setAdd(key, ['a', 'b']))).changed, 2)
      t.same(world.fabric.bugs, [])
    }
  )
})
