/**
 * Where the engine meets LMDB, libp2p and the machine: makes the real ports and a node on them. It is
 * loaded when the first node is made, so that a program that only talks to a running node does not
 * pay for it.
 */
import './net/shim.ts'
import { checkNodeOptions } from './arguments.ts'
import { hasMet } from './cluster/view-keeper.ts'
import { calibrate, type Calibration } from './digest/calibrate.ts'
import { createForest } from './digest/forest.ts'
import { loadCluster, markEntered, type OpenedCluster } from './net/cluster.ts'
import { loadIdentity } from './net/identity.ts'
import { deriveKeys } from './net/keys.ts'
import { Libp2pNetwork } from './net/libp2p.ts'
import { Node } from './node.ts'
import type { NodeOptions, RequestDefaults } from './options.ts'
import type { Log, Store } from './ports.ts'
import { parseLevel } from './quorum/level.ts'
import { openDirectory, type Directory } from './store/directory.ts'
import { openLmdbStore } from './store/lmdb.ts'
import { systemClock, systemRandom, systemTimers } from './system.ts'
import { Counters } from './util/counters.ts'
import { everyStep } from './util/steps.ts'
import { encodeInvite } from './wire/invite.ts'

const LISTEN = ['/ip4/0.0.0.0/tcp/7373']

/** A started node. Rejects with a `HearsayError`, and then nothing is left running. */
export async function startNode(options: NodeOptions): Promise<Node> {
  checkNodeOptions(options)
  const { path, signal } = options
  signal?.throwIfAborted()
  const directory = await openDirectory(path)
  const undo: (() => Promise<void>)[] = [() => directory.close()]
  try {
    const store = await openLmdbStore({ directory: directory.path })
    undo.unshift(() => store.close())
    const cluster = await clusterOf(directory, store, options)
    const node = await compose(directory, store, cluster, options)
    undo.unshift(() => node.close())
    await unlessAborted(node, signal)
    await markEntered(directory.path, cluster)
    return node
  } catch (error) {
    // Why it could not start matters more than what then could not be closed.
    await everyStep(undo).catch((cause: unknown) =>
      logOf(options).warn('not-closed', { error: String(cause) })
    )
    throw error
  }
}

/** Aborting closes the node, which ends its start. */
async function unlessAborted(node: Node, signal: AbortSignal | undefined): Promise<void> {
  const close = () => void node.close()
  signal?.addEventListener('abort', close)
  try {
    signal?.throwIfAborted()
    await node.start()
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    signal?.removeEventListener('abort', close)
  }
}

/** Measured once for all nodes of a process, unless it failed. */
let measured: Promise<Calibration> | undefined

async function fastestKernels(): Promise<Calibration> {
  measured ??= calibrate({
    monoMs: systemClock.monoMs,
    pause: () => new Promise(resolve => systemTimers.after(1, resolve))
  })
  try {
    return await measured
  } catch (error) {
    measured = undefined
    throw error
  }
}

function clusterOf(directory: Directory, store: Store, options: NodeOptions) {
  const { join: invite, n } = options
  return loadCluster(directory.path, systemRandom, { invite, n, hasMet: hasMet(store) })
}

async function compose(
  directory: Directory,
  store: Store,
  cluster: OpenedCluster,
  options: NodeOptions
): Promise<Node> {
  const { listen = LISTEN } = options
  const system = { clock: systemClock, timers: systemTimers, random: systemRandom }
  const common = { ...system, log: logOf(options), meter: new Counters() }
  const identity = await loadIdentity(directory.path, { isNew: !cluster.entered })
  const network = new Libp2pNetwork(common, {
    identity,
    clusterId: cluster.id,
    clusterKey: cluster.key,
    n: cluster.n,
    listen
  })
  const kernels = await fastestKernels()
  common.log.info('kernels', { ...kernels })
  const forest = createForest(deriveKeys(cluster.key).digestKey, kernels)
  return new Node(
    { ...common, store, network, forest },
    {
      clusterId: cluster.id,
      n: cluster.n,
      defaults: defaultsOf(options),
      found: cluster.bootstrap.length === 0,
      bootstrap: cluster.bootstrap,
      release: () => directory.close(),
      invite: addresses =>
        encodeInvite({ clusterId: cluster.id, clusterKey: cluster.key, n: cluster.n, addresses })
    }
  )
}

/** Only those that were given. */
function defaultsOf(options: NodeOptions): Partial<RequestDefaults> {
  const { readLevel, writeLevel, durability, readRepair } = options
  return {
    ...(readLevel === undefined ? {} : { readLevel: parseLevel(readLevel) }),
    ...(writeLevel === undefined ? {} : { writeLevel: parseLevel(writeLevel) }),
    ...(durability === undefined ? {} : { durability }),
    ...(readRepair === undefined ? {} : { readRepair })
  }
}

function logOf({ log = () => {} }: NodeOptions): Log {
  return {
    debug: (event, fields = {}) => log('debug', event, fields),
    info: (event, fields = {}) => log('info', event, fields),
    warn: (event, fields = {}) => log('warn', event, fields)
  }
}
