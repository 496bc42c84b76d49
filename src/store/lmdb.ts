/**
 * The store on disk: lmdb-js, one sub-database per space.
 *
 * What is durable when: a commit resolves after LMDB has synced its pages and then, by a second
 * synced write, the meta page that makes them visible. So both durabilities survive the loss of
 * power as well as the death of the process, and no reader ever sees what could still be lost. (The
 * alternative, LMDB's overlapping sync with `safeRestore`, acknowledges no earlier, but shows commits
 * before they are synced and takes them back when the process dies in between.)
 *
 * Group commit: while one transaction is being written, further commits wait and then share the
 * next. There is never more than one transaction under way, because LMDB cannot refuse what is
 * queued behind one that broke it.
 *
 * Not promised: that a damaged file is noticed. See lmdb-file.ts for what is, and the rows' own
 * digests for the rest.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { open, type Database, type RootDatabase } from 'lmdb'
import { HearsayError, StoreError } from '../errors.ts'
import type { Range, Space, Store, StoreWrite } from '../ports.ts'
import { checkWrites, closedError, isKey, spaces } from './limits.ts'
import { brokenError, explainCommit, explainOpen } from './lmdb-errors.ts'
import { prepareLmdbFile } from './lmdb-file.ts'

export interface LmdbStoreInit {
  /** An existing directory that no other process writes to: see directory.ts. */
  readonly directory: string
}

export const DATA_FILE = 'data.mdb'

/** Bytes of writes in one transaction, unless a single commit has more. */
const GROUP_BYTES_MAX = 8 * 1024 * 1024

/** Bytes of writes that may wait for their transaction. */
const WAITING_BYTES_MAX = 256 * 1024 * 1024

type Bytes = Database<Uint8Array, Uint8Array>

interface Waiting {
  readonly writes: readonly StoreWrite[]
  readonly bytes: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

const binary = { encoding: 'binary', keyEncoding: 'binary' } as const

/**
 * Opens the store in a directory, or creates it. Throws `ERR_CORRUPT` for a file that is damaged or
 * not LMDB's, and `StoreError` when the disk refuses.
 */
export async function openLmdbStore(init: LmdbStoreInit): Promise<LmdbStore> {
  const path = join(init.directory, DATA_FILE)
  let root: RootDatabase | undefined
  try {
    await prepareLmdbFile(path)
    root = open({
      path,
      ...binary,
      maxDbs: spaces.length,
      overlappingSync: false,
      // With it, a failed commit also rejects a promise that nobody holds, which ends the process.
      eventTurnBatching: false
    })
    return new LmdbStore({ root, path })
  } catch (error) {
    await root?.close()
    throw explainOpen(error, path)
  }
}

/** Made by `openLmdbStore`. */
export class LmdbStore implements Store {
  readonly place: string
  readonly #path: string
  readonly #root: RootDatabase
  readonly #spaces: ReadonlyMap<Space, Bytes>
  readonly #waiting: Waiting[] = []
  #waitingBytes = 0
  #writing: Promise<void> | undefined
  #refusal: HearsayError | undefined
  #closed: Promise<void> | undefined

  constructor(components: { root: RootDatabase; path: string }) {
    this.#root = components.root
    this.#path = components.path
    this.#spaces = new Map(spaces.map(name => [name, this.#root.openDB({ name, ...binary })]))
    const { dev, ino } = statSync(this.#path, { bigint: true })
    this.place = `${dev}:${ino}`
  }

  /** Throws `StoreError` once the disk has failed in the one way that LMDB cannot get over. */
  get(space: Space, key: Uint8Array): Uint8Array | undefined {
    const value = isKey(key) ? this.#space(space).getBinary(key) : undefined
    return value && plain(value)
  }

  *range(space: Space, range: Range = {}): Generator<readonly [Uint8Array, Uint8Array]> {
    const { from, to, limit } = range
    if (to?.length === 0) return
    const entries = this.#space(space).getRange({
      ...(from !== undefined && from.length > 0 && { start: from }),
      ...(to !== undefined && { end: to }),
      ...(limit !== undefined && { limit })
    })
    for (const { key, value } of entries) yield [plain(key), plain(value)]
  }

  /**
   * Also rejects with `ERR_OVERLOADED`, with nothing stored, when too much is waiting. A refusal for
   * want of room is over as soon as there is room.
   */
  async commit(writes: readonly StoreWrite[]): Promise<void> {
    this.#assertUsable()
    checkWrites(writes)
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

  /** Resolves when the commits under way are settled and the file is closed. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#refusal ??= closedError()
    await this.#writing
    await this.#root.close()
  }

  async #writeAll(): Promise<void> {
    // The commits of one turn of the event loop belong together.
    await new Promise(resolve => setImmediate(resolve))
    while (this.#waiting.length > 0) await this.#writeGroup(this.#takeGroup())
    this.#writing = undefined
  }

  #takeGroup(): readonly Waiting[] {
    let bytes = 0
    const end = this.#waiting.findIndex(({ bytes: more }, i) => {
      bytes += more
      return i > 0 && bytes > GROUP_BYTES_MAX
    })
    const group = this.#waiting.splice(0, end === -1 ? this.#waiting.length : end)
    for (const waiting of group) this.#waitingBytes -= waiting.bytes
    return group
  }

  async #writeGroup(group: readonly Waiting[]): Promise<void> {
    try {
      await this.#transaction(group)
      for (const { resolve } of group) resolve()
    } catch (error) {
      const refused = await this.#explain(error)
      for (const { reject } of group) reject(refused)
    }
  }

  async #transaction(group: readonly Waiting[]): Promise<void> {
    if (this.#refusal instanceof StoreError) throw this.#refusal
    await this.#root.batch(() => {
      for (const { writes } of group) {
        for (const { space, key, value } of writes) {
          const database = this.#spaces.get(space) as Bytes
          void (value === undefined ? database.remove(key) : database.put(key, value))
        }
      }
    })
  }

  async #explain(error: unknown): Promise<Error> {
    if (error instanceof StoreError) return error
    const refused = await explainCommit(error, this.#path)
    if (this.#isBroken()) this.#refusal = brokenError(refused, this.#path)
    return refused
  }

  /** After a meta page could not be written LMDB answers nothing more, and a commit would hang. */
  #isBroken(): boolean {
    try {
      this.#root.resetReadTxn()
      this.#root.getBinary(Uint8Array.of(1))
      return false
    } catch {
      return true
    }
  }

  #space(space: Space): Bytes {
    this.#assertUsable()
    return this.#spaces.get(space) as Bytes
  }

  #assertUsable(): void {
    if (this.#refusal !== undefined) throw this.#refusal
  }
}

function sizeOf(writes: readonly StoreWrite[]): number {
  return writes.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0)
}

/** The same memory, which lmdb-js has already copied out of its map, without the name of Buffer. */
function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}
