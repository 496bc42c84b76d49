/** Hearsay: a leaderless, replicated key-value store that heals itself. This is all of the public API. */
export type { Level } from './quorum/level.ts'
export { parseLevel } from './quorum/level.ts'
export type { NodeId } from './util/node-id.ts'
export type { Durability } from './ports.ts'
export type * from './options.ts'
export * from './errors.ts'
