/**
 * The failure detector of one node: SWIM without sockets, timers or clocks. It is told what happened
 * and says what to do; time and chance are arguments. Opinions are this node's own.
 *
 *            nothing answers, or the          the suspicion lasts, or after a lost
 *            connection is lost               connection a probe fails as well
 *   alive ─────────────────────▶ suspect ─────────────────────────────────▶ down
 *     ▲                             │                                         │
 *     └──────── anything is heard of the peer ◀───────────────────────────────┘
 *
 * One peer is probed each period, in turns of a shuffled order, so that load does not grow with the
 * cluster and each is looked at once a turn. A direct probe that fails is tried through two others
 * first. Suspects are probed again each period, and new members and lost connections at once; all
 * of that together at most `URGENT_PROBES` times a period.
 *
 * Not promised: that two nodes have the same opinion. Who owns what never follows from it.
 */
import type { NodeId } from '../util/node-id.ts'

/** `suspect`: ask it last. `down`: do not ask it. */
export type Opinion = 'alive' | 'suspect' | 'down'

export type Action =
  /** Send it a probe; then call `heard` or `probeFailed`. */
  | { readonly probe: NodeId }
  /** Have `probeVia` probe the target; then call `heard(target)` or `probeFailed(target, now, via)`. */
  | { readonly probeVia: NodeId; readonly target: NodeId }
  /** The opinion of a peer has changed. */
  | { readonly changed: NodeId; readonly opinion: Opinion }

export interface DetectorComponents {
  /** Unsigned 32-bit integers. */
  readonly random: () => number
}

export interface DetectorInit {
  /**
   * How often a peer is probed. Shorter finds silent failures sooner; each probe costs one request.
   *
   * @default 1_000
   */
  readonly periodMs?: number
  /**
   * How long a suspect may stay silent. Longer forgives longer pauses.
   *
   * @default 3_000
   */
  readonly suspicionMs?: number
}

/** Through how many others a silent peer is probed. */
export const HELPERS = 2

export const URGENT_PROBES = 8

interface Peer {
  readonly id: NodeId
  opinion: Opinion
  heardAt: number
  /** When its last direct probe was asked for. */
  probedAt: number
  /** When its suspicion began to count. */
  suspectedAt: number
  /** One failed probe more and it is down: its connection was lost, or it was never heard. */
  lost: boolean
  /** A direct probe is under way. */
  probing: boolean
  /** The one under way went over a connection that is gone since: its failure says nothing new. */
  stale: boolean
  /** The helpers whose word is still out. */
  helpers: readonly NodeId[]
}

export class Detector {
  readonly #random: () => number
  readonly #periodMs: number
  readonly #suspicionMs: number
  readonly #peers = new Map<NodeId, Peer>()
  readonly #urgent = new Set<NodeId>()
  #turn: NodeId[] = []
  #urgentLeft = URGENT_PROBES
  #nextAt = -Infinity

  constructor(components: DetectorComponents, init: DetectorInit = {}) {
    this.#random = components.random
    this.#periodMs = init.periodMs ?? 1_000
    this.#suspicionMs = init.suspicionMs ?? 3_000
  }

  /** Of a node that is not a member: `down`. */
  opinion(id: NodeId): Opinion {
    return this.#peers.get(id)?.opinion ?? 'down'
  }

  /** All members but this node. A new one is suspect until it is heard, and probed at once. */
  members(ids: Iterable<NodeId>, now: number): readonly Action[] {
    const members = new Set(ids)
    for (const id of this.#peers.keys()) if (!members.has(id)) this.#forget(id)
    const actions: Action[] = []
    for (const id of members) if (!this.#peers.has(id)) actions.push(this.#add(id))
    return [...actions, ...this.#probeUrgent(now)]
  }

  /** To be called every quarter of a period or so; more often does no harm. */
  tick(now: number): readonly Action[] {
    const actions = this.#expire(now)
    if (now < this.#nextAt) return actions
    this.#nextAt = now + this.#periodMs
    this.#urgentLeft = URGENT_PROBES
    for (const { id, opinion } of this.#peers.values())
      if (opinion === 'suspect') this.#urgent.add(id)
    const urgent = this.#probeUrgent(now)
    const next = this.#peers.get(this.#nextInTurn() as NodeId)
    return [...actions, ...urgent, ...(next ? this.#probe(next, now) : [])]
  }

  /** Anything came from the peer, a helper has reached it, or a connection to it was opened. */
  heard(id: NodeId, now: number): readonly Action[] {
    const peer = this.#peers.get(id)
    if (peer === undefined) return []
    peer.heardAt = now
    peer.lost = peer.probing = peer.stale = false
    peer.helpers = []
    this.#urgent.delete(id)
    return this.#change(peer, 'alive')
  }

  /** A probe of the peer was not answered in time or was refused: ours, or that of a helper. */
  probeFailed(id: NodeId, now: number, via?: NodeId): readonly Action[] {
    const peer = this.#peers.get(id)
    if (peer === undefined || peer.heardAt >= peer.probedAt) return []
    return via === undefined ? this.#directFailed(peer, now) : this.#helperFailed(peer, now, via)
  }

  /** The first connection to the peer was opened, or the last one is gone. */
  connection(id: NodeId, open: boolean, now: number): readonly Action[] {
    if (open) return this.heard(id, now)
    const peer = this.#peers.get(id)
    if (peer === undefined || peer.opinion === 'down') return []
    const actions = this.#suspect(peer, now)
    peer.lost = true
    peer.stale = peer.probing
    this.#urgent.add(id)
    return [...actions, ...this.#probeUrgent(now)]
  }

  #add(id: NodeId): Action {
    const never = -Infinity
    const times = { heardAt: never, probedAt: never, suspectedAt: Infinity }
    const nothing = { probing: false, stale: false, helpers: [] }
    this.#peers.set(id, { id, opinion: 'suspect', ...times, lost: true, ...nothing })
    this.#urgent.add(id)
    return { changed: id, opinion: 'suspect' }
  }

  #forget(id: NodeId): void {
    this.#peers.delete(id)
    this.#urgent.delete(id)
  }

  /** A suspicion counts from the probe that was to end it, or from the one that failed. */
  #expire(now: number): Action[] {
    return [...this.#peers.values()]
      .filter(peer => peer.opinion === 'suspect' && now - peer.suspectedAt >= this.#suspicionMs)
      .flatMap(peer => this.#change(peer, 'down'))
  }

  #suspect(peer: Peer, now: number): readonly Action[] {
    if (peer.opinion === 'suspect') return []
    peer.suspectedAt = now
    peer.helpers = []
    return this.#change(peer, 'suspect')
  }

  #directFailed(peer: Peer, now: number): readonly Action[] {
    const stale = peer.stale
    peer.stale = peer.probing = false
    if (stale || peer.opinion === 'down') return []
    if (peer.opinion === 'alive') return this.#askHelpers(peer, now)
    return peer.lost ? this.#change(peer, 'down') : []
  }

  #helperFailed(peer: Peer, now: number, via: NodeId): readonly Action[] {
    if (peer.opinion !== 'alive' || !peer.helpers.includes(via)) return []
    peer.helpers = peer.helpers.filter(helper => helper !== via)
    return peer.helpers.length === 0 ? this.#suspect(peer, now) : []
  }

  /** A failure while helpers are still asked is one of the next turn: they had their time. */
  #askHelpers(peer: Peer, now: number): readonly Action[] {
    if (peer.helpers.length > 0) return this.#suspect(peer, now)
    const others = [...this.#peers.values()]
      .filter(other => other !== peer && other.opinion === 'alive')
      .map(other => other.id)
    peer.helpers = this.#shuffle(others).slice(0, HELPERS)
    if (peer.helpers.length === 0) return this.#suspect(peer, now)
    return peer.helpers.map(helper => ({ probeVia: helper, target: peer.id }))
  }

  #probeUrgent(now: number): readonly Action[] {
    const actions: Action[] = []
    for (const id of this.#urgent) {
      if (this.#urgentLeft === 0) break
      this.#urgentLeft--
      this.#urgent.delete(id)
      actions.push(...this.#probe(this.#peers.get(id) as Peer, now))
    }
    return actions
  }

  /** Not twice at one time, as when its turn comes while it is suspect. */
  #probe(peer: Peer, now: number): readonly Action[] {
    if (peer.probedAt === now) return []
    peer.probedAt = now
    peer.probing = true
    if (peer.suspectedAt === Infinity) peer.suspectedAt = now
    return [{ probe: peer.id }]
  }

  #nextInTurn(): NodeId | undefined {
    this.#turn = this.#turn.filter(id => this.#peers.has(id))
    if (this.#turn.length === 0) this.#turn = this.#shuffle([...this.#peers.keys()])
    return this.#turn.pop()
  }

  #change(peer: Peer, opinion: Opinion): Action[] {
    if (peer.opinion === opinion) return []
    peer.opinion = opinion
    return [{ changed: peer.id, opinion }]
  }

  #shuffle(ids: NodeId[]): NodeId[] {
    for (let last = ids.length - 1; last > 0; last--) {
      const at = this.#random() % (last + 1)
      ;[ids[at], ids[last]] = [ids[last] as NodeId, ids[at] as NodeId]
    }
    return ids
  }
}
