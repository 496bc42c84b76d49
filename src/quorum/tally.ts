/**
 * Counts who has acknowledged, in one or more groups of owners; each group has to reach its own
 * number. A node counts once however often it answers, and only in the groups it belongs to.
 */
import type { NodeId } from '../util/node-id.ts'

export interface Group {
  readonly owners: readonly NodeId[]
  readonly needed: number
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

  get outcome(): Outcome {
    if (this.groups.every(group => this.#count(group) >= group.needed)) return 'reached'
    return this.groups.some(group => this.#possible(group) < group.needed)
      ? 'impossible'
      : 'pending'
  }

  /** The most that any group asks for: what an error reports as needed. */
  get needed(): number {
    return Math.max(...this.groups.map(group => group.needed))
  }

  #count(group: Group): number {
    return group.owners.filter(node => this.acknowledged.has(node)).length
  }

  #possible(group: Group): number {
    return group.owners.filter(node => !this.failures.has(node)).length
  }
}
