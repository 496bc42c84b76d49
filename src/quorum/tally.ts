/**
 * Counts who has acknowledged a request, and when that is enough. While members come or go nodes differ
 * on who owns a slot, and it has to be enough for every one of them: each newcomer may be counted or
 * not. The worst case is known without trying them all: it counts just those newcomers that have not
 * acknowledged. To count one more that has only adds an acknowledgement, and to count one less that has
 * not lets in an owner that may have.
 */
import type { NodeId } from '../util/node-id.ts'
import { needed, type Level } from './level.ts'

/** Whose answers decide. */
export interface Voters {
  /** Whoever may be an owner, best first. */
  readonly ranked: readonly NodeId[]
  /** Who of them is an owner to some nodes and to others not. */
  readonly unsettled: ReadonlySet<NodeId>
  /** How many owners there are where there are members enough. */
  readonly n: number
}

/** How far it is for those who count least. */
export interface Progress {
  readonly needed: number
  readonly acknowledged: readonly NodeId[]
  readonly owners: number
}

export interface Shortage {
  readonly needed: number
  readonly alive: number
  readonly owners: number
}

export type Outcome = 'pending' | 'reached' | 'impossible'

export class Tally {
  readonly voters: Voters
  readonly #level: Level
  readonly acknowledged = new Set<NodeId>()
  readonly failures = new Map<NodeId, Error>()

  constructor(voters: Voters, level: Level) {
    this.voters = voters
    this.#level = level
  }

  acknowledge(node: NodeId): void {
    this.failures.delete(node)
    this.acknowledged.add(node)
  }

  refuse(node: NodeId, reason: Error): void {
    if (!this.acknowledged.has(node)) this.failures.set(node, reason)
  }

  /** What it acknowledged does not count any more. */
  withdraw(node: NodeId, reason: Error): void {
    this.acknowledged.delete(node)
    this.failures.set(node, reason)
  }

  get outcome(): Outcome {
    if (isEnough(this.progress)) return 'reached'
    const possible = this.#progress(node => !this.failures.has(node))
    return isEnough(possible) ? 'pending' : 'impossible'
  }

  /** What an error reports. */
  get progress(): Progress {
    return this.#progress(node => this.acknowledged.has(node))
  }

  /** What there is too little of should nobody answer but these. */
  shortage(isAlive: (node: NodeId) => boolean): Shortage | undefined {
    const possible = this.#progress(isAlive)
    if (isEnough(possible)) return undefined
    const { needed, acknowledged, owners } = possible
    return { needed, alive: acknowledged.length, owners }
  }

  #progress(hasAcknowledged: (node: NodeId) => boolean): Progress {
    const { ranked, unsettled, n } = this.voters
    const owners = ranked.filter(node => !unsettled.has(node) || !hasAcknowledged(node)).slice(0, n)
    const acknowledged = owners.filter(hasAcknowledged)
    // Where there is no owner nothing is enough.
    const count = Math.max(1, needed(this.#level, owners.length))
    return { needed: count, acknowledged, owners: owners.length }
  }
}

function isEnough({ needed, acknowledged }: Progress): boolean {
  return acknowledged.length >= needed
}
