import t from 'tap'
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import type { Connection } from '@libp2p/interface'
import { HearsayError } from '../src/errors.ts'
import { CallTable } from '../src/net/calls.ts'
import { Channel } from '../src/net/channel.ts'
import { Epochs } from '../src/net/epochs.ts'
import { BODY_BYTES_MAX, encodeFrame, FrameReader, HEADER_BYTES } from '../src/net/frame.ts'
import type { Frame } from '../src/net/frame.ts'
import { Gossip } from '../src/net/gossip.ts'
import { decodeHello, disagreement, encodeHello, epochOf, givesWay } from '../src/net/hello.ts'
import type { Host } from '../src/net/host.ts'
import { createIdentity, IDENTITY_FILE, loadIdentity } from '../src/net/identity.ts'
import { createClusterKey, deriveKeys } from '../src/net/keys.ts'
import { Presence } from '../src/net/presence.ts'
import { RpcClient } from '../src/net/rpc.ts'
import { RpcServer } from '../src/net/serve.ts'
import { concat, hex } from '../src/util/bytes.ts'
import type { NodeId } from '../src/util/node-id.ts'
import { decodeInvite, encodeInvite } from '../src/wire/invite.ts'
import { FakePubsub, FakeStream } from './fixtures/fake-stream.ts'
import { CountingMeter, KeptLog, random, realTimers as timers } from './fixtures/libp2p-world.ts'
import { bytes, failure, latch, pattern, string } from './fixtures/network-suite.ts'

const peer = 'peer' as NodeId
const hello = { clusterId: 'c', protocols: [1, 1], n: 3, epoch: '00000000000000ff' } as const

const frames = fc.record(
  {
    kind: fc.constantFrom<Frame['kind']>('hello', 'request', 'response', 'error'),
    id: fc.integer({ min: 0, max: 0xffffffff }),
    code: fc.integer({ min: 0, max: 255 }),
    body: fc.uint8Array({ maxLength: 300 })
  },
  { noNullPrototype: true }
)

/** Cuts bytes at arbitrary places. */
function cut(whole: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = [...places.map(place => place % (whole.length + 1)), whole.length]
  let from = 0
  return ends.sort((a, b) => a - b).map(end => whole.subarray(from, (from = end)))
}

void t.test('frames come out as they went in, however the bytes are cut', async t => {
  const cuts = fc.array(fc.nat(), { maxLength: 20 })
  const property = fc.property(fc.array(frames), cuts, (list, at) => {
    const reader = new FrameReader()
    const out = cut(concat(list.map(encodeFrame)), at).flatMap(part => reader.push(part).frames)
    return reader.buffered === 0 && isDeepStrictEqual(out, list)
  })
  t.doesNotThrow(() => fc.assert(property, { numRuns: 1_000 }))
})

void t.test(
  'whatever the bytes, the reader gives frames or names a fault, and never throws',
  async t => {
    const known = new Set(['frame-too-short', 'frame-too-long', 'frame-unknown-kind', undefined])
    const seen = new Map<string | undefined, number>()
    const mutation = fc.record({
      list: fc.array(frames, { minLength: 1, maxLength: 4 }),
      changes: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
      drop: fc.nat({ max: 20 }),
      at: fc.array(fc.nat(), { maxLength: 4 })
    })
    const property = fc.property(mutation, ({ list, changes, drop, at }) => {
      const whole = concat(list.map(encodeFrame))
      for (const [place, value] of changes) whole[place % whole.length] = value
      const reader = new FrameReader()
      const batches = cut(whole.subarray(0, whole.length - drop), at).map(part => reader.push(part))
      const fault = batches.at(-1)?.fault
      seen.set(fault, (seen.get(fault) ?? 0) + 1)
      const silent = batches.findIndex(batch => batch.fault !== undefined)
      const late = silent === -1 ? [] : batches.slice(silent + 1).flatMap(batch => batch.frames)
      return known.has(fault) && late.length === 0 && (fault === undefined || reader.buffered === 0)
    })
    t.doesNotThrow(() => fc.assert(property, { numRuns: 20_000 }))
    for (const fault of known) t.ok((seen.get(fault) ?? 0) > 10, `${fault} was met`)
  }
)

void t.test(
  'a length over the limit of its kind is a fault before any of the body came',
  async t => {
    const header = (length: number, kind: number) => {
      const out = new Uint8Array(HEADER_BYTES)
      const view = new DataView(out.buffer)
      view.setUint32(0, length)
      view.setUint8(4, kind)
      return new FrameReader().push(out).fault
    }
    t.equal(header(1024, 0), undefined)
    t.equal(header(1025, 0), 'frame-too-long', 'hello')
    t.equal(header(BODY_BYTES_MAX + 6, 1), undefined)
    t.equal(header(BODY_BYTES_MAX + 7, 1), 'frame-too-long', 'request')
    t.equal(header(0xffffffff, 2), 'frame-too-long', 'response')
    t.equal(header(7, 4), 'frame-too-long', 'cancel')
    t.equal(header(5, 1), 'frame-too-short')
    t.equal(header(6, 5), 'frame-unknown-kind')
  }
)

void t.test('a call is settled once, and an id in use is not given again', async t => {
  const table = new CallTable<string>()
  const [first, second] = [table.begin('first'), table.begin('second')]
  t.not(first, second)
  const frame = { kind: 'response', id: second, code: 0, body: bytes('x') } as const
  t.match(table.settle(frame), { call: 'second' })
  t.equal(table.settle(frame), undefined)
  const error = { ...frame, kind: 'error', id: first, body: bytes('not an error of ours') } as const
  t.match(table.settle(error), { call: 'first', outcome: { code: 'ERR_INTERNAL' } })
  t.equal(table.size, 0)
})

function channel(pauseBytes?: number) {
  const stream = new FakeStream()
  const meter = new CountingMeter()
  const ends: string[] = []
  const init = { onFrame: () => undefined, onEnd: (why: string) => ends.push(why) }
  const made = new Channel(
    { stream, meter },
    pauseBytes === undefined ? init : { ...init, pauseBytes }
  )
  return { stream, meter, ends, channel: made }
}

function request(id: number, length = 10): Frame {
  return { kind: 'request', id, code: 2, body: pattern(length) }
}

void t.test('frames of one turn are one write; those of the next are another', async t => {
  const { stream, channel: made } = channel()
  for (let id = 0; id < 10; id++) made.send(request(id))
  t.equal(stream.writes.length, 0)
  await turn()
  t.equal(stream.writes.length, 1)
  t.equal(new FrameReader().push(stream.writes[0] as Uint8Array).frames.length, 10)
  made.send(request(10))
  await turn()
  t.equal(stream.writes.length, 2)
})

void t.test('a full stream is given nothing until it has drained', async t => {
  const { stream, channel: made } = channel()
  stream.full = true
  const tickets = [0, 1, 2].map(() => ({ written: false, dropped: false }))
  made.send(request(0), tickets[0])
  await turn()
  made.send(request(1), tickets[1])
  made.send(request(2), tickets[2])
  await turn()
  t.equal(stream.writes.length, 1)
  t.strictSame(
    tickets.map(ticket => ticket.written),
    [true, false, false]
  )
  Object.assign(tickets[1] as object, { dropped: true })
  stream.drain()
  await turn()
  t.equal(stream.writes.length, 2)
  const { frames: out } = new FrameReader().push(stream.writes[1] as Uint8Array)
  t.strictSame(
    out.map(frame => frame.id),
    [2],
    'what was dropped meanwhile is not sent'
  )
})

void t.test('reading stops while too much waits to be written, and goes on afterwards', async t => {
  const { stream, channel: made } = channel(1000)
  stream.full = true
  made.send(request(0))
  await turn()
  made.send(request(1, 2000))
  t.equal(stream.readStatus, 'paused')
  stream.drain()
  await turn()
  t.equal(stream.readStatus, 'readable')
})

void t.test('a stream that breaks ends every request and says which were never sent', async t => {
  const stream = new FakeStream()
  const meter = new CountingMeter()
  const ended = latch()
  const client = new RpcClient({ stream, timers, meter }, { peer, onEnd: () => ended.open() })
  const ask = () => client.request('read', bytes('x'), { deadlineMs: 20_000 })
  const sent = failure(ask())
  await turn()
  const unsent = failure(ask())
  stream.break(new Error('cut'))
  t.match(await sent, { code: 'ERR_NETWORK', unsent: false, message: /cut/ })
  t.match(await unsent, { code: 'ERR_NETWORK', unsent: true })
  t.match(await failure(ask()), { code: 'ERR_NETWORK', unsent: true })
  await ended.promise
})

void t.test(
  'what answers nothing, or comes unasked, ends the stream only if it is malformed',
  async t => {
    const answers = [
      { kind: 'response', id: 77, code: 0, body: bytes('') },
      { kind: 'request', id: 0, code: 2, body: bytes('') }
    ] as const
    const stream = new FakeStream()
    const meter = new CountingMeter()
    const client = new RpcClient({ stream, timers, meter }, { peer, onEnd: () => undefined })
    stream.receive(encodeFrame(answers[0]))
    t.equal(client.ended, false)
    t.equal(meter.counts['network.answers-too-late'], 1)
    stream.receive(encodeFrame(answers[1]))
    t.equal(client.ended, true)
    t.equal(meter.counts['network.frame-unexpected'], 1)
  }
)

function server() {
  const stream = new FakeStream()
  const meter = new CountingMeter()
  const log = new KeptLog()
  const aborted = latch()
  const handlers = new Map([
    ['read', async (_from: NodeId, body: Uint8Array) => body] as const,
    [
      'apply',
      (_from: NodeId, _body: Uint8Array, signal: AbortSignal) =>
        new Promise<Uint8Array>(() => signal.addEventListener('abort', () => aborted.open()))
    ] as const
  ])
  const made = new RpcServer(
    { stream, timers, meter, log, handlers: new Map(handlers) },
    {
      peer,
      hello,
      onHello: ({ n }) => ({ fault: n === 3 ? undefined : unfit }),
      onEnd: () => undefined
    }
  )
  return { stream, meter, aborted, server: made }
}

const unfit = new HearsayError('ERR_CLUSTER_MISMATCH', 'It keeps another number of copies.')
const greeting = encodeFrame({ kind: 'hello', id: 0, code: 0, body: encodeHello(hello) })

void t.test(
  'the answering side ends a stream that is malformed, with a counted reason',
  async t => {
    const ask = encodeFrame(request(1))
    const slow = encodeFrame({ ...request(1), code: 1 })
    const table: readonly (readonly [name: string, parts: readonly Uint8Array[]])[] = [
      ['frame-before-hello', [ask]],
      ['frame-bad-hello', [encodeFrame({ kind: 'hello', id: 0, code: 0, body: bytes('{}') })]],
      ['frame-unexpected', [greeting, greeting]],
      ['frame-unexpected', [greeting, encodeFrame({ ...request(1), kind: 'response' })]],
      ['frame-repeated-id', [greeting, slow, slow]],
      ['frame-too-long', [greeting, Uint8Array.of(255, 255, 255, 255, 1, 0, 0, 0, 0, 2)]],
      ['frame-unknown-kind', [greeting, Uint8Array.of(0, 0, 0, 6, 9, 0, 0, 0, 0, 2)]]
    ]
    for (const [name, parts] of table) {
      const { stream, meter } = server()
      for (const part of parts) stream.receive(part)
      t.equal(stream.aborted?.message.includes(name), true, name)
      t.equal(meter.counts[`network.${name}`], 1, name)
    }
  }
)

void t.test('a stream cut inside a frame is counted and ends its handlers', async t => {
  const { stream, meter, aborted } = server()
  stream.receive(greeting)
  stream.receive(encodeFrame({ ...request(1), code: 1 }))
  stream.receive(encodeFrame(request(2)).subarray(0, 7))
  stream.break(new Error('cut'))
  await aborted.promise
  t.equal(meter.counts['network.frames-truncated'], 1)
})

void t.test('after a hello that does not fit, no request is read', async t => {
  const { stream, meter } = server()
  const other = encodeHello({ ...hello, n: 5 })
  stream.receive(encodeFrame({ kind: 'hello', id: 0, code: 0, body: other }))
  stream.receive(encodeFrame(request(1)))
  t.equal(meter.counts['network.requests-received'], undefined)
  t.ok(stream.aborted)
})

void t.test('random bytes at the answering side never do more than end the stream', async t => {
  const property = fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 60 })), async parts => {
    const { stream } = server()
    stream.receive(greeting)
    for (const part of parts) stream.receive(part)
    stream.break(new Error('the end'))
  })
  await t.resolves(fc.assert(property, { numRuns: 2_000 }))
})

void t.test('a request of a kind that is not answered here gets a reason', async t => {
  const { stream } = server()
  stream.receive(greeting)
  stream.receive(encodeFrame({ ...request(1), code: 200 }))
  await turn()
  const sent = new FrameReader().push(concat(stream.writes)).frames
  t.match(sent, [{ kind: 'hello' }, { kind: 'error', id: 1 }])
  t.match(string(sent[1]?.body as Uint8Array), /^ERR_PROTOCOL /)
})

void t.test('a hello round-trips, and anything else is not one', async t => {
  t.strictSame(decodeHello(encodeHello(hello)), hello)
  const told = { ...hello, rival: '00000000000000aa' }
  t.strictSame(decodeHello(encodeHello(told)), told)
  const wrong = [
    { ...hello, epoch: 'x' },
    { ...hello, rival: 'x' },
    { ...hello, n: 0 },
    { ...hello, n: '3' },
    { ...hello, protocols: [2, 1] },
    { ...hello, protocols: [1] },
    { ...hello, clusterId: 7 },
    null,
    []
  ]
  for (const value of wrong) {
    t.equal(decodeHello(bytes(JSON.stringify(value))), undefined, JSON.stringify(value))
  }
  t.equal(decodeHello(Uint8Array.of(255, 0)), undefined)
})

void t.test(
  'nodes disagree about the cluster, n and protocols, and about nothing else',
  async t => {
    t.equal(disagreement(hello, { ...hello, epoch: '1111111111111111' }), undefined)
    t.equal(disagreement(hello, { ...hello, protocols: [1, 9] }), undefined)
    t.match(disagreement(hello, { ...hello, clusterId: 'd' }), /belongs to cluster d/)
    t.match(disagreement(hello, { ...hello, n: 1 }), /keeps 1 copies/)
    t.match(disagreement(hello, { ...hello, protocols: [2, 3] }), /newer/)
    t.match(disagreement({ ...hello, protocols: [2, 3] }, hello), /older/)
  }
)

void t.test('epochs are in the order of starts', t => {
  const chance = Uint8Array.of(255, 254)
  const starts = [0, 1, 1_700_000_000_000, 1_700_000_000_001].map(ms => epochOf(ms, chance))
  t.equal(starts[2], '018bcfe56800fffe')
  t.strictSame([...starts].sort(), starts)
  t.ok(givesWay(starts[3] as string, starts[2] as string))
  t.notOk(givesWay(starts[2] as string, starts[3] as string))
  t.end()
})

/** Greets a restarted peer whose last life has left a connection; `answer` is what comes over that. */
async function greetRestarted(answer: string | undefined) {
  const connection = () => {
    const fake = { remotePeer: peer, remoteAddr: '/memory/1', status: 'open', aborted: false }
    return { ...fake, abort: () => (old.aborted = true) } as unknown as Connection & typeof fake
  }
  const [old, fresh] = [connection(), connection()]
  const host = { addEventListener: () => undefined, getConnections: () => [old, fresh] }
  const seen: unknown[] = []
  const presence = new Presence(
    { host: host as unknown as Host, timers, log: new KeptLog(), meter: new CountingMeter() },
    {
      hello,
      onPeer: (id, up) => seen.push([id, up]),
      challenge: async () => (answer === undefined ? undefined : { ...hello, epoch: answer }),
      onDuplicate: () => seen.push('duplicate')
    }
  )
  await presence.greet(old, { ...hello, epoch: '0000000000000001' })
  const greeting = await presence.greet(fresh, { ...hello, epoch: '0000000000000002' })
  return { old, greeting, seen }
}

void t.test('a connection that a dead process left is no duplicate, and is ended', async t => {
  const { old, greeting, seen } = await greetRestarted(undefined)
  t.strictSame(greeting, { fault: undefined })
  t.ok(old.aborted)
  t.strictSame(seen, [[peer, true]])
})

void t.test('one that answers under its old epoch keeps the later process out', async t => {
  const { old, greeting } = await greetRestarted('0000000000000001')
  t.match(greeting, { fault: { code: 'ERR_DUPLICATE_IDENTITY' }, rival: '0000000000000001' })
  t.notOk(old.aborted)
})

void t.test(
  'a node gives way to the rival that was started before it, and to no other',
  async t => {
    const told: string[] = []
    const presence = new Presence(
      {
        host: { addEventListener: () => undefined, getConnections: () => [] } as unknown as Host,
        timers,
        log: new KeptLog(),
        meter: new CountingMeter()
      },
      {
        hello,
        onPeer: () => undefined,
        challenge: async () => undefined,
        onDuplicate: ({ code }) => told.push(code)
      }
    )
    const connection = { remotePeer: peer, remoteAddr: '', status: 'open' } as unknown as Connection
    const earlier = await presence.greet(connection, { ...hello, rival: '0000000000000001' })
    t.match(earlier, { fault: { code: 'ERR_DUPLICATE_IDENTITY' } })
    const later = await presence.greet(connection, { ...hello, rival: 'ff00000000000000' })
    t.strictSame(later, { fault: undefined })
    t.strictSame(told, ['ERR_DUPLICATE_IDENTITY'])
  }
)

void t.test('an epoch that comes back after another is told from a restart', async t => {
  const epochs = new Epochs()
  const notes = ['a', 'a', 'b', 'c', 'b'].map(epoch => epochs.note(peer, epoch))
  t.strictSame(notes, ['first', 'same', 'new', 'new', 'returned'])
})

void t.test('gossip before a hello or over the limit is dropped and counted', async t => {
  const pubsub = new FakePubsub()
  const meter = new CountingMeter()
  const heard: string[] = []
  const greeted = new Set(['good'])
  new Gossip(
    { pubsub: pubsub.asGossipSub(), meter, log: new KeptLog() },
    {
      topic: 'topic',
      greeted: id => greeted.has(id),
      onMessage: (from, body) => heard.push(`${from} ${body.length}`)
    }
  )
  t.equal(await pubsub.arrive('stranger', 'topic', new Uint8Array(1)), 'ignore')
  t.equal(await pubsub.arrive('good', 'topic', new Uint8Array(16 * 1024 + 1)), 'reject')
  t.equal(await pubsub.arrive('good', 'topic', new Uint8Array(16 * 1024)), 'accept')
  t.strictSame(heard, ['good 16384'])
  t.equal(meter.counts['network.gossip-before-hello'], 1)
  t.equal(meter.counts['network.gossip-rejected'], 1)
})

void t.test('values made of a cluster key are distinct, stable and never the key', async t => {
  const key = pattern(32)
  const { prologue, digestKey, keyId } = deriveKeys(key)
  t.strictSame(deriveKeys(key.slice()), { prologue, digestKey, keyId })
  t.strictSame([prologue.length, digestKey.length, keyId.length], [32, 32, 16])
  const texts = [hex(key), hex(prologue), hex(digestKey)]
  t.equal(new Set([...texts, ...texts.map(text => text.slice(0, 16)), keyId]).size, 7)
  t.equal(keyId, deriveKeys(key).keyId)
  t.not(keyId, deriveKeys(createClusterKey(random)).keyId)
  t.equal(createClusterKey(random).length, 32)
  for (const length of [0, 16, 31, 33]) {
    t.throws(() => deriveKeys(new Uint8Array(length)), { code: 'ERR_CLUSTER_KEY' })
  }
})

void t.test('an identity is made once, kept with mode 0600 and read ever after', async t => {
  const path = t.testdir()
  const first = await loadIdentity(path)
  const again = await loadIdentity(path)
  t.equal(first.nodeId, again.nodeId)
  t.strictSame(first.privateKey.raw, again.privateKey.raw)
  t.equal((await stat(join(path, IDENTITY_FILE))).mode & 0o777, 0o600)
  t.strictSame(await readdir(path), [IDENTITY_FILE], 'and nothing else is left')
  t.not((await createIdentity()).nodeId, first.nodeId)
})

void t.test('a key half written by a crash does not keep the node from starting', async t => {
  const path = t.testdir({ [`${IDENTITY_FILE}.tmp`]: 'half' })
  await loadIdentity(path)
  t.strictSame(await readdir(path), [IDENTITY_FILE])
})

void t.test(
  'an identity that others can read, or that is damaged, is refused and kept',
  async t => {
    const path = t.testdir()
    const file = join(path, IDENTITY_FILE)
    await loadIdentity(path)
    const whole = await readFile(file)
    for (const mode of [0o644, 0o640, 0o602]) {
      await chmod(file, mode)
      await t.rejects(loadIdentity(path), { code: 'ERR_DIRECTORY', message: /chmod 600/ })
    }
    await chmod(file, 0o600)
    for (let at = 0; at < whole.length; at++) {
      const damaged = Uint8Array.from(whole)
      damaged[at] = (damaged[at] as number) ^ 1
      await writeFile(file, damaged)
      await t.rejects(
        loadIdentity(path),
        { code: 'ERR_DIRECTORY', message: /damaged/ },
        `byte ${at}`
      )
    }
    for (const bad of [whole.subarray(0, 40), new Uint8Array(), Buffer.concat([whole, whole])]) {
      await writeFile(file, bad)
      await t.rejects(loadIdentity(path), { code: 'ERR_DIRECTORY', message: /damaged/ })
    }
    await writeFile(file, whole)
    await t.resolves(loadIdentity(path))
  }
)

void t.test('an identity that cannot be kept is a sentence and not a crash', async t => {
  const path = t.testdir()
  await mkdir(join(path, IDENTITY_FILE))
  await t.rejects(loadIdentity(path), { code: 'ERR_DIRECTORY' })
  await t.rejects(loadIdentity(join(path, 'nowhere')), { code: 'ERR_DIRECTORY' })
})

const id = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'
const invite = {
  clusterId: 'c0ffee',
  clusterKey: pattern(32),
  n: 3,
  addresses: [`/ip4/192.0.2.1/tcp/7373/p2p/${id}`, `/dns4/node.example/tcp/1/p2p/${id}`]
}

void t.test('an invite round-trips as one printable line, wrapped or not', async t => {
  const line = encodeInvite(invite)
  t.match(line, /^hearsay1-[\w-]+$/)
  t.strictSame(decodeInvite(line), invite)
  t.strictSame(decodeInvite(`  ${line.slice(0, 70)}\n  ${line.slice(70)}\r\n`), invite)
})

void t.test('an invite that is damaged anywhere or cut short is told apart', async t => {
  const line = encodeInvite(invite)
  const start = 'hearsay1-'.length
  const missed: string[] = []
  for (let at = start; at < line.length; at++) {
    const other = line[at] === 'A' ? 'B' : 'A'
    const damaged = [line.slice(0, at) + other + line.slice(at + 1), line.slice(0, at)]
    missed.push(...damaged.filter(text => refusalOf(text) !== DAMAGED))
  }
  t.strictSame(missed, [])
  t.equal(refusalOf(`${line}A`), DAMAGED)
  t.equal(refusalOf(`${line}!`), DAMAGED)
  t.match(refusalOf(''), /not an invite, which begins with "hearsay1-"; copy the whole line/)
  t.match(refusalOf(`x${line}`), /not an invite/)
  t.match(refusalOf(line.replace('hearsay1', 'hearsay2')), /version 2 and this program reads/)
})

const DAMAGED =
  'ERR_INVITE The invite is damaged or cut short; copy the whole line printed by `hearsay invite`.'

function refusalOf(line: string): string {
  try {
    decodeInvite(line)
    return 'none'
  } catch (error) {
    const { code, message } = error as Error & { code: string }
    return `${code} ${message}`
  }
}

void t.test('an invite that could not be used is never made', async t => {
  const table: readonly (readonly [object, RegExp])[] = [
    [{ clusterKey: new Uint8Array(31) }, /cluster key is not 32 bytes/],
    [{ clusterId: 'a/b' }, /cluster id/],
    [{ n: 0 }, /n is not/],
    [{ n: 1.5 }, /n is not/],
    [{ addresses: [] }, /no address/],
    [{ addresses: Array(17).fill(invite.addresses[0]) }, /more than 16/],
    [{ addresses: ['/ip4/192.0.2.1/tcp/7373'] }, /is not an address with a \/p2p\/ part/],
    [{ addresses: [`/ip4/300.0.2.1/tcp/1/p2p/${id}`] }, /is not an address/],
    [{ addresses: [`/p2p/${id}`] }, /is not an address/],
    [{ addresses: ['example.com'] }, /is not an address/],
    [{ addresses: [`/dns4/${'a'.repeat(300)}/tcp/1/p2p/${id}`] }, /is not an address/]
  ]
  for (const [change, message] of table) {
    t.throws(() => encodeInvite({ ...invite, ...change }), { code: 'ERR_INVITE', message })
  }
})

/** Past everything that was to happen in this turn of the event loop. */
function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(() => setImmediate(resolve)))
}
