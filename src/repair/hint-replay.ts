/**
 * Replays the hints of one owner after the other, batch by batch, no faster than the rates allow. What
 * an owner refuses stays, and holds up nothing behind it.
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import { HearsayError } from '../errors.ts'
import { encodeRow } from '../lattice/encode.ts'
import type { Clock, Log, Meter, Timers } from '../ports.ts'
import type { Replica } from '../replica/replica.ts'
import { slotOf } from '../ring/slot.ts'
import type { NodeId } from '../util/node-id.ts'
import { sleep } from '../util/sleep.ts'
import { decodeRefusals, encodeApply, type ApplyItem } from '../wire/rows.ts'
import type { HintBook } from './hint-book.ts'
import { rangeOf, type Hint } from './hint-record.ts'
import { pauseAfter, type Rates, type Sent } from './rate.ts'

export interface HintReplayComponents {
  readonly book: HintBook
  readonly replica: Replica
  readonly membership: Membership
  readonly liveness: Liveness
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  readonly meter: Meter
}

export interface HintReplayInit {
  /**
   * How many rows a second one owner is sent. More brings it up to date sooner and leaves less of it
   * and of this node to clients meanwhile.
   *
   * @default 2_000
   */
  readonly rowsPerSecondMax?: number
  /**
   * How many bytes of rows a second one owner is sent.
   *
   * @default 8_388_608
   */
  readonly bytesPerSecondMax?: number
}

const BATCH_HINTS = 128
const BATCH_BYTES = 1024 * 1024
/** Then owners that came back meanwhile get their turn. */
const TURN_MS = 5_000
const DEADLINE_MS = 5_000

interface Offered {
  readonly hint: Hint
  readonly item: ApplyItem | undefined
}

export class HintReplay {
  readonly #components: HintReplayComponents
  readonly #rates: Rates
  /** By owner: the hint up to which it was asked, where it refused some, so that they hold up no others. */
  readonly #askedTo = new Map<NodeId, Uint8Array>()

  constructor(components: HintReplayComponents, init: HintReplayInit = {}) {
    this.#components = components
    this.#rates = {
      rowsPerSecondMax: init.rowsPerSecondMax ?? 2_000,
      bytesPerSecondMax: init.bytesPerSecondMax ?? 8 * 1024 * 1024
    }
  }

  /** To every owner that is alive, until nothing is left for it, it fails, or time is up. */
  async run(signal?: AbortSignal): Promise<void> {
    const { membership, clock } = this.#components
    const endMs = clock.monoMs() + TURN_MS
    await Promise.all(membership.peers.map(owner => this.#replayTo(owner, endMs, signal)))
  }

  async #replayTo(owner: NodeId, endMs: number, signal?: AbortSignal): Promise<void> {
    const { liveness, clock, timers } = this.#components
    while (liveness.isAlive(owner) && clock.monoMs() < endMs) {
      const beganMs = clock.monoMs()
      const sent = await this.#replayBatch(owner, signal)
      if (sent === undefined) return
      const pauseMs = pauseAfter(sent, clock.monoMs() - beganMs, this.#rates)
      if (pauseMs > 0) await sleep(timers, pauseMs, signal)
    }
  }

  /** What was sent, while hints for this owner come to an end and there may be more of them. */
  async #replayBatch(owner: NodeId, signal?: AbortSignal): Promise<Sent | undefined> {
    const { membership, meter, log } = this.#components
    const batch = this.#take(owner)
    const items = batch.flatMap(({ item }) => item ?? [])
    if (batch.length === 0) {
      // The next turn begins at the front again.
      this.#askedTo.delete(owner)
      return undefined
    }
    try {
      // Of what a hint carries there may be nothing else: it is given up for what no power loss takes.
      const flush = batch.some(({ hint }) => hint.carried !== undefined)
      const request = encodeApply({ flush, items })
      const answer = await membership.ask(owner, 'apply', request, {
        deadlineMs: DEADLINE_MS,
        signal
      })
      const refusals = decodeRefusals(answer)
      if (refusals === undefined) throw unreadable(owner)
      const refused = new Set(refusals.map(({ index }) => items[index]))
      const isDone = ({ hint, item }: Offered) =>
        item === undefined || (!refused.has(item) && this.#isPlaced(hint))
      const done = batch.filter(isDone)
      meter.count('hints.replayed', items.length - refused.size)
      const removed = await this.#components.book.remove(done.map(({ hint }) => hint))
      if (refused.size > 0) this.#askedTo.set(owner, (batch.at(-1) as { hint: Hint }).hint.id)
      else if (removed === 0) return undefined
      const bytes = items.reduce((sum, item) => sum + item.bytes.length, 0)
      return { rows: items.length, bytes }
    } catch (error) {
      log.debug('hint-replay-failed', { owner, error: String(error) })
      return undefined
    }
  }

  /** What is carried is with an owner, also if owners have changed on the way. */
  #isPlaced({ owner, key, carried }: Hint): boolean {
    const { view } = this.#components.membership
    return carried === undefined || view.ownersOf(slotOf(key)).all.includes(owner)
  }

  #take(owner: NodeId): Offered[] {
    const batch = []
    let bytes = 0
    for (const hint of this.#components.book.read(rangeOf(owner, this.#askedTo.get(owner)))) {
      const item = this.#itemOf(hint)
      // What is lost here or still on its way may come back: its hint waits.
      if (item === 'unknown') continue
      bytes += item ? item.key.length + item.bytes.length : 0
      if (batch.length > 0 && bytes > BATCH_BYTES) break
      batch.push({ hint, item })
      if (batch.length === BATCH_HINTS) break
    }
    return batch
  }

  /**
   * The row that the hint carries, or as it is here now; one that is absent, or lost for good, has
   * nothing to replay.
   * What is carried for somebody who owns the key no more waits for its new address: there, nobody
   * would look for it.
   */
  #itemOf(hint: Hint): ApplyItem | undefined | 'unknown' {
    const { key, carried } = hint
    const { replica } = this.#components
    if (carried !== undefined) {
      return this.#isPlaced(hint) ? { key, kind: 'row', bytes: carried } : 'unknown'
    }
    const held = replica.read(key)
    if (held.answer === 'unknown') return held.isLost === true ? undefined : 'unknown'
    return held.answer === 'row' ? { key, kind: 'row', bytes: encodeRow(held.row) } : undefined
  }
}

function unreadable(owner: NodeId): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `Hearsay could not read an answer of ${owner}.`)
}
