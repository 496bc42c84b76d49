/** The three nodes of the demo, and what all steps ask of them. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BackgroundTask, Status } from '../../../index.ts'
import { DemoNode } from './process.ts'
import { until } from './wait.ts'

export type Three<T> = readonly [T, T, T]

const tasks: readonly BackgroundTask[] = ['hints', 'anti-entropy']

export class Cluster {
  readonly directory: string
  readonly nodes: Three<DemoNode>
  readonly #signal: AbortSignal

  constructor(directory: string, signal: AbortSignal) {
    const node = (i: number): DemoNode => new DemoNode(`node ${i}`, join(directory, `node-${i}`))
    this.directory = directory
    this.nodes = [node(1), node(2), node(3)]
    this.#signal = signal
  }

  /** The first node founds the cluster; its invite is all that the others are given. */
  async start(): Promise<void> {
    const [first, ...others] = this.nodes
    await first.start()
    const invite = await first.admin.invite()
    await Promise.all(others.map(node => node.start(invite)))
  }

  /** Until every node sees all three alive, up and filled. */
  async settled(): Promise<void> {
    await this.until('three nodes see each other alive', async () => {
      const all = await this.statuses()
      return all.every(isSettled) ? true : undefined
    })
  }

  /** As `until`, and fails at once, with its last words, when a node has died. */
  until<T>(what: string, probe: () => Promise<T | undefined>, deadlineMs?: number): Promise<T> {
    const checked = async (): Promise<T | undefined> => {
      for (const node of this.nodes) node.check()
      return probe()
    }
    return until(what, checked, this.#signal, deadlineMs)
  }

  async statuses(): Promise<Three<Status>> {
    const [a, b, c] = this.nodes
    return Promise.all([a.admin.status(), b.admin.status(), c.admin.status()])
  }

  async roots(): Promise<Three<string>> {
    const [a, b, c] = await this.statuses()
    return [a.root, b.root, c.root]
  }

  /** Until all three have one root; resolves with it and the milliseconds that it took. */
  async equalRoots(what: string): Promise<{ root: string; ms: number }> {
    const started = Date.now()
    const root = await this.until(what, async () => {
      const [a, b, c] = await this.roots()
      return a === b && b === c ? a : undefined
    })
    return { root, ms: Date.now() - started }
  }

  async pause(task: BackgroundTask): Promise<void> {
    await Promise.all(this.nodes.map(node => node.admin.pause(task)))
  }

  async resume(task: BackgroundTask): Promise<void> {
    await Promise.all(this.nodes.map(node => node.admin.resume(task)))
  }

  async pauseAll(): Promise<void> {
    for (const task of tasks) await this.pause(task)
  }

  /** Rows kept for `owner` by all running nodes together. */
  async hintsFor(owner: DemoNode): Promise<number> {
    const running = this.nodes.filter(node => node.running)
    const all = await Promise.all(running.map(node => node.admin.status()))
    const hints = all.flatMap(status => status.hints)
    return hints.reduce((sum, hint) => sum + (hint.owner === owner.id ? hint.count : 0), 0)
  }

  /** Ends every process, whatever state it is in. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map(node => node.stop()))
  }
}

function isSettled({ members, state, fillingSlots }: Status): boolean {
  const alive = members.filter(each => each.state === 'up' && each.liveness === 'alive')
  return alive.length === 3 && state === 'up' && fillingSlots === 0
}

/** A cluster in a fresh directory, which `remove` takes away again. */
export async function createCluster(
  signal: AbortSignal
): Promise<{ cluster: Cluster; remove(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'hearsay-demo-'))
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true })
  return { cluster: new Cluster(directory, signal), remove }
}
