/**
 * Brings owners that answered a read with less up to date: before the caller gets the answer
 * (`blocking`), afterwards (`async`), or not at all (`off`, which leaves it to hints and
 * anti-entropy). Nobody else is written to, so converged data causes no writes.
 *
 * What runs afterwards is bounded: beyond so many repairs, or so many bytes of rows, further ones are
 * left out and counted.
 */
import { encodeRow } from '../lattice/encode.ts'
import type { ReadRepairMode } from '../options.ts'
import type { Meter } from '../ports.ts'
import type { ReadOutcome } from '../quorum/read.ts'
import type { NodeId } from '../util/node-id.ts'
import { GRACE_MS } from './deadline.ts'
import type { Fanout } from './fanout.ts'

export interface ReadRepairComponents {
  readonly fanout: Fanout
  readonly meter: Meter
}

export interface RepairRequest {
  readonly key: Uint8Array
  readonly mode: ReadRepairMode
  readonly timeoutMs: number
}

export interface Repaired {
  /** Who has the joined row now that had less before. */
  readonly repaired: readonly NodeId[]
  /** Who has it not, and why. */
  readonly refusals: ReadonlyMap<NodeId, Error>
}

const NOTHING: Repaired = { repaired: [], refusals: new Map() }

export const REPAIRS_MAX = 256
export const REPAIR_BYTES_MAX = 16 * 1024 * 1024

export class ReadRepair {
  readonly #components: ReadRepairComponents
  #underWay = 0
  #bytes = 0

  constructor(components: ReadRepairComponents) {
    this.#components = components
  }

  /** Resolves with what came of it: with nothing unless blocking. */
  async run({ row, behind }: ReadOutcome, request: RepairRequest): Promise<Repaired> {
    if (behind.length === 0 || request.mode === 'off') return NOTHING
    const bytes = encodeRow(row)
    if (request.mode === 'blocking') return this.#send(behind, bytes, request)
    this.#sendLater(behind, bytes, request)
    return NOTHING
  }

  #sendLater(behind: readonly NodeId[], bytes: Uint8Array, request: RepairRequest): void {
    const { meter } = this.#components
    if (this.#underWay >= REPAIRS_MAX || this.#bytes + bytes.length > REPAIR_BYTES_MAX) {
      meter.count('read-repair.no-room', behind.length)
      return
    }
    this.#underWay++
    this.#bytes += bytes.length
    meter.count('read-repair.later', behind.length)
    void this.#send(behind, bytes, request).finally(() => {
      this.#underWay--
      this.#bytes -= bytes.length
    })
  }

  /** Never rejects. */
  async #send(
    behind: readonly NodeId[],
    bytes: Uint8Array,
    { key, timeoutMs }: RepairRequest
  ): Promise<Repaired> {
    const { fanout, meter } = this.#components
    const items = [{ key, kind: 'row' as const, bytes }]
    const options = { deadlineMs: timeoutMs + GRACE_MS }
    const results = await Promise.allSettled(
      behind.map(node => fanout.apply(node, { flush: false, items }, options))
    )
    const repaired = behind.filter((_, i) => results[i]?.status === 'fulfilled')
    const refusals = new Map<NodeId, Error>()
    for (const [i, result] of results.entries()) {
      if (result.status === 'rejected') refusals.set(behind[i] as NodeId, result.reason as Error)
    }
    meter.count('read-repair.rows', repaired.length)
    meter.count('read-repair.failed', refusals.size)
    return { repaired, refusals }
  }
}
