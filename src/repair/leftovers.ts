/**
 * Leftovers: rows of slots that this node owns no more. Whatever it was the only one to hold when it
 * lost them (an owner that was away while others joined) is given to the owners of now by an exchange that
 * goes one way, until all of each slot was once taken, and flushed, by one of them; from there
 * anti-entropy spreads it. Then the slot is done with, for as long as this node does not own it again.
 *
 *   owned ──▶ not owned, has rows ──all at an owner──▶ done
 *     ▲───────────────┴──────────────owned again─────────┘
 *
 * An owner that has lost what it held asks for all of it once more (recovery.ts), done with or not.
 *
 * Not promised: that the rows left behind take no room. They stay, and count for nothing.
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import { SLOTS } from '../digest/forest.ts'
import type { Clock, Log, Meter, Store } from '../ports.ts'
import type { Replica } from '../replica/replica.ts'
import type { View } from '../ring/view.ts'
import { utf8 } from '../util/bytes.ts'
import type { NodeId } from '../util/node-id.ts'
import { encodeApply } from '../wire/rows.ts'
import type { AntiEntropy } from './anti-entropy.ts'

export interface LeftoversComponents {
  readonly store: Store
  readonly replica: Replica
  readonly membership: Membership
  readonly liveness: Liveness
  readonly antiEntropy: Pick<AntiEntropy, 'handOver'>
  readonly clock: Clock
  readonly meter: Meter
  readonly log: Log
}

const KEY = utf8('handed-over')
/** After it the other peers have theirs, and whoever asked hears how far it has come. */
const TURN_MS = 10_000
/** What is given in one exchange: it is begun anew when it breaks off. */
const PORTION_ROWS = 8_192
const FLUSH_DEADLINE_MS = 30_000

export class Leftovers {
  readonly #components: LeftoversComponents
  /** Slots that are not owned and of which nothing is to be handed over any more; kept in the store. */
  readonly #given = new Set<number>()
  /**
   * Slots with rows that are not owned and not done, under the placement they were worked out from.
   * Under it nothing is written to them but what has waited here for its time (`reopen`).
   */
  #foreign: number[] = []
  #placed: Pick<View, 'current' | 'next'> | undefined

  constructor(components: LeftoversComponents) {
    this.#components = components
    components.store.get('meta', KEY)?.forEach((flag, slot) => {
      if (flag !== 0 && slot < SLOTS) this.#given.add(slot)
    })
  }

  /** Hands over what is left, to each owner that is alive in turn. */
  async turn(signal: AbortSignal): Promise<void> {
    const { membership, liveness, meter, log } = this.#components
    await this.#follow()
    for (const peer of membership.peers) {
      if (!liveness.isAlive(peer)) continue
      const slots = this.#leftFor(peer)
      if (slots.length === 0) continue
      signal.throwIfAborted()
      try {
        await this.#handOver(peer, slots, signal)
      } catch (error) {
        signal.throwIfAborted()
        meter.count('leftovers.failed')
        log.debug('leftovers-failed', { peer, error: String(error) })
      }
    }
  }

  /** Something came into these slots: what is not owned of them is to be handed over, once more. */
  async reopen(slots: Iterable<number>): Promise<void> {
    const { view, id } = this.#components.membership
    const isOwned = ownedBy(view, id)
    const opened = [...slots].filter(slot => !isOwned(slot))
    for (const slot of opened) this.#given.delete(slot)
    this.#foreign = [...new Set([...this.#foreign, ...opened])].sort((a, b) => a - b)
    if (opened.length > 0) await this.#save()
  }

  /**
   * Gives all that is here of those slots that are the peer's and not this node's, done with or not: the
   * peer has lost what it held. Resolves with those of which something is left after one turn; rejects
   * when the peer cannot be reached.
   */
  async give(
    peer: NodeId,
    slots: readonly number[],
    signal: AbortSignal
  ): Promise<readonly number[]> {
    const { membership, replica } = this.#components
    const { view, id } = membership
    const [isOwn, isTheirs] = [ownedBy(view, id), ownedBy(view, peer)]
    const isLeft = (slot: number) => !isOwn(slot) && isTheirs(slot) && replica.forest.rows(slot) > 0
    return this.#handOver(peer, slots.filter(isLeft), signal)
  }

  /** A portion at a time, each to its end, until the turn is over; resolves with the slots that are left. */
  async #handOver(
    peer: NodeId,
    slots: readonly number[],
    signal: AbortSignal
  ): Promise<readonly number[]> {
    const { antiEntropy, clock, log } = this.#components
    const end = clock.monoMs() + TURN_MS
    const left: number[] = []
    for (const some of this.#portions(slots)) {
      if (clock.monoMs() >= end) left.push(...some)
      else {
        const given = await antiEntropy.handOver(peer, Uint16Array.from(some), signal)
        log.info('handed-over', { peer, slots: some.length, rows: given.rowsSent })
        // Of what the peer may not take others may have to be told.
        const taken = some.filter(slot => !given.withheld.has(slot))
        if (given.complete) await this.#done(peer, taken, signal)
        else left.push(...some)
      }
    }
    return left
  }

  *#portions(slots: readonly number[]): Iterable<number[]> {
    const { forest } = this.#components.replica
    let [some, rows]: [number[], number] = [[], 0]
    for (const slot of slots) {
      some.push(slot)
      rows += forest.rows(slot)
      if (rows < PORTION_ROWS) continue
      yield some
      some = []
      rows = 0
    }
    if (some.length > 0) yield some
  }

  /** An owner of now has it; whoever is only about to be one may never be. */
  async #done(peer: NodeId, slots: readonly number[], signal: AbortSignal): Promise<void> {
    const { membership, replica, meter } = this.#components
    const owned = membership.view.current.owned(peer)
    const sound = replica.keeper.sound(Uint16Array.from(slots))
    const done = [...sound].filter(slot => owned[slot] === 1 && !this.#given.has(slot))
    if (done.length === 0) return
    const flush = encodeApply({ flush: true, items: [] })
    await membership.ask(peer, 'apply', flush, { deadlineMs: FLUSH_DEADLINE_MS, signal })
    meter.count('leftovers.slots', done.length)
    for (const slot of done) this.#given.add(slot)
    this.#foreign = this.#foreign.filter(slot => !this.#given.has(slot))
    await this.#save()
  }

  /** What is owned again is not done with: it may be written here, and lost again. */
  async #follow(): Promise<void> {
    const { membership, replica } = this.#components
    const { view, id } = membership
    const { current, next } = view
    if (current === this.#placed?.current && next === this.#placed.next) return
    const isOwned = ownedBy(view, id)
    const back = [...this.#given].filter(isOwned)
    for (const slot of back) this.#given.delete(slot)
    if (back.length > 0) await this.#save()
    this.#foreign = []
    for (let slot = 0; slot < SLOTS; slot++) {
      const isLeft = !isOwned(slot) && !this.#given.has(slot) && replica.forest.rows(slot) > 0
      if (isLeft) this.#foreign.push(slot)
    }
    this.#placed = { current, next }
  }

  /** Those of them that are the peer's now. */
  #leftFor(peer: NodeId): readonly number[] {
    if (this.#foreign.length === 0) return this.#foreign
    const owned = this.#components.membership.view.current.owned(peer)
    return this.#foreign.filter(slot => owned[slot] === 1)
  }

  async #save(): Promise<void> {
    const flags = new Uint8Array(SLOTS)
    for (const slot of this.#given) flags[slot] = 1
    const value = this.#given.size === 0 ? undefined : flags
    await this.#components.store.commit([{ space: 'meta', key: KEY, value }])
  }
}

/** Whether a slot is the node's, now or after the change that is under way. */
function ownedBy({ all }: View, node: NodeId): (slot: number) => boolean {
  const owned = all.owned(node)
  return slot => owned[slot] === 1
}
