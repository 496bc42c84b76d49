/**
 * The answering end of the exchanges that peers begin: applies what they send, and answers from the
 * own trees and rows, a few requests of each peer at a time. Keeps nothing between two requests.
 */
import type { Membership } from '../cluster/membership.ts'
import { respond } from '../digest/exchange-respond.ts'
import { IN_FLIGHT_MAX } from '../digest/exchange.ts'
import type { SlotGroup } from '../digest/forest.ts'
import { HearsayError } from '../errors.ts'
import type { Clock, Meter } from '../ports.ts'
import type { Replica } from '../replica/replica.ts'
import type { NodeId } from '../util/node-id.ts'
import { decodeExchangeRequest, encodeExchangeAnswer } from '../wire/exchange.ts'
import { countMalformed, malformed, membersChanged } from './exchange-errors.ts'
import { applyRows } from './exchange-run.ts'
import type { Pace } from './pace.ts'
import type { SharedSlots } from './shared-slots.ts'

export interface AnsweringComponents {
  readonly replica: Replica
  readonly membership: Membership
  readonly clock: Clock
  readonly meter: Meter
  readonly pace: Pace
  readonly shared: SharedSlots
}

/** Requests of one peer that are being answered at a time. */
const ANSWERS_MAX = 2 * IN_FLIGHT_MAX

export class Answering {
  readonly #components: AnsweringComponents
  readonly #under = new Map<NodeId, number>()

  constructor(components: AnsweringComponents) {
    this.#components = components
  }

  /** From bytes to bytes; what it rejects with is told to the peer. */
  async answer(from: NodeId, body: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    const under = this.#under.get(from) ?? 0
    if (under >= ANSWERS_MAX) throw tooMany(from)
    this.#under.set(from, under + 1)
    try {
      return await this.#respond(from, body, signal)
    } catch (error) {
      countMalformed(this.#components.meter, error)
      throw error
    } finally {
      const left = (this.#under.get(from) ?? 1) - 1
      if (left > 0) this.#under.set(from, left)
      else this.#under.delete(from)
    }
  }

  /** Ends when the peer gives up or is gone: nobody waits for the answer then. */
  async #respond(from: NodeId, body: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    const request = decodeExchangeRequest(body)
    if (request === undefined) throw malformed(from)
    const { replica, pace, shared } = this.#components
    const isGift = request.slots !== undefined
    const rows = isGift ? request.rows.filter(row => replica.mayTake(row)) : request.rows
    const applied = await applyRows(this.#components, rows, signal)
    // What waits here for its time is in good hands: whoever gave it need not keep it for that. What may
    // not be taken is not.
    const aside = request.rows.length - rows.length
    const refused = applied.refused - applied.aside + aside
    const taken = isGift ? { ...applied, refused, aside } : applied
    const group = this.#groupOf(from, request.slots)
    const own = { forest: replica.forest, rows: replica.rows, group }
    try {
      // Equal roots prove nothing here: that of the peer is as old as the way of its request was long.
      return encodeExchangeAnswer(await pace.run(respond(own, request, taken, pace.size), signal))
    } catch (error) {
      // Under another view the group was given back in the middle of it.
      if (request.slots === undefined && !shared.isOf(from, group)) throw membersChanged()
      throw error
    } finally {
      if (request.slots !== undefined) group.free()
    }
  }

  /** Of the slots that a peer names, which have to be this node's; or else of those that both own. */
  #groupOf(from: NodeId, slots: Uint16Array | undefined): SlotGroup {
    const { membership, replica, shared } = this.#components
    if (slots === undefined) return shared.group(from)
    const { view, id } = membership
    const owned = view.all.owned(id)
    const isHere = slots.every(slot => owned[slot] === 1)
    if (!isHere || slots.length === 0) throw malformed(from)
    return replica.forest.group(slots)
  }
}

function tooMany(peer: NodeId): HearsayError {
  return new HearsayError(
    'ERR_OVERLOADED',
    `${ANSWERS_MAX} exchange requests of ${peer} are being answered; wait for one of them.`
  )
}
