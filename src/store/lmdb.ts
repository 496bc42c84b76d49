/**
 * The store on disk: lmdb-js, one sub-database per space.
 *
 * What is durable when: a commit resolves after LMDB has synced its pages and then, by a second
 * synced write, the meta page that makes them visible. So both durabilities survive the loss of
 * power as well as the death of the process, and no reader ever sees what could still be lost. (The
 * alternative, LMDB's overlapping sync with `safeRestore`, acknowledges no earlier, but shows commits
 * before they are synced and takes them back when the process dies in between.)
 *
 * LMDB is kept from ever failing to write, because the memory of the process cannot be trusted after
 * it did (a failed write makes its native side format a message into too small a buffer), and what is
 * queued behind a failed meta page is never answered. So there is never more than one transaction
 * under way (group-commit.ts), room on the disk is looked for before each (room.ts), and should one
 * fail nevertheless, the store refuses everything until the process is started again.
 *
 * Not promised: that a damaged file is noticed. See lmdb-file.ts for what is, and the rows' own
 * digests for the rest.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { open, type Database, type RootDatabase } from 'lmdb'
import { StoreError, type HearsayError } from '../errors.ts'
import type { Range, Space, Store, StoreWrite } from '../ports.ts'
import { GroupCommit } from './group-commit.ts'
import { checkWrites, closedError, isKey, spaces } from './limits.ts'
import { explainCommit, explainOpen, explainRead } from './lmdb-errors.ts'
import { prepareLmdbFile } from './lmdb-file.ts'
import { Pages } from './pages.ts'
import { assertRoom } from './room.ts'

export interface LmdbStoreInit {
  /** An existing directory that no other process writes to: see directory.ts. */
  readonly directory: string
}

export const DATA_FILE = 'data.mdb'

type Bytes = Database<Uint8Array, Uint8Array>

/** What is read is copied once, where lmdb-js would make a Buffer of each key and value. */
const bytesIn = (pages: Pages) =>
  ({
    encoding: 'binary',
    encoder: {
      encode: (value: Uint8Array) => value,
      decode: (bytes: Uint8Array, length: number) => pages.copy(bytes, 0, length)
    },
    keyEncoder: {
      writeKey: (key: Uint8Array, target: Uint8Array, start: number) => {
        target.set(key, start)
        return start + key.length
      },
      readKey: (source: Uint8Array, start: number, end: number) => pages.copy(source, start, end)
    }
  }) as const

/** Of all keys that there can be. */
const FIRST_KEY = Uint8Array.of(0)

const durability = {
  overlappingSync: false,
  // For a file left by a program that overlapped: it is opened at its last synced commit. (The types
  // of lmdb-js do not know the option.)
  safeRestore: true
}

/**
 * Opens the store in a directory, or creates it. Throws `ERR_CORRUPT` for a file that is damaged or
 * not LMDB's, and `StoreError` when the disk refuses.
 */
export async function openLmdbStore(init: LmdbStoreInit): Promise<LmdbStore> {
  const path = join(init.directory, DATA_FILE)
  const pages = new Pages()
  let root: RootDatabase | undefined
  try {
    await prepareLmdbFile(path)
    root = open({
      path,
      ...bytesIn(pages),
      maxDbs: spaces.length,
      ...durability,
      // With it, a failed commit also rejects a promise that nobody holds, which ends the process.
      eventTurnBatching: false
    })
    return new LmdbStore({ root, path, pages })
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
  readonly #pages: Pages
  readonly #spaces: ReadonlyMap<Space, Bytes>
  readonly #commits: GroupCommit
  #refusal: HearsayError | undefined
  #closed: Promise<void> | undefined

  constructor(components: { root: RootDatabase; path: string; pages: Pages }) {
    this.#root = components.root
    this.#pages = components.pages
    const binary = bytesIn(this.#pages)
    this.#path = components.path
    this.#spaces = new Map(spaces.map(name => [name, this.#root.openDB({ name, ...binary })]))
    this.#commits = new GroupCommit({ write: writes => this.#write(writes) })
    const { dev, ino } = statSync(this.#path, { bigint: true })
    this.place = `${dev}:${ino}`
  }

  /** Throws `ERR_CORRUPT` or `StoreError` where the file cannot be read. */
  get(space: Space, key: Uint8Array): Uint8Array | undefined {
    const database = this.#space(space)
    try {
      const value = isKey(key) ? database.getBinaryFast(key) : undefined
      return value && this.#pages.copy(value, 0, value.length)
    } catch (error) {
      throw explainRead(error, this.#path)
    }
  }

  /** Throws as `get` does, at once or while it is being iterated. */
  range(space: Space, range: Range = {}): Iterable<readonly [Uint8Array, Uint8Array]> {
    return this.#entries(this.#space(space), range)
  }

  *#entries(database: Bytes, range: Range): Generator<readonly [Uint8Array, Uint8Array]> {
    const { from, to, limit } = range
    if (to?.length === 0) return
    try {
      const entries = database.getRange({
        start: from !== undefined && from.length > 0 ? from : FIRST_KEY,
        ...(to !== undefined && { end: to }),
        ...(limit !== undefined && { limit })
      })
      for (const { key, value } of entries) yield [key, value]
    } catch (error) {
      throw explainRead(error, this.#path)
    }
  }

  /**
   * Also rejects with `ERR_OVERLOADED`, with nothing stored, when too much is waiting. A refusal for
   * want of room is over as soon as there is room; after any other the outcome is unknown, and the
   * store refuses everything: the error says so.
   */
  async commit(writes: readonly StoreWrite[]): Promise<void> {
    this.#assertUsable()
    checkWrites(writes)
    await this.#commits.commit(writes)
  }

  /** Resolves when the commits under way are settled and the file is closed. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#refusal ??= closedError()
    await this.#commits.settled()
    await this.#root.close()
  }

  async #write(writes: readonly StoreWrite[]): Promise<void> {
    if (this.#refusal instanceof StoreError) throw this.#refusal
    assertRoom(this.#path, writes)
    try {
      await this.#root.batch(() => {
        for (const write of writes) this.#enqueue(write)
      })
    } catch (error) {
      this.#refusal = await explainCommit(error, this.#path)
      throw this.#refusal
    }
  }

  /** The promises of single writes are those of the batch, which is awaited. */
  #enqueue({ space, key, value }: StoreWrite): void {
    const database = this.#spaces.get(space) as Bytes
    void (value === undefined ? database.remove(key) : database.put(key, value))
  }

  #space(space: Space): Bytes {
    this.#assertUsable()
    return this.#spaces.get(space) as Bytes
  }

  #assertUsable(): void {
    if (this.#refusal !== undefined) throw this.#refusal
  }
}
