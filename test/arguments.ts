import t from 'tap'
import { createNode } from '../src/index.ts'
import { requestOf } from '../src/coordinator/request.ts'

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
    [{ readRepair: 'off' }, /A write has no option "readRepair"; use .*durability/],
    [{ durability: 'flush' }, /A read has no option "durability"; use .*readRepair/, 'read'],
    [{ timeoutMs: '5' }, /not "5"/],
    [{ timeoutMs: 0 }, /timeoutMs/],
    [{ timeoutMs: NaN }, /timeoutMs/]
  ]
  for (const [options, message, verb = 'write'] of bad) {
    t.throws(() => requestOf(verb, options as never), { ...refused, message })
  }
  t.throws(() => requestOf('read', { level: 'some' as never }), { code: 'ERR_LEVEL' })
  t.same(requestOf('read', {}), {
    level: 'quorum',
    timeoutMs: 5_000,
    signal: undefined,
    flush: false,
    readRepair: 'blocking'
  })
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
