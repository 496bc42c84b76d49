/**
 * The story, as steps that are each done and checked on three real processes through the same admin
 * calls that an operator has. A step returns the details to show, or throws `StepFailed`.
 */
import type { ReadResult } from '../../../index.ts'
import type { Io } from '../io.ts'
import { withProgress } from '../progress.ts'
import type { Cluster } from './cluster.ts'
import { bytesText, shortId, twoTrees } from './screen.ts'
import { expect } from './wait.ts'

export interface Scene {
  readonly cluster: Cluster
  readonly io: Pick<Io, 'stderr'>
  /** Ends the story early. */
  readonly signal: AbortSignal
  /** Versions that later steps compare with. */
  readonly versions: { ugly: string; cute: string }
}

export interface Step {
  /** A heading, where a new chapter begins. */
  readonly chapter?: string
  readonly title: string
  run(scene: Scene): Promise<readonly string[]>
}

const ugly = 'Jordan is ugly'
const cute = 'Jordan is cute'
const rowCount = 5_000
const missedCount = 50
const inFlight = 64

export const story: readonly Step[] = [
  {
    chapter: 'Three nodes hear of each other',
    title: 'three processes meet over libp2p and see each other alive',
    run: meet
  },
  { title: `Jordan = "${ugly}" is on all three, in one version`, run: writeUgly },
  {
    chapter: 'A node misses the news, and a read repairs it',
    title: 'hints and anti-entropy are paused on all nodes; node 3 stops',
    run: stopThird
  },
  { title: `Jordan = "${cute}" reaches the two that are left`, run: writeCute },
  { title: `node 3 comes back and still says "${ugly}"`, run: returnStale },
  { title: 'a read over two nodes sees both versions, answers the higher, repairs', run: readBoth },
  {
    chapter: 'Two trees differ in one row of thousands',
    title: `${rowCount.toLocaleString('en')} rows are on all three, and the roots are equal`,
    run: fill
  },
  { title: 'B = 9 on node 1, B = 6 on node 3: the roots differ', run: diverge },
  { title: 'the exchange walks down and finds exactly row B', run: exchange },
  {
    chapter: 'Hints bring a node up to date',
    title: `node 3 is down during ${missedCount} writes; a hint is kept for each`,
    run: scene => missWrites(scene, 'hint')
  },
  { title: 'node 3 returns, hints go on, and it catches up by them alone', run: replay },
  {
    chapter: 'Anti-entropy does it without hints',
    title: `node 3 is killed (-9) during ${missedCount} writes, and the hints are dropped`,
    run: loseHints
  },
  { title: 'node 3 returns, anti-entropy goes on, and finds what is missing', run: heal }
]

async function meet({ cluster }: Scene): Promise<string[]> {
  await cluster.start()
  await cluster.settled()
  return cluster.nodes.map(({ name, id, ready }) => {
    const address = ready.listen[0]?.split('/p2p/')[0]
    return `${name}  ${shortId(id)}  ${address}  redis ${ready.redis}  http ${ready.http}`
  })
}

async function writeUgly({ cluster, versions }: Scene): Promise<string[]> {
  const [first] = cluster.nodes
  const { version, acknowledged } = await first.admin.put('Jordan', ugly, { level: 'all' })
  expect(acknowledged.length === 3, `${acknowledged.length} of 3 acknowledged`)
  const result = await first.admin.read('Jordan', { level: 'all' })
  expect(text(result) === ugly, `the value read is ${text(result)}`)
  expect(distinct(result).join() === version, `the versions are ${distinct(result).join(', ')}`)
  versions.ugly = version
  return [`version ${version}`]
}

async function stopThird({ cluster }: Scene): Promise<string[]> {
  await cluster.pauseAll()
  const paused = (await cluster.statuses()).map(status => status.paused.length)
  expect(paused.join() === '2,2,2', `paused tasks are ${paused.join()} and not 2,2,2`)
  await cluster.nodes[2].stop()
  return []
}

async function writeCute({ cluster, versions }: Scene): Promise<string[]> {
  const [first, , third] = cluster.nodes
  const result = await first.admin.put('Jordan', cute, { level: 'two' })
  const { version, acknowledged } = result
  expect(acknowledged.length === 2, `${acknowledged.length} acknowledged, and not 2`)
  expect(!acknowledged.includes(third.id), 'the stopped node is said to have acknowledged')
  expect(version > versions.ugly, `version ${version} is not above ${versions.ugly}`)
  versions.cute = version
  return [`version ${version}`]
}

async function returnStale({ cluster, versions }: Scene): Promise<string[]> {
  const [, , third] = cluster.nodes
  await third.start()
  await cluster.settled()
  const [one, , three] = await cluster.roots()
  expect(one !== three, 'the roots are equal, so something has healed it already')
  const result = await third.admin.read('Jordan', { level: 'one' })
  expect(text(result) === ugly, `it says ${text(result)}`)
  expect(result.version === versions.ugly, `its version is ${result.version}`)
  return [`version ${result.version}, asked at level one`]
}

async function readBoth({ cluster, versions }: Scene): Promise<string[]> {
  const [, , third] = cluster.nodes
  const result = await third.admin.read('Jordan', { level: 'two' })
  expect(text(result) === cute, `the answer is ${text(result)}`)
  const both = [versions.ugly, versions.cute].join(', ')
  expect(
    distinct(result).join(', ') === both,
    `the versions seen are ${distinct(result).join(', ')}`
  )
  expect(result.repaired.join() === third.id, `it repaired ${result.repaired.join() || 'nobody'}`)
  const after = await third.admin.read('Jordan', { level: 'one' })
  expect(text(after) === cute, `node 3 says ${text(after)} afterwards`)
  await cluster.equalRoots('the roots are equal after the read')
  return [
    `saw ${versions.ugly}`,
    ` and ${versions.cute}`,
    `repaired node 3, which now says "${cute}"`
  ]
}

async function fill({ cluster, io, signal }: Scene): Promise<string[]> {
  const [first] = cluster.nodes
  const started = Date.now()
  let done = 0
  const put = async (i: number): Promise<void> => {
    await first.admin.put(`row-${String(i).padStart(4, '0')}`, `value ${i}`, { level: 'all' })
    done++
  }
  const shown = (): string => {
    const perSecond = (done * 1_000) / (Date.now() - started)
    const left = Math.ceil((rowCount - done) / perSecond)
    return `${done} of ${rowCount} rows, ${perSecond.toFixed(0)} a second, ${left} s left`
  }
  await withProgress(io, shown, () => inParallel(rowCount, put, signal))
  const { root } = await cluster.equalRoots('the roots are equal after the writes')
  const seconds = ((Date.now() - started) / 1_000).toFixed(1)
  return [`root ${root.slice(0, 12)}, ${seconds} s for the writes at level all`]
}

/** B is written everywhere, then again while node 3 is away. */
async function diverge({ cluster }: Scene): Promise<string[]> {
  const [first, , third] = cluster.nodes
  await first.admin.put('B', '6', { level: 'all' })
  await third.stop()
  await first.admin.put('B', '9', { level: 'two' })
  await third.start()
  await cluster.settled()
  const [one, two, three] = await cluster.roots()
  expect(one === two, 'the roots of node 1 and node 2 differ')
  expect(one !== three, 'the roots of node 1 and node 3 are equal')
  return twoTrees(
    { name: 'node 1', root: one, leaf: 'B = 9' },
    { name: 'node 3', root: three, leaf: 'B = 6' }
  )
}

async function exchange({ cluster }: Scene): Promise<string[]> {
  const [first, , third] = cluster.nodes
  const [report] = await first.admin.repair({ peer: third.id })
  expect(report !== undefined, 'there is no report')
  const keys = report.keys.map(key => Buffer.from(key).toString())
  expect(keys.join() === 'B', `the rows that differed are ${keys.join(', ') || 'none'}`)
  expect(report.equal, 'the exchange says that the roots still differ')
  const { root } = await cluster.equalRoots('the roots are equal after the exchange')
  const after = await third.admin.read('B', { level: 'one' })
  expect(text(after) === '9', `node 3 says B = ${text(after)}`)
  const { rowsSent, rowsReceived, bytesSent, bytesReceived, roundTrips } = report
  return [
    `${rowsSent} row sent, ${rowsReceived} received, of ${rowCount + 2}`,
    `${bytesText(bytesSent + bytesReceived)} moved in ${roundTrips} round trips`,
    `root ${root.slice(0, 12)} on all three, B = 9`
  ]
}

/** Earlier hints are dropped first, so that the figures are those of this chapter. */
async function missWrites({ cluster, signal }: Scene, prefix: string): Promise<string[]> {
  const [first, second, third] = cluster.nodes
  await Promise.all([first.admin.dropHints(), second.admin.dropHints()])
  await third.stop()
  await inParallel(
    missedCount,
    async i => {
      await first.admin.put(`${prefix}-${i}`, `written without node 3, ${i}`, { level: 'two' })
    },
    signal
  )
  const kept = await cluster.until('a hint is kept for each write', async () => {
    const count = await cluster.hintsFor(third)
    return count >= missedCount ? count : undefined
  })
  return [`${kept} hints are kept for node 3`]
}

async function replay({ cluster }: Scene): Promise<string[]> {
  const [, , third] = cluster.nodes
  await returnBehind(cluster)
  await cluster.resume('hints')
  const { root, ms } = await cluster.equalRoots('the roots are equal by hints')
  await cluster.until('no hint is left', async () =>
    (await cluster.hintsFor(third)) === 0 ? true : undefined
  )
  return [`root ${root.slice(0, 12)} on all three after ${ms} ms, no hint left`]
}

async function loseHints({ cluster, signal }: Scene): Promise<string[]> {
  const [first, second, third] = cluster.nodes
  await cluster.pause('hints')
  await third.kill()
  await inParallel(
    missedCount,
    async i => {
      await first.admin.put(`lost-${i}`, `written without node 3, ${i}`, { level: 'two' })
    },
    signal
  )
  const dropped = await Promise.all([first.admin.dropHints(), second.admin.dropHints()])
  const count = dropped[0] + dropped[1]
  expect((await cluster.hintsFor(third)) === 0, 'hints are left')
  return [`${count} hints dropped`]
}

async function heal({ cluster }: Scene): Promise<string[]> {
  await returnBehind(cluster)
  await cluster.resume('anti-entropy')
  const { root, ms } = await cluster.equalRoots('the roots are equal by anti-entropy')
  await cluster.resume('hints')
  return [`root ${root.slice(0, 12)} on all three after ${ms} ms`]
}

/** Node 3 is started and is seen to lack something. */
async function returnBehind(cluster: Cluster): Promise<void> {
  await cluster.nodes[2].start()
  await cluster.settled()
  const [one, , three] = await cluster.roots()
  expect(one !== three, 'the roots are equal, so node 3 missed nothing')
}

async function inParallel(
  count: number,
  act: (i: number) => Promise<void>,
  signal: AbortSignal
): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) {
      signal.throwIfAborted()
      await act(next++)
    }
  }
  await Promise.all(Array.from({ length: Math.min(inFlight, count) }, lane))
}

function text({ value }: ReadResult): string {
  return value === undefined ? '(nothing)' : Buffer.from(value).toString()
}

/** The versions that were answered, lowest first. */
function distinct({ answers }: ReadResult): string[] {
  const versions = answers.map(({ version }) => version ?? '(none)')
  return [...new Set(versions)].sort()
}
