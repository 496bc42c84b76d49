/**
 * Group commit: while one transaction is being written, further commits wait and then share the
 * next. There is never more than one under way. The commits of a group succeed or fail together.
 */
import { HearsayError } from '../errors.ts'
import type { StoreWrite } from '../ports.ts'

export interface GroupCommitComponents {
  /** Stores all of the writes, in their order, or none and rejects. Called again once settled. */
  write(writes: readonly StoreWrite[]): Promise<void>
}

/** What one transaction holds, unless a single commit has more. */
const GROUP_BYTES_MAX = 8 * 1024 * 1024
const GROUP_WRITES_MAX = 4_000

/** Bytes of writes that may wait for their transaction. */
const WAITING_BYTES_MAX = 256 * 1024 * 1024

interface Waiting {
  readonly writes: readonly StoreWrite[]
  readonly bytes: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class GroupCommit {
  readonly #write: GroupCommitComponents['write']
  readonly #waiting: Waiting[] = []
  #waitingBytes = 0
  #writing: Promise<void> | undefined

  constructor(components: GroupCommitComponents) {
    this.#write = writes => components.write(writes)
  }

  /** Rejects as the write did, or with `ERR_OVERLOADED` when too much is waiting already. */
  async commit(writes: readonly StoreWrite[]): Promise<void> {
    const bytes = sizeOf(writes)
    if (this.#waitingBytes > 0 && this.#waitingBytes + bytes > WAITING_BYTES_MAX) {
      throw new HearsayError('ERR_OVERLOADED', 'The disk is behind with writing; try again later.')
    }
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ writes, bytes, resolve, reject })
      this.#waitingBytes += bytes
      this.#writing ??= this.#writeAll()
    })
  }

  /** Resolves when every commit made so far is settled. */
  async settled(): Promise<void> {
    await this.#writing
  }

  async #writeAll(): Promise<void> {
    // The commits of one turn of the event loop belong together.
    await new Promise(resolve => setImmediate(resolve))
    while (this.#waiting.length > 0) await this.#writeGroup(this.#takeGroup())
    this.#writing = undefined
  }

  async #writeGroup(group: readonly Waiting[]): Promise<void> {
    try {
      await this.#write(group.flatMap(({ writes }) => writes))
      for (const { resolve } of group) resolve()
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }

  #takeGroup(): readonly Waiting[] {
    let bytes = 0
    let writes = 0
    const end = this.#waiting.findIndex((waiting, i) => {
      bytes += waiting.bytes
      writes += waiting.writes.length
      return i > 0 && (bytes > GROUP_BYTES_MAX || writes > GROUP_WRITES_MAX)
    })
    const group = this.#waiting.splice(0, end === -1 ? this.#waiting.length : end)
    for (const waiting of group) this.#waitingBytes -= waiting.bytes
    return group
  }
}

/** Bytes of keys and values. */
export function sizeOf(writes: readonly StoreWrite[]): number {
  return writes.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0)
}
