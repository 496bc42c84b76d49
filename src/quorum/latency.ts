/**
 * How fast each peer has lately answered, for two questions: whom to ask first, and how long to wait
 * for a peer before somebody else is asked as well. Pure: the time is an argument.
 *
 *   expectedMs   a moving mean that fades while nothing is heard, so that one who was slow once is
 *                tried again and not shunned for ever
 *   patienceMs   the 95th percentile of the last answers, within bounds
 *
 * Bounded: so many answers a peer, so many peers; whoever was heard longest ago is forgotten first.
 * Not promised: anything about the next answer.
 */
import type { NodeId } from '../util/node-id.ts'

export const SAMPLES_MAX = 64
export const PEERS_MAX = 512
/** Below it a peer would be given up on because of a pause of our own. */
export const PATIENCE_MS_MIN = 5
export const PATIENCE_MS_MAX = 1_000
/** For a peer of which too little is known. */
export const PATIENCE_MS_UNKNOWN = 150
/** Fewer say nothing of a percentile. */
const SAMPLES_MIN = 8
/** How much the last answer weighs in the mean. */
const WEIGHT = 0.25
/** The mean fades to half of itself in this time without news. */
const FADE_MS = 10_000

interface Heard {
  /** A ring: the oldest is overwritten. */
  readonly samples: number[]
  next: number
  meanMs: number
  atMs: number
}

export class Latency {
  readonly #peers = new Map<NodeId, Heard>()

  /** An answer took so long; or none came in this time, which is the least that it takes. */
  add(peer: NodeId, tookMs: number, nowMs: number): void {
    const heard = this.#peers.get(peer)
    if (heard === undefined) {
      if (this.#peers.size >= PEERS_MAX) this.#forgetOldest()
      this.#peers.set(peer, { samples: [tookMs], next: 1, meanMs: tookMs, atMs: nowMs })
      return
    }
    heard.meanMs = faded(heard, nowMs) * (1 - WEIGHT) + tookMs * WEIGHT
    heard.atMs = nowMs
    heard.samples[heard.next] = tookMs
    heard.next = (heard.next + 1) % SAMPLES_MAX
    // Re-inserted at the end: the map stays in the order of the last news.
    this.#peers.delete(peer)
    this.#peers.set(peer, heard)
  }

  /** 0 for one that was never heard: trying it is the only way to learn. */
  expectedMs(peer: NodeId, nowMs: number): number {
    const heard = this.#peers.get(peer)
    return heard === undefined ? 0 : faded(heard, nowMs)
  }

  patienceMs(peer: NodeId): number {
    const samples = this.#peers.get(peer)?.samples ?? []
    if (samples.length < SAMPLES_MIN) return PATIENCE_MS_UNKNOWN
    const sorted = samples.toSorted((a, b) => a - b)
    const p95 = sorted[Math.ceil(0.95 * sorted.length) - 1] as number
    return Math.min(PATIENCE_MS_MAX, Math.max(PATIENCE_MS_MIN, p95))
  }

  /** The fastest first; those of whom nothing sets them apart stay in their order. */
  order(peers: readonly NodeId[], nowMs: number): NodeId[] {
    const expected = new Map(peers.map(peer => [peer, this.expectedMs(peer, nowMs)]))
    return [...peers].sort((a, b) => (expected.get(a) as number) - (expected.get(b) as number))
  }

  #forgetOldest(): void {
    const [oldest] = this.#peers.keys()
    if (oldest !== undefined) this.#peers.delete(oldest)
  }
}

function faded({ meanMs, atMs }: Heard, nowMs: number): number {
  return meanMs * 2 ** (-Math.max(0, nowMs - atMs) / FADE_MS)
}
