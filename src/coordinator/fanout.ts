/** Sends changes and reads to other owners and turns every way of answering into one of few outcomes. */
import { HearsayError } from '../errors.ts'
import type { Membership } from '../cluster/membership.ts'
import type { RequestOptions } from '../ports.ts'
import type { ReplicaAnswer } from '../quorum/read.ts'
import type { Replica } from '../replica/replica.ts'
import type { NodeId } from '../util/node-id.ts'
import {
  decodeReadAnswer,
  decodeRefusals,
  encodeApply,
  type ApplyItem,
  type ApplyRequest
} from '../wire/rows.ts'

export interface FanoutComponents {
  readonly replica: Replica
  readonly membership: Membership
}

export class Fanout {
  readonly #components: FanoutComponents

  constructor(components: FanoutComponents) {
    this.#components = components
  }

  /** Resolves when the owner holds every item; rejects with the reason of the first it refused. */
  async apply(to: NodeId, request: ApplyRequest, options: RequestOptions): Promise<void> {
    const { membership } = this.#components
    if (to === membership.id) return this.#applyHere(request.items, request.flush)
    const answer = await membership.ask(to, 'apply', encodeApply(request), options)
    const refusals = decodeRefusals(answer)
    if (refusals === undefined) throw unreadable(to)
    const [first] = refusals
    if (first !== undefined) {
      throw new HearsayError('ERR_REMOTE', `${first.message} (${first.code})`)
    }
  }

  /** What the owner says of the key. Never rejects: a failure is an answer too. */
  async read(to: NodeId, key: Uint8Array, options: RequestOptions): Promise<ReplicaAnswer> {
    const { membership, replica } = this.#components
    try {
      if (to === membership.id) return replica.read(key)
      const answer = decodeReadAnswer(await membership.ask(to, 'read', key, options))
      return answer ?? { answer: 'failed', error: unreadable(to) }
    } catch (error) {
      return { answer: 'failed', error: error as Error }
    }
  }

  async #applyHere(items: readonly ApplyItem[], flush: boolean): Promise<void> {
    const { replica } = this.#components
    await Promise.all(items.map(({ key, kind, bytes }) => replica.apply(key, kind, bytes, flush)))
  }
}

function unreadable(node: NodeId): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `Hearsay could not read an answer of ${node}.`)
}
