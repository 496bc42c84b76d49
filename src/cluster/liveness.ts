/**
 * Drives the failure detector: its probes become requests, and what the network notices becomes news
 * for it. Liveness decides whom to ask, never who owns what.
 */
import type { Cancel, Clock, Log, Meter, Network, Random, Timers } from '../ports.ts'
import { Detector, type Action, type DetectorInit, type Opinion } from '../ring/detector.ts'
import type { NodeId } from '../util/node-id.ts'
import { text, utf8 } from '../util/bytes.ts'
import type { Membership } from './membership.ts'

export interface LivenessComponents {
  readonly network: Network
  readonly membership: Membership
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly log: Log
  readonly meter: Meter
}

const TICK_MS = 250
const PROBE_MS = 500
/** A helper needs the time of its own probe. */
const HELP_MS = 2 * PROBE_MS
const NOTHING = new Uint8Array()
const REACHED = new Uint8Array([1])

export class Liveness {
  readonly #components: LivenessComponents
  readonly #detector: Detector
  readonly #listeners: ((peer: NodeId) => void)[] = []
  #cancel: Cancel = () => {}
  #running = false

  constructor(components: LivenessComponents, init: DetectorInit = {}) {
    const { network, membership, random } = components
    this.#components = components
    this.#detector = new Detector({ random: () => random.u32() }, init)
    network.handle('probe', (from, body) => this.#answer(from, body))
    network.onPeer((peer, connected) =>
      this.#act(this.#detector.connection(peer, connected, this.#now))
    )
    membership.onView(() => this.#watch())
  }

  start(): void {
    this.#running = true
    this.#watch()
    for (const peer of this.#components.network.connected()) {
      this.#act(this.#detector.connection(peer, true, this.#now))
    }
    this.#tick()
  }

  stop(): void {
    this.#running = false
    this.#cancel()
  }

  /** Called when a peer is heard of again, or for the first time. */
  onAlive(listener: (peer: NodeId) => void): void {
    this.#listeners.push(listener)
  }

  opinion(node: NodeId): Opinion {
    return node === this.#components.network.self ? 'alive' : this.#detector.opinion(node)
  }

  /** Whether it is worth asking: a suspect is, as long as nobody better is left. */
  isAlive(node: NodeId): boolean {
    return this.opinion(node) !== 'down'
  }

  /** Those worth asking, best first: this node, then the alive ones, then the suspects. */
  inOrder(nodes: readonly NodeId[]): NodeId[] {
    const { self } = this.#components.network
    const rank = (node: NodeId) => (node === self ? 0 : this.opinion(node) === 'alive' ? 1 : 2)
    return nodes.filter(node => this.isAlive(node)).sort((a, b) => rank(a) - rank(b))
  }

  get #now(): number {
    return this.#components.clock.monoMs()
  }

  #tick(): void {
    this.#act(this.#detector.tick(this.#now))
    this.#cancel = this.#components.timers.after(TICK_MS, () => this.#tick())
  }

  #watch(): void {
    if (this.#running)
      this.#act(this.#detector.members(this.#components.membership.peers, this.#now))
  }

  #act(actions: readonly Action[]): void {
    if (!this.#running) return
    for (const action of actions) {
      if ('probe' in action) void this.#probe(action.probe)
      else if ('probeVia' in action) void this.#probeVia(action.probeVia, action.target)
      else this.#changed(action.changed, action.opinion)
    }
  }

  #changed(peer: NodeId, opinion: Opinion): void {
    this.#components.log.info('liveness', { peer, opinion })
    if (opinion === 'alive') for (const listener of this.#listeners) listener(peer)
  }

  async #probe(peer: NodeId): Promise<void> {
    const reached = (await this.#request(peer, NOTHING, PROBE_MS)) !== undefined
    const now = this.#now
    this.#act(reached ? this.#detector.heard(peer, now) : this.#detector.probeFailed(peer, now))
  }

  async #probeVia(helper: NodeId, target: NodeId): Promise<void> {
    const answer = await this.#request(helper, utf8(target), HELP_MS)
    const now = this.#now
    if (answer !== undefined) this.#act(this.#detector.heard(helper, now))
    const reached = answer !== undefined && answer.length > 0
    this.#act(
      reached ? this.#detector.heard(target, now) : this.#detector.probeFailed(target, now, helper)
    )
  }

  /** An empty body asks whether this node is there, a name whether it can reach that other node. */
  async #answer(from: NodeId, body: Uint8Array): Promise<Uint8Array> {
    this.#act(this.#detector.heard(from, this.#now))
    if (body.length === 0) return REACHED
    const target = text(body) as NodeId
    if (!this.#components.membership.peers.includes(target)) return NOTHING
    return (await this.#request(target, NOTHING, PROBE_MS)) ?? NOTHING
  }

  /** `undefined` when there was no answer in time: that is news too, not an error. */
  async #request(
    to: NodeId,
    body: Uint8Array,
    deadlineMs: number
  ): Promise<Uint8Array | undefined> {
    const { network, meter } = this.#components
    try {
      meter.count('probes.sent')
      return await network.request(to, 'probe', body, { deadlineMs })
    } catch {
      // Why it failed does not matter to the detector, which tries otherwise.
      meter.count('probes.failed')
      return undefined
    }
  }
}
