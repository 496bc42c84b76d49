/** Sends changes and reads to other owners and turns every way of answering into one of few outcomes. */
import { HearsayError, type ErrorCode } from '../errors.ts'
import type { Membership } from '../cluster/membership.ts'
import type { RequestOptions } from '../ports.ts'
import type { Row } from '../lattice/row.ts'
import type { ReplicaAnswer } from '../quorum/read.ts'
import type { Replica } from '../replica/replica.ts'
import type { NodeId } from '../util/node-id.ts'
import {
  decodeReadAnswer,
  decodeRefusals,
  encodeApply,
  encodeReadRequest,
  type ApplyItem,
  type ApplyRequest,
  type ReadRequest
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
    if (first !== undefined) throw new HearsayError(first.code as ErrorCode, first.message)
  }

  /** What the owner says of the key. Never rejects: a failure is an answer too. */
  async read(to: NodeId, request: ReadRequest, options: RequestOptions): Promise<ReplicaAnswer> {
    const { membership, replica } = this.#components
    try {
      if (to === membership.id) return replica.read(request.key)
      const body = encodeReadRequest(request)
      const answer = decodeReadAnswer(await membership.ask(to, 'read', body, options))
      return answer ?? { answer: 'failed', error: unreadable(to) }
    } catch (error) {
      return { answer: 'failed', error: error as Error }
    }
  }

  /** What an owner that holds a row of this key says when it is asked for a digest. */
  digestOf(key: Uint8Array): (row: Row) => Uint8Array {
    const { rows } = this.#components.replica
    return row => rows.encode(key, row).digest
  }

  /** False when this node is an owner but cannot answer for the key. */
  isWholeHere(key: Uint8Array): boolean {
    return this.#components.replica.isWhole(key)
  }

  async #applyHere(items: readonly ApplyItem[], flush: boolean): Promise<void> {
    const { replica } = this.#components
    await Promise.all(items.map(({ key, kind, bytes }) => replica.apply(key, kind, bytes, flush)))
  }
}

function unreadable(node: NodeId): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `Hearsay could not read an answer of ${node}.`)
}
