/**
 * One libp2p node as this project wants it: one transport, one encrypter, one multiplexer, gossip,
 * and a bound on everything a stranger or a member can make it hold.
 */
import './shim.ts'
import { yamux } from '@libp2p/yamux'
import { identify } from '@libp2p/identify'
import type { Identify } from '@libp2p/identify'
import type { GossipSub } from '@libp2p/gossipsub'
import type { Libp2p } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import type { Libp2pOptions } from 'libp2p'
import type { EncrypterFactory } from './admission.ts'
import { gossipService } from './gossip.ts'
import type { Identity } from './identity.ts'
import * as limits from './limits.ts'

export interface HostServices extends Record<string, unknown> {
  readonly identify: Identify
  readonly pubsub: GossipSub
}

export type Host = Libp2p<HostServices>

export type TransportFactory = NonNullable<Libp2pOptions['transports']>[number]

export interface HostInit {
  readonly identity: Identity
  readonly encrypter: EncrypterFactory
  readonly topic: string
  readonly listen: readonly string[]
  /** @default TCP */
  readonly transport?: TransportFactory | undefined
}

/** Not started yet. */
export function createHost(init: HostInit): Promise<Host> {
  return createLibp2p<HostServices>({
    start: false,
    privateKey: init.identity.privateKey,
    nodeInfo: { name: 'hearsay', version: '1', userAgent: 'hearsay/1' },
    addresses: { listen: [...init.listen] },
    transports: [init.transport ?? tcp({ backlog: 64 })],
    connectionEncrypters: [init.encrypter],
    streamMuxers: [multiplexer()],
    connectionManager: connections,
    // Finds connections whose other end is gone without a word. A busy machine is given time.
    connectionMonitor: { pingTimeout: { minTimeout: 5_000 } },
    services: {
      identify: identify({ timeout: limits.HELLO_MS_MAX }),
      pubsub: gossipService(init.topic)
    }
  })
}

const connections = {
  maxConnections: limits.CONNECTIONS_MAX,
  maxIncomingPendingConnections: limits.PENDING_CONNECTIONS_MAX,
  inboundConnectionThreshold: limits.CONNECTIONS_PER_SECOND_MAX,
  inboundUpgradeTimeout: limits.UPGRADE_MS_MAX,
  inboundStreamProtocolNegotiationTimeout: limits.UPGRADE_MS_MAX,
  outboundStreamProtocolNegotiationTimeout: limits.UPGRADE_MS_MAX,
  dialTimeout: limits.DIAL_MS_MAX,
  addressDialTimeout: limits.DIAL_ADDRESS_MS_MAX,
  maxPeerAddrsToDial: limits.BOOK_ADDRESSES_MAX,
  // Requests dial by themselves; nothing else should.
  reconnectRetries: 0
}

function multiplexer() {
  return yamux({
    maxInboundStreams: limits.STREAMS_MAX,
    maxOutboundStreams: limits.STREAMS_MAX,
    streamOptions: {
      // What a peer may send unread must fit the buffer, or pausing would break the stream.
      maxStreamWindowSize: limits.STREAM_BUFFER_BYTES_MAX,
      maxReadBufferLength: limits.STREAM_BUFFER_BYTES_MAX
    }
  })
}
