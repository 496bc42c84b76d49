/**
 * Filling: how a node that may not hold all of a slot comes to hold it, by the same exchange that
 * heals everything else. It holds for a node that joins, one whose slots changed hands, and one
 * whose copy was rolled back or damaged:
 *
 *   owns a slot that it did not own before ──▶ filling: "unknown", takes no writes of its own
 *                                                 │
 *   held ◀──an exchange has matched with enough of the other owners, and all that are alive
 *
 * Enough are so many that every write which a majority of the owners acknowledged is on at least one
 * of them. All that are alive, because a write at a lower level may be on any one. Where one of them has
 * a row from too far ahead, which is only kept aside here, its slot goes on to be filled, and no other.
 * What was held before and lost, members that own nothing of it are asked for as well (recovery.ts).
 *
 * A joining node begins to count when nothing is filling any more; arrival.ts has what follows.
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import { SLOTS } from '../digest/forest.ts'
import { HearsayError } from '../errors.ts'
import type { Log, Timers } from '../ports.ts'
import { needed } from '../quorum/level.ts'
import type { Replica } from '../replica/replica.ts'
import type { View } from '../ring/view.ts'
import type { NodeId } from '../util/node-id.ts'
import { sleep } from '../util/sleep.ts'
import type { AntiEntropy, Exchanged } from './anti-entropy.ts'
import type { Recovery } from './recovery.ts'

export interface HandoffComponents {
  readonly replica: Replica
  readonly membership: Membership
  readonly liveness: Liveness
  readonly antiEntropy: AntiEntropy
  readonly recovery: Pick<Recovery, 'turn' | 'waiting' | 'askAgain'>
  readonly timers: Timers
  readonly log: Log
}

const RETRY_MS = 500

export class Handoff {
  readonly #components: HandoffComponents
  /** With whom an exchange has matched since slots last began to be filled, and but for which slots. */
  readonly #matched = new Map<NodeId, ReadonlySet<number>>()
  #generation = 0
  /** One for each slot that is this node's, now or after the change that is under way. */
  #owned: Uint8Array
  /** What `#owned` was worked out from. */
  #placed: Pick<View, 'current' | 'next'>

  constructor(components: HandoffComponents) {
    const { membership, antiEntropy } = components
    this.#components = components
    this.#owned = this.#ownedSlots()
    this.#placed = membership.view
    membership.onView(() => this.#noteView())
    antiEntropy.onExchange(report => this.#noteExchange(report))
  }

  /** Resolves when this node holds all it is about to own and has said so. */
  async join(signal: AbortSignal): Promise<void> {
    const { membership, timers, log } = this.#components
    log.info('joining', { members: membership.peers.length })
    while (!(await this.#fill(signal))) await sleep(timers, RETRY_MS, signal)
    await membership.announce('filled')
    log.info('joined')
  }

  /** Has members asked for what was lost, and ends the filling of every slot that is proven. */
  async settle(signal?: AbortSignal): Promise<void> {
    await this.#components.recovery.turn(signal)
    await this.#endProven()
  }

  /** Also of those that this node does not own. */
  async #endProven(): Promise<void> {
    const { replica, recovery } = this.#components
    const { filling } = replica
    if (filling.size === 0) return
    this.#follow()
    const { waiting } = recovery
    const isDone = (slot: number) =>
      this.#owned[slot] === 0 || (!waiting.has(slot) && this.#isProven(slot))
    const done: number[] = []
    for (let slot = 0; slot < SLOTS; slot++) {
      if (filling.has(slot) && isDone(slot)) done.push(slot)
    }
    await filling.end(done)
  }

  /** Slots that were somebody else's until now are filled before they count. */
  #noteView(): void {
    const { view } = this.#components.membership
    // Most news of members moves no slot, and working through every slot takes a while.
    if (view.current === this.#placed.current && view.next === this.#placed.next) return
    this.#placed = view
    // Who matched, or was asked, owned other slots then.
    this.#matched.clear()
    this.#later(this.#components.recovery.askAgain())
    const before = this.#owned
    this.#owned = this.#ownedSlots()
    const gained: number[] = []
    this.#owned.forEach((flag, slot) => {
      if (flag === 1 && before[slot] === 0) gained.push(slot)
    })
    if (gained.length > 0) this.#later(this.#components.replica.filling.begin(gained))
  }

  #noteExchange({ peer, complete, withheld, generation }: Exchanged): void {
    const { filling } = this.#components.replica
    this.#follow()
    if (complete && generation === filling.generation) {
      const before = this.#matched.get(peer) ?? withheld
      this.#matched.set(peer, new Set([...withheld].filter(slot => before.has(slot))))
    }
    this.#later(this.#endProven())
  }

  /** What matched before slots last began to be filled proves nothing of them. */
  #follow(): void {
    const { generation } = this.#components.replica.filling
    if (this.#generation !== generation) this.#matched.clear()
    this.#generation = generation
  }

  /** What counts in memory already and only has to reach the disk. */
  #later(saved: Promise<void>): void {
    saved.catch((error: unknown) =>
      this.#components.log.warn('filling-not-saved', { error: String(error) })
    )
  }

  #ownedSlots(): Uint8Array {
    const { view, id } = this.#components.membership
    return view.all.owned(id)
  }

  /** Asked of thousands of slots at a time. */
  #isProven(slot: number): boolean {
    const { membership, liveness } = this.#components
    const { current } = membership.view.ownersOf(slot)
    let [self, missing] = [0, 0]
    for (const node of current) {
      if (node === membership.id) self = 1
      else if (this.#matched.get(node)?.has(slot) !== false) {
        if (liveness.isAlive(node)) return false
        missing++
      }
    }
    return missing <= Math.max(0, needed('quorum', current.length) - 1 - self)
  }

  /** One exchange with each owner, under one view; true when nothing is filling after it. */
  async #fill(signal: AbortSignal): Promise<boolean> {
    const { membership, replica } = this.#components
    await this.#agree()
    const before = membership.view.fingerprint
    for (const peer of this.#sources()) await this.#exchange(peer, signal)
    await this.settle(signal)
    return membership.view.fingerprint === before && replica.filling.size === 0
  }

  /** Has every member that is alive see the view in which this node joins. */
  async #agree(): Promise<void> {
    const { membership, log } = this.#components
    const results = await Promise.allSettled(membership.peers.map(peer => membership.compare(peer)))
    const failed = results.filter(result => result.status === 'rejected').length
    if (failed > 0) log.info('members-not-reached', { failed })
  }

  #sources(): readonly NodeId[] {
    const { membership, liveness, antiEntropy } = this.#components
    return membership.view.current.nodes.filter(
      node =>
        node !== membership.id && liveness.isAlive(node) && antiEntropy.sharedSlots(node).length > 0
    )
  }

  async #exchange(peer: NodeId, signal: AbortSignal): Promise<void> {
    const { antiEntropy, log } = this.#components
    try {
      const report = await antiEntropy.exchange(peer, { settleMs: 0, signal })
      log.info('filled-from', { peer, rows: report.rowsReceived, bytes: report.bytesReceived })
      if (report.refusal !== undefined) throw report.refusal
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof HearsayError && error.code === 'ERR_CLOCK_SKEW') throw behindError(error)
      log.info('filling-failed', { peer, error: String(error) })
    }
  }
}

/** Mostly it is this clock that is wrong: then it says of all rows that they are from the future. */
function behindError(cause: Error): HearsayError {
  return new HearsayError(
    'ERR_CLOCK_SKEW',
    'The members hold rows that are more than a minute ahead of the clock of this machine. If it is ' +
      'behind, set it by NTP and start again. If it is right, one of the members was ahead: put or ' +
      `delete, on a node whose clock is right, what it has left behind, and start again. ${cause.message}`,
    { cause }
  )
}
