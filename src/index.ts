/** Hearsay: a leaderless, replicated key-value store that heals itself. This is all of the public API. */
import type { HearsayNode, NodeOptions } from './options.ts'

export type { Level } from './quorum/level.ts'
export { parseLevel } from './quorum/level.ts'
export type { NodeId } from './util/node-id.ts'
export type { Durability } from './ports.ts'
export type * from './options.ts'
export * from './errors.ts'

/**
 * Starts a node in a data directory: the first start creates a cluster, or joins the one of
 * `options.join`; later starts go on where the node was. Resolves when the node is a full member and
 * serves. Rejects with a `HearsayError` that says what to do, or with the reason of
 * `options.signal`; then nothing is left running.
 */
export async function createNode(options: NodeOptions): Promise<HearsayNode> {
  const { startNode } = await import('./compose.ts')
  return startNode(options)
}
