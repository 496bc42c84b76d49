/**
 * The streams of requests to and from the other nodes: one to each, opened when first needed.
 *
 *     connection ──► stream ──► hello each way ──► agree: requests
 *                                              └─► disagree: the connection is closed
 *
 * Promised: requests made while a connection is being opened share it. Nothing is sent to a node
 * that has not said a fitting hello, and nothing is read from it.
 */
import type { Connection, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import { NetworkError } from '../errors.ts'
import type { Handler, Log, Meter, Protocol, Timers } from '../ports.ts'
import type { NodeId } from '../util/node-id.ts'
import { peerOf } from './book.ts'
import type { AddressBook } from './book.ts'
import { dialFailure, streamFailure } from './failure.ts'
import type { Hello } from './hello.ts'
import type { Host } from './host.ts'
import { CHALLENGE_MS_MAX, DIAL_MS_MAX, HELLO_MS_MAX, REQUEST_STREAMS_MAX } from './limits.ts'
import { idOf } from './presence.ts'
import type { Presence } from './presence.ts'
import { RpcClient } from './rpc.ts'
import { RpcServer } from './serve.ts'
import { within } from './within.ts'

export interface PeersComponents {
  readonly host: Host
  readonly timers: Timers
  readonly log: Log
  readonly meter: Meter
  readonly book: AddressBook
  readonly presence: Presence
  readonly handlers: ReadonlyMap<Protocol, Handler>
}

export interface PeersInit {
  readonly hello: Hello
}

interface Opening {
  readonly promise: Promise<RpcClient>
  client?: RpcClient
}

export class Peers {
  readonly #components: PeersComponents
  readonly #init: PeersInit
  readonly #protocol: string
  readonly #clients = new Map<NodeId, Opening>()
  readonly #servers = new Set<RpcServer>()
  #stopped = false

  constructor(components: PeersComponents, init: PeersInit) {
    this.#components = components
    this.#init = init
    this.#protocol = `/hearsay/${init.hello.clusterId}/rpc/1`
    components.host.addEventListener('connection:open', ({ detail }) => this.#onConnection(detail))
  }

  /** Before the host starts, so that nobody finds it deaf. */
  async start(): Promise<void> {
    const options = { maxInboundStreams: REQUEST_STREAMS_MAX }
    const serve = (stream: Stream, connection: Connection) => this.#serve(stream, connection)
    await this.#components.host.handle(this.#protocol, serve, options)
  }

  stop(): void {
    this.#stopped = true
    const why = 'this node is stopping'
    for (const { client } of this.#clients.values()) client?.end(why)
    for (const server of this.#servers) server.end(why)
    this.#clients.clear()
  }

  /** The stream to a peer, if it is open now. */
  open(peer: NodeId): RpcClient | undefined {
    return this.#clients.get(peer)?.client
  }

  /** The stream to a peer, opened if need be. Rejects with `HearsayError`; nothing was sent. */
  client(peer: NodeId): Promise<RpcClient> {
    const known = this.#clients.get(peer)
    if (known !== undefined) return known.promise
    if (this.#stopped) return Promise.reject(stopped())
    const opening: Opening = { promise: this.#connect(peer) }
    this.#clients.set(peer, opening)
    opening.promise.then(
      client => this.#opened(peer, opening, client),
      () => this.#forget(peer, opening)
    )
    return opening.promise
  }

  /** Resolves with the id of the node at `address` after the hello. Rejects with `HearsayError`. */
  async dial(address: Multiaddr, signal: AbortSignal): Promise<NodeId> {
    const connection = await this.#dial(address, address.toString(), signal)
    const peer = idOf(connection)
    const { book } = this.#components
    if (book.get(peer).length === 0) book.learn(peer, [address.toString()])
    await this.client(peer)
    return peer
  }

  async #dial(
    target: Multiaddr | readonly Multiaddr[],
    name: string,
    signal: AbortSignal
  ): Promise<Connection> {
    if (this.#stopped) throw stopped()
    this.#components.meter.count('network.dials')
    try {
      return await this.#components.host.dial('getComponents' in target ? target : [...target], {
        signal
      })
    } catch (error) {
      this.#components.meter.count('network.dials-failed')
      throw dialFailure(name, error)
    }
  }

  async #connect(peer: NodeId): Promise<RpcClient> {
    const [connection, stream] = await this.#streamTo(peer)
    const client = new RpcClient(
      { ...this.#components, stream },
      { peer, onEnd: () => this.#onClientEnd(peer, client) }
    )
    const theirs = await client.hello(this.#init.hello)
    const { fault } = await this.#components.presence.greet(connection, theirs)
    if (fault === undefined) return client
    connection.close().catch((error: Error) => connection.abort(error))
    throw fault
  }

  /** Their hello over this very connection, if it comes soon. */
  async challenge(connection: Connection): Promise<Hello | undefined> {
    const { timers, log } = this.#components
    const peer = idOf(connection)
    const challenge = async () => {
      const stream = await this.#openStream(connection)
      const client = new RpcClient({ ...this.#components, stream }, { peer, onEnd: () => {} })
      try {
        return await client.hello(this.#init.hello)
      } finally {
        client.end('it was only asked for a hello')
      }
    }
    try {
      return await within(timers, { deadlineMs: CHALLENGE_MS_MAX }, challenge())
    } catch (error) {
      log.debug('connection-dead', { peer, reason: String(error) })
      return undefined
    }
  }

  async #streamTo(peer: NodeId): Promise<readonly [Connection, Stream]> {
    const live = this.#live(peer)
    const stream = live === undefined ? undefined : await this.#tryStream(live)
    if (live !== undefined && stream !== undefined) return [live, stream]
    const connection = await this.#reach(peer)
    return [connection, await this.#openStream(connection)]
  }

  /** `undefined` if the connection was on its way out: it is ended, and a new one can be made. */
  async #tryStream(connection: Connection): Promise<Stream | undefined> {
    try {
      return await this.#openStream(connection)
    } catch (error) {
      if (!isStale(error)) throw error
      this.#components.meter.count('network.connections-stale')
      connection.abort(error as Error)
      return undefined
    }
  }

  #live(peer: NodeId): Connection | undefined {
    const connections = this.#components.host.getConnections(peerIdFromString(peer))
    return connections.findLast(connection => connection.status === 'open')
  }

  #reach(peer: NodeId): Promise<Connection> {
    const addresses = this.#components.book.get(peer)
    if (addresses.length === 0) {
      throw new NetworkError(`No address of the node ${peer} is known.`, true)
    }
    return this.#dial(addresses, nameOfAll(addresses), AbortSignal.timeout(DIAL_MS_MAX))
  }

  async #openStream(connection: Connection): Promise<Stream> {
    try {
      return await connection.newStream(this.#protocol, {
        signal: AbortSignal.timeout(HELLO_MS_MAX),
        maxOutboundStreams: REQUEST_STREAMS_MAX
      })
    } catch (error) {
      const failure = streamFailure(nameOf(connection), error)
      if (failure.code === 'ERR_CLUSTER_MISMATCH') connection.abort(failure)
      throw failure
    }
  }

  #opened(peer: NodeId, opening: Opening, client: RpcClient): void {
    if (this.#stopped) client.end('this node is stopping')
    if (client.ended) this.#forget(peer, opening)
    else opening.client = client
  }

  #onClientEnd(peer: NodeId, client: RpcClient): void {
    const opening = this.#clients.get(peer)
    if (opening?.client === client) this.#forget(peer, opening)
  }

  #forget(peer: NodeId, opening: Opening): void {
    if (this.#clients.get(peer) === opening) this.#clients.delete(peer)
  }

  #serve(stream: Stream, connection: Connection): void {
    const server = new RpcServer(
      { ...this.#components, stream },
      {
        peer: idOf(connection),
        hello: this.#init.hello,
        onHello: theirs => this.#components.presence.greet(connection, theirs),
        onEnd: ended => this.#servers.delete(ended)
      }
    )
    if (this.#stopped) return server.end('this node is stopping')
    this.#servers.add(server)
  }

  #onConnection(connection: Connection): void {
    if (connection.direction !== 'outbound') return
    const peer = idOf(connection)
    // Whoever waits for it hears of a failure; otherwise the next request tries again.
    this.client(peer).catch((error: Error) => {
      this.#components.log.debug('peer-not-opened', { peer, reason: error.message })
    })
  }
}

/** A peer that is slow, or that refuses, would be no better over a new connection. */
function isStale(error: unknown): boolean {
  if (!(error instanceof NetworkError)) return false
  return !(error.cause instanceof Error && /Timeout|Abort/.test(error.cause.name))
}

function nameOf(connection: Connection): string {
  return connection.remoteAddr.toString()
}

function nameOfAll(addresses: readonly Multiaddr[]): string {
  const [first] = addresses
  if (addresses.length === 1) return String(first)
  return `${first === undefined ? '' : peerOf(first)} (${addresses.length} addresses)`
}

function stopped(): NetworkError {
  return new NetworkError('This node is not running.', true)
}
