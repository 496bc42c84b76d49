/**
 * One write as a machine: which owners get it, whether enough of them can answer at all, and when
 * the level is reached. While members join or leave there are two sets of owners, and the level
 * must be reached in both, so that neither set can answer a later read without the write.
 */
import type { NodeId } from '../util/node-id.ts'
import { needed, type Level } from './level.ts'
import { Tally, type Group } from './tally.ts'

export interface Owners {
  readonly current: readonly NodeId[]
  readonly next: readonly NodeId[]
}

export class Write {
  readonly tally: Tally

  constructor(owners: Owners, level: Level) {
    const groups = [group(owners.current, level)]
    if (owners.next !== owners.current) groups.push(group(owners.next, level))
    this.tally = new Tally(groups)
  }

  /** Everybody who gets the write, each once. */
  get replicas(): readonly NodeId[] {
    return [...new Set(this.tally.groups.flatMap(each => each.owners))]
  }

  /** The group that cannot reach its number with these nodes alive. */
  shortage(alive: (node: NodeId) => boolean): { needed: number; alive: number } | undefined {
    for (const each of this.tally.groups) {
      const count = each.owners.filter(alive).length
      if (count < each.needed) return { needed: each.needed, alive: count }
    }
    return undefined
  }
}

function group(owners: readonly NodeId[], level: Level): Group {
  return { owners, needed: needed(level, owners.length) }
}
