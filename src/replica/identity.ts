/**
 * Under which actor this store writes, and its clock. An actor lives as long as the copy it writes
 * on is trusted, because folding a dot claims that nothing older of its actor is missing. So a store
 * that is new, was not closed cleanly, or lies in another place than before (copied, restored) goes
 * on under a new random actor; so does one found damaged or rolled back, by `rotate`.
 */
import { actorOf, isActor, printActor, type Actor, type Dot } from '../lattice/dot.ts'
import { isTime, millisecondsOf, observe, tick, TIME_ZERO, type Time } from '../lattice/hlc.ts'
import type { Clock, Log, Random, Store } from '../ports.ts'
import { utf8 } from '../util/bytes.ts'
import { isTuple, pack, unpack } from '../util/msgpack.ts'

export interface IdentityComponents {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/**
 * `moved`: copied or restored, so that it may be older than what was acknowledged. `lost`: there are
 * rows, and no record of whose they are that can be read.
 */
export type Distrust = 'new' | 'not-closed-cleanly' | 'moved' | 'lost'

interface Saved {
  readonly actor: Actor
  readonly time: Time
  readonly clean: boolean
  readonly place: string
}

const KEY = utf8('identity')
/**
 * A clock that is further ahead of the wall clock is given up: others take nothing from so far ahead,
 * and waiting for the wall clock would take too long.
 */
const AHEAD_MS_MAX = 24 * 3_600_000

export class Identity {
  readonly #components: IdentityComponents
  readonly #skewMaxMs: number
  #actor = 0n as Actor
  #time = TIME_ZERO

  constructor(components: IdentityComponents, init: { readonly skewMaxMs: number }) {
    this.#components = components
    this.#skewMaxMs = init.skewMaxMs
  }

  get actor(): Actor {
    return this.#actor
  }

  /** Why the copy is not trusted, as long as it has not been opened. */
  get doubt(): Distrust | undefined {
    const { store } = this.#components
    const record = store.get('meta', KEY)
    return distrust(readSaved(record), store.place, record !== undefined || hasRows(store))
  }

  /**
   * Before the first dot: decides about the actor, and marks the store as open on disk. Resolves with
   * why the copy is not trusted, if so.
   */
  async open(): Promise<Distrust | undefined> {
    const { store } = this.#components
    const saved = readSaved(store.get('meta', KEY))
    const reason = this.doubt
    this.#time = saved?.time ?? TIME_ZERO
    this.#actor = saved?.actor ?? this.#actor
    if (this.isFarAhead) await this.startOver(reason)
    else if (saved !== undefined && reason === undefined) await this.#save(false)
    else await this.rotate(reason ?? 'new')
    return reason
  }

  /** After the last dot: the next start may go on as the same actor. */
  async close(): Promise<void> {
    await this.#save(true)
  }

  /** Goes on under a new actor: what this store holds can no longer be claimed to be whole. */
  async rotate(reason: string): Promise<void> {
    const before = printActor(this.#actor)
    const next = actorOf(this.#components.random.bytes(8))
    this.#actor = next
    await this.#save(false)
    this.#components.log.info('actor-new', { reason, before, actor: printActor(next) })
  }

  /** Whether the clock has been so far ahead that what it says now is of no use to others. */
  get isFarAhead(): boolean {
    return millisecondsOf(this.#time) > this.#components.clock.wallMs() + AHEAD_MS_MAX
  }

  /** Goes on by the wall clock, which was put right. A new actor needs none of the times before it. */
  async startOver(reason = 'clock-was-ahead'): Promise<void> {
    this.#time = TIME_ZERO
    await this.rotate(reason)
  }

  /** A name for one write event, later than every time seen here. */
  nextDot(): Dot {
    this.#time = tick(this.#time, this.#components.clock.wallMs())
    return { actor: this.#actor, time: this.#time }
  }

  /** False when the time is too far ahead of the wall clock to be followed. */
  observe(time: Time): boolean {
    const seen = observe(this.#time, time, this.#components.clock.wallMs(), this.#skewMaxMs)
    if (seen !== undefined) this.#time = seen
    return seen !== undefined
  }

  async #save(clean: boolean): Promise<void> {
    const { store } = this.#components
    const value = pack([this.#actor, this.#time, clean, store.place])
    await store.commit([{ space: 'meta', key: KEY, value }], 'flush')
  }
}

function distrust(saved: Saved | undefined, place: string, isUsed: boolean): Distrust | undefined {
  if (saved === undefined) return isUsed ? 'lost' : 'new'
  // First: a copy of a running store was not closed cleanly either.
  if (saved.place !== place) return 'moved'
  return saved.clean ? undefined : 'not-closed-cleanly'
}

function hasRows(store: Store): boolean {
  for (const _ of store.range('rows', { limit: 1 })) return true
  return false
}

function readSaved(bytes: Uint8Array | undefined): Saved | undefined {
  const fields = bytes && unpack(bytes)
  if (!isTuple(fields, 4)) return undefined
  const [actor, time, clean, place] = fields
  if (!isActor(actor) || !isTime(time)) return undefined
  if (typeof clean !== 'boolean' || typeof place !== 'string') return undefined
  return { actor, time, clean, place }
}
