/** What follows from the default levels of a node that a person might not expect. */
import { needed, overlaps, type Level } from './level.ts'

export interface DefaultLevels {
  readonly readLevel: Level
  readonly writeLevel: Level
}

/** A sentence or two each. `n` is how many owners a key has once there are so many members. */
export function notesOn({ readLevel, writeLevel }: DefaultLevels, n: number): readonly string[] {
  const tooHigh = [readLevel, writeLevel].filter(level => needed(level, n) > n)
  if (tooHigh.length > 0) {
    const levels = [...new Set(tooHigh)].join(' and ')
    return [
      `Level ${levels} asks for more replicas than a key has (n is ${n}): such requests are refused. ` +
        'Use a lower level.'
    ]
  }
  if (overlaps(readLevel, writeLevel, n)) return []
  return [
    `Reads at level ${readLevel} and writes at level ${writeLevel} need not meet in a replica (n is ${n}): ` +
      'a read may miss a write that was acknowledged before. Use quorum for both to rule it out.'
  ]
}
