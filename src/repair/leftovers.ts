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
/** Until a peer is offered again what it may not take. */
const WITHHELD_MS = 60_000
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
  /** Of each peer the slots of which it may not take a row, and until when that is believed. */
  readonly #withheld = new Map<NodeId, Map<number, number>>()
  /** Raised when slots that were given, or are being given, may hold more than that. */
  #reopened = 0
  /** Something of `#given` is on disk that is not in it any more. */
  #isStale = false
  #placed: (Pick<View, 'current' | 'next'> & { readonly reopened: number }) | undefined

  constructor(components: LeftoversComponents) {
    this.#components = components
    components.store.get('meta', KEY)?.forEach((flag, slot) => {
      if (flag !== 0 && slot < SLOTS) this.#given.add(slot)
    })
    // What is owned again is not done with: it may be written here, and lost again.
    const follow = (view: View) => this.#takeBack(ownedBy(view, components.membership.id))
    components.membership.onView(follow)
    follow(components.membership.view)
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

  /**
   * Something comes, or has come, into these slots: what is not owned of them is to be handed over, once
   * more. Resolves when that is on disk.
   */
  async reopen(slots: Iterable<number>): Promise<void> {
    const { view, id } = this.#components.membership
    const isOwned = ownedBy(view, id)
    const opened = new Set([...slots].filter(slot => !isOwned(slot)))
    if (opened.size === 0) return
    this.#takeBack(slot => opened.has(slot))
    // Also of those that are being given, and so not done with yet.
    this.#reopened++
    await this.#saveStale()
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
        const reopened = this.#reopened
        const given = await antiEntropy.handOver(peer, Uint16Array.from(some), signal)
        log.info('handed-over', { peer, slots: some.length, rows: given.rowsSent })
        this.#withhold(peer, given.withheld)
        const taken = some.filter(slot => !given.withheld.has(slot))
        if (given.complete) await this.#done(peer, taken, reopened, signal)
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
  async #done(
    peer: NodeId,
    slots: readonly number[],
    reopened: number,
    signal: AbortSignal
  ): Promise<void> {
    const { membership, replica, meter } = this.#components
    const isDone = (slot: number) => {
      const { view, id } = membership
      const isTheirs = view.current.owned(peer)[slot] === 1 && view.all.owned(id)[slot] !== 1
      return isTheirs && !this.#given.has(slot)
    }
    const sound = [...replica.keeper.sound(Uint16Array.from(slots))]
    if (!sound.some(isDone)) return
    const flush = encodeApply({ flush: true, items: [] })
    await membership.ask(peer, 'apply', flush, { deadlineMs: FLUSH_DEADLINE_MS, signal })
    // What came in meanwhile may not be with the peer.
    if (this.#reopened !== reopened) return
    const done = sound.filter(isDone)
    meter.count('leftovers.slots', done.length)
    for (const slot of done) this.#given.add(slot)
    this.#foreign = this.#foreign.filter(slot => !this.#given.has(slot))
    await this.#save()
  }

  /** What one owner may not take the others may have to be told. */
  #withhold(peer: NodeId, slots: ReadonlySet<number>): void {
    const untilMs = this.#components.clock.monoMs() + WITHHELD_MS
    const known = this.#withheld.get(peer) ?? new Map<number, number>()
    for (const slot of slots) known.set(slot, untilMs)
    if (known.size > 0) this.#withheld.set(peer, known)
  }

  #takeBack(isBack: (slot: number) => boolean): void {
    const back = [...this.#given].filter(isBack)
    if (back.length === 0) return
    for (const slot of back) this.#given.delete(slot)
    this.#isStale = true
    this.#reopened++
  }

  /** Works out what is left, where slots have changed hands or something has come into them. */
  async #follow(): Promise<void> {
    await this.#saveStale()
    const { membership, replica } = this.#components
    const { current, next } = membership.view
    const [placed, reopened] = [this.#placed, this.#reopened]
    const isSame = current === placed?.current && next === placed.next
    if (isSame && reopened === placed.reopened) return
    const isOwned = ownedBy(membership.view, membership.id)
    this.#withheld.clear()
    this.#foreign = []
    for (let slot = 0; slot < SLOTS; slot++) {
      const isLeft = !isOwned(slot) && !this.#given.has(slot) && replica.forest.rows(slot) > 0
      if (isLeft) this.#foreign.push(slot)
    }
    this.#placed = { current, next, reopened }
  }

  /** Those of them that are the peer's now. */
  #leftFor(peer: NodeId): readonly number[] {
    if (this.#foreign.length === 0) return this.#foreign
    const { membership, clock } = this.#components
    const owned = membership.view.current.owned(peer)
    const withheld = this.#withheld.get(peer)
    const isWithheld = (slot: number) => clock.monoMs() < (withheld?.get(slot) ?? 0)
    return this.#foreign.filter(slot => owned[slot] === 1 && !isWithheld(slot))
  }

  async #saveStale(): Promise<void> {
    if (this.#isStale) await this.#save()
  }

  async #save(): Promise<void> {
    const flags = new Uint8Array(SLOTS)
    for (const slot of this.#given) flags[slot] = 1
    const value = this.#given.size === 0 ? undefined : flags
    this.#isStale = false
    try {
      await this.#components.store.commit([{ space: 'meta', key: KEY, value }])
    } catch (error) {
      this.#isStale = true
      throw error
    }
  }
}

/** Whether a slot is the node's, now or after the change that is under way. */
function ownedBy({ all }: View, node: NodeId): (slot: number) => boolean {
  const owned = all.owned(node)
  return slot => owned[slot] === 1
}
