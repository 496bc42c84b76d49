/** Small files with secrets: readable by their owner alone, written whole or not at all. */
import { constants } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { HearsayError } from '../errors.ts'

const MODE = 0o600
/** Longer files are not ours and are not read further. */
const FILE_BYTES_MAX = 16 * 1024

/** `undefined` when there is none. Rejects with `ERR_DIRECTORY` when other users could read it. */
export async function readPrivate(file: string, holds: string): Promise<Uint8Array | undefined> {
  const handle = await open(file, constants.O_RDONLY).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (handle === undefined) return undefined
  try {
    const { mode, size } = await handle.stat()
    refuseMode(file, mode, holds)
    const bytes = new Uint8Array(Math.min(size, FILE_BYTES_MAX))
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0)
    return bytes.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

/** Resolves when the file is durable under its name in the directory `path`. */
export async function writePrivate(path: string, file: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${file}.tmp`
  await rm(temporary, { force: true })
  const handle = await open(temporary, 'wx', MODE)
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, file)
  await syncDirectory(path)
}

/** Windows has no such bits: there the directory's own protection has to do. */
function refuseMode(file: string, mode: number, holds: string): void {
  if (process.platform === 'win32' || (mode & 0o077) === 0) return
  throw new HearsayError(
    'ERR_DIRECTORY',
    `Other users can access ${file} (mode ${(mode & 0o777).toString(8)}), which holds ${holds}; ` +
      'run chmod 600 on it.'
  )
}

/** Without this a loss of power could take back the rename. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(path, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
