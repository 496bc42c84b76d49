/**
 * Gossip over gossipsub: one topic, signed messages, small limits. A hint and never the only path:
 * what is dropped here is found by the comparison of member tables.
 */
import './shim.ts'
import { gossipsub, StrictSign, TopicValidatorResult } from '@libp2p/gossipsub'
import type { GossipSub, Message } from '@libp2p/gossipsub'
import { HearsayError } from '../errors.ts'
import type { Log, Meter } from '../ports.ts'
import type { NodeId } from '../util/node-id.ts'
import { GOSSIP_BYTES_MAX, GOSSIP_FRAME_BYTES_MAX, GOSSIP_ITEMS_MAX } from './limits.ts'

export type GossipFactory = ReturnType<typeof gossipsub>

export function gossipTopic(clusterId: string): string {
  return `/hearsay/${clusterId}/members/1`
}

export function gossipService(topic: string): GossipFactory {
  return gossipsub({
    globalSignaturePolicy: StrictSign,
    allowedTopics: [topic],
    fallbackToFloodsub: false,
    floodPublish: true,
    emitSelf: false,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    // Members must not lose their connections to one another when there are many.
    tagMeshPeers: false,
    // Whoever is connected holds the key, and many nodes on one machine are no attack.
    scoreParams: { IPColocationFactorWeight: 0 },
    maxInboundDataLength: GOSSIP_FRAME_BYTES_MAX,
    maxOutboundBufferSize: GOSSIP_FRAME_BYTES_MAX * GOSSIP_ITEMS_MAX,
    decodeRpcLimits: {
      maxSubscriptions: GOSSIP_ITEMS_MAX,
      maxMessages: GOSSIP_ITEMS_MAX,
      maxIhaveMessageIDs: GOSSIP_ITEMS_MAX,
      maxIwantMessageIDs: GOSSIP_ITEMS_MAX,
      maxIdontwantMessageIDs: GOSSIP_ITEMS_MAX,
      maxControlMessages: GOSSIP_ITEMS_MAX,
      maxPeerInfos: GOSSIP_ITEMS_MAX
    }
  })
}

export interface GossipComponents {
  readonly pubsub: GossipSub
  readonly meter: Meter
  readonly log: Log
}

export interface GossipInit {
  readonly topic: string
  /** Whether a peer has said hello: before that, what it passes on is dropped. */
  readonly greeted: (peer: NodeId) => boolean
  readonly onMessage: (from: NodeId, body: Uint8Array) => void
}

export class Gossip {
  readonly #components: GossipComponents
  readonly #init: GossipInit

  constructor(components: GossipComponents, init: GossipInit) {
    this.#components = components
    this.#init = init
    const { pubsub } = components
    pubsub.topicValidators.set(init.topic, (peer, message) =>
      this.#validate(peer.toString() as NodeId, message)
    )
    pubsub.addEventListener('message', ({ detail }) => {
      if (detail.type === 'signed' && detail.topic === init.topic) {
        init.onMessage(detail.from.toString() as NodeId, detail.data)
      }
    })
  }

  /** Once started. */
  subscribe(): void {
    this.#components.pubsub.subscribe(this.#init.topic)
  }

  /** At best effort, also with nobody to hear it. Throws `ERR_ARGUMENT` over the limit. */
  publish(body: Uint8Array): void {
    if (body.length > GOSSIP_BYTES_MAX) {
      throw new HearsayError(
        'ERR_ARGUMENT',
        `A message of ${body.length} bytes is over the limit of ${GOSSIP_BYTES_MAX} for gossip; send it as a request.`
      )
    }
    const { pubsub, meter, log } = this.#components
    pubsub.publish(this.#init.topic, body.slice()).then(
      () => meter.count('network.gossip-published'),
      (error: Error) => {
        meter.count('network.gossip-not-published')
        log.debug('gossip-not-published', { reason: error.message })
      }
    )
  }

  #validate(peer: NodeId, message: Message): TopicValidatorResult {
    const { meter } = this.#components
    if (!this.#init.greeted(peer)) {
      meter.count('network.gossip-before-hello')
      return TopicValidatorResult.Ignore
    }
    if (message.type !== 'signed' || message.data.length > GOSSIP_BYTES_MAX) {
      meter.count('network.gossip-rejected')
      return TopicValidatorResult.Reject
    }
    meter.count('network.gossip-received')
    return TopicValidatorResult.Accept
  }
}
