/**
 * Real processes: three nodes that are killed, stopped and started again, as machines are. What the
 * simulator shows of the engine is shown here of the whole program, with LMDB, libp2p and the kernel.
 */
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import {
  createCluster,
  createNode,
  eventually,
  hearsay,
  rootsAreEqual,
  seeEachOther,
  type ClusterNode
} from './fixtures/cluster-process.ts'
import { fault, faults, Writer } from './fixtures/cluster-writer.ts'
import { Stream } from './fixtures/sim/random.ts'

const seed = Number(process.env['SEED'] ?? 20_260_117)
t.comment(`SEED=${seed}`)

// --- kill -9 -------------------------------------------------------------------------------------

interface Round {
  /** Which nodes are killed, at once. */
  readonly victims: readonly number[]
  /** How many acknowledgements come before, so that it happens in the middle of writing. */
  readonly after: number
  /** How many come before they are started again; none come while too many are down. */
  readonly away: number
  /** Whether they are killed again while they start. */
  readonly twice: boolean
}

function plan(nodes: number, rounds: number): Round[] {
  const random = new Stream(seed, 'kill', nodes)
  return Array.from({ length: rounds }, () => {
    const count = random.chance(0.6) ? 1 : random.int(1, nodes + 1)
    const order = Array.from({ length: nodes }, (_, i) => [random.u32(), i] as const).sort()
    const victims = order.slice(0, count).map(([, i]) => i)
    const quorum = nodes - count > nodes / 2
    const away = quorum ? random.int(0, 60) : 0
    return { victims, after: random.int(0, 120), away, twice: random.chance(0.25) }
  })
}

async function play(nodes: readonly ClusterNode[], writer: Writer, round: Round): Promise<void> {
  const victims = round.victims.map(i => nodes[i] as ClusterNode)
  await writer.more(round.after)
  await Promise.all(victims.map(node => node.end('SIGKILL')))
  await writer.more(round.away)
  if (round.twice) {
    await Promise.all(victims.map(node => killWhileStarting(node)))
  }
  await Promise.all(victims.map(node => node.start()))
  await writer.more(1)
}

/** In the middle: the lock is taken and the store is being opened, or the network begins. */
async function killWhileStarting(node: ClusterNode): Promise<void> {
  const program = node.launch(undefined, ['--verbose'])
  await program.spoke
  await node.end('SIGKILL')
}

async function survives(t: Test, nodes: readonly ClusterNode[], rounds: number): Promise<void> {
  const writer = new Writer(nodes, { seed })
  t.teardown(() => writer.stop())
  for (const round of plan(nodes.length, rounds)) await play(nodes, writer, round)
  await writer.more(20)
  await writer.stop()
  t.strictSame(writer.surprises, [], 'every error is one that a killed node explains')
  await eventually('all hold the same', () => rootsAreEqual(nodes))
  t.strictSame(await faults(writer, nodes), [], 'no acknowledged write is missing')
  t.comment(`${writer.acknowledged} acknowledged writes of ${writer.histories.size} keys`)
}

void t.test('kill -9 of any of three nodes at any moment loses no acknowledged write', async t => {
  const nodes = await createCluster(t)
  await survives(t, nodes, 9)
  await eventually('they see each other alive', () => seeEachOther(nodes))
})

void t.test('kill -9 of a node that is alone loses no acknowledged write', async t => {
  const node = await createNode(t)
  const { peerId } = await node.start()
  await survives(t, [node], 4)
  t.equal(node.id, peerId, 'it is the same node as before')
})

void t.test('the check of acknowledged writes finds what is lost', async t => {
  const write = (value: string | undefined, version: string | undefined) => ({
    key: 'k',
    value,
    version
  })
  const read = (value: string | undefined, version: string | undefined) => ({
    value: value === undefined ? undefined : new TextEncoder().encode(value),
    kind: value === undefined ? undefined : ('register' as const),
    version,
    expiresAt: undefined,
    siblings: 0,
    answers: [],
    repaired: []
  })
  const history = [write('a', '01.x'), write('b', undefined), write(undefined, '03.y')]
  t.equal(fault(history, read(undefined, '03.y')), undefined, 'the delete won')
  t.equal(fault(history, read('b', '04.y')), undefined, 'the unknown one won')
  t.match(fault(history, read('a', '01.x')), /^lost 03\.y/, 'the delete is gone')
  t.match(fault(history, read(undefined, undefined)), /^lost/, 'all is gone')
  t.match(fault(history, read('a', '03.y')), /never given/, 'a deleted value is back')
  t.match(fault(history, read('z', '05.y')), /never given/, 'nobody wrote it')
  t.match(fault([write('b', undefined)], read('z', '05.y')), /never given/)
})

// --- membership ----------------------------------------------------------------------------------

/** What a node says of a member. */
async function stateAt(node: ClusterNode, id: string): Promise<string | undefined> {
  return (await node.admin.status()).members.find(member => member.id === id)?.state
}

void t.test('nodes learn of each other by gossip, not only from the invite', async t => {
  const [first, second, third] = [await createNode(t), await createNode(t), await createNode(t)]
  const { listen } = await first.start()
  const invite = await first.admin.invite()
  await second.start(invite)
  await third.start(invite)
  await eventually('all three see each other', () => seeEachOther([first, second, third]))
  t.equal((await first.end('SIGTERM'))?.status, 0)

  t.ok(await seeEachOther([second, third]), 'the other two still do')
  const { acknowledged } = await second.admin.put('k', 'without the first', { level: 'two' })
  t.same([...acknowledged].sort(), [second.id, third.id].sort())
  const read = await third.admin.read('k', { level: 'two' })
  t.equal(Buffer.from(read.value ?? []).toString(), 'without the first')

  const fourth = await createNode(t)
  const again = await second.admin.invite()
  await fourth.start(again)
  await eventually('the fourth is filled', async () => {
    const states = await Promise.all([second, third, fourth].map(node => stateAt(node, fourth.id)))
    return states.every(state => state === 'filled')
  })
  const found = await fourth.admin.read('k')
  t.equal(Buffer.from(found.value ?? []).toString(), 'without the first', 'it reads through them')

  await first.start()
  t.same(first.ready.listen, listen, 'the first comes back where it was')
  await eventually('it hears of the fourth, which is up then', () =>
    seeEachOther([first, second, third, fourth])
  )
})

// --- one of three --------------------------------------------------------------------------------

void t.test('with three nodes', async t => {
  const all = await createCluster(t)
  const [first, second, third] = all

  await t.test('while one is down quorum writes go on, and it catches up by itself', async t => {
    const before = (await first.admin.status()).rows
    await third.end('SIGKILL')
    const writes = Array.from({ length: 100 }, (_, i) => {
      const { admin } = i % 2 === 0 ? first : second
      return i % 10 === 0 ? admin.delete(`down-${i}`) : admin.put(`down-${i}`, `value ${i}`)
    })
    const nodes = (await Promise.all(writes)).flatMap(({ acknowledged }) => acknowledged)
    t.notOk(nodes.includes(third.id), 'the node that is down has acknowledged nothing')
    await third.start()
    await eventually('it is identical, without a request', () => rootsAreEqual(all))
    t.equal((await third.admin.status()).rows, before + 100)
    const one = await third.admin.read('down-1', { level: 'one' })
    t.equal(Buffer.from(one.value ?? []).toString(), 'value 1')
  })

  await t.test('what a Redis client sets on one, one on another gets', async t => {
    const connect = ({ ready }: ClusterNode): Redis => {
      const client = new Redis({ port: ready.redis as number, host: '127.0.0.1' })
      t.teardown(() => client.disconnect())
      return client
    }
    const [here, there] = [connect(first), connect(second)]
    const binary = Buffer.from([0, 255, 13, 10, 36, 0])
    t.equal(await here.set('text', 'över'), 'OK')
    t.equal(await here.set(binary, binary), 'OK')
    t.equal(await there.get('text'), 'över')
    t.strictSame(await there.getBuffer(binary), binary)
    t.equal(await there.exists('text', 'nothing'), 1)
    t.equal(await there.del('text'), 1)
    t.equal(await here.get('text'), null)
    const read = await third.admin.read(binary, { level: 'all' })
    t.strictSame(Buffer.from(read.value ?? []), binary)
  })
})

// --- ends and beginnings -------------------------------------------------------------------------

void t.test('a data directory goes on as the same node, with its data', async t => {
  const node = await createNode(t)
  const { peerId } = await node.start()
  await node.admin.put('k', 'v')
  const before = await node.admin.status()

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const ended = await node.end(signal)
    t.equal(ended?.status, 0, `${signal} ends it with status 0`)
    t.equal(ended?.stderr, '')
    t.match(ended?.stdout.toString(), /\n\{"event":"stopped"\}\n$/)
    await node.start()
    const { actor, root, rows, cluster } = await node.admin.status()
    const { actor: a, root: r, rows: n, cluster: c } = before
    t.strictSame({ actor, root, rows, cluster }, { actor: a, root: r, rows: n, cluster: c })
    t.equal(node.id, peerId)
    t.equal(Buffer.from((await node.admin.read('k')).value ?? []).toString(), 'v')
  }

  const second = await hearsay(t, ['start', '--data', node.directory, '--redis', 'off'])
  t.equal(second.status, 1, 'a second process on it refuses')
  t.match(second.stderr, /^hearsay: The data directory .* is in use by process \d+; stop [^\n]+\n$/)
  t.equal((await node.admin.status()).id, peerId, 'and the first does not notice')

  await node.end('SIGKILL')
  await node.start()
  const { actor, root } = await node.admin.status()
  t.not(actor, before.actor, 'after kill -9 it goes on under another actor')
  t.equal(root, before.root)
  t.equal(node.id, peerId)
})
