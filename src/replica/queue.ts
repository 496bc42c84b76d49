/**
 * What waits for the batch loop of a replica, with the bounds of it: changes somebody waits for, rows of
 * bulks behind them, and steps that must see the store and the forest agree.
 */
import { HearsayError } from '../errors.ts'
import { sizeOf, type Job } from './batch.ts'
import { BulkJob } from './bulk.ts'

/** Something that is done while no batch is under way. It answers for itself and never rejects. */
export interface Step {
  readonly run: () => Promise<void>
  readonly reject: (error: Error) => void
}

const BATCH_JOBS_MAX = 1_024
/** Rows of a bulk that go with changes that somebody waits for. */
const BULK_JOBS_BESIDE = 64
const JOBS_MAX = 16_384
const BYTES_MAX = 128 * 1024 * 1024
const STEPS_MAX = 64

export class Queue {
  readonly #jobs: Job[] = []
  /** Jobs of bulks: nobody waits for a single one. */
  readonly #behind: Job[] = []
  readonly #steps: Step[] = []
  #bytes = 0
  #closed = false

  get isEmpty(): boolean {
    return this.#jobs.length + this.#behind.length + this.#steps.length === 0
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** What is in it stays; nothing more is taken. */
  close(): void {
    this.#closed = true
  }

  /** Why no more jobs are taken, alone or in a bulk, if so. */
  refusal(kind: 'alone' | 'bulk'): HearsayError | undefined {
    if (this.#closed) return closedError()
    const { length } = kind === 'alone' ? this.#jobs : this.#behind
    return length >= JOBS_MAX || this.#bytes >= BYTES_MAX ? overloadedError() : undefined
  }

  push(job: Job): void {
    this.#bytes += sizeOf(job.change)
    this.#jobs.push(job)
  }

  pushBehind(jobs: readonly Job[]): void {
    for (const job of jobs) {
      this.#bytes += sizeOf(job.change)
      this.#behind.push(job)
    }
  }

  /** Does the work between two batches; rejects as it does, and when the queue is closed or full. */
  between<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(closedError())
    if (this.#steps.length >= STEPS_MAX) return Promise.reject(overloadedError())
    return new Promise((resolve, reject) => {
      const run = async () => resolve(await work())
      this.#steps.push({ run: () => run().catch(reject), reject })
    })
  }

  takeStep(): Step | undefined {
    return this.#steps.shift()
  }

  /** What somebody waits for, and beside it only so much of the rest that it takes no longer. */
  take(): Job[] {
    const jobs = this.#jobs.splice(0, BATCH_JOBS_MAX)
    const room = jobs.length > 0 ? BULK_JOBS_BESIDE : BATCH_JOBS_MAX
    jobs.push(...this.#behind.splice(0, room))
    for (const { change } of jobs) this.#bytes -= sizeOf(change)
    return jobs
  }

  /** Puts back what would make the batch too large to be joined and committed quickly. */
  putBack(jobs: readonly Job[]): void {
    this.#jobs.unshift(...jobs.filter(job => !(job instanceof BulkJob)))
    this.#behind.unshift(...jobs.filter(job => job instanceof BulkJob))
    for (const { change } of jobs) this.#bytes += sizeOf(change)
  }
}

function overloadedError(): HearsayError {
  return new HearsayError(
    'ERR_OVERLOADED',
    `Too many changes wait for the disk of this node; try again more slowly.`
  )
}

function closedError(): HearsayError {
  return new HearsayError('ERR_CLOSED', 'The node is closed.')
}
