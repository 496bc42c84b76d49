import t from 'tap'
import type { Test } from 'tap'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import { noise } from '@chainsafe/libp2p-noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { admissionProtocol, noiseGate, proveGate } from '../src/net/admission.ts'
import type { EncrypterFactory, GateFactory } from '../src/net/admission.ts'
import { deriveKeys } from '../src/net/keys.ts'
import { REQUESTS_MAX } from '../src/net/limits.ts'
import {
  addressOf,
  clusterKey,
  createTestNode,
  libp2pFactory,
  random,
  startTestNode,
  type TestNode
} from './fixtures/libp2p-world.ts'
import { bytes, failure, latch, networkSuite, string } from './fixtures/network-suite.ts'

const deadlineMs = 20_000

networkSuite(t, 'TCP', libp2pFactory('tcp'))
networkSuite(t, 'memory', libp2pFactory('memory'))

void t.test('a node with another cluster key is refused and told so', async t => {
  const inside = await startTestNode(t, { medium: 'tcp' })
  const outside = await startTestNode(t, { medium: 'tcp', clusterKey: random.bytes(32) })
  const address = addressOf(inside.network)
  const error = await failure(outside.network.dial(address))
  t.equal(error.code, 'ERR_CLUSTER_KEY')
  t.equal(
    error.message,
    `The node at ${address} belongs to another cluster or its key differs; use an invite of that cluster.`
  )
  t.strictSame(inside.network.connected(), [])
  outside.network.learn(inside.network.self, [address])
  const asked = outside.network.request(inside.network.self, 'read', bytes(''), { deadlineMs })
  t.match(await failure(asked), { code: 'ERR_NETWORK', unsent: true, message: /another cluster/ })
})

/** A libp2p node that is not one of ours. */
async function startPlain(t: Test, encrypter: EncrypterFactory) {
  const node = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [encrypter],
    streamMuxers: [yamux()]
  })
  t.teardown(() => node.stop())
  return node
}

function renamed(encrypter: EncrypterFactory, protocol: string): EncrypterFactory {
  return components => Object.assign(encrypter(components), { protocol })
}

void t.test('no stranger completes a handshake, in either direction', async t => {
  const protocol = admissionProtocol(deriveKeys(clusterKey).keyId)
  const strangers: Record<string, EncrypterFactory> = {
    'plain libp2p': noise(),
    'another encrypter': renamed(noise(), '/tls/1.0.0'),
    'one that knows the public id of the key': renamed(noise(), protocol),
    'one with a prologue of its own': renamed(noiseGate(random.bytes(32)), protocol)
  }
  for (const [name, encrypter] of Object.entries(strangers)) {
    const ours = await startTestNode(t, { medium: 'tcp' })
    const theirs = await startPlain(t, encrypter)
    await t.rejects(theirs.dial(multiaddr(addressOf(ours.network))), `${name} dials`)
    const error = await failure(ours.network.dial(theirs.getMultiaddrs()[0]?.toString() as string))
    t.equal(error.code, 'ERR_CLUSTER_KEY', `${name} is dialled: ${error.message}`)
    t.strictSame(ours.network.connected(), [], name)
    t.equal(theirs.getConnections().length, 0, name)
  }
})

void t.test(
  'the stranger with the right prologue is let in, so the test above can fail',
  async t => {
    const keys = deriveKeys(clusterKey)
    const waiting: (() => void)[] = []
    const timers = { after: (_ms: number, fn: () => void) => (waiting.push(fn), () => undefined) }
    const ours = await startTestNode(t, { medium: 'tcp', timers })
    const gate = renamed(noiseGate(keys.prologue), admissionProtocol(keys.keyId))
    const theirs = await startPlain(t, gate)
    const connection = await theirs.dial(multiaddr(addressOf(ours.network)))
    t.equal(connection.status, 'open')
    t.strictSame(ours.network.connected(), [], 'but without a hello it is nobody')
    const closed = new Promise(resolve => connection.addEventListener('close', resolve))
    // Even a refusal shows that our side knows the connection too.
    await failure(connection.newStream('/nothing/like/this'))
    for (const fn of waiting) fn()
    await closed
    t.equal(ours.meter.counts['network.hellos-missing'], 1, 'and it is shown out in the end')
  }
)

void t.test('the self-test finds a gate that lets everybody in or nobody', async t => {
  await t.resolves(proveGate(noiseGate, random))
  const open: GateFactory = () => noise()
  await t.rejects(proveGate(open, random), { code: 'ERR_CLUSTER_KEY', message: /another key/ })
  let made = 0
  const shut: GateFactory = () => noise({ prologueBytes: Uint8Array.of(made++) })
  await t.rejects(proveGate(shut, random), { code: 'ERR_CLUSTER_KEY', message: /same key/ })
  const { network } = await createTestNode(t, { gate: open })
  await t.rejects(network.start(), { code: 'ERR_CLUSTER_KEY' })
  t.strictSame(network.addresses(), [], 'and the node does not start')
})

void t.test('a node does not start while the environment asks to log its keys', async t => {
  const { network } = await createTestNode(t)
  process.env['DUMP_SESSION_KEYS'] = '1'
  t.teardown(() => delete process.env['DUMP_SESSION_KEYS'])
  await t.rejects(network.start(), { code: 'ERR_CLUSTER_KEY', message: /DUMP_SESSION_KEYS/ })
})

void t.test('a node with the key but of another cluster is refused and told so', async t => {
  const one = await startTestNode(t)
  const other = await startTestNode(t, { clusterId: 'other' })
  const error = await failure(other.network.dial(addressOf(one.network)))
  t.match(error, { code: 'ERR_CLUSTER_MISMATCH', message: /another cluster; use an invite/ })
  t.strictSame([...one.network.connected(), ...other.network.connected()], [])
})

void t.test('a node with another n is refused, and both sides know why', async t => {
  const one = await startTestNode(t)
  const other = await startTestNode(t, { n: 5 })
  const error = await failure(other.network.dial(addressOf(one.network)))
  t.match(error, { code: 'ERR_CLUSTER_MISMATCH', message: /keeps 3 copies \(n\) and this node 5/ })
  t.match(one.log.lines, [['warn', 'peer-refused', { peer: other.network.self }]])
  t.strictSame([...one.network.connected(), ...other.network.connected()], [])
})

void t.test(
  'two nodes that dial each other at once both get through, and are reported once',
  async t => {
    const nodes = [await createTestNode(t), await createTestNode(t)] as const
    const [a, b] = nodes.map(node => node.network) as [
      (typeof nodes)[0]['network'],
      (typeof nodes)[1]['network']
    ]
    const events: string[] = []
    for (const network of [a, b]) {
      network.handle('read', async from => bytes(from))
      network.onPeer((peer, connected) => events.push(`${network.self} ${peer} ${connected}`))
      await network.start()
    }
    a.learn(b.self, b.addresses())
    b.learn(a.self, a.addresses())
    const answers = await Promise.all([
      a.request(b.self, 'read', bytes(''), { deadlineMs }),
      b.request(a.self, 'read', bytes(''), { deadlineMs })
    ])
    t.strictSame(answers.map(string), [a.self, b.self])
    t.strictSame(events.sort(), [`${a.self} ${b.self} true`, `${b.self} ${a.self} true`].sort())
  }
)

void t.test('requests made before there is a connection share one dial', async t => {
  const a = await startTestNode(t)
  const b = await createTestNode(t)
  b.network.handle('read', async () => bytes('ok'))
  await b.network.start()
  a.network.learn(b.network.self, b.network.addresses())
  const ask = () => a.network.request(b.network.self, 'read', bytes(''), { deadlineMs })
  await Promise.all(Array.from({ length: 50 }, ask))
  t.equal(a.meter.counts['network.dials'], 1)
})

void t.test('the frames of one turn leave in one write', async t => {
  const a = await startTestNode(t)
  const b = await createTestNode(t)
  b.network.handle('read', async () => bytes('ok'))
  await b.network.start()
  await a.network.dial(addressOf(b.network))
  const before = a.meter.counts['network.writes'] as number
  const ask = () => a.network.request(b.network.self, 'read', bytes('?'), { deadlineMs })
  await Promise.all(Array.from({ length: 100 }, ask))
  t.equal(a.meter.counts['network.writes'], before + 1)
})

void t.test(
  'requests over the limit in flight are refused, and room is made by answers',
  async t => {
    const gate = latch()
    const a = await startTestNode(t)
    const b = await createTestNode(t)
    b.network.handle('read', () => gate.promise.then(() => bytes('ok')))
    await b.network.start()
    await a.network.dial(addressOf(b.network))
    const ask = () => a.network.request(b.network.self, 'read', bytes(''), { deadlineMs })
    const asked = Array.from({ length: REQUESTS_MAX }, ask)
    t.match(await failure(ask()), { code: 'ERR_OVERLOADED' })
    gate.open()
    t.equal((await Promise.all(asked)).length, REQUESTS_MAX)
    t.equal(string(await ask()), 'ok')
  }
)

void t.test('a request or an answer over 4 MiB is refused and the stream lives on', async t => {
  const a = await startTestNode(t)
  const b = await createTestNode(t)
  const big = new Uint8Array(4 * 1024 * 1024)
  b.network.handle('read', async (_from, body) => (body.length === 1 ? big : body))
  await b.network.start()
  await a.network.dial(addressOf(b.network))
  const ask = (body: Uint8Array) => a.network.request(b.network.self, 'read', body, { deadlineMs })
  t.match(await failure(ask(big)), { code: 'ERR_ARGUMENT' })
  t.match(await failure(ask(bytes('1'))), { code: 'ERR_REMOTE', message: /over the limit/ })
  t.equal((await ask(big.subarray(0, -6))).length, big.length - 6)
  t.equal(b.meter.counts['network.requests-received'], 2)
})

void t.test(
  'answers that nobody takes stop the reading of requests, and all arrive in the end',
  async t => {
    const a = await startTestNode(t, { medium: 'tcp' })
    const b = await createTestNode(t, { medium: 'tcp' })
    const body = new Uint8Array(256 * 1024)
    b.network.handle('read', async () => body)
    await b.network.start()
    await a.network.dial(addressOf(b.network))
    const ask = () => a.network.request(b.network.self, 'read', bytes(''), { deadlineMs })
    const answers = await Promise.all(Array.from({ length: 200 }, ask))
    t.ok(answers.every(answer => answer.length === body.length))
    t.ok(b.meter.counts['network.reads-paused'], 'reading has stopped at least once')
  }
)

void t.test('a peer that comes back is found again at its address', async t => {
  const a = await startTestNode(t, { medium: 'tcp' })
  const first = await createTestNode(t, { medium: 'tcp' })
  const answer = async () => bytes('ok')
  first.network.handle('read', answer)
  await first.network.start()
  const address = addressOf(first.network)
  await a.network.dial(address)
  const ask = () => a.network.request(first.network.self, 'read', bytes(''), { deadlineMs })
  await ask()
  await first.network.stop()
  t.match(await failure(ask()), { code: 'ERR_NETWORK' })
  const listen = [address.slice(0, address.indexOf('/p2p/'))]
  const { identity } = first
  const again = await createTestNode(t, { medium: 'tcp', listen, identity })
  again.network.handle('read', answer)
  await again.network.start()
  t.equal(string(await ask()), 'ok')
  t.strictSame(a.network.connected(), [again.network.self])
})

async function copied(t: Test) {
  const watcher = await startTestNode(t)
  watcher.network.handle('read', async () => bytes('ok'))
  const one = await startTestNode(t)
  const copy = await startTestNode(t, { identity: one.identity })
  const told = { one: 0, copy: 0 }
  one.network.onDuplicate(() => told.one++)
  copy.network.onDuplicate(() => told.copy++)
  const address = addressOf(watcher.network)
  const ask = ({ network }: TestNode) =>
    network.request(watcher.network.self, 'read', bytes(''), { deadlineMs })
  return { watcher, one, copy, told, address, ask }
}

void t.test('a copy is refused by whoever is connected to the original', async t => {
  const { watcher, one, copy, told, address, ask } = await copied(t)
  await one.network.dial(address)
  await t.rejects(copy.network.dial(address), { code: 'ERR_DUPLICATE_IDENTITY' })
  t.strictSame(told, { one: 0, copy: 1 })
  t.equal(string(await ask(one)), 'ok')
  t.match(watcher.log.lines, [['warn', 'duplicate-identity', { peer: one.network.self }]])
})

void t.test('of two with one identity the later one gives way, whichever is met first', async t => {
  const { one, copy, told, address, ask } = await copied(t)
  await copy.network.dial(address)
  const gone = latch()
  copy.network.onPeer((_peer, connected) => connected || gone.open())
  await one.network.dial(address)
  await gone.promise
  t.match(await failure(ask(copy)), { code: 'ERR_NETWORK' })
  t.strictSame(told, { one: 0, copy: 1 })
  t.equal(string(await ask(one)), 'ok')
})

void t.test('a node that is dialled by its own identity warns of the copy', async t => {
  const one = await startTestNode(t)
  const copy = await startTestNode(t, { identity: one.identity })
  const bare = addressOf(one.network).replace(/\/p2p\/.*/, '')
  await t.rejects(copy.network.dial(bare), { code: 'ERR_NETWORK' })
  await t.rejects(copy.network.dial(addressOf(one.network)), { message: /names this node itself/ })
  t.match(one.log.lines, [['warn', 'duplicate-identity', { peer: one.network.self }]])
})

void t.test('a port in use and an address that is none end the start with a sentence', async t => {
  const { network } = await startTestNode(t, { medium: 'tcp' })
  const [where] = addressOf(network).split('/p2p/') as [string]
  const second = await createTestNode(t, { medium: 'tcp', listen: [where] })
  const error = await failure(second.network.start())
  t.equal(error.code, 'ERR_PORT_IN_USE')
  t.ok(error.message.includes(where), error.message)
  for (const listen of ['here', '/ip4/127.0.0.1', `${where}/p2p/${network.self}`]) {
    const made = createTestNode(t, { medium: 'tcp', listen: [listen] })
    await t.rejects(
      made.then(node => node.network.start()),
      { code: 'ERR_ARGUMENT', message: listen },
      listen
    )
  }
  const foreign = await createTestNode(t, { medium: 'tcp', listen: ['/ip4/192.0.2.1/tcp/0'] })
  await t.rejects(foreign.network.start(), { code: 'ERR_ARGUMENT', message: /192\.0\.2\.1/ })
  await t.rejects(network.dial('nowhere'), { code: 'ERR_ARGUMENT', message: /nowhere/ })
})

void t.test('nobody at an address, or another than it names, is a plain network error', async t => {
  const { network } = await startTestNode(t, { medium: 'tcp' })
  const other = await startTestNode(t, { medium: 'tcp' })
  const gone = await startTestNode(t, { medium: 'tcp' })
  const address = addressOf(gone.network)
  await gone.network.stop()
  t.match(await failure(network.dial(address)), { code: 'ERR_NETWORK', unsent: true })
  const wrong = addressOf(other.network).replace(/p2p\/.*/, `p2p/${gone.network.self}`)
  t.match(await failure(network.dial(wrong)), { code: 'ERR_NETWORK', message: /another identity/ })
  const signal = AbortSignal.abort()
  t.match(await failure(network.dial(addressOf(other.network), signal)), { code: 'ERR_NETWORK' })
})

void t.test('half-open sockets of strangers do not keep a member out', async t => {
  const { network } = await startTestNode(t, { medium: 'tcp' })
  const member = await startTestNode(t, { medium: 'tcp' })
  const port = Number(/tcp\/(\d+)/.exec(addressOf(network))?.[1])
  const sockets = Array.from({ length: 20 }, () => connectSocket(port, '127.0.0.1'))
  t.teardown(() => sockets.forEach(socket => socket.destroy()))
  await Promise.all(sockets.map(socket => once(socket, 'connect')))
  t.equal(await member.network.dial(addressOf(network)), network.self)
})

void t.test(
  'addresses that cannot be of the peer are left out, and the good one is used',
  async t => {
    const a = await startTestNode(t)
    const b = await createTestNode(t)
    b.network.handle('read', async () => bytes('ok'))
    await b.network.start()
    const [good] = addressOf(b.network).split('/p2p/') as [string]
    const lies = ['nonsense', '', `/memory/other/p2p/${a.network.self}`]
    a.network.learn(b.network.self, [...lies, good])
    t.equal(a.meter.counts['network.addresses-refused'], lies.length)
    const answer = await a.network.request(b.network.self, 'read', bytes(''), { deadlineMs })
    t.equal(string(answer), 'ok')
  }
)

void t.test('a process whose network is stopped ends by itself', async t => {
  const file = new URL('./fixtures/network-stop.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [...process.execArgv, file], { stdio: 'inherit' })
  t.teardown(() => child.kill())
  t.strictSame(await once(child, 'exit'), [0, null])
})
