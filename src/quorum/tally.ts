/**
 * Counts who has acknowledged, in one or more groups of owners; each group has to reach its own
 * number. A node counts once however often it answers, and only in the groups it belongs to.
 */
import type { NodeId } from '../util/node-id.ts'

export interface Group {
  readonly owners: readonly NodeId[]
  readonly needed: number
}

/** How far one group has come. */
export interface Progress {
  readonly needed: number
  readonly acknowledged: readonly NodeId[]
}

export type Outcome = 'pending' | 'reached' | 'impossible'

export class Tally {
  readonly groups: readonly Group[]
  readonly acknowledged = new Set<NodeId>()
  readonly failures = new Map<NodeId, Error>()

  constructor(groups: readonly Group[]) {
    this.groups = groups
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
    if (this.groups.every(group => this.#count(group) >= group.needed)) return 'reached'
    return this.groups.some(group => this.#possible(group) < group.needed)
      ? 'impossible'
      : 'pending'
  }

  /** Of the group that lacks most: what an error reports. There has to be a group. */
  get shortest(): Progress {
    const all = this.groups.map(({ owners, needed }) => ({
      needed,
      acknowledged: owners.filter(node => this.acknowledged.has(node))
    }))
    return all.reduce((a, b) => (lacking(b) > lacking(a) ? b : a))
  }

  #count(group: Group): number {
    return group.owners.filter(node => this.acknowledged.has(node)).length
  }

  #possible(group: Group): number {
    return group.owners.filter(node => !this.failures.has(node)).length
  }
}

function lacking({ needed, acknowledged }: Progress): number {
  return needed - acknowledged.length
}
