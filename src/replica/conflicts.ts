/**
 * What concurrent writes lost to others: a bounded log, so that nothing is lost silently. A record is
 * committed in the transaction of the change that made it, and is this node's own: every owner notes
 * what it saw happen. The losing values stay in their rows as siblings until a write replaces them;
 * the log remembers them for longer, cut.
 *
 * Not promised: that everything is kept. The oldest records make room for new ones.
 */
import type { Loser } from '../lattice/losers.ts'
import { printDot } from '../lattice/dot.ts'
import type { Conflict } from '../options.ts'
import type { Clock, Log, Meter, Store, StoreWrite } from '../ports.ts'
import { isBytes, isCount, isTuple, pack, unpack } from '../util/msgpack.ts'

export const CONFLICTS_MAX = 1_000
export const CONFLICT_BYTES_MAX = 4 * 1024 * 1024
/** Of a losing value, this much is kept. */
export const VALUE_BYTES_MAX = 4 * 1024

export interface KeyedLoser {
  readonly key: Uint8Array
  readonly loser: Loser
}

export interface ConflictsComponents {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly meter: Meter
}

const MAX = Number.MAX_SAFE_INTEGER
const reasons: readonly unknown[] = ['concurrent', 'other-kind', 'overflow'] satisfies unknown[]

export class Conflicts {
  readonly #components: ConflictsComponents
  /** Bytes of each record, the oldest first. */
  readonly #sizes = new Map<number, number>()
  readonly #listeners = new Set<(conflict: Conflict) => void>()
  #bytes = 0
  #next = 0

  constructor(components: ConflictsComponents) {
    this.#components = components
    for (const [id, value] of components.store.range('conflicts')) {
      this.#admit(sequenceOf(id), value.length)
    }
  }

  get size(): number {
    return this.#sizes.size
  }

  /** Records to commit with the change that made them, and the oldest ones to remove. */
  add(losers: readonly KeyedLoser[]): StoreWrite[] {
    if (losers.length === 0) return []
    const atMs = this.#components.clock.wallMs()
    const fresh = losers.slice(-CONFLICTS_MAX).map(each => encode(each, atMs))
    const room = fresh.reduce((sum, { length }) => sum + length, 0)
    const gone = this.#oldest(fresh.length, room)
    return [
      ...gone.map(sequence => write(sequence, undefined)),
      ...fresh.map((value, i) => write(this.#next + i, value))
    ]
  }

  /** Has what `add` gave for the losers take effect, once it is committed. */
  committed(losers: readonly KeyedLoser[], writes: readonly StoreWrite[]): void {
    // All count, though the log has no room for more than a part of a great many at once.
    for (const { loser } of losers) this.#components.meter.count(`conflicts.${loser.reason}`)
    for (const { key, value } of writes) {
      const sequence = sequenceOf(key)
      if (value === undefined) this.#forget(sequence)
      else {
        this.#admit(sequence, value.length)
        this.#tell(value)
      }
    }
  }

  /** The newest first. Bytes are fresh, the caller's. */
  list(limit: number): Conflict[] {
    const newest = [...this.#sizes.keys()].slice(-limit).reverse()
    return newest.flatMap(sequence => {
      const value = this.#components.store.get('conflicts', idOf(sequence))
      return (value && decode(value)) ?? []
    })
  }

  /** Called for every record once it is committed, until what is returned is called. */
  onConflict(listener: (conflict: Conflict) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  #tell(value: Uint8Array): void {
    const conflict = decode(value)
    if (conflict === undefined) return
    for (const listener of this.#listeners) {
      try {
        listener(conflict)
      } catch (error) {
        // It is the caller's own: what it throws must not undo what is committed.
        this.#components.log.warn('conflict-listener-failed', { error: String(error) })
      }
    }
  }

  /** As many of the oldest as have to go for so many more. */
  #oldest(count: number, bytes: number): number[] {
    const gone: number[] = []
    let [left, room] = [this.size + count, this.#bytes + bytes]
    for (const [sequence, size] of this.#sizes) {
      if (left <= CONFLICTS_MAX && room <= CONFLICT_BYTES_MAX) break
      gone.push(sequence)
      left--
      room -= size
    }
    return gone
  }

  #admit(sequence: number, size: number): void {
    this.#sizes.set(sequence, size)
    this.#bytes += size
    this.#next = Math.max(this.#next, sequence + 1)
  }

  #forget(sequence: number): void {
    this.#bytes -= this.#sizes.get(sequence) ?? 0
    this.#sizes.delete(sequence)
  }
}

function write(sequence: number, value: Uint8Array | undefined): StoreWrite {
  return { space: 'conflicts', key: idOf(sequence), value }
}

function idOf(sequence: number): Uint8Array {
  const id = new Uint8Array(8)
  new DataView(id.buffer).setBigUint64(0, BigInt(sequence))
  return id
}

function sequenceOf(id: Uint8Array): number {
  return id.length === 8 ? Number(new DataView(id.buffer, id.byteOffset, 8).getBigUint64(0)) : 0
}

function encode({ key, loser }: KeyedLoser, atMs: number): Uint8Array {
  const { reason, field, value, winner } = loser
  const cut = value?.subarray(0, VALUE_BYTES_MAX)
  const versions = [printDot(winner), printDot(loser.loser)]
  return pack([atMs, key, field ?? null, reason, ...versions, cut ?? null, value?.length ?? 0])
}

function decode(bytes: Uint8Array): Conflict | undefined {
  const fields = unpack(bytes)
  if (!isTuple(fields, 8)) return undefined
  const [atMs, key, field, reason, winner, loser, value, valueBytes] = fields
  if (!isCount(atMs, MAX) || !isBytes(key) || !isCount(valueBytes, MAX)) return undefined
  if (typeof winner !== 'string' || typeof loser !== 'string') return undefined
  if (!reasons.includes(reason)) return undefined
  return {
    atMs,
    key: key.slice(),
    field: isBytes(field) ? field.slice() : undefined,
    reason: reason as Conflict['reason'],
    winner,
    loser,
    value: isBytes(value) ? value.slice() : undefined,
    valueBytes
  }
}
