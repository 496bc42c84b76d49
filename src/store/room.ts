/**
 * Refuses a transaction for which the disk may have no room, before LMDB runs into it. An estimate: it
 * leaves enough free that a commit does not fail halfway, and that a full node can still be opened,
 * read and deleted from by hand.
 */
import { statfsSync } from 'node:fs'
import { StoreError } from '../errors.ts'
import type { StoreWrite } from '../ports.ts'
import { sizeOf } from './group-commit.ts'
import { explainRoom } from './lmdb-errors.ts'

/** Always left free. */
export const FREE_BYTES_MIN = 16 * 1024 * 1024

/** A write copies the leaf it changes and, shared with others, the branches above. */
const WRITE_BYTES = 8 * 1024

/** Throws `StoreError`; there is then nothing to undo, and no restart is needed. */
export function assertRoom(path: string, writes: readonly StoreWrite[]): void {
  const free = freeBytes(path)
  const needed = FREE_BYTES_MIN + writes.length * WRITE_BYTES + 2 * sizeOf(writes)
  if (free >= needed) return
  throw new StoreError(
    `The disk of ${path} is full: ${mebibytes(free)} MiB are free and this write needs ` +
      `${mebibytes(needed)}. Nothing was stored. Free some space; no restart is needed.`
  )
}

function freeBytes(path: string): number {
  try {
    const { bavail, bsize } = statfsSync(path)
    return bavail * bsize
  } catch (error) {
    throw explainRoom(error, path)
  }
}

function mebibytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(1)
}
