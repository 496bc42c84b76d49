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
    [{ path: 'x', log: 'yes' }, /log/],
    [{ path: 'x', signal: new AbortController() }, /signal has to be an AbortSignal/]
  ]
  for (const [options, message] of bad) {
    await t.rejects(createNode(options as never), { ...refused, message })
  }
})

t.test('a request is not sent with options that cannot be meant', async t => {
  const bad: [unknown, RegExp][] = [
    [null, /an object/],
    [{ lvel: 'all' }, /no option "lvel"/],
    [{ signal: {} }, /AbortSignal/],
    [{ signal: new AbortController() }, /AbortSignal/],
    [{ durability: 'zz' }, /durability/],
    [{ timeoutMs: 0 }, /timeoutMs/],
    [{ timeoutMs: NaN }, /timeoutMs/]
  ]
  for (const [options, message] of bad) {
    t.throws(() => requestOf(options as never), { ...refused, message })
  }
  t.throws(() => requestOf({ level: 'some' as never }), { code: 'ERR_LEVEL' })
  t.same(requestOf({}), { level: 'quorum', timeoutMs: 5_000, signal: undefined, flush: false })
})
