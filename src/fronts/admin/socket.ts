/**
 * Where the admin socket of a data directory is. The kernel takes at most 107 bytes of path (103 on
 * some systems) while directories may be deeper. On Linux such a directory is opened and named as
 * `/proc/self/fd/<n>`, which is short; elsewhere the path from the working directory may be short
 * enough. What then still does not fit is an error, never a truncated path.
 */
import { open } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { HearsayError } from '../../index.ts'

export const SOCKET_NAME = 'admin.sock'
const pathBytesMax = process.platform === 'linux' ? 107 : 103

export interface SocketPath {
  /** Valid until `release`. */
  readonly path: string
  release(): Promise<void>
}

/** Rejects with `ERR_DIRECTORY` when no path fits, or as `open` does when there is no directory. */
export async function socketPath(directory: string): Promise<SocketPath> {
  const absolute = join(resolve(directory), SOCKET_NAME)
  const short = [absolute, relative(process.cwd(), absolute)].find(fits)
  if (short !== undefined) return { path: short, release: () => Promise.resolve() }
  if (process.platform === 'linux') return throughDescriptor(directory)
  throw new HearsayError(
    'ERR_DIRECTORY',
    `The path of ${directory} is too long for a socket in it; use a shorter data directory path.`
  )
}

function fits(path: string): boolean {
  return Buffer.byteLength(path) <= pathBytesMax
}

async function throughDescriptor(directory: string): Promise<SocketPath> {
  const handle = await open(directory, 'r')
  return { path: `/proc/self/fd/${handle.fd}/${SOCKET_NAME}`, release: () => handle.close() }
}
