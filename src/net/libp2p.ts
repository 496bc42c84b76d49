/**
 * The network over libp2p: TCP, the handshake of the cluster key, yamux, gossipsub, and requests
 * over one long-lived stream per direction between two nodes.
 *
 * Promised: whoever is connected holds the cluster key and belongs to this cluster. Every request
 * ends by its deadline. `stop` ends everything; timers inside libp2p that it does not cancel end by
 * themselves within a second, so a process that has nothing else to do ends then.
 * Not promised: delivery. A request that failed may have been carried out, unless `unsent`.
 */
import './shim.ts'
import type { Multiaddr } from '@multiformats/multiaddr'
import { HearsayError, NetworkError } from '../errors.ts'
import type {
  Clock,
  Handler,
  Log,
  Meter,
  Network,
  Protocol,
  Random,
  RequestOptions,
  Timers
} from '../ports.ts'
import type { NodeId } from '../util/node-id.ts'
import { admission, noiseGate, proveGate } from './admission.ts'
import type { GateFactory } from './admission.ts'
import { AddressBook, parseAddress, peerOf } from './book.ts'
import { listenFailure } from './failure.ts'
import { Gossip, gossipTopic } from './gossip.ts'
import { epochOf, PROTOCOL_RANGE } from './hello.ts'
import type { Hello } from './hello.ts'
import { createHost } from './host.ts'
import type { Host, TransportFactory } from './host.ts'
import type { Identity } from './identity.ts'
import { deriveKeys, refuseKeyDump } from './keys.ts'
import { DIAL_MS_MAX } from './limits.ts'
import { Peers } from './peers.ts'
import { Presence } from './presence.ts'
import { within } from './within.ts'

export interface Libp2pNetworkComponents {
  readonly timers: Timers
  readonly clock: Clock
  readonly log: Log
  readonly meter: Meter
  readonly random: Random
}

export interface Libp2pNetworkInit {
  readonly identity: Identity
  /** 1 to 64 letters, digits, `_` and `-`. */
  readonly clusterId: string
  /** 32 bytes, secret. Not kept. */
  readonly clusterKey: Uint8Array
  /** Replication factor; nodes that differ in it refuse one another. */
  readonly n: number
  /** Multiaddrs without a `/p2p/` part. Empty: this node only dials. */
  readonly listen: readonly string[]
  /** @default TCP */
  readonly transport?: TransportFactory
  /** The handshake, proven at start. @default Noise */
  readonly gate?: GateFactory
}

interface Running {
  readonly host: Host
  readonly peers: Peers
  readonly presence: Presence
  readonly gossip: Gossip
}

export class Libp2pNetwork implements Network {
  readonly self: NodeId
  readonly #components: Libp2pNetworkComponents
  readonly #init: Libp2pNetworkInit
  readonly #book = new AddressBook()
  readonly #handlers = new Map<Protocol, Handler>()
  readonly #gossipListeners: ((from: NodeId, body: Uint8Array) => void)[] = []
  readonly #peerListeners: ((peer: NodeId, connected: boolean) => void)[] = []
  readonly #duplicateListeners: ((error: HearsayError) => void)[] = []
  #running: Running | undefined

  /** Throws `ERR_CLUSTER_KEY` or `ERR_ARGUMENT`. */
  constructor(components: Libp2pNetworkComponents, init: Libp2pNetworkInit) {
    this.self = init.identity.nodeId
    this.#components = components
    this.#init = init
    if (!/^[\w-]{1,64}$/.test(init.clusterId)) {
      throw new HearsayError(
        'ERR_ARGUMENT',
        'A cluster id is 1 to 64 letters, digits, "_" and "-"; use the one in an invite.'
      )
    }
    for (const address of init.listen) refuseListen(address)
  }

  /** Rejects with `ERR_PORT_IN_USE`, `ERR_ARGUMENT` or `ERR_CLUSTER_KEY`; nothing runs then. */
  async start(): Promise<void> {
    refuseKeyDump(process.env)
    await proveGate(this.#gate, this.#components.random)
    const running = await this.#create()
    try {
      await running.peers.start()
      await running.host.start()
      running.gossip.subscribe()
    } catch (error) {
      await end(running)
      throw listenFailure(this.#init.listen, error)
    }
    this.#running = running
  }

  async stop(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    if (running !== undefined) await end(running)
  }

  addresses(): readonly string[] {
    return this.#running?.host.getMultiaddrs().map(String) ?? []
  }

  handle(protocol: Protocol, handler: Handler): void {
    this.#handlers.set(protocol, handler)
  }

  onGossip(fn: (from: NodeId, body: Uint8Array) => void): void {
    this.#gossipListeners.push(fn)
  }

  onPeer(fn: (peer: NodeId, connected: boolean) => void): void {
    this.#peerListeners.push(fn)
  }

  onDuplicate(fn: (error: HearsayError) => void): void {
    this.#duplicateListeners.push(fn)
  }

  connected(): readonly NodeId[] {
    return this.#running?.presence.list() ?? []
  }

  learn(peer: NodeId, addresses: readonly string[]): void {
    if (peer === this.self) return
    const unusable = this.#book.learn(peer, addresses)
    if (unusable > 0) this.#components.meter.count('network.addresses-refused', unusable)
  }

  publish(body: Uint8Array): void {
    if (this.#running === undefined) this.#components.meter.count('network.gossip-not-published')
    this.#running?.gossip.publish(body)
  }

  /** Also rejects with `ERR_OVERLOADED` and, for a body over the limit, `ERR_ARGUMENT`. */
  async request(
    to: NodeId,
    protocol: Protocol,
    body: Uint8Array,
    options: RequestOptions
  ): Promise<Uint8Array> {
    const { peers } = this.#require()
    if (options.signal?.aborted === true) throw aborted(to, options.signal)
    const open = peers.open(to)
    if (open !== undefined) return open.request(protocol, body, options)
    return this.#requestAfterDial(peers, to, protocol, body, options)
  }

  async #requestAfterDial(
    peers: Peers,
    to: NodeId,
    protocol: Protocol,
    body: Uint8Array,
    options: RequestOptions
  ): Promise<Uint8Array> {
    const { clock, timers } = this.#components
    if (to === this.self) throw new NetworkError('A node does not send requests to itself.', true)
    const began = clock.monoMs()
    const client = await within(timers, options, peers.client(to)).catch((error: Error) => {
      throw error instanceof NetworkError && error.unsent
        ? error
        : new NetworkError(error.message, true, { cause: error })
    })
    const deadlineMs = Math.max(0, options.deadlineMs - (clock.monoMs() - began))
    return client.request(protocol, body, { ...options, deadlineMs })
  }

  /**
   * Rejects with `ERR_CLUSTER_KEY`, `ERR_CLUSTER_MISMATCH`, `ERR_ARGUMENT` (no address) or
   * `NetworkError`. The address may lack its `/p2p/` part.
   */
  async dial(address: string, signal?: AbortSignal): Promise<NodeId> {
    const { peers } = this.#require()
    const target = parseTarget(address)
    if (peerOf(target) === this.self) {
      throw new NetworkError(
        `The address ${address} names this node itself; if another machine answers there, its data ` +
          'directory is a copy of this one.',
        true
      )
    }
    const { timers } = this.#components
    const ends = AbortSignal.timeout(DIAL_MS_MAX)
    const dial = peers.dial(target, signal === undefined ? ends : AbortSignal.any([signal, ends]))
    return within(timers, { deadlineMs: 2 * DIAL_MS_MAX, signal }, dial)
  }

  get #gate(): GateFactory {
    return this.#init.gate ?? noiseGate
  }

  #require(): Running {
    if (this.#running === undefined) throw new NetworkError('This node is not running.', true)
    return this.#running
  }

  async #create(): Promise<Running> {
    const { identity, clusterId, clusterKey, listen, transport } = this.#init
    const { log, meter } = this.#components
    const topic = gossipTopic(clusterId)
    const onDuplicate = () => log.warn('duplicate-identity', { peer: this.self })
    const keys = deriveKeys(clusterKey)
    const encrypter = admission({ gate: this.#gate, keys, onDuplicate })
    const host = await createHost({ identity, encrypter, topic, listen, transport })
    const hello = this.#createHello()
    const presence = new Presence(
      { ...this.#components, host },
      {
        hello,
        onPeer: (peer, up) => this.#peerListeners.forEach(fn => fn(peer, up)),
        challenge: connection => peers.challenge(connection),
        onDuplicate: error => this.#duplicateListeners.forEach(fn => fn(error))
      }
    )
    const peers: Peers = new Peers(
      { ...this.#components, host, presence, book: this.#book, handlers: this.#handlers },
      { hello }
    )
    const gossip = new Gossip(
      { pubsub: host.services.pubsub, meter, log },
      {
        topic,
        greeted: peer => presence.has(peer),
        onMessage: (from, body) => this.#gossipListeners.forEach(fn => fn(from, body))
      }
    )
    return { host, peers, presence, gossip }
  }

  #createHello(): Hello {
    const { clusterId, n } = this.#init
    const { clock, random } = this.#components
    const epoch = epochOf(clock.wallMs(), random.bytes(2))
    return { clusterId, protocols: PROTOCOL_RANGE, n, epoch }
  }
}

async function end({ host, peers, presence }: Running): Promise<void> {
  peers.stop()
  presence.stop()
  await host.stop()
}

function refuseListen(address: string): void {
  const parsed = parseAddress(address)
  if (parsed !== undefined && peerOf(parsed) === undefined) return
  throw new HearsayError(
    'ERR_ARGUMENT',
    `"${address}" is not an address to listen at; give one as in /ip4/0.0.0.0/tcp/7373.`
  )
}

function parseTarget(address: string): Multiaddr {
  const target = parseAddress(address)
  if (target !== undefined) return target
  throw new HearsayError(
    'ERR_ARGUMENT',
    `"${address}" is not an address; give one as in /ip4/192.0.2.1/tcp/7373/p2p/12D3Koo...`
  )
}

function aborted(to: NodeId, signal: AbortSignal): NetworkError {
  return new NetworkError(`Asking ${to}: the request was aborted.`, true, { cause: signal.reason })
}
