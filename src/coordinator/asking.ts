/**
 * Drives one read machine until it is decided: sends what it asks for, and one more owner is asked
 * whenever one does not know, fails, or is later than 95 % of its recent answers were. What comes
 * after the decision counts only if the read has to go on.
 */
import type { Cancel, Clock, Meter, Timers } from '../ports.ts'
import { PATIENCE_MS_MAX, type Latency } from '../quorum/latency.ts'
import type { Ask, Read, ReplicaAnswer } from '../quorum/read.ts'
import type { NodeId } from '../util/node-id.ts'
import type { Fanout } from './fanout.ts'

export interface AskingComponents {
  readonly fanout: Fanout
  readonly clock: Clock
  readonly timers: Timers
  readonly meter: Meter
  readonly latency: Latency
}

export interface AskingInit {
  readonly self: NodeId
  readonly key: Uint8Array
  readonly deadlineMs: number
  /** Rows above it come as a digest where that will do. */
  readonly digestAboveBytes: number
}

export class Asking {
  readonly #components: AskingComponents
  readonly #init: AskingInit
  readonly #read: Read
  readonly #late = new Set<Cancel>()
  /** Questions that are not answered yet. */
  #open = 0
  #decided: (() => void) | undefined
  #answered: (() => void) | undefined

  constructor(components: AskingComponents, init: AskingInit, read: Read) {
    this.#components = components
    this.#init = init
    this.#read = read
  }

  /** Resolves when the outcome of the read is not pending any more. */
  run(): Promise<void> {
    const decided = this.#untilDecided()
    for (const ask of this.#read.start()) this.#ask(ask)
    return decided
  }

  /** The same after so many answers were withdrawn: others are asked in their place. */
  goOn(withdrawn: number): Promise<void> {
    const decided = this.#untilDecided()
    for (let i = 0; i < withdrawn; i++) this.#askNext()
    this.#advance()
    return decided
  }

  /** Asks those that are left as well, until it is certain whether the row is lost. */
  untilLost(): Promise<void> {
    while (this.#askNext()) continue
    if (this.#open === 0) return Promise.resolve()
    return new Promise(resolve => (this.#answered = resolve))
  }

  #untilDecided(): Promise<void> {
    return new Promise(resolve => {
      this.#decided = () => {
        this.#decided = undefined
        for (const cancel of this.#late) cancel()
        resolve()
      }
    })
  }

  #ask({ node, whole }: Ask): void {
    const since = this.#components.clock.monoMs()
    const sent = this.#send(node, whole)
    this.#open++
    const cancel = this.#watch(node)
    void sent.then(answer => {
      cancel()
      this.#open--
      this.#note(node, answer, since)
      this.#read.answer(node, answer)
      if (this.#open === 0 || !this.#read.mayBeLost) this.#answered?.()
      if (this.#decided === undefined) return
      if (answer.answer === 'unknown' || answer.answer === 'failed') this.#askNext()
      this.#advance()
    })
  }

  #send(node: NodeId, whole: boolean): Promise<ReplicaAnswer> {
    const { key, deadlineMs, digestAboveBytes } = this.#init
    const request = { key, digestAboveBytes: whole ? undefined : digestAboveBytes }
    return this.#components.fanout.read(node, request, { deadlineMs })
  }

  /** Waits as long as this peer nearly always needs at most. */
  #watch(node: NodeId): Cancel {
    const { timers, clock, meter, latency } = this.#components
    if (node === this.#init.self) return () => {}
    const patienceMs = latency.patienceMs(node)
    const stop = timers.after(patienceMs, () => {
      // It takes at least so long: without this a peer that is stuck would go on being asked first.
      latency.add(node, patienceMs, clock.monoMs())
      this.#read.late(node)
      if (this.#askNext()) meter.count('read.hedged')
      this.#advance()
    })
    const cancel = () => {
      this.#late.delete(cancel)
      stop()
    }
    this.#late.add(cancel)
    return cancel
  }

  /** A failure may be quick; it must not make a peer look fast. */
  #note(node: NodeId, { answer }: ReplicaAnswer, since: number): void {
    const { clock, latency } = this.#components
    if (node === this.#init.self) return
    const now = clock.monoMs()
    const tookMs = answer === 'failed' ? Math.max(PATIENCE_MS_MAX, now - since) : now - since
    latency.add(node, tookMs, now)
  }

  #askNext(): boolean {
    const next = this.#read.askNext()
    if (next !== undefined) this.#ask(next)
    return next !== undefined
  }

  #advance(): void {
    const { meter } = this.#components
    for (const ask of this.#read.fetch()) {
      meter.count('read.digests-differed')
      this.#ask(ask)
    }
    if (this.#read.outcome !== 'pending') this.#decided?.()
    // While members come or go as many as the level needs may not be enough.
    else if (this.#open === 0) this.#askNext()
  }
}
