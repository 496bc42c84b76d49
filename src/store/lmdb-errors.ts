/** Turns what LMDB and the file system say into a sentence that says what to do. */
import { HearsayError, StoreError } from '../errors.ts'
import { damaged } from './lmdb-file.ts'

/** LMDB's own codes for a file that is not what it should be. */
const corrupt = new Map([
  [-30_793, 'it is not an LMDB file'],
  [-30_794, 'it was written by another version of LMDB'],
  [-30_796, 'LMDB found it corrupt'],
  [-30_797, 'a page of it is missing']
])

/** By errno, as LMDB reports them, and by name, as Node.js does. */
const reasons = new Map<unknown, string>([
  [28, 'the disk is full; free some space'],
  ['ENOSPC', 'the disk is full; free some space'],
  [122, 'the disk quota is used up; free some space'],
  [27, 'the file may not grow further; raise the limit on file sizes'],
  [-30_792, 'the map of LMDB is full; free some space or move to a larger machine'],
  [5, 'the disk failed or is full; look at its health and its free space'],
  ['EIO', 'the disk failed; look at its health'],
  [30, 'the file system is read-only; make it writable'],
  ['EROFS', 'the file system is read-only; make it writable'],
  [13, 'permission is denied; give this user the directory'],
  ['EACCES', 'permission is denied; give this user the directory'],
  [12, 'there is not enough memory; give the process more']
])

export function explainOpen(error: unknown, path: string): HearsayError {
  return explain(error, path, 'open')
}

export function explainRead(error: unknown, path: string): HearsayError {
  return explain(error, path, 'read')
}

/** Of what went wrong before a commit was begun. Where the file is gone, all writes would go nowhere. */
export function explainRoom(error: unknown, path: string): StoreError {
  const why =
    codeOf(error) === 'ENOENT'
      ? 'the file was removed; start the node anew with an invite of another one (--join), and the ' +
        'other owners send what it held'
      : reason(error)
  return new StoreError(`Could not write to ${path}: ${why}. Nothing was stored.`, { cause: error })
}

/** lmdb-js hands the cause of a failed commit out as a promise that rejects with it. */
export async function explainCommit(error: unknown, path: string): Promise<StoreError> {
  const cause = await causeOf(error)
  return new StoreError(
    `Could not write to ${path}: ${reason(cause)}. Then restart the node: what was acknowledged is ` +
      'kept; whether the last write is, is unknown.',
    { cause, isOutcomeUnknown: true }
  )
}

function explain(error: unknown, path: string, verb: string): HearsayError {
  if (error instanceof HearsayError) return error
  const fault = corrupt.get(codeOf(error) as number)
  if (fault !== undefined) return damaged(path, fault)
  return new StoreError(`Could not ${verb} ${path}: ${reason(error)}.`, { cause: error })
}

async function causeOf(error: unknown): Promise<unknown> {
  try {
    await (error as { commitError?: Promise<never> }).commitError
    return error
  } catch (cause) {
    return cause
  }
}

function reason(error: unknown): string {
  return reasons.get(codeOf(error)) ?? (error instanceof Error ? error.message : String(error))
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code
}
