/**
 * Exchanges that somebody asked for: with one peer or with all that are alive, one after the other, also
 * while anti-entropy is paused, and each to its end however long that takes. Peers that are not alive are
 * not tried, but told of: of what they hold nothing is known.
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import type { ExchangeReport, RepairOptions } from '../options.ts'
import type { Clock } from '../ports.ts'
import type { AntiEntropy, Exchanged, ExchangeOptions } from './anti-entropy.ts'
import { NOTHING_MOVED } from './exchange-run.ts'
import type { NodeId } from '../util/node-id.ts'
import type { ExchangeProgress } from './progress.ts'

export interface ByHandComponents {
  readonly antiEntropy: AntiEntropy
  readonly membership: Membership
  readonly liveness: Liveness
  readonly clock: Clock
}

export class ByHand {
  readonly #components: ByHandComponents

  constructor(components: ByHandComponents) {
    this.#components = components
  }

  /**
   * Every peer has its turn; rejects after that with the first failure, and at once with the reason of
   * the signal when that was it. What was moved stays moved.
   */
  async run(options: RepairOptions): Promise<readonly ExchangeReport[]> {
    const { clock } = this.#components
    const { now, signal, onProgress } = options
    signal?.throwIfAborted()
    const beganMs = clock.monoMs()
    const { peers, away } = this.#peers(options.peer)
    const reports: ExchangeReport[] = []
    // As each exchange tells it on its way out, whether it came to its end or not.
    let moved = { rows: 0, bytes: 0 }
    let failure: unknown
    for (const [peersDone, peer] of peers.entries()) {
      const before = moved
      const tell = ({ rows, bytes, ...progress }: ExchangeProgress) => {
        moved = { rows: before.rows + rows, bytes: before.bytes + bytes }
        const elapsedMs = clock.monoMs() - beganMs
        onProgress?.({
          peer,
          peersDone,
          peersTotal: peers.length,
          ...progress,
          ...moved,
          elapsedMs
        })
      }
      const settle = now === true ? { settleMs: 0 } : {}
      const listen = onProgress === undefined ? {} : { onProgress: tell }
      try {
        reports.push(await this.#exchange(peer, { signal, ...settle, ...listen }))
      } catch (error) {
        signal?.throwIfAborted()
        failure ??= error
      }
    }
    if (failure !== undefined) throw failure
    return [...reports, ...away.map(notReached)]
  }

  async #exchange(peer: NodeId, options: ExchangeOptions): Promise<ExchangeReport> {
    return reportOf(await this.#components.antiEntropy.exchange(peer, options))
  }

  /** Of those that own slots in common with this node. */
  #peers(only: NodeId | undefined): Record<'peers' | 'away', readonly NodeId[]> {
    const { antiEntropy, membership, liveness } = this.#components
    const isAway = (peer: NodeId) => only === undefined && !liveness.isAlive(peer)
    const all = (only === undefined ? membership.peers : [only]).filter(
      each => antiEntropy.sharedSlots(each).length > 0
    )
    return { peers: all.filter(each => !isAway(each)), away: all.filter(isAway) }
  }
}

const ENGINE_ONLY: readonly string[] = [
  'generation',
  'complete',
  'refusal',
  'unexplained'
] satisfies (keyof Exchanged)[]

/** Without what only the engine needs to know. */
function reportOf(exchanged: Exchanged): ExchangeReport {
  const fields = Object.entries(exchanged).filter(([name]) => !ENGINE_ONLY.includes(name))
  return Object.fromEntries([...fields, ['reached', true]]) as unknown as ExchangeReport
}

function notReached(peer: NodeId): ExchangeReport {
  return { peer, reached: false, equal: false, ...NOTHING_MOVED, overheadBytes: 0, keys: [] }
}
