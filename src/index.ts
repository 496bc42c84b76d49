/**
 * Hearsay: a leaderless, replicated key-value store that heals itself. This is all of the public
 * API. Here, and only here, the engine meets LMDB and libp2p.
 */
import './net/shim.ts'
import { createForest } from './digest/forest.ts'
import { loadCluster } from './net/cluster.ts'
import { loadIdentity } from './net/identity.ts'
import { deriveKeys } from './net/keys.ts'
import { Libp2pNetwork } from './net/libp2p.ts'
import { Node } from './node.ts'
import type { HearsayNode, NodeOptions } from './options.ts'
import type { Log, Store } from './ports.ts'
import { openDirectory, type Directory } from './store/directory.ts'
import { openLmdbStore } from './store/lmdb.ts'
import { systemClock, systemRandom, systemTimers } from './system.ts'
import { Counters } from './util/counters.ts'
import { encodeInvite } from './wire/invite.ts'

export type { Level } from './quorum/level.ts'
export { parseLevel } from './quorum/level.ts'
export type { NodeId } from './util/node-id.ts'
export type { Durability } from './ports.ts'
export type * from './options.ts'
export * from './errors.ts'

const LISTEN = ['/ip4/0.0.0.0/tcp/7373']

/**
 * Starts a node in a data directory: the first start creates a cluster, or joins the one of
 * `options.join`; later starts go on where the node was. Resolves when the node is a full member and
 * serves. Rejects with a `HearsayError` that says what to do, and then nothing is left running.
 */
export async function createNode(options: NodeOptions): Promise<HearsayNode> {
  const directory = await openDirectory(options.path)
  const undo: (() => Promise<void>)[] = [() => directory.close()]
  try {
    const store = await openLmdbStore({ directory: directory.path })
    undo.unshift(() => store.close())
    const node = await compose(directory, store, options)
    undo.unshift(() => node.close())
    await node.start()
    return node
  } catch (error) {
    for (const step of undo) await step()
    throw error
  }
}

async function compose(directory: Directory, store: Store, options: NodeOptions): Promise<Node> {
  const { join: invite, n, listen = LISTEN } = options
  const system = { clock: systemClock, timers: systemTimers, random: systemRandom }
  const common = { ...system, log: logOf(options), meter: new Counters() }
  const cluster = await loadCluster(directory.path, systemRandom, { invite, n })
  const identity = await loadIdentity(directory.path)
  const network = new Libp2pNetwork(common, {
    identity,
    clusterId: cluster.id,
    clusterKey: cluster.key,
    n: cluster.n,
    listen
  })
  const forest = createForest(deriveKeys(cluster.key).digestKey)
  return new Node(
    { ...common, store, network, forest },
    {
      clusterId: cluster.id,
      n: cluster.n,
      found: cluster.bootstrap.length === 0,
      bootstrap: cluster.bootstrap,
      release: () => directory.close(),
      invite: addresses =>
        encodeInvite({ clusterId: cluster.id, clusterKey: cluster.key, n: cluster.n, addresses })
    }
  )
}

function logOf({ log = () => {} }: NodeOptions): Log {
  return {
    debug: (event, fields = {}) => log('debug', event, fields),
    info: (event, fields = {}) => log('info', event, fields),
    warn: (event, fields = {}) => log('warn', event, fields)
  }
}
