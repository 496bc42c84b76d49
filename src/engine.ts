/**
 * The engine of one node: its parts, wired to the ports it is given, and its work in the background.
 * The only place that knows every part. It answers other nodes by itself; what clients and people ask
 * of it is node.ts. It runs the same on LMDB and libp2p (index.ts) and on a simulated world.
 */
import { Liveness } from './cluster/liveness.ts'
import { Membership } from './cluster/membership.ts'
import { Remembered } from './cluster/remembered.ts'
import { Blind, type Keeping } from './coordinator/blind.ts'
import { CatchUp } from './coordinator/catch-up.ts'
import { Coordinator } from './coordinator/coordinator.ts'
import { Data } from './coordinator/data.ts'
import { Explainer } from './coordinator/explainer.ts'
import { Fanout } from './coordinator/fanout.ts'
import { Reader } from './coordinator/reader.ts'
import { Writer } from './coordinator/writer.ts'
import type { Forest } from './digest/forest.ts'
import type { BackgroundTask, RequestDefaults } from './options.ts'
import type { Clock, Log, Meter, Network, Random, Store, Timers } from './ports.ts'
import { AntiEntropy, type AntiEntropyInit } from './repair/anti-entropy.ts'
import { Arrival } from './repair/arrival.ts'
import { ByHand } from './repair/by-hand.ts'
import { Entry, type EntryInit } from './repair/entry.ts'
import { Foreground } from './repair/foreground.ts'
import { Handoff } from './repair/handoff.ts'
import { Hints, type HintsInit } from './repair/hints.ts'
import { Leftovers } from './repair/leftovers.ts'
import { isBackgroundTask, Pauses } from './repair/pauses.ts'
import { Recovery } from './repair/recovery.ts'
import { Scrub } from './repair/scrub.ts'
import { Settling } from './repair/settling.ts'
import { Trees } from './repair/trees.ts'
import { Worker, type WorkerInit } from './repair/worker.ts'
import { Replica, type ReplicaInit } from './replica/replica.ts'
import { serveReplica } from './replica/serve.ts'
import type { NodeId } from './util/node-id.ts'
import { sleep } from './util/sleep.ts'
import { everyStep } from './util/steps.ts'
import type { Mark } from './wire/mark.ts'

export interface EngineComponents {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly store: Store
  readonly network: Network
  readonly log: Log
  readonly meter: Meter
  readonly forest: Forest
}

export interface EngineInit extends EntryInit {
  /** Replication factor. */
  readonly n: number
  /** What requests go by that do not say it themselves. */
  readonly defaults: RequestDefaults
  readonly replica?: ReplicaInit
  readonly hints?: HintsInit
  readonly antiEntropy?: AntiEntropyInit
  /**
   * Mean pause between two rounds of exchanges. Shorter finds divergence sooner and costs a small
   * message to each peer every time.
   *
   * @default 3_000
   */
  readonly exchangeMs?: number
  /**
   * Mean pause between two looks at the hints.
   *
   * @default 1_000
   */
  readonly hintsMs?: number
  /**
   * Mean pause between two turns of saving trees that have changed. Shorter has fewer rows to read
   * after a crash and writes the tree of a busy slot more often.
   *
   * @default 5_000
   */
  readonly checkpointMs?: number
  /**
   * Mean pause between two turns of the slow scrub, each of one slot or a thousand rows. Shorter finds
   * bit rot sooner and reads more: at the default a pass takes at most two days.
   *
   * @default 10_000
   */
  readonly scrubMs?: number
}

type Workers = Readonly<Record<BackgroundTask | 'arrival' | 'quarantine' | 'checkpoint', Worker>>

const CHECKPOINTS_A_TURN = 4

export class Engine {
  readonly replica: Replica
  readonly membership: Membership
  readonly liveness: Liveness
  readonly data: Data
  readonly explainer: Explainer
  readonly hints: Hints
  readonly antiEntropy: AntiEntropy
  readonly pauses: Pauses
  readonly settling: Settling
  readonly trees: Trees
  readonly scrub: Scrub
  readonly byHand: ByHand
  readonly #components: EngineComponents
  readonly #handoff: Handoff
  readonly #arrival: Arrival
  readonly #entry: Entry
  readonly #leftovers: Leftovers
  readonly #recovery: Recovery
  readonly #workers: Workers

  constructor(components: EngineComponents, init: EngineInit) {
    this.#components = components
    const remembered = new Remembered({
      ...components,
      mark: (): Mark => replica.mark.committed,
      knows: (mark: Mark): boolean => replica.mark.knows(mark)
    })
    const replica: Replica = new Replica({ ...components, companion: remembered }, init.replica)
    const membership = new Membership(
      {
        ...components,
        remembered,
        nextIncarnation: () => replica.identity.nextDot().time,
        actor: () => replica.identity.actor,
        onRolledBack: mark => this.#distrust(mark)
      },
      { n: init.n }
    )
    const liveness = new Liveness({ ...components, membership })
    const parts = { ...components, replica, membership, liveness }
    const fanout = new Fanout(parts)
    this.replica = replica
    this.membership = membership
    this.liveness = liveness
    this.hints = new Hints(parts, init.hints)
    const foreground = new Foreground(components)
    const busy = () => foreground.busy
    this.antiEntropy = new AntiEntropy({ ...parts, busy }, init.antiEntropy)
    this.#leftovers = new Leftovers({ ...parts, antiEntropy: this.antiEntropy })
    this.#recovery = new Recovery({ ...parts, leftovers: this.#leftovers })
    this.#handoff = new Handoff({
      ...parts,
      antiEntropy: this.antiEntropy,
      recovery: this.#recovery
    })
    this.#arrival = new Arrival({ ...parts, antiEntropy: this.antiEntropy })
    this.#entry = new Entry({ ...parts, handoff: this.#handoff, arrival: this.#arrival }, init)
    const reader = new Reader({ ...parts, fanout })
    const hint = (owner: NodeId, key: Uint8Array) => this.hints.add(owner, key)
    const keep = (keeping: Keeping) => this.hints.keep(keeping)
    const coordinator = new Coordinator({
      ...parts,
      blind: new Blind({ ...parts, keep }),
      writer: new Writer({ ...parts, fanout, hint }),
      catchUp: new CatchUp({ ...parts, reader })
    })
    const during = <T>(request: () => Promise<T>) => foreground.during(request)
    this.data = new Data({ ...parts, reader, coordinator, during }, { defaults: init.defaults })
    this.explainer = new Explainer({
      ...parts,
      hintedFor: key => this.hints.owners(key),
      carried: key => this.hints.carried(key),
      matched: slot => this.antiEntropy.matched(slot)
    })
    this.byHand = new ByHand({ ...parts, antiEntropy: this.antiEntropy })
    this.settling = new Settling({ ...parts, antiEntropy: this.antiEntropy })
    this.trees = new Trees(parts)
    this.scrub = new Scrub({ ...parts, heal: signal => this.#heal(signal) })
    this.pauses = new Pauses(components.store)
    this.#workers = this.#createWorkers(init)
    serveReplica(replica, (protocol, handler) =>
      membership.serve(protocol, (...request) => foreground.during(() => handler(...request)))
    )
    liveness.onAlive(() => this.#workers.hints.wake())
  }

  /** What is on disk is known after it. It counts once others have been asked what they remember of it. */
  async open(): Promise<void> {
    await this.replica.open()
    if (this.membership.self !== undefined) this.replica.filling.hold()
  }

  /** Resolves when this node is a full member and works in the background. */
  async enter(signal: AbortSignal): Promise<void> {
    await this.#components.network.start()
    signal.throwIfAborted()
    this.membership.start()
    this.liveness.start()
    await this.#entry.enter(signal)
    signal.throwIfAborted()
    for (const [name, worker] of Object.entries(this.#workers)) {
      worker.start(isBackgroundTask(name) && this.pauses.has(name))
    }
  }

  /** Ends all that goes on by itself. */
  async stop(): Promise<void> {
    await everyStep([
      () => Promise.all(Object.values(this.#workers).map(worker => worker.stop())),
      () => this.liveness.stop(),
      () => this.membership.stop()
    ])
  }

  async pause(task: BackgroundTask): Promise<void> {
    await this.pauses.set(task, true)
    await this.#workers[task].pause()
  }

  async resume(task: BackgroundTask): Promise<void> {
    await this.pauses.set(task, false)
    this.#workers[task].resume()
  }

  #createWorkers(init: EngineInit): Workers {
    const { exchangeMs = 3_000, hintsMs = 1_000, checkpointMs = 5_000 } = init
    const { scrubMs = 10_000 } = init
    const worker = (name: string, intervalMs: number, run: WorkerInit['run']) =>
      new Worker(this.#components, { name, intervalMs, run })
    return {
      hints: worker('hints', hintsMs, signal => this.hints.replay(signal)),
      'anti-entropy': worker('anti-entropy', exchangeMs, signal => this.#exchange(signal)),
      arrival: worker('arrival', 1_000, signal => this.#arrival.turn(signal)),
      quarantine: worker('quarantine', 10_000, () =>
        this.replica.retryAhead(slots => this.#leftovers.reopen(slots))
      ),
      checkpoint: worker('checkpoint', checkpointMs, signal => this.#checkpoint(signal)),
      scrub: worker('scrub', scrubMs, signal => this.scrub.turn(signal))
    }
  }

  /** One round now. False when another one would bring nothing: nobody has more than this node. */
  async #heal(signal?: AbortSignal): Promise<boolean> {
    const reports = await this.antiEntropy.round(signal)
    await this.#handoff.settle(signal)
    if (this.membership.peers.length === 0) return false
    const waits = this.#recovery.waiting.size > 0
    return waits || reports.length === 0 || !reports.every(report => report.equal)
  }

  async #exchange(signal: AbortSignal): Promise<void> {
    await this.antiEntropy.round(signal)
    // Without other owners there is no exchange to wait for.
    await this.#handoff.settle(signal)
    await this.#leftovers.turn(signal)
  }

  /** In small parts, with the event loop and waiting writes between them. */
  async #checkpoint(signal: AbortSignal): Promise<void> {
    for (let part = 0; part < CHECKPOINTS_A_TURN; part++) {
      if ((await this.replica.checkpoint()) === 0) return
      await sleep(this.#components.timers, 0, signal)
    }
  }

  /** This directory was rolled back. Both count from this moment, not from when they are on disk. */
  async #distrust(mark: Mark): Promise<void> {
    const replica = this.replica
    const takeBack = replica.mark.note(mark)
    try {
      await Promise.all([replica.distrust(), replica.identity.rotate('rolled-back')])
      // Last: until then it is noticed again at the next start.
      await replica.mark.accept(mark)
    } catch (error) {
      // The peers must not take it for told.
      takeBack()
      throw error
    }
  }
}
