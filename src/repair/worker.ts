/**
 * Runs one background task again and again: never twice at once, with a jittered pause between, at
 * once when woken, and not at all while paused. A failure is logged and the next turn comes anyway.
 */
import type { Cancel, Log, Random, Timers } from '../ports.ts'

export interface WorkerComponents {
  readonly timers: Timers
  readonly random: Random
  readonly log: Log
}

export interface WorkerInit {
  readonly name: string
  /** Mean pause between two turns; each is drawn evenly from half of it to one and a half. */
  readonly intervalMs: number
  /** One turn. Aborted when the worker is stopped or paused; what it rejects with then is no failure. */
  readonly run: (signal: AbortSignal) => Promise<void>
}

export class Worker {
  readonly #components: WorkerComponents
  readonly #init: WorkerInit
  #cancel: Cancel = () => {}
  #running: Promise<void> | undefined
  #turnEnd = new AbortController()
  #state: 'stopped' | 'paused' | 'running' = 'stopped'

  constructor(components: WorkerComponents, init: WorkerInit) {
    this.#components = components
    this.#init = init
  }

  get paused(): boolean {
    return this.#state === 'paused'
  }

  start(paused = false): void {
    this.#state = paused ? 'paused' : 'running'
    if (!paused) this.#schedule()
  }

  /** Resolves when the turn under way has ended. */
  async stop(): Promise<void> {
    this.#state = 'stopped'
    await this.#end()
  }

  /** Resolves when the turn under way has ended: afterwards the task does nothing. */
  async pause(): Promise<void> {
    if (this.#state === 'running') this.#state = 'paused'
    await this.#end()
  }

  resume(): void {
    if (this.#state !== 'paused') return
    this.#state = 'running'
    this.wake()
  }

  /** Has the next turn begin now. */
  wake(): void {
    if (this.#state !== 'running' || this.#running !== undefined) return
    this.#cancel()
    this.#turn()
  }

  #schedule(): void {
    const { timers, random } = this.#components
    const { intervalMs } = this.#init
    const pauseMs = intervalMs / 2 + (random.u32() % Math.max(1, intervalMs))
    this.#cancel = timers.after(pauseMs, () => this.#turn())
  }

  async #end(): Promise<void> {
    this.#cancel()
    this.#turnEnd.abort()
    await this.#running
  }

  #turn(): void {
    const { name, run } = this.#init
    const { signal } = (this.#turnEnd = new AbortController())
    this.#running = run(signal)
      .catch((error: unknown) => {
        if (signal.aborted) return
        this.#components.log.warn('background-failed', { name, error: String(error) })
      })
      .finally(() => {
        this.#running = undefined
        if (this.#state === 'running') this.#schedule()
      })
  }
}
