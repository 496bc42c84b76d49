/**
 * The `hearsay` program as people and scripts meet it: real processes, real ports, a real cluster.
 * What a command says of bad input is one sentence, and nothing is lost by it.
 */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { decodeInvite, encodeInvite, type Invite } from '../src/wire/invite.ts'
import {
  ClusterNode,
  createNode,
  eventually,
  hearsay,
  main,
  Program,
  seeEachOther,
  temporary,
  type Ended
} from './fixtures/cluster-process.ts'

const quiet = ['--listen', '/ip4/127.0.0.1/tcp/0', '--redis', 'off', '--http', 'off']
const valueBytesMax = 1024 * 1024

/** Two members, in which a key is kept that every refusal must leave alone. */
interface World {
  readonly first: ClusterNode
  readonly second: ClusterNode
  readonly invite: string
  /** Where fresh data directories can be named. */
  readonly place: string
}

async function createWorld(t: Test): Promise<World> {
  const [first, second] = [await createNode(t), await createNode(t)]
  await first.start()
  const invite = await first.admin.invite()
  await second.start(invite)
  await eventually('two nodes see each other', () => seeEachOther([first, second]))
  await first.admin.put('kept', 'as it was', { level: 'all' })
  return { first, second, invite, place: await temporary(t) }
}

/** An invite that differs in what is given. */
function forged(invite: string, difference: Partial<Invite>): string {
  return encodeInvite({ ...decodeInvite(invite), ...difference })
}

interface Case {
  readonly name: string
  readonly argv: readonly string[]
  readonly says: RegExp
  readonly status?: number
  readonly input?: Uint8Array | string
  /** On standard output. */
  readonly prints?: RegExp
}

/** One line on standard error that is for people: no stack, no object, no second attempt at it. */
function isSentence({ stderr }: Ended): boolean {
  return /^hearsay: [^\n]{20,}\n$/.test(stderr) && !/\bat .*:\d+:\d+|[{}]|undefined/.test(stderr)
}

const waits = /^(joining, \d+ s so far[^\n]*\n)+$/
/** Even a refusal can take its time on a busy machine, and then says so. */
const mayWait = /^((starting|joining), \d+ s so far[^\n]*\n)*$/

async function refuse(t: Test, each: Case): Promise<void> {
  const { name, argv, says, status = 1, input = '', prints = mayWait } = each
  const ended = await hearsay(t, argv, { input })
  t.equal(ended.status, status, `${name}: the exit status`)
  t.ok(isSentence(ended), `${name}: one sentence`, { stderr: ended.stderr })
  t.match(ended.stderr, says, `${name}: says what is wrong`)
  t.match(ended.stdout.toString(), prints, `${name}: nothing else on standard output`)
}

const lanes = 3

/** A few at a time: each is a process. */
async function refuseAll(t: Test, cases: readonly Case[]): Promise<void> {
  const rest = cases[Symbol.iterator]()
  const lane = async (): Promise<void> => {
    for (const each of rest) await refuse(t, each)
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}

// --- what is refused -----------------------------------------------------------------------------

void t.test('bad input is one sentence and a status, and nothing is lost by it', async t => {
  const world = await createWorld(t)
  const { first, second } = world
  const before = await first.admin.status()

  await t.test('of an invite', t => refuseAll(t, badInvites(world)))
  await t.test('of a data directory', async t => refuseAll(t, await badDirectories(world)))
  await t.test('of addresses, ports and numbers', t => refuseAll(t, badOptions(world)))
  await t.test('of keys, values and levels', t => refuseAll(t, badRequests(world)))

  await t.test('the cluster is as it was', async t => {
    const after = await first.admin.status()
    t.strictSame([after.root, after.rows, after.actor], [before.root, before.rows, before.actor])
    t.equal(after.members.length, 2, 'nobody that could not serve has joined')
    const read = await second.admin.read('kept')
    t.equal(Buffer.from(read.value ?? []).toString(), 'as it was')
  })
})

void t.test('a directory that was refused with a bad invite takes a good one', async t => {
  const founder = await createNode(t)
  await founder.start()
  await founder.admin.put('kept', 'as it was')
  const invite = await founder.admin.invite()
  for (const difference of [
    { clusterKey: randomBytes(32) },
    { clusterId: 'elsewhere' },
    { clusterId: 'elsewhere', clusterKey: randomBytes(32), n: 2 }
  ]) {
    const node = await createNode(t)
    const refused = await node.launch(forged(invite, difference)).ended
    t.equal(refused.status, 1)
    await node.start(invite)
    const read = await node.admin.read('kept')
    t.equal(Buffer.from(read.value ?? []).toString(), 'as it was')
  }
  const other = await createNode(t)
  await other.start()
  await other.end('SIGTERM')
  const refused = await other.launch(invite).ended
  t.match(refused.stderr, /belongs to another cluster than the invite; use a new directory/)
})

function badInvites({ invite, place }: World): Case[] {
  const flipped = invite.slice(0, 40) + (invite[40] === 'A' ? 'B' : 'A') + invite.slice(41)
  const key = forged(invite, { clusterKey: randomBytes(32) })
  const closed = forged(invite, { addresses: [unreachable(invite)] })
  const start = (name: string, text: string, says: RegExp): Case => {
    const data = join(place, name)
    return { name, argv: ['start', '--data', data, ...quiet, '--join', text], says }
  }
  return [
    {
      ...start('closed', closed, /No member of the cluster answered at .*take a fresh invite/),
      prints: waits
    },
    start('flipped', flipped, /invite is damaged or cut short; copy the whole line/),
    start('cut', invite.slice(0, -9), /invite is damaged or cut short; copy the whole line/),
    start('no-invite', 'please', /not an invite, which begins with "hearsay1-"; copy/),
    start('empty-invite', '', /not an invite/),
    start(
      'newer',
      invite.replace('hearsay1-', 'hearsay2-'),
      /version 2 and this .* reads version 1/
    ),
    start('other-key', key, /its key differs; use an invite of that cluster/),
    start(
      'other-id',
      forged(invite, { clusterId: 'elsewhere' }),
      /belongs to another cluster; use/
    ),
    start('other-n', forged(invite, { n: 5 }), /keeps 3 copies \(n\) and this node 5;/)
  ]
}

/** The same node at a port at which nothing listens. */
function unreachable(invite: string): string {
  const [address] = decodeInvite(invite).addresses
  return (address as string).replace(/tcp\/\d+/, 'tcp/1')
}

async function badDirectories({ first, place }: World): Promise<Case[]> {
  const file = join(place, 'file')
  const open = join(place, 'open')
  await writeFile(file, 'not a directory')
  await mkdir(open, { mode: 0o755 })
  await writeFile(join(open, 'letter.txt'), 'somebody else’s')
  const start = (name: string, path: string, says: RegExp, status = 1): Case => {
    return { name, argv: ['start', '--data', path, ...quiet], says, status }
  }
  return [
    start('in use', first.directory, /in use by process \d+; stop that node first, or choose/),
    start('a file', file, /it is a file; give a directory/),
    start('below a file', join(file, 'data'), /a part of the path is a file; choose another/),
    start('open to others', open, /open to other users and not Hearsay's own; choose another/),
    start('no name', '', /--data is empty; name a directory/, 2),
    ...(process.platform === 'linux'
      ? [start('unwritable', '/sys/hearsay', /permission is denied|read-only/)]
      : [])
  ]
}

function badOptions({ first, invite, place }: World): Case[] {
  const { listen, redis, http } = first.ready
  const taken = (listen[0] as string).split('/p2p/')[0] as string
  const start = (name: string, options: string[], says: RegExp, status = 1): Case => {
    const data = join(place, name.replaceAll(' ', '-'))
    return { name, argv: ['start', '--data', data, ...options], says, status }
  }
  const off = ['--redis', 'off', '--http', 'off']
  const listening = (at: string): string[] => ['--listen', at, ...off]
  return [
    start('listen taken', listening(taken), /Another process listens at .*; stop it, or listen/),
    start(
      'redis taken',
      [...quiet, '--redis', `${redis}`],
      /The Redis port .* is taken .*--redis off/
    ),
    start(
      'redis taken, while joining',
      [...quiet, '--redis', `${redis}`, '--join', invite],
      /The Redis port .* is taken .*--redis off/
    ),
    start('http taken', [...quiet, '--http', `${http}`], /The HTTP port .* is taken .*--http off/),
    start('no address', listening('nonsense'), /"nonsense" is not an address to listen at; give/),
    start('udp', listening('/ip4/127.0.0.1/udp/1'), /listen at/),
    start('elsewhere', listening('/ip4/192.0.2.1/tcp/0'), /cannot listen at .*of this machine/),
    start('n 0', [...quiet, '--n', '0'], /--n 0 is not a number from 1 to/, 2),
    start('n 99', [...quiet, '--n', '99'], /--n 99 is not a number from 1 to/, 2),
    start('n 17', [...quiet, '--n', '17'], /1 to 16/, 2),
    start('n word', [...quiet, '--n', 'three'], /--n three is not a number/, 2),
    start(
      'n differs',
      [...quiet, '--n', '5', '--join', invite],
      /created with n = 3.*changed to 5/
    ),
    start('unknown option', ['--prot', '1'], /'--prot'; see hearsay start --help/, 2),
    {
      name: 'unknown command',
      argv: ['sit'],
      says: /no command "sit"; see hearsay help/,
      status: 2
    }
  ]
}

function badRequests({ first, place }: World): Case[] {
  const at = (...argv: string[]): string[] => [...argv, '--data', first.directory]
  const set = at('set', 'big', '-')
  const long = 'k'.repeat(1_025)
  const nowhere = join(place, 'nowhere')
  return [
    {
      name: 'empty key',
      argv: at('get', ''),
      says: /A key has 1 to 1024 bytes and this one has 0/
    },
    { name: 'long key', argv: at('set', long, 'v'), says: /this one has 1025; use another/ },
    { name: 'long key, deleted', argv: at('del', long), says: /this one has 1025; use another/ },
    {
      name: 'value',
      argv: set,
      input: randomBytes(valueBytesMax + 1),
      says: /has at most 1048576;|may have 1 MiB/
    },
    { name: 'huge value', argv: set, input: Buffer.alloc(9_000_000), says: /may have 1 MiB/ },
    {
      name: 'level word',
      argv: at('get', 'kept', '--level', 'most'),
      says: /no level "most"; use one/
    },
    { name: 'level 0', argv: at('get', 'kept', '--level', '0'), says: /no level "0"; use one/ },
    { name: 'level 1.5', argv: at('del', 'kept', '--level', '1.5'), says: /no level "1\.5"; use/ },
    { name: 'no level', argv: at('set', 'kept', 'x', '--level', ''), says: /no level ""; use one/ },
    {
      name: 'set at 5',
      argv: at('set', 'kept', 'x', '--level', '5'),
      says: /needs 5 .*Use a lower/
    },
    { name: 'del at 5', argv: at('del', 'kept', '--level', '5'), says: /needs 5 .*Use a lower/ },
    { name: 'get at 5', argv: at('get', 'kept', '--level', '5'), says: /needs 5 .*Use a lower/ },
    { name: 'peer', argv: at('repair', '--peer', 'nobody'), says: /no other member nobody; see/ },
    { name: 'task', argv: at('pause', 'all'), says: /no task "all"; use hints, anti/, status: 2 },
    ...['status', 'invite', 'repair', 'hints'].map(name => ({
      name: `${name} without a node`,
      argv: [name, '--data', nowhere],
      says: /No node is running on .*, or start it with hearsay start --data/
    }))
  ]
}

void t.test('a directory whose data is gone does not found its cluster again', async t => {
  const first = await createNode(t)
  const second = await createNode(t)
  await first.start()
  await second.start(await first.admin.invite())
  await second.admin.put('kept', 'v', { level: 'all' })
  await first.end('SIGTERM')
  const invite = await second.admin.invite()
  for (const file of ['data.mdb', 'data.mdb-lock']) {
    await rm(join(first.directory, file), { force: true })
  }
  const refused = await hearsay(t, ['start', '--data', first.directory, ...quiet])
  t.equal(refused.status, 1)
  t.match(refused.stderr, /^hearsay: The data in .* is gone, .* give an invite of another node/)
  const { peerId } = await first.start(invite)
  t.equal(peerId, first.id, 'it is the same member as before')
  await eventually('it is filled', async () => (await first.admin.status()).fillingSlots === 0)
  t.same((await first.admin.read('kept', { level: 'all' })).answers.length, 2)
})

void t.test('a level that cannot be met because a node is down sends nothing', async t => {
  const { first, second } = await createWorld(t)
  await second.end('SIGKILL')
  await eventually('it is seen to be down', async () => {
    const { members } = await first.admin.status()
    return members.some(({ id, liveness }) => id === second.id && liveness === 'down')
  })
  const says = /needs 2 replicas and 1 is alive; nothing was sent. Start the missing nodes, or use/
  const all = ['--level', 'all', '--data', first.directory]
  await refuseAll(t, [
    { name: 'set', argv: ['set', 'kept', 'x', ...all], says },
    { name: 'get', argv: ['get', 'kept', ...all], says },
    { name: 'del', argv: ['del', 'kept', ...all], says }
  ])
  const read = await first.admin.read('kept', { level: 'one' })
  t.equal(Buffer.from(read.value ?? []).toString(), 'as it was')
})

void t.test('a data directory that cannot be written to any more is left as it is', async t => {
  const node = await createNode(t)
  await node.start()
  await node.admin.put('k', 'v')
  await node.end('SIGTERM')
  const script =
    'unset NODE_OPTIONS; mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 77; shift; exec "$@"'
  const start = [process.execPath, main, 'start', '--data', node.directory, ...quiet]
  const { status, stderr } = spawnSync('unshare', [
    '-m',
    'sh',
    '-c',
    script,
    '-',
    node.directory,
    ...start
  ])
  if (status === null || status === 77 || stderr.includes('unshare:')) {
    return t.comment('this user cannot mount a directory read-only')
  }
  t.equal(status, 1)
  t.match(
    String(stderr),
    /^hearsay: Cannot use .* as data directory: the file system is read-only; [^\n]*\n$/
  )
  await node.start()
  const read = await node.admin.read('k')
  t.equal(Buffer.from(read.value ?? []).toString(), 'v', 'and it starts again with its data')
})

// --- joining -------------------------------------------------------------------------------------

void t.test('Ctrl-C while joining ends at once, and leaves nothing running', async t => {
  const founder = await createNode(t)
  await founder.start()
  const invite = await founder.admin.invite()
  const place = await temporary(t)
  // Takes the connection and never says a word.
  const mute = createServer(socket => socket.on('error', () => undefined)).listen(0, '127.0.0.1')
  await once(mute, 'listening')
  t.teardown(() => mute.close())
  const { port } = mute.address() as AddressInfo
  const [address] = decodeInvite(invite).addresses
  const there = (address as string).replace(/tcp\/\d+/, `tcp/${port}`)
  const unanswered = forged(invite, { addresses: [there] })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const data = join(place, `joins-${signal}`)
    const argv = ['start', '--json', '--data', data, ...quiet, '--join', unanswered]
    const program = new Program(argv, { ipc: true })
    t.teardown(() => program.end('SIGKILL'))
    await Promise.race([once(mute, 'connection'), program.ended])
    const began = Date.now()
    const ended = await program.end(signal)
    t.ok(Date.now() - began < 3_000, `${signal} ends it within three seconds`)
    t.strictSame([ended.status, ended.signal], [130, null])
    t.equal(ended.stderr, '')
    await t.rejects(access(join(data, 'admin.sock')), { code: 'ENOENT' })

    const node = new ClusterNode(data)
    t.teardown(() => node.end('SIGKILL'))
    t.match(await node.start(invite), { event: 'ready' }, 'the directory can be used afterwards')
  }
})

void t.test(
  'a node goes on with the replication factor of its cluster when none is given',
  async t => {
    const founder = await createNode(t, ['--n', '2'])
    await founder.start()
    const invite = await founder.admin.invite()
    const joiner = await createNode(t)
    await joiner.start(invite)
    t.equal((await joiner.admin.status()).n, 2, 'a node that joins takes it from the invite')
    await founder.end('SIGTERM')
    const again = new ClusterNode(founder.directory)
    t.teardown(() => again.end('SIGKILL'))
    await again.start()
    t.equal((await again.admin.status()).n, 2, 'a node that returns takes it from its directory')
  }
)

// --- what is said --------------------------------------------------------------------------------

const options: Readonly<Record<string, readonly string[]>> = {
  start: [
    ...['data', 'join', 'listen', 'redis', 'http', 'n'],
    ...['read-level', 'write-level', 'durability', 'read-repair', 'json', 'verbose']
  ],
  invite: ['data', 'json'],
  status: ['data', 'json'],
  get: ['data', 'level', 'json'],
  set: ['data', 'level', 'json'],
  del: ['data', 'level', 'json'],
  pause: ['data', 'json'],
  resume: ['data', 'json'],
  repair: ['data', 'peer', 'now', 'json'],
  scrub: ['data', 'json'],
  hints: ['data', 'json'],
  demo: ['once', 'keep']
}

void t.test('the help of each command names each of its options', async t => {
  const overview = await hearsay(t, ['help'])
  t.equal(overview.status, 0)
  for (const [name, expected] of Object.entries(options)) {
    t.match(overview.stdout.toString(), new RegExp(`^  ${name} `, 'm'))
    const { status, stdout, stderr } = await hearsay(t, [name, '--help'])
    t.strictSame([status, stderr], [0, ''])
    const named = [...stdout.toString().matchAll(/^ {2}--([a-z-]+)/gm)].map(match => match[1])
    t.strictSame(named, [...expected, 'help'], name)
  }
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string }
  t.equal((await hearsay(t, ['--version'])).stdout.toString(), `${version}\n`)
})

void t.test('values are bytes, and what a program reads is JSON', async t => {
  const { first, second, invite } = await createWorld(t)
  const run = (argv: string[], input?: Uint8Array): Promise<Ended> =>
    hearsay(t, [...argv, '--data', first.directory], input === undefined ? {} : { input })
  const json = async (...argv: string[]): Promise<unknown> => {
    const { stdout } = await run([...argv, '--json'])
    t.equal(stdout.toString().match(/\n/g)?.length, 1, `${argv[0]} prints one line`)
    return JSON.parse(stdout.toString())
  }

  await t.test('every byte of a value counts', async t => {
    const binary = Buffer.concat([Buffer.from([0, 255, 10, 13, 10]), randomBytes(900_000)])
    t.equal((await run(['set', 'binary', '-'], binary)).status, 0)
    const got = await run(['get', 'binary'])
    t.equal(got.status, 0)
    t.ok(got.stdout.equals(binary), 'the value comes out as it went in')
    t.equal((await run(['set', 'empty', ''])).status, 0)
    const empty = await run(['get', 'empty'])
    t.strictSame([empty.status, empty.stdout.length, empty.stderr], [0, 0, ''])
    const at = ['--data', first.directory]
    t.equal((await hearsay(t, ['set', ...at, '--', 'dash', '-5'])).status, 0, '-- ends options')
    t.equal((await run(['get', 'dash'])).stdout.toString(), '-5')
    const absent = await run(['get', 'nothing'])
    t.strictSame([absent.status, absent.stdout.length], [1, 0])
    t.equal(absent.stderr, '(not found)\n')
  })

  await t.test('of each command', async t => {
    t.match(first.ready, { event: 'ready', redis: Number, http: Number, listen: [String] })
    const version = /^[0-9a-f]{16}\.[0-9a-f]{16}$/
    const both = [first.id, second.id].sort()
    const set = (await json('set', 'k', 'v', '--level', 'all')) as { acknowledged: string[] }
    t.match(set, { version, acknowledged: Array, hinted: [] })
    t.strictSame([...set.acknowledged].sort(), both)
    t.match(await json('get', 'k', '--level', '2'), {
      found: true,
      value: 'v',
      version,
      siblings: 0,
      answers: [
        { node: String, answer: 'row', version },
        { answer: 'row', version }
      ],
      repaired: []
    })
    t.match(await json('del', 'k'), { version, acknowledged: Array, hinted: [] })
    t.match(await json('get', 'k'), { found: false, version }, 'a delete has a version')
    t.strictSame(await json('get', 'never'), { found: false }, 'what never was has none')
    await first.admin.put('bytes', Uint8Array.of(255, 0))
    t.match(await json('get', 'bytes'), { found: true, base64: '/wA=' })
    t.strictSame(await json('invite'), { invite: await first.admin.invite() })
    t.equal(decodeInvite(invite).clusterId, (await first.admin.status()).cluster)
    t.match(await json('status'), {
      id: first.id,
      state: 'up',
      n: 3,
      rows: Number,
      root: /^[0-9a-f]{64}$/,
      members: [{ id: String, state: 'up', liveness: 'alive' }, { id: String }],
      hints: [],
      paused: []
    })
    t.strictSame(await json('hints', 'drop'), { dropped: 0 })
    t.match(await json('repair'), [{ peer: second.id, equal: true, rowsSent: 0, keys: [] }])
  })
})

void t.test('a data directory with a path too long for a socket works all the same', async t => {
  const top = await temporary(t)
  const node = new ClusterNode(join(top, 'deep'.repeat(20), 'deeper'.repeat(20)))
  t.teardown(() => node.end('SIGKILL'))
  await node.start()
  const at = ['--data', node.directory]
  t.equal((await hearsay(t, ['set', 'k', 'v', ...at])).status, 0)
  t.equal((await hearsay(t, ['get', 'k', ...at])).stdout.toString(), 'v')
  t.equal((await node.end('SIGINT'))?.status, 0)
})
