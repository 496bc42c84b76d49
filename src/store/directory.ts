/**
 * A data directory, held by one process: created with mode 0700, closed to other users, and locked.
 * The lock is the kernel's, so it goes with the process that held it, however that ended. LMDB alone
 * would let two processes in.
 */
import { closeSync, constants, ftruncateSync, openSync, writeSync } from 'node:fs'
import { access, chmod, mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { tryLock, unlock } from 'fs-native-extensions'
import { HearsayError } from '../errors.ts'

export interface Directory {
  /** Absolute. */
  readonly path: string
  /** Lets the next one in. Calling it again does nothing. */
  close(): Promise<void>
}

export const LOCK_FILE = 'lock'

const OPEN_TO_OTHERS = 0o077
const STICKY = 0o1000

const reasons = new Map<unknown, string>([
  ['EACCES', 'permission is denied; choose another, or give this user the directory'],
  ['EPERM', 'permission is denied; choose another, or give this user the directory'],
  ['EROFS', 'the file system is read-only; choose another'],
  ['ENOTDIR', 'a part of the path is a file; choose another'],
  ['EEXIST', 'it is a file; give a directory'],
  ['ELOOP', 'a link in the path leads nowhere; choose another'],
  ['ENOSPC', 'the disk is full; free some space']
])

/**
 * Creates the directory if it is missing. Throws `ERR_DIRECTORY` for one that cannot be used, and
 * `ERR_DIRECTORY_LOCKED` for one in use, also by this process.
 */
export async function openDirectory(path: string): Promise<Directory> {
  const absolute = resolve(path)
  try {
    await make(absolute)
    await closeToOthers(absolute)
    await access(absolute, constants.R_OK | constants.W_OK | constants.X_OK)
    return await lock(absolute)
  } catch (error) {
    throw explain(error, absolute)
  }
}

/** One by one: Node's own recursion never ends where a parent is there and refuses, as in /proc. */
async function make(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return
    if (code !== 'ENOENT' || dirname(path) === path || (await exists(dirname(path)))) throw error
    await make(dirname(path))
    await mkdir(path, { mode: 0o700 })
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false
  )
}

/** Never changes the mode of a directory that holds something else: it may be a home, or /tmp. */
async function closeToOthers(path: string): Promise<void> {
  const { mode, uid } = await stat(path)
  if (process.platform === 'win32' || (mode & OPEN_TO_OTHERS) === 0) return
  const files = await readdir(path)
  const ours = uid === process.getuid?.() && (mode & STICKY) === 0
  if (!ours || (files.length > 0 && !files.includes(LOCK_FILE))) {
    throw new HearsayError(
      'ERR_DIRECTORY',
      `The data directory ${path} is open to other users and not Hearsay's own; choose another, or ` +
        'close it first (chmod 700).'
    )
  }
  await chmod(path, 0o700)
}

/** By descriptor: a forgotten FileHandle is closed by the garbage collector, and the lock with it. */
async function lock(path: string): Promise<Directory> {
  const fd = openSync(join(path, LOCK_FILE), constants.O_RDWR | constants.O_CREAT, 0o600)
  try {
    if (!tryLock(fd)) throw await lockedError(path)
    ftruncateSync(fd)
    writeSync(fd, `${process.pid}\n`, 0)
  } catch (error) {
    closeSync(fd)
    throw error
  }
  return { path, close: once(async () => release(fd)) }
}

function release(fd: number): void {
  unlock(fd)
  closeSync(fd)
}

async function lockedError(path: string): Promise<HearsayError> {
  const pid = (await readFile(join(path, LOCK_FILE), 'utf8')).trim()
  const holder = pid === String(process.pid) ? 'this process' : `process ${pid || 'unknown'}`
  return new HearsayError(
    'ERR_DIRECTORY_LOCKED',
    `The data directory ${path} is in use by ${holder}; stop that node first, or choose another.`
  )
}

function explain(error: unknown, path: string): HearsayError {
  if (error instanceof HearsayError) return error
  const { code, message } = error as NodeJS.ErrnoException
  const reason = reasons.get(code) ?? message
  return new HearsayError('ERR_DIRECTORY', `Cannot use ${path} as data directory: ${reason}.`, {
    cause: error
  })
}

function once(fn: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined
  return () => (done ??= fn())
}
