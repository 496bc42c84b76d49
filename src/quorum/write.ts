/** Whose acknowledgements decide a write. */
import type { Level } from './level.ts'
import { Tally, type Voters } from './tally.ts'

/** Level `any` promises nothing to later reads: any one of all who may be owners will do. */
export function tallyOfWrite(voters: Voters, level: Level): Tally {
  return new Tally(level === 'any' ? settled(voters) : voters, level)
}

function settled({ ranked }: Voters): Voters {
  return { ranked, unsettled: new Set(), n: ranked.length }
}
