import fc from 'fast-check'
import { Redis } from 'ioredis'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { RespParser, RespProtocolError } from '../src/fronts/resp/parser.ts'
import { splitInline } from '../src/fronts/resp/inline.ts'
import { bulkBytesMax, clientsMax, lineBytesMax } from '../src/fronts/resp/limits.ts'
import { serveResp } from '../src/fronts/resp/server.ts'
import { UnavailableError } from '../src/index.ts'
import { FakeNode } from './fixtures/fake-node.ts'

interface Served {
  readonly node: FakeNode
  readonly port: number
  close(): Promise<void>
}

async function serve(t: Test): Promise<Served> {
  const node = new FakeNode()
  const server = await serveResp(node, { port: 0 })
  t.teardown(() => server.close())
  return { node, port: server.port, close: () => server.close() }
}

async function raw(t: Test, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.on('error', () => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** Everything that comes back until the server ends the connection. */
async function converse(t: Test, port: number, request: string | Uint8Array): Promise<string> {
  const socket = await raw(t, port)
  let text = ''
  socket.on('data', (part: Buffer) => (text += part.toString('latin1')))
  socket.end(request)
  await once(socket, 'close')
  return text
}

function encode(command: readonly Uint8Array[]): Buffer {
  const parts = command.flatMap(arg => [
    Buffer.from(`$${arg.length}\r\n`),
    arg,
    Buffer.from('\r\n')
  ])
  return Buffer.concat([Buffer.from(`*${command.length}\r\n`), ...parts])
}

function parse(chunks: readonly Uint8Array[]): string[][] {
  const parser = new RespParser()
  const commands: string[][] = []
  for (const chunk of chunks) {
    parser.push(chunk)
    for (let next = parser.next(); next !== undefined; next = parser.next()) {
      commands.push(next.map(arg => Buffer.from(arg).toString('hex')))
    }
  }
  return commands
}

function cut(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const marks = [0, ...at.map(n => n % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return marks.slice(1).map((end, i) => bytes.slice(marks[i], end))
}

void t.test(
  'commands come out of the parser as they went in, however the bytes are cut',
  async t => {
    const command = fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(
        fc.array(command, { maxLength: 6 }),
        fc.array(fc.nat(), { maxLength: 30 }),
        (commands, at) => {
          const bytes = Buffer.concat(commands.map(encode))
          const hex = commands.map(c => c.map(arg => Buffer.from(arg).toString('hex')))
          t.strictSame(parse(cut(bytes, at)), hex)
        }
      )
    )
  }
)

void t.test(
  'damaged bytes end in a protocol error or in commands, never in anything else',
  async t => {
    let errors = 0
    let commands = 0
    const sample = encode([Buffer.from('SET'), Buffer.from('a key'), Buffer.from('"v\r\n')])
    const damage = fc.array(fc.tuple(fc.nat(sample.length * 3 - 1), fc.nat(255)), { maxLength: 6 })
    fc.assert(
      fc.property(damage, fc.array(fc.nat(), { maxLength: 8 }), (changes, at) => {
        const bytes = Uint8Array.from(Buffer.concat([sample, sample, sample]))
        for (const [where, byte] of changes) bytes[where] = byte
        try {
          commands += parse(cut(bytes, at)).length
        } catch (cause) {
          if (!(cause instanceof RespProtocolError)) throw cause
          errors++
        }
      }),
      { numRuns: 5_000 }
    )
    t.ok(errors > 100 && commands > 1_000, 'both happened often')
  }
)

void t.test('how the bytes are cut never changes the error', async t => {
  const outcome = (chunks: readonly Uint8Array[]): string => {
    try {
      return JSON.stringify(parse(chunks))
    } catch (cause) {
      return String(cause)
    }
  }
  const byte = fc.constantFrom(...Buffer.from('*$0123-\r\n"\'x '))
  const chars = fc.array(byte, { maxLength: 60 }).map(bytes => Uint8Array.from(bytes))
  fc.assert(
    fc.property(chars, fc.array(fc.nat(), { maxLength: 10 }), (bytes, at) => {
      t.equal(outcome(cut(bytes, at)), outcome([bytes]))
    })
  )
})

void t.test('inline commands are split as Redis splits them', async t => {
  const words = (line: string): string[] | undefined =>
    splitInline(Buffer.from(line, 'latin1'))?.map(word => Buffer.from(word).toString('latin1'))
  const table: [string, string[] | undefined][] = [
    ['', []],
    ['  PING  ', ['PING']],
    ['SET "a key" \'a value\'', ['SET', 'a key', 'a value']],
    ['"\\x41\\n\\t\\"\\q"', ['A\n\t"q']],
    ["'it\\'s'", ["it's"]],
    ["'\\n'", ['\\n']],
    ['""', ['']],
    ['a"b"', ['ab']],
    ['"a"b', undefined],
    ['"open', undefined],
    ["'open", undefined]
  ]
  for (const [line, expected] of table) t.strictSame(words(line), expected, line)
})

void t.test('a length over its limit is refused before its bytes have come', async t => {
  const table: [string, string][] = [
    ['*65537\r\n', 'invalid multibulk length'],
    ['*x\r\n', 'invalid multibulk length'],
    ['*01\r\n', 'invalid multibulk length'],
    ['*1\r\n:1\r\n', "expected '$', got ':'"],
    [`*1\r\n$${bulkBytesMax + 1}\r\n`, 'invalid bulk length'],
    ['*1\r\n$-1\r\n', 'invalid bulk length'],
    ['*1\r\n$2000000000\r\n', 'invalid bulk length'],
    ['*1\r\n$1\r\nabc', 'expected CRLF after the bulk'],
    ['"\r\n', 'unbalanced quotes in request'],
    ['x'.repeat(lineBytesMax + 1), 'too big inline request'],
    [`*${'1'.repeat(lineBytesMax + 1)}`, 'too big mbulk count string'],
    [`*1\r\n$${'1'.repeat(lineBytesMax + 1)}`, 'too big bulk count string']
  ]
  for (const [bytes, message] of table) {
    t.throws(() => parse([Buffer.from(bytes)]), { message }, message)
  }
  const part = Buffer.concat([Buffer.from(`$${bulkBytesMax}\r\n`), Buffer.alloc(bulkBytesMax)])
  const parts = [Buffer.from('*4\r\n'), part, Buffer.from('\r\n'), part, Buffer.from('\r\n$1\r\n')]
  t.throws(() => parse(parts), { message: 'too big request' }, 'all arguments together')
})

void t.test('a value that comes in small pieces is read in linear time', async t => {
  const value = Buffer.alloc(1024 * 1024, 7)
  const bytes = encode([Buffer.from('SET'), Buffer.from('k'), value])
  const chunks: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += 100) chunks.push(bytes.subarray(at, at + 100))
  const [command] = parse(chunks)
  t.equal(command?.[2], value.toString('hex'))
})

void t.test('ioredis works with it unchanged', async t => {
  const { port } = await serve(t)
  const redis = new Redis({ port, host: '127.0.0.1', lazyConnect: true })
  t.teardown(() => redis.disconnect())
  await redis.connect()
  t.equal(await redis.ping(), 'PONG')
  t.equal(await redis.echo('hello'), 'hello')
  t.equal(await redis.get('absent'), null)
  t.equal(await redis.set('Jordan', 'ugly'), 'OK')
  t.equal(await redis.get('Jordan'), 'ugly')
  t.equal(await redis.exists('Jordan', 'Jordan', 'absent'), 2)
  t.equal(await redis.del('Jordan', 'Jordan', 'absent'), 1)
  t.equal(await redis.get('Jordan'), null)
  const binary = Buffer.from([0, 13, 10, 255, 36, 42])
  await redis.set(binary, binary)
  t.strictSame(await redis.getBuffer(binary), binary)
  t.match(await redis.info(), /redis_version:7/)
  t.match(await redis.info('hearsay'), /cluster:fake-cluster\r\n/)
  t.notMatch(await redis.info('hearsay'), /redis_version/)
})

void t.test('pipelined commands are answered in order', async t => {
  const { port } = await serve(t)
  const redis = new Redis({ port, host: '127.0.0.1' })
  t.teardown(() => redis.disconnect())
  const pipeline = redis.pipeline()
  for (let i = 0; i < 500; i++) pipeline.set('k', String(i)).get('k')
  const results = (await pipeline.exec()) ?? []
  const values = results.filter((_, i) => i % 2 === 1).map(([, value]) => value)
  t.strictSame(
    values,
    Array.from({ length: 500 }, (_, i) => String(i))
  )
})

void t.test('replies and errors are those of Redis, byte for byte', async t => {
  const { port } = await serve(t)
  const table: [string, string][] = [
    ['PING\r\n', '+PONG\r\n'],
    ['ping hello\r\n', '$5\r\nhello\r\n'],
    ['PING ""\r\n', '$0\r\n\r\n'],
    ['\r\nPING\r\n', '+PONG\r\n'],
    ['*0\r\n*-1\r\nPING\r\n', '+PONG\r\n'],
    ['get\r\n', "-ERR wrong number of arguments for 'get' command\r\n"],
    ['PING a b\r\n', "-ERR wrong number of arguments for 'ping' command\r\n"],
    ['FOO a b\r\n', "-ERR unknown command 'FOO', with args beginning with: 'a' 'b' \r\n"],
    ['FOO\r\n', "-ERR unknown command 'FOO', with args beginning with: \r\n"],
    ['"F\\nO"\r\n', "-ERR unknown command 'F O', with args beginning with: \r\n"],
    ['HELLO 4\r\n', '-NOPROTO unsupported protocol version\r\n'],
    ['HELLO x\r\n', '-ERR Protocol version is not an integer or out of range\r\n'],
    ['HELLO 3 FOO\r\n', "-ERR Syntax error in HELLO option 'FOO'\r\n"],
    ['GET absent\r\n', '$-1\r\n'],
    ['SET k v FOO\r\n', '-ERR syntax error\r\n'],
    [
      'SET k v nx\r\n',
      '-ERR SET with NX is not supported; use SET key value [EX s | PX ms | EXAT s | PXAT ms]\r\n'
    ],
    ['DEL absent\r\n', ':0\r\n'],
    ['*1\r\n:1\r\n', "-ERR Protocol error: expected '$', got ':'\r\n"],
    ['QUIT\r\nPING\r\n', '+OK\r\n'],
    ['POST / HTTP/1.1\r\nHost: x\r\n\r\n', ''],
    ['Host: localhost\r\nPING\r\n', '']
  ]
  for (const [request, reply] of table) t.equal(await converse(t, port, request), reply, request)
})

void t.test('the arguments shown with an unknown command are bounded', async t => {
  const { port } = await serve(t)
  const reply = await converse(t, port, `FOO ${'a'.repeat(500)} b\r\n`)
  t.equal(reply, `-ERR unknown command 'FOO', with args beginning with: '${'a'.repeat(128)}' \r\n`)
})

void t.test('HELLO 3 switches to maps and nulls of RESP3, HELLO 2 back', async t => {
  const { port } = await serve(t)
  const three = await converse(t, port, 'HELLO 3 SETNAME me\r\nGET absent\r\nINFO server\r\n')
  t.match(three, /^%7\r\n\$6\r\nserver\r\n/)
  t.match(three, /\r\nproto\r\n:3\r\n/)
  t.match(three, /\r\n_\r\n=\d+\r\ntxt:# Server\r\n/)
  const two = await converse(t, port, 'HELLO 3\r\nHELLO 2\r\nGET absent\r\n')
  t.match(two, /\*14\r\n\$6\r\nserver[^]*\r\n\$-1\r\n$/)
  t.match(await converse(t, port, 'HELLO 3 AUTH a b\r\n'), /^-ERR HELLO with AUTH is not supported/)
})

void t.test('an error of the store is one line that begins with its code', async t => {
  const { node, port } = await serve(t)
  node.failWith = new UnavailableError('write', 'quorum', 2, 1)
  t.match(await converse(t, port, 'SET k v\r\n'), /^-UNAVAILABLE The write at level quorum .*\r\n$/)
  node.failWith = new Error('two\r\nlines')
  t.equal(await converse(t, port, 'GET k\r\nPING\r\n'), '-INTERNAL two  lines\r\n+PONG\r\n')
})

void t.test('a key over its limit is an error and the connection goes on', async t => {
  const { port } = await serve(t)
  const reply = await converse(t, port, `GET ${'k'.repeat(1_025)}\r\nPING\r\n`)
  t.match(reply, /^-KEY_SIZE .*\r\n\+PONG\r\n$/)
})

void t.test('a client that does not read is not read from', async t => {
  const { node, port } = await serve(t)
  const size = 1024 * 1024
  await node.put('big', new Uint8Array(size))
  const socket = await raw(t, port)
  const asked = 64
  socket.pause()
  socket.write('GET big\r\n'.repeat(asked))
  // Another connection is served as long as it takes the first to fill what it may.
  let last = -1
  while (node.calls.length !== last) {
    last = node.calls.length
    for (let i = 0; i < 5; i++) await converse(t, port, 'PING\r\n')
  }
  t.ok(last < asked, `ran ${last - 1} of ${asked}`)
  let bytes = 0
  const all = asked * (size + `$${size}\r\n\r\n`.length)
  await new Promise<void>(resolve => {
    socket.on('data', (part: Buffer) => {
      bytes += part.length
      if (bytes === all) resolve()
    })
    socket.resume()
  })
  t.equal(bytes, all, 'reading again brings all of it')
})

void t.test('a client that leaves in the middle of a reply harms nobody', async t => {
  const { node, port } = await serve(t)
  await node.put('big', new Uint8Array(1024 * 1024))
  const socket = await raw(t, port)
  socket.write('GET big\r\n'.repeat(50))
  await once(socket, 'data')
  socket.resetAndDestroy()
  t.equal(await converse(t, port, 'PING\r\n'), '+PONG\r\n')
})

void t.test('one client too many is told so', async t => {
  const { port } = await serve(t)
  const sockets: Socket[] = []
  for (let i = 0; i < clientsMax; i++) sockets.push(await raw(t, port))
  t.equal(await converse(t, port, ''), '-ERR max number of clients reached\r\n')
  const [first] = sockets
  first?.end()
  first?.resume()
  await once(first as Socket, 'close')
  t.equal(await converse(t, port, 'PING\r\n'), '+PONG\r\n', 'a place that is free is given again')
})

void t.test('closing lets the running command finish and ends the rest', async t => {
  const { node, port, close } = await serve(t)
  let release = (): void => undefined
  node.block = new Promise(resolve => (release = resolve))
  const idle = await raw(t, port)
  const busy = await raw(t, port)
  let reply = ''
  busy.on('data', (part: Buffer) => (reply += part.toString()))
  idle.resume()
  const called = until(() => node.calls.length === 1)
  busy.write('SET k v\r\nPING\r\n')
  await called
  const closed = close()
  await once(idle, 'close')
  release()
  await closed
  await once(busy, 'close')
  t.equal(reply, '+OK\r\n', 'the next one is not begun')
})

void t.test('a port in use is named, with what to do', async t => {
  const other = createServer().listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  await t.rejects(serveResp(new FakeNode(), { port }), {
    code: 'ERR_PORT_IN_USE',
    message: new RegExp(`Redis port ${port} .* use --redis PORT for another one .* --redis off`)
  })
})

/** Turns the event loop until it holds. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(resolve => setImmediate(resolve))
}

void t.test('counters, sets, hashes and expiry work as ioredis expects them', async t => {
  const { node, port } = await serve(t)
  const redis = new Redis({ port, host: '127.0.0.1' })
  t.teardown(() => redis.disconnect())
  t.equal(await redis.incr('n'), 1)
  t.equal(await redis.incrby('n', 41), 42)
  t.equal(await redis.decr('n'), 41)
  t.equal(await redis.decrby('n', 50), -9)
  t.equal(await redis.get('n'), '-9')
  t.equal(await redis.sadd('s', 'b', 'a', 'b'), 2)
  t.equal(await redis.srem('s', 'a', 'x'), 1)
  t.equal(await redis.srem('absent', 'x'), 0)
  t.strictSame(await redis.smembers('s'), ['b'])
  t.equal(await redis.sismember('s', 'b'), 1)
  t.equal(await redis.scard('s'), 1)
  t.equal(await redis.scard('absent'), 0)
  t.equal(await redis.hset('h', { f: '1', g: '2' }), 2)
  t.equal(await redis.hdel('h', 'g'), 1)
  t.equal(await redis.hget('h', 'f'), '1')
  t.equal(await redis.hget('h', 'g'), null)
  t.strictSame(await redis.hgetall('h'), { f: '1' })
  t.equal(await redis.hlen('h'), 1)
  const keys = ['n', 's', 'h', 'absent']
  t.strictSame(await Promise.all(keys.map(key => redis.type(key))), [
    'string',
    'set',
    'hash',
    'none'
  ])
  t.equal(await redis.exists(...keys), 3)
  t.equal(await redis.del(...keys), 3)

  node.nowMs = Date.now()
  t.equal(await redis.set('k', 'v', 'EX', 1_000), 'OK')
  t.equal(await redis.ttl('k'), 1_000)
  t.equal(await redis.persist('k'), 1)
  t.equal(await redis.persist('k'), 0)
  t.equal(await redis.pttl('k'), -1)
  t.equal(await redis.pexpire('k', 500_000), 1)
  t.equal(await redis.ttl('k'), 500)
  t.equal(await redis.expire('absent', 5), 0)
  t.equal(await redis.ttl('absent'), -2)
  t.equal(await redis.set('k', 'v', 'PXAT', node.nowMs + 5_000), 'OK')
  node.nowMs += 5_000
  t.equal(await redis.get('k'), null)
  await redis.set('k', 'v')
  t.equal(await redis.expire('k', 0), 1)
  t.equal(await redis.get('k'), null)
})

void t.test("what is no number, no expiry or of another kind is told in Redis's words", async t => {
  const { node, port } = await serve(t)
  await node.setAdd('s', 'a')
  await node.put('text', 'abc')
  await node.put('most', '9223372036854775807')
  await node.put('least', '-9223372036854775808')
  const wrong = (key: string, holds: string, asked: string) =>
    `-WRONGTYPE Operation against a key holding the wrong kind of value. "${key}" holds ${holds} and ` +
    `was asked as ${asked}; use the calls of its kind, or delete it first.\r\n`
  const overflow = (key: string) =>
    `-ERR increment or decrement would overflow. The counter "${key}" would leave the range of signed ` +
    '64-bit integers; nothing was added. Put it back to a smaller value first.\r\n'
  const notInteger = '-ERR value is not an integer or out of range\r\n'
  const cases: [command: string, reply: string][] = [
    ['GET s', wrong('s', 'a set', 'a value')],
    ['INCR s', wrong('s', 'a set', 'a counter')],
    ['HGETALL s', wrong('s', 'a set', 'a map')],
    ['SADD text a', wrong('text', 'a value', 'a set')],
    [
      'INCR text',
      '-ERR value is not an integer or out of range. "text" holds a text that is no decimal 64-bit ' +
        'integer and cannot be counted on; put an integer first, or use another key.\r\n'
    ],
    ['INCR most', overflow('most')],
    ['INCRBY most 9223372036854775807', overflow('most')],
    ['DECR least', overflow('least')],
    ['DECRBY least 9223372036854775807', overflow('least')],
    ['INCRBY n 1.5', notInteger],
    ['INCRBY n 9223372036854775808', notInteger],
    ['INCRBY n 01', notInteger],
    ['DECRBY n -9223372036854775808', '-ERR decrement would overflow\r\n'],
    ['SET k v EX', '-ERR syntax error\r\n'],
    ['SET k v EX x', notInteger],
    ['SET k v EX 0', "-ERR invalid expire time in 'set' command\r\n"],
    ['SET k v EX 9223372036854775807', "-ERR invalid expire time in 'set' command\r\n"],
    ['EXPIRE text x', notInteger],
    ['EXPIRE text 9223372036854775807', "-ERR invalid expire time in 'expire' command\r\n"],
    ['HSET h f', "-ERR wrong number of arguments for 'hset' command\r\n"],
    ['HSET h f v g', "-ERR wrong number of arguments for 'hset' command\r\n"]
  ]
  for (const [command, reply] of cases) {
    t.equal(await converse(t, port, `${command}\r\n`), reply, command)
  }
  t.equal(
    await converse(t, port, 'HELLO 3\r\nSMEMBERS s\r\n').then(text => text.slice(-11)),
    '~1\r\n$1\r\na\r\n'
  )
})
