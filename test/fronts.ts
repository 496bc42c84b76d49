import { once } from 'node:events'
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Calls } from '../src/fronts/admin/calls.ts'
import { AdminClient } from '../src/fronts/admin/client.ts'
import { serveAdmin } from '../src/fronts/admin/server.ts'
import type { Io } from '../src/fronts/cli/io.ts'
import { run } from '../src/fronts/cli/run.ts'
import { bodyBytesMax } from '../src/fronts/http/limits.ts'
import { serveHttp } from '../src/fronts/http/server.ts'
import {
  HearsayError,
  QuorumFailedError,
  TimeoutError,
  UnavailableError,
  type ErrorCode,
  type ExchangeReport,
  type NodeId,
  type NodeOptions,
  type ScrubProgress
} from '../src/index.ts'
import { statusText } from '../src/fronts/cli/cluster.ts'
import type { MemberStatus } from '../src/reports.ts'
import { FakeNode } from './fixtures/fake-node.ts'

const peer = '12D3KooWPeer' as NodeId
const report: ExchangeReport = {
  peer,
  reached: true,
  equal: true,
  rowsSent: 1,
  rowsReceived: 0,
  bytesSent: 300,
  bytesReceived: 45,
  rowsDiffered: 3,
  bytesDiffered: 360,
  rowsRead: 20,
  rowBytes: 400,
  overheadBytes: 100,
  messages: 4,
  roundTrips: 3,
  keys: [Uint8Array.of(0x42, 0xff)]
}

async function directory(t: Test, name = 'd'): Promise<string> {
  const top = await mkdtemp(join(tmpdir(), 'hearsay-fronts-'))
  t.teardown(() => rm(top, { recursive: true, force: true }))
  await mkdir(join(top, name), { recursive: true })
  return join(top, name)
}

interface Served {
  readonly node: FakeNode
  readonly directory: string
  readonly admin: AdminClient
  readonly stopped: Promise<void>
}

async function serve(t: Test, path?: string): Promise<Served> {
  const node = new FakeNode()
  const dir = path ?? (await directory(t))
  let stop = (): void => undefined
  const stopped = new Promise<void>(resolve => (stop = resolve))
  const server = await serveAdmin(node, { directory: dir, onStop: stop })
  const admin = new AdminClient(dir)
  t.teardown(async () => {
    await admin.close()
    await server.close()
  })
  return { node, directory: dir, admin, stopped }
}

// --- admin -------------------------------------------------------------------------------------

void t.test('the admin client does what the node does', async t => {
  const { node, admin } = await serve(t)
  const key = Uint8Array.of(0, 255, 10)
  const value = Uint8Array.of(9, 0, 200)
  const written = await admin.put(key, value, { level: 'all', timeoutMs: 99, durability: 'flush' })
  t.strictSame(written.acknowledged, [node.id])
  t.match(node.options[0], { level: 'all', timeoutMs: 99, durability: 'flush' })
  const read = await admin.read(key, { level: 2 })
  t.strictSame(read.value, value)
  t.equal(read.version, written.version)
  t.strictSame(read.answers, [{ node: node.id, answer: 'row', version: written.version }])
  t.equal(node.options[1]?.level, 2)
  await admin.delete(key)
  t.equal((await admin.read(key)).value, undefined)
  t.strictSame(await admin.status(), JSON.parse(JSON.stringify(node.status())))
  t.equal(await admin.invite(), node.invite())
})

void t.test('tasks, repairs and hints go through the admin client', async t => {
  const { node, admin } = await serve(t)
  await admin.pause('hints')
  await admin.pause('anti-entropy')
  await admin.resume('hints')
  t.strictSame([...node.paused], ['anti-entropy'])
  node.reports = [report, { ...report, peer: 'other' as NodeId }]
  t.strictSame(await admin.repair({ peer }), [report])
  t.equal((await admin.repair()).length, 2)
  node.hints = [{ owner: peer, count: 4, bytes: 100, oldestMs: 5 }]
  t.equal(await admin.dropHints(), 4)
})

void t.test('a long call tells of its progress to who asks for it', async t => {
  const { node, admin } = await serve(t)
  const told: ScrubProgress[] = []
  t.strictSame(await admin.scrub({ onProgress: progress => told.push(progress) }), node.scrubbed)
  t.match(told[0], { slots: 0, slotsTotal: 16_384, rowsTotal: 2_000 })
  t.strictSame(await admin.scrub(), node.scrubbed, 'and not to others')
  node.scrubFailure = new HearsayError('ERR_OVERLOADED', 'A scrub is under way.')
  const failed = admin.scrub({ onProgress: progress => told.push(progress) })
  await t.rejects(failed, { code: 'ERR_OVERLOADED', message: 'A scrub is under way.' })
  node.scrubFailure = undefined
  node.scrubHangs = true
  const stop = new AbortController()
  const aborted = admin.scrub({ signal: stop.signal, onProgress: () => stop.abort() })
  await t.rejects(aborted, { code: 'ERR_ABORTED' })
  await until(() => node.scrubAborted)
})

void t.test('an end names the call that it ends, and no other', async t => {
  const calls = new Calls()
  const ended: string[] = []
  const begin = (name: unknown) =>
    calls.run(
      name,
      () => ended.push(String(name)),
      () => new Promise<void>(end => over.push(end))
    )
  const over: (() => void)[] = []
  const begun = ['one', 'two', undefined].map(begin)
  t.same(
    ['two', 'three', undefined, {}].map(name => calls.end(name)),
    [true, false, false, false]
  )
  t.same(ended, ['two'])
  for (const end of over) end()
  await Promise.all(begun)
  t.notOk(calls.end('one'), 'it is over')
})

void t.test('an error comes out with the code, sentence and fields it went in with', async t => {
  const { node, admin } = await serve(t)
  for (const error of [
    new UnavailableError('write', 'all', 3, 1),
    new TimeoutError('write', 2, [node.id], 50),
    new QuorumFailedError('write', 2, [node.id], new Map([[peer, new Error('disk full')]])),
    new HearsayError('ERR_CLOSED', 'The node is closed.')
  ]) {
    node.failWith = error
    const got = await admin.put('k', 'v').catch((cause: unknown) => cause)
    t.equal((got as Error).constructor, error.constructor, error.code)
    t.strictSame({ ...(got as Error) }, { ...error })
    t.equal((got as Error).message, error.message)
  }
  node.failWith = new Error('a bug')
  await t.rejects(admin.put('k', 'v'), { code: 'ERR_INTERNAL', message: 'a bug' })
  await t.rejects(admin.read('k', { level: 'most' as 'all' }), { code: 'ERR_LEVEL' })
  await t.rejects(admin.pause('x' as 'hints'), { code: 'ERR_ARGUMENT' })
  await t.rejects(admin.put('k', new Uint8Array(3_000_000)), { code: 'ERR_ROW_SIZE' })
})

void t.test('where no node runs the admin client says so', async t => {
  const dir = await directory(t)
  const admin = new AdminClient(dir)
  t.teardown(() => admin.close())
  const start = `start it with hearsay start --data ${dir}`
  const message = `No node is running on ${dir}, or it is still starting; wait for it, or ${start}`
  await t.rejects(admin.status(), { code: 'ERR_NOT_RUNNING', message })
  await writeFile(join(dir, 'admin.sock'), '')
  await t.rejects(admin.status(), { code: 'ERR_NOT_RUNNING' }, 'a file that nobody listens on')
  const nowhere = new AdminClient(join(dir, 'x'.repeat(150)))
  await t.rejects(nowhere.status(), { code: 'ERR_NOT_RUNNING' }, 'no directory, and a long path')
})

void t.test('the socket is for its owner only, replaces a stale one, and goes away', async t => {
  const dir = await directory(t)
  const path = join(dir, 'admin.sock')
  await writeFile(path, 'left by a killed process')
  const node = new FakeNode()
  const server = await serveAdmin(node, { directory: dir, onStop: () => undefined })
  const { mode } = await stat(path)
  t.equal(mode & 0o777, 0o600)
  const admin = new AdminClient(dir)
  t.equal((await admin.status()).id, node.id)
  await admin.close()
  await server.close()
  await t.rejects(stat(path), { code: 'ENOENT' })
})

void t.test('a directory too deep for a socket path works all the same', async t => {
  const dir = await directory(t, `${'deep'.repeat(30)}/${'er'.repeat(50)}`)
  const { node, admin } = await serve(t, dir)
  await admin.put('k', 'v')
  t.equal(node.calls.length, 1)
  t.ok((await stat(join(dir, 'admin.sock'))).isSocket())
})

void t.test('a client that leaves aborts what it asked for', async t => {
  const { node, admin } = await serve(t)
  node.block = new Promise(() => undefined)
  const leaving = new AbortController()
  const put = admin.put('k', 'v', { signal: leaving.signal })
  await until(() => node.options.length === 1)
  leaving.abort()
  await t.rejects(put, { code: 'ERR_ABORTED' })
  const { signal } = node.options[0] as { signal: AbortSignal }
  if (!signal.aborted) await once(signal, 'abort')
  t.match(signal.reason, { code: 'ERR_ABORTED' })
})

void t.test('stop is answered before it happens', async t => {
  const { admin, stopped } = await serve(t)
  await admin.stop()
  await stopped
  t.pass('onStop was called')
})

void t.test('what is not a request of ours is refused in a sentence', async t => {
  const { directory: dir, stopped } = await serve(t)
  let ended = false
  void stopped.then(() => (ended = true))
  const socketPath = join(dir, 'admin.sock')
  const ask = (path: string, method: string, body: string): Promise<HttpReply> =>
    exchange({ socketPath, path, method }, body)
  t.match(await ask('/status', 'GET', ''), { status: 500, body: /"ERR_ARGUMENT"/ })
  t.match(await ask('/stop', 'GET', ''), { status: 500 })
  t.match(await ask('/status', 'POST', '{'), { status: 500, body: /not JSON/ })
  t.match(await ask('/status', 'POST', '3'), { status: 500, body: /"ERR_ARGUMENT"/ })
  t.match(await ask('/toString', 'POST', '{}'), { status: 500, body: /no admin method/ })
  t.match(await ask('/put', 'POST', '{"key":1}'), { status: 500, body: /has no key/ })
  t.equal(ended, false, 'and nothing was stopped')
})

// --- http --------------------------------------------------------------------------------------

interface HttpReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

async function exchange(
  options: {
    port?: number
    socketPath?: string
    path: string
    method?: string
    headers?: Record<string, string>
  },
  body: string | Uint8Array = ''
): Promise<HttpReply> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', agent: false, ...options }, response => {
      let text = ''
      response.setEncoding('latin1').on('data', (part: string) => (text += part))
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text })
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}

async function serveWeb(t: Test): Promise<{
  node: FakeNode
  port: number
  ask(method: string, path: string, headers?: object, body?: string): Promise<HttpReply>
}> {
  const node = new FakeNode()
  const { port, close } = await serveHttp(node, { port: 0 })
  t.teardown(close)
  return {
    node,
    port,
    ask: (method, path, headers = {}, body = '') =>
      exchange({ port, path, method, headers: headers as Record<string, string> }, body)
  }
}

void t.test('a value put over HTTP comes back as it is, with its version', async t => {
  const { node, ask } = await serveWeb(t)
  const put = await ask('PUT', '/kv/a%20%00%ff/b?level=all', {}, 'v\0\n')
  t.match(put, { status: 200, headers: { 'content-type': 'application/json' } })
  t.strictSame(node.calls, ['put 612000ff2f62'])
  t.equal(node.options[0]?.level, 'all')
  const { version } = JSON.parse(put.body) as { version: string }
  const got = await ask('GET', '/kv/a%20%00%ff/b?level=2')
  t.match(got, {
    status: 200,
    body: 'v\0\n',
    headers: {
      'hearsay-version': version,
      'content-type': 'application/octet-stream',
      'x-content-type-options': 'nosniff'
    }
  })
  t.equal(node.options[1]?.level, 2)
  t.match(await ask('HEAD', '/kv/a%20%00%ff/b'), { status: 200, body: '' })
  t.match(await ask('DELETE', '/kv/a%20%00%ff/b'), { status: 200 })
  t.match(await ask('GET', '/kv/a%20%00%ff/b'), { status: 404, body: /"NOT_FOUND"/ })
})

void t.test('what is wrong with an HTTP request is said in its status', async t => {
  const { ask } = await serveWeb(t)
  const table: [string, string, object, number][] = [
    ['GET', '/', {}, 404],
    ['GET', '/kv', {}, 404],
    ['GET', '/kv/%zz', {}, 400],
    ['GET', '/kv/k?level=most', {}, 400],
    ['GET', '/kv/k?lvl=one', {}, 400],
    ['GET', '/kv/k?level=one&level=bogus', {}, 400],
    ['PUT', '/kv/k?level=one&level=one', {}, 400],
    ['GET', `/kv/${'k'.repeat(1_025)}`, {}, 400],
    ['GET', `/kv/${'k'.repeat(17_000)}`, {}, 431],
    ['POST', '/kv/k', {}, 405],
    ['PUT', '/health', {}, 405],
    ['OPTIONS', '/kv/k', {}, 405],
    ['PUT', '/kv/k', { 'content-encoding': 'gzip' }, 415],
    ['PUT', '/kv/k', { 'content-length': String(bodyBytesMax + 1) }, 413],
    ['GET', '/kv/k', { host: 'evil.example' }, 403],
    ['GET', '/health', { host: 'evil.example' }, 403],
    ['GET', '/nothing', { host: 'localhost' }, 403],
    ['PUT', '/kv/k', { origin: 'http://evil.example' }, 403],
    ['PUT', '/kv/k', { origin: 'null' }, 403]
  ]
  for (const [method, path, headers, status] of table) {
    const reply = await ask(method, path, headers)
    t.equal(reply.status, status, `${method} ${path.slice(0, 30)} ${JSON.stringify(headers)}`)
    if (status !== 431) t.match(JSON.parse(reply.body), { code: String, message: String })
  }
})

void t.test('a body over its limit is refused, however it comes', async t => {
  const { node, ask } = await serveWeb(t)
  const most = 'v'.repeat(bodyBytesMax)
  t.equal((await ask('PUT', '/kv/k', {}, most)).status, 200)
  const chunked = { 'transfer-encoding': 'chunked' }
  const refused = await ask('PUT', '/kv/k?level=one', chunked, `${most}v`)
  t.equal(refused.status, 413)
  t.match(JSON.parse(refused.body), { code: 'ERR_ROW_SIZE', message: /, for \/kv\/k, has more/ })
  t.equal(node.calls.length, 1)
})

void t.test('errors of the store have their own status', async t => {
  const { node, ask } = await serveWeb(t)
  const table: [ErrorCode, number][] = [
    ['ERR_UNAVAILABLE', 503],
    ['ERR_OVERLOADED', 503],
    ['ERR_QUORUM', 503],
    ['ERR_TIMEOUT', 504],
    ['ERR_ROW_SIZE', 413],
    ['ERR_STORE', 500]
  ]
  for (const [code, status] of table) {
    node.failWith = new HearsayError(code, 'a sentence')
    const reply = await ask('GET', '/kv/k')
    t.equal(reply.status, status, code)
    t.strictSame(JSON.parse(reply.body), { code, message: 'a sentence' })
  }
  node.failWith = new Error('a bug')
  t.match(await ask('PUT', '/kv/k'), { status: 500, body: /"ERR_INTERNAL"/ })
})

void t.test('status names whom a newcomer waits for, and only then', async t => {
  const node = new FakeNode()
  const textWith = (
    ...said: [state: MemberStatus['state'], liveness: MemberStatus['liveness']][]
  ) => {
    const members = said.map(([state, liveness], i) => {
      return { id: `m${i}` as NodeId, self: i === 0, state, liveness, addresses: [] }
    })
    return statusText({ ...node.status(), members })
  }
  t.notMatch(textWith(['up', 'alive'], ['joining', 'alive']), /noted/)
  t.match(textWith(['filled', 'alive'], ['up', 'alive']), /once every member has noted it(\n|$)/)
  const waits = textWith(['filled', 'alive'], ['up', 'down'], ['joining', 'down'])
  t.match(waits, /noted it, also m1(\n|$)/)
})

void t.test('health follows the state of the node, and metrics are Prometheus text', async t => {
  const { node, port, ask } = await serveWeb(t)
  t.match(await ask('GET', '/health', { host: `LOCALHOST:${port}` }), { status: 200 })
  node.state = 'filled'
  t.match(await ask('GET', '/health', { host: `[::1]:${port}` }), { status: 200 })
  node.state = 'joining'
  t.match(await ask('GET', '/health', { host: `[::1]:${port}` }), { status: 503 })
  const { body, headers } = await ask('GET', '/metrics', { origin: `http://localhost:${port}` })
  t.match(headers['content-type'], /^text\/plain; version=0\.0\.4/)
  t.match(body, /^hearsay_up 0$/m)
  t.match(
    body,
    /^# TYPE hearsay_exchange_rows_sent_total counter\nhearsay_exchange_rows_sent_total 7$/m
  )
  t.match(body, /^hearsay_verified_age_seconds 4$/m)
  t.match(body, /^hearsay_exchange_rows_differed_total 0$/m)
  t.notMatch(body, /amplification/, 'of nothing that differed')
  node.counters = {
    'exchange.rows-sent': 7,
    'exchange.rows-received': 5,
    'exchange.rows-differed': 8,
    'exchange.rows-read': 28,
    'exchange.row-bytes': 300,
    'exchange.bytes-differed': 200
  }
  node.inSync = { slots: 16_384, verified: 16_383, worstMs: undefined }
  const { body: unproven } = await ask('GET', '/metrics')
  t.match(unproven, /^hearsay_verified_age_seconds \+Inf$/m, 'one slot without a proof is enough')
  for (const each of ['rows_moved_amplification 1.5', 'rows_read_amplification 3.5'])
    t.match(
      unproven,
      `\n# TYPE hearsay_exchange_${each.split(' ')[0]} gauge\nhearsay_exchange_${each}\n`
    )
  t.match(unproven, /^hearsay_exchange_bytes_moved_amplification 1\.5$/m)
  for (const line of `${body}${unproven}`.trimEnd().split('\n')) {
    t.match(line, /^(# (HELP|TYPE) \w+ .+|\w+ (\d+(\.\d+)?|\+Inf))$/)
  }
})

void t.test('closing the HTTP server lets a running request finish', async t => {
  const node = new FakeNode()
  const server = await serveHttp(node, { port: 0 })
  let release = (): void => undefined
  node.block = new Promise(resolve => (release = resolve))
  const put = exchange({ port: server.port, path: '/kv/k', method: 'PUT' }, 'v')
  await until(() => node.calls.length === 1)
  const closed = server.close()
  release()
  t.match(await put, { status: 200, headers: { connection: 'close' } })
  await closed
})

// --- the command line --------------------------------------------------------------------------

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

class TestIo implements Io {
  readonly stdin: AsyncIterable<Uint8Array>
  readonly out: Buffer[] = []
  readonly err: Buffer[] = []
  readonly exits: number[] = []
  readonly node = new FakeNode()
  created: NodeOptions | undefined
  createError: Error | undefined
  stop: (() => void) | undefined
  tty = false

  constructor(stdin = '') {
    this.stdin = (async function* () {
      await Promise.resolve()
      yield Buffer.from(stdin, 'latin1')
    })()
  }

  get stdout(): Io['stdout'] {
    return { write: part => this.out.push(Buffer.from(part as string)), isTTY: this.tty }
  }

  get stderr(): Io['stderr'] {
    return { write: part => this.err.push(Buffer.from(part as string)), isTTY: this.tty }
  }

  createNode(options: NodeOptions): Promise<FakeNode> {
    this.created = options
    return this.createError ? Promise.reject(this.createError) : Promise.resolve(this.node)
  }

  onStop(fn: () => void): () => void {
    this.stop = fn
    return () => (this.stop = undefined)
  }

  exit(code: number): void {
    this.exits.push(code)
  }

  text(stream: 'out' | 'err'): string {
    return Buffer.concat(this[stream]).toString('latin1')
  }
}

async function cli(argv: readonly string[], io = new TestIo()): Promise<Ran> {
  const code = await run(argv, io)
  return { code, out: io.text('out'), err: io.text('err') }
}

void t.test('every command explains itself with all its options', async t => {
  const { code, out } = await cli(['help'])
  t.equal(code, 0)
  const names = [...out.matchAll(/^ {2}([a-z]+) +[A-Z]/gm)].map(match => match[1] as string)
  t.ok(names.length >= 12, names.join())
  for (const name of names.filter(each => each !== 'help')) {
    const help = await cli([name, '--help'])
    t.match(help, { code: 0, out: new RegExp(`^Usage: hearsay ${name}`), err: '' }, name)
    t.match(help.out, /--help/)
    t.equal((await cli(['help', name])).out, help.out)
  }
  t.match(
    (await cli(['start', '-h'])).out,
    /--listen MULTIADDR .* \(default \/ip4\/0\.0\.0\.0\/tcp/
  )
  t.match((await cli(['--version'])).out, /^\d+\.\d+\.\d+\n$/)
})

void t.test('a wrong command line is one sentence and exit status 2', async t => {
  const table: string[][] = [
    ['frobnicate'],
    ['--frobnicate'],
    ['help', 'frobnicate'],
    ['get'],
    ['get', 'a', 'b'],
    ['get', 'a', '--frobnicate'],
    ['get', 'a', '--data'],
    ['set', 'a'],
    ['set', 'a', '-5'],
    ['pause', 'everything'],
    ['hints', 'eat'],
    ['start', '--redis', 'x'],
    ['start', '--redis', '65536'],
    ['start', '--http', '-1'],
    ['start', '--n', '0'],
    ['start', 'now']
  ]
  for (const argv of table) {
    t.match(await cli(argv), { code: 2, out: '', err: /^hearsay: [^\n]+\n$/ }, argv.join(' '))
  }
})

void t.test('get, set and del talk to the node of --data', async t => {
  const { node, directory: dir } = await serve(t)
  const at = ['--data', dir]
  t.match(await cli(['set', 'k', 'v', '--level', 'all', ...at]), {
    code: 0,
    out: /^stored on 1 replica, version /
  })
  t.equal(node.options[0]?.level, 'all')
  t.strictSame(await cli(['get', 'k', ...at]), { code: 0, out: 'v', err: '' })
  const terminal = new TestIo()
  terminal.tty = true
  t.strictSame(await cli(['get', 'k', ...at], terminal), { code: 0, out: 'v\n', err: '' })
  t.match(JSON.parse((await cli(['get', 'k', '--json', ...at])).out), { found: true, value: 'v' })
  t.match(await cli(['del', 'k', ...at]), { code: 0, out: /^deleted on 1 replica/ })
  t.strictSame(await cli(['get', 'k', ...at]), { code: 1, out: '', err: '(not found)\n' })
  const absent = await cli(['get', 'never', '--json', ...at])
  t.strictSame(absent, { code: 1, out: '{"found":false}\n', err: '' })
})

void t.test('a value from standard input is stored and printed byte for byte', async t => {
  const { directory: dir } = await serve(t)
  const at = ['--data', dir]
  const value = '\0\xff\n\r\xfe'
  t.equal((await cli(['set', 'k', '-', ...at], new TestIo(value))).code, 0)
  t.strictSame(await cli(['get', 'k', ...at]), { code: 0, out: value, err: '' })
  const json = JSON.parse((await cli(['get', 'k', '--json', ...at])).out) as { base64: string }
  t.equal(Buffer.from(json.base64, 'base64').toString('latin1'), value)
  await cli(['set', ...at, '--', '-k', '-5'])
  t.strictSame(await cli(['get', ...at, '--', '-k']), { code: 0, out: '-5', err: '' })
})

void t.test('what the node refuses is one sentence and exit status 1', async t => {
  const { node, directory: dir } = await serve(t)
  const at = ['--data', dir]
  t.match(await cli(['get', 'k', '--level', 'most', ...at]), { code: 1, err: /^hearsay: .*most/ })
  node.failWith = new UnavailableError('write', 'all', 3, 1)
  const refused = await cli(['set', 'k', 'v', ...at])
  t.strictSame(refused, { code: 1, out: '', err: `hearsay: ${node.failWith.message}\n` })
  const none = await cli(['status', '--data', join(dir, 'none')])
  t.match(none, { code: 1, out: '', err: /^hearsay: No node is running on .*hearsay start/ })
})

void t.test('invite, status, pause, resume, repair and hints report what was done', async t => {
  const { node, directory: dir } = await serve(t)
  const at = ['--data', dir]
  t.strictSame(await cli(['invite', ...at]), { code: 0, out: `${node.invite()}\n`, err: '' })
  const shown = (await cli(['status', ...at])).out
  t.match(shown, /node +12D3KooWFakeNode \(up\)/)
  t.match(shown, /in sync +100 % verified, worst slot 4 s ago\n/)
  t.match(shown, /cluster: 50 % verified, worst slot never\n/)
  const status = JSON.parse((await cli(['status', '--json', ...at])).out) as object
  t.match(status, { id: node.id, root: node.status().root })
  t.match(await cli(['pause', 'hints', ...at]), { code: 0, out: 'hints paused\n' })
  t.match((await cli(['status', ...at])).out, /paused +hints/)
  t.match(await cli(['resume', 'hints', ...at]), { code: 0, out: 'hints resumed\n' })
  node.hints = [{ owner: peer, count: 4, bytes: 100, oldestMs: 5_000 }]
  t.match((await cli(['status', ...at])).out, /for 12D3KooWPeer: 4 rows.*5 s ago/)
  t.match(await cli(['hints', ...at]), {
    code: 0,
    out: `${peer}: 4 rows, 100 bytes, the oldest 5 s ago\n`
  })
  t.match(await cli(['hints', 'drop', ...at]), { code: 0, out: '4 hints dropped\n' })
  t.match(await cli(['repair', ...at]), { code: 0, out: 'there is no peer to compare with\n' })
  node.reports = [report]
  t.match(await cli(['repair', ...at]), { code: 0, out: /1 rows sent, 0 received, 345 bytes/ })
  node.reports = [{ ...report, equal: false }]
  t.match(await cli(['repair', ...at]), { code: 1, out: /still differ/ })
  const away = { ...report, peer: 'away' as NodeId, reached: false, equal: false }
  node.reports = [report, away]
  t.match(await cli(['repair', ...at]), { code: 1, out: /roots are equal\nnot reached: away\n$/ })
  const json = await cli(['repair', '--json', ...at])
  t.equal(json.code, 1)
  t.match(JSON.parse(json.out), [{ reached: true }, { peer: 'away', reached: false }])
})

void t.test('repair tells how far it is, and what was moved when it was ended', async t => {
  const { node, directory: dir } = await serve(t)
  const at = ['--data', dir]
  node.reports = [report]
  await cli(['repair', '--peer', peer, ...at])
  await cli(['repair', '--now', ...at])
  t.match(node.repairs, [{ peer, now: false }, { now: true }])
  t.notOk('peer' in (node.repairs[1] ?? {}))
  for (const json of [false, true]) {
    node.repairHangs = true
    node.repairAborted = false
    const io = new TestIo()
    io.tty = true
    const running = cli(['repair', ...(json ? ['--json'] : []), ...at], io)
    const at1 = `peer 1 of 1 (${peer}), slot 16000 of 16384`
    const far = `${at1}, 5000 rows and 1.3 MB moved`
    await until(() => io.text('err').includes(`repairing: ${far}, 2500 rows/s, 3 s left`))
    io.stop?.()
    const ended = await running
    t.equal(ended.code, 130)
    if (json) t.match(JSON.parse(ended.out), { peer, rows: 7_000, slots: 16_000, complete: false })
    else t.equal(ended.out, `interrupted: ${at1}, 7000 rows and 1.8 MB moved\n`)
    await until(() => node.repairAborted)
  }
})

void t.test('scrub tells what it found, and what it had found when it was ended', async t => {
  const { node, directory: dir } = await serve(t)
  const at = ['--data', dir]
  const sound = 'read 16384 slots, 1000 rows, 150000 bytes: no row is damaged\n'
  t.match(await cli(['scrub', ...at]), { code: 0, out: sound })
  node.scrubbed = { ...node.scrubbed, damagedRows: 3, healed: 2, missing: 1, treesRebuilt: 1 }
  const found = /3 rows were damaged, 2 are healed, 1 have not come back yet; 1 trees were wrong/
  t.match(await cli(['scrub', ...at]), { code: 1, out: found })
  const json = await cli(['scrub', '--json', ...at])
  t.strictSame(JSON.parse(json.out), { ...node.scrubbed, complete: true })
  node.scrubHangs = true
  const io = new TestIo()
  io.tty = true
  const running = cli(['scrub', '--json', ...at], io)
  await until(() => io.text('err').includes('scrubbing: slot 0 of 16384, 0 of 2000 rows'))
  io.stop?.()
  const ended = await running
  t.equal(ended.code, 130)
  t.match(JSON.parse(ended.out), { slots: 8_192, damagedRows: 3, complete: false })
  await until(() => node.scrubAborted)
  node.scrubHeals = true
  node.scrubbed = { ...node.scrubbed, lostRows: 7, missing: 8 }
  const healing = new TestIo()
  healing.tty = true
  const running2 = cli(['scrub', ...at], healing)
  const text = 'comparing with the other owners: 8 rows have not come back yet'
  await until(() => healing.text('err').includes(text))
  t.notMatch(healing.text('err'), / left/)
  healing.stop?.()
  t.match(
    (await running2).out,
    /2 are healed, 7 were gone from the disk, 8 have not come back yet;/
  )
})

// --- start -------------------------------------------------------------------------------------

void t.test('start --json says ready once, stops when asked, and closes all of it', async t => {
  const dir = await directory(t)
  const io = new TestIo()
  const ports = ['--redis', '0', '--http', '0']
  const listen = ['--listen', '/ip4/127.0.0.1/tcp/0', '--listen', '/ip6/::1/tcp/0']
  const running = cli(['start', '--json', '--data', dir, '--n', '5', ...ports, ...listen], io)
  await until(() => io.out.length === 1)
  const { node } = io
  const ready = JSON.parse(io.text('out')) as { redis: number; http: number }
  t.match(ready, { event: 'ready', peerId: node.id, listen: node.addresses() })
  t.match(io.created, { path: dir, n: 5, listen: [listen[1], listen[3]] })
  const redis = connect(ready.redis, '127.0.0.1')
  redis.end('PING\r\n')
  t.equal(String((await once(redis, 'data'))[0]), '+PONG\r\n')
  t.equal((await exchange({ port: ready.http, path: '/health' })).status, 200)
  t.equal((await cli(['set', 'k', 'v', '--data', dir])).code, 0)
  const admin = new AdminClient(dir)
  await admin.stop()
  await admin.close()
  const { code, out, err } = await running
  t.strictSame([code, err, node.closed], [0, '', 1])
  t.equal(out.split('\n')[1], '{"event":"stopped"}')
  await t.rejects(exchange({ port: ready.http, path: '/health' }), { code: 'ECONNREFUSED' })
  await t.rejects(admin.status(), { code: 'ERR_NOT_RUNNING' })
})

void t.test('start tells a person where to go, and how to join a new cluster', async t => {
  const dir = await directory(t)
  const io = new TestIo()
  const running = cli(['start', '--data', dir, '--redis', '0', '--http', 'off'], io)
  await until(() => io.text('out').includes('Ctrl-C'))
  io.stop?.()
  const { code, out } = await running
  t.equal(code, 0)
  t.match(out, /redis-cli -p \d+/)
  t.notMatch(out, /curl/)
  t.match(out, /hearsay start --data DIR --join hearsay1-fake-invite/)
})

void t.test('start hands its defaults on, and tells what follows from them', async t => {
  const io = new TestIo()
  io.node.notes = ['A read may miss a write.']
  const levels = ['--read-level', 'one', '--write-level', '2', '--durability', 'flush']
  const ports = ['--redis', 'off', '--http', 'off']
  const running = cli(['start', '--data', await directory(t), ...ports, ...levels], io)
  await until(() => io.text('out').includes('Ctrl-C'))
  io.stop?.()
  t.match(await running, { code: 0, out: /note {4}A read may miss a write\.\n/ })
  t.match(io.created, { readLevel: 'one', writeLevel: 2, durability: 'flush' })
  for (const wrong of [
    ['--read-level', 'most'],
    ['--write-level', '0'],
    ['--durability', 'never']
  ]) {
    const { code, err } = await cli(['start', '--data', await directory(t), ...ports, ...wrong])
    t.not(code, 0)
    t.match(err, /no level|neither commit nor flush/)
  }
})

void t.test('a second signal ends a node that does not close', async t => {
  const io = new TestIo()
  let release: (() => void) | undefined
  io.node.close = () => new Promise(resolve => (release = resolve))
  const dir = await directory(t)
  const running = cli(['start', '--json', '--data', dir, '--redis', 'off', '--http', 'off'], io)
  await until(() => io.out.length === 1)
  io.stop?.()
  t.strictSame(io.exits, [])
  io.stop?.()
  t.strictSame(io.exits, [130])
  await until(() => release !== undefined)
  release?.()
  await running
})

void t.test('when one port cannot be had nothing is begun', async t => {
  const other = createServer().listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  const dir = await directory(t)
  const io = new TestIo()
  const argv = ['start', '--json', '--data', dir, '--redis', '0', '--http', String(port)]
  const { code, out, err } = await cli(argv, io)
  t.equal(code, 1)
  t.match(err, new RegExp(`^hearsay: The HTTP port ${port} .* --http off.\n$`))
  t.match(JSON.parse(out), { event: 'error', code: 'ERR_PORT_IN_USE' })
  t.equal(io.created, undefined, 'no cluster was founded or joined')
  await t.rejects(stat(join(dir, 'admin.sock')), { code: 'ENOENT' })
})

void t.test('a node that cannot be made is one sentence', async t => {
  const io = new TestIo()
  io.createError = new HearsayError('ERR_INVITE', 'The invite is damaged; copy the whole line.')
  const { code, out, err } = await cli(['start', '--data', await directory(t), '--join', 'x'], io)
  t.strictSame([code, out, err], [1, '', `hearsay: ${io.createError.message}\n`])
  t.equal(io.created?.join, 'x')
})

/** Turns the event loop until it holds. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(resolve => setImmediate(resolve))
}
