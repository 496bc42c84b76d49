/**
 * One write as a machine: which owners get it, whether enough of them can answer at all, and when
 * the level is reached. While members join or leave there are two sets of owners, and the level
 * must be reached in both, so that neither set can answer a later read without the write. Level `any`
 * promises nothing to later reads: any one of all of them will do.
 */
import type { NodeId } from '../util/node-id.ts'
import { needed, type Level } from './level.ts'
import { Tally, type Group } from './tally.ts'

export interface Owners {
  readonly current: readonly NodeId[]
  readonly next: readonly NodeId[]
}

export interface Shortage {
  readonly needed: number
  readonly alive: number
  readonly owners: number
}

export class Write {
  readonly tally: Tally

  constructor(owners: Owners, level: Level) {
    this.tally = new Tally(groupsOf(owners, level))
  }

  /** Everybody who gets the write, each once. */
  get replicas(): readonly NodeId[] {
    return [...new Set(this.tally.groups.flatMap(each => each.owners))]
  }

  /** The group that cannot reach its number with these nodes alive. */
  shortage(alive: (node: NodeId) => boolean): Shortage | undefined {
    for (const { needed, owners } of this.tally.groups) {
      const count = owners.filter(alive).length
      if (count < needed) return { needed, alive: count, owners: owners.length }
    }
    return undefined
  }
}

function groupsOf({ current, next }: Owners, level: Level): Group[] {
  if (next === current) return [group(current, level)]
  if (level === 'any') return [group([...new Set([...current, ...next])], level)]
  return [group(current, level), group(next, level)]
}

function group(owners: readonly NodeId[], level: Level): Group {
  return { owners, needed: needed(level, owners.length) }
}
