import t from 'tap'
import { createNode } from '../src/index.ts'
import { requestOf } from '../src/coordinator/request.ts'
import { formWorld } from './fixtures/engine-world.ts'

const refused = { name: 'HearsayError', code: 'ERR_ARGUMENT' }

t.test('a node is not made of options that cannot be meant', async t => {
  const bad: [unknown, RegExp][] = [
    [undefined, /an object/],
    [null, /an object/],
    [{}, /path has to be the name of a directory/],
    [{ path: '' }, /path/],
    [{ path: 5 }, /path/],
    [{ path: 'x', listne: [] }, /no option "listne"; use path, listen/],
    [{ path: 'x', listen: '/ip4/127.0.0.1/tcp/0' }, /listen has to be a list/],
    [{ path: 'x', listen: [, '/ip4/127.0.0.1/tcp/0'] }, /listen has to be a list/],
    [{ path: 'x', durability: 1n }, /durability has to be .* not 1/],
    [{ path: 'x', join: 7 }, /join/],
    [{ path: 'x', readRepair: 'never' }, /readRepair/],
    [{ path: 'x', durability: 'often' }, /durability has to be 'commit' or 'flush', not "often"/],
    [{ path: 'x', log: 'yes' }, /log/],
    [{ path: 'x', signal: new AbortController() }, /signal has to be an AbortSignal/]
  ]
  for (const [options, message] of bad) {
    await t.rejects(createNode(options as never), { ...refused, message })
  }
  for (const level of ['most', 0, 1.5, [], null]) {
    const code = 'ERR_LEVEL'
    await t.rejects(createNode({ path: 'x', readLevel: level as never }), { code }, `${level}`)
    await t.rejects(createNode({ path: 'x', writeLevel: level as never }), { code }, `${level}`)
  }
})

t.test('a request is not sent with options that cannot be meant', async t => {
  const bad: [unknown, RegExp, verb?: 'read'][] = [
    [null, /an object/],
    [{ lvel: 'all' }, /no option "lvel"/],
    [{ signal: {} }, /AbortSignal/],
    [{ signal: new AbortController() }, /AbortSignal/],
    [{ durability: 'zz' }, /durability/],
    [{ readRepair: true }, /readRepair has to be 'blocking', 'async' or 'off', not true/, 'read'],
    [{ durability: 1n }, /durability .* not 1/],
    [{ durability: Symbol('s') }, /durability .* not Symbol\(s\)/],
    [{ durability: Object.create(null) }, /durability .* not a value of type object/],
    [{ readRepair: 1n }, /readRepair .* not 1/, 'read'],
    [{ readRepair: null }, /readRepair .* not null/, 'read'],
    [{ readRepair: 'off' }, /A write has no option "readRepair"; use .*durability/],
    [{ durability: 'flush' }, /A read has no option "durability"; use .*readRepair/, 'read'],
    [{ timeoutMs: '5' }, /not "5"/],
    [{ timeoutMs: 0 }, /timeoutMs/],
    [{ timeoutMs: NaN }, /timeoutMs/]
  ]
  for (const [options, message, verb = 'write'] of bad) {
    t.throws(() => requestOf(verb, options as never), { ...refused, message })
  }
  for (const level of ['some', null, 1n, Object.create(null)]) {
    t.throws(() => requestOf('read', { level: level as never }), { code: 'ERR_LEVEL' })
  }
  t.same(requestOf('read', {}), {
    level: 'quorum',
    timeoutMs: 5_000,
    signal: undefined,
    flush: false,
    readRepair: 'blocking'
  })
})

t.test('nothing is done by hand with options that cannot be meant', async t => {
  const world = await formWorld({ nodes: 1 })
  const node = world.node(0)
  const calls: Record<string, (options: never) => Promise<unknown>> = {
    sync: options => node.sync(options),
    slots: options => node.slots(options),
    tree: options => node.tree(1, options),
    repair: options => node.repair(options),
    scrub: options => node.scrub(options)
  }
  const refuses = (call: string, options: unknown, message: RegExp) =>
    t.rejects(world.until(calls[call]?.(options as never) as Promise<unknown>), {
      ...refused,
      message
    })
  for (const call of Object.keys(calls)) {
    await refuses(call, null, /has to be an object/)
    await refuses(call, { bogus: 1 }, new RegExp(`${call} has no option "bogus"; use .*signal`))
    await refuses(call, { signal: 5 }, /signal has to be an AbortSignal/)
  }
  await refuses('repair', { now: 'yes' }, /now has to be true or false/)
  for (const call of ['repair', 'scrub']) {
    await refuses(call, { onProgress: 5 }, /onProgress has to be a function/)
  }
  for (const call of ['repair', 'slots', 'tree']) {
    await refuses(call, { peer: Symbol('p') }, /no other member Symbol\(p\)/)
  }
  const sign = Symbol('s') as never
  await t.rejects(node.tree(sign), { ...refused, message: /no slot Symbol/ })
  await t.rejects(node.pause(1n as never), { ...refused, message: /no background task 1;/ })
  t.throws(() => node.conflicts({ limit: sign }), { ...refused, message: /limit .* not Symbol/ })
  const keys = [, 'a'] as string[]
  await t.rejects(node.settled({ keys }), { ...refused, message: /key is .* not undefined/ })
})

t.test('a request that says nothing goes by the defaults of its node', async t => {
  const defaults = {
    readLevel: 'one',
    writeLevel: 'all',
    durability: 'flush',
    readRepair: 'off'
  } as const
  t.match(requestOf('read', {}, defaults), { level: 'one', readRepair: 'off' })
  t.match(requestOf('read', { readRepair: 'async' }, defaults), { readRepair: 'async' })
  t.match(requestOf('write', {}, defaults), { level: 'all', flush: true })
  const said = { level: 2, durability: 'commit' } as const
  t.match(requestOf('write', said, defaults), { level: 2, flush: false })
})
