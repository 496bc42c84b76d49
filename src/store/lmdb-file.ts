/**
 * Looks at an LMDB data file before LMDB maps it: what LMDB finds broken while it reads a map can end
 * the process, and a file that was cut short does (SIGBUS). This finds a file that is not LMDB's, one
 * with broken meta pages and one that ends before its roots. It does not read the trees.
 */
import { open, type FileHandle } from 'node:fs/promises'
import { endianness } from 'node:os'
import { HearsayError } from '../errors.ts'

const MAGIC = 0xbeefc0de
const VERSION = 2
const NO_PAGE = 0xffff_ffff_ffff_ffffn
const META_BYTES = 192

/** Offsets in a meta page, on 64-bit machines. */
const at = { magic: 24, version: 28, pageSize: 48, freeRoot: 88, mainRoot: 136, txn: 152 }

const little = endianness() === 'LE'

/** Creates the file, with mode 0600, if it is missing. Throws `ERR_CORRUPT` when it is damaged. */
export async function prepareLmdbFile(path: string): Promise<void> {
  const file = await open(path, 'a+', 0o600)
  try {
    const fault = await findFault(file)
    if (fault !== undefined) throw damaged(path, fault)
  } finally {
    await file.close()
  }
}

/** For what LMDB itself says of a file that it cannot open. */
export function damaged(path: string, fault: string): HearsayError {
  return new HearsayError(
    'ERR_CORRUPT',
    `The data file ${path} is damaged (${fault}). Move it away and start again, with an invite of ` +
      'another node (--join): the others send this one its rows. If there is no other, restore a backup.'
  )
}

async function findFault(file: FileHandle): Promise<string | undefined> {
  const { size } = await file.stat()
  if (size === 0 || process.arch === 'arm' || process.arch === 'ia32') return undefined
  const first = await readMeta(file, 0)
  if (first === undefined) return 'it does not begin with an LMDB page'
  const second = await readMeta(file, first.pageSize)
  if (second === undefined) return 'its second meta page is broken'
  const { pageSize, roots } = second.txn > first.txn ? second : first
  return roots.every(root => root === NO_PAGE || (root + 1n) * BigInt(pageSize) <= BigInt(size))
    ? undefined
    : 'it ends before its data does'
}

interface Meta {
  readonly pageSize: number
  readonly roots: readonly bigint[]
  readonly txn: bigint
}

async function readMeta(file: FileHandle, offset: number): Promise<Meta | undefined> {
  const bytes = new Uint8Array(META_BYTES)
  const { bytesRead } = await file.read(bytes, 0, META_BYTES, offset)
  const view = new DataView(bytes.buffer)
  const pageSize = view.getUint32(at.pageSize, little)
  const wellFormed =
    bytesRead === META_BYTES &&
    view.getUint32(at.magic, little) === MAGIC &&
    view.getUint16(at.version, little) === VERSION &&
    pageSize >= 512 &&
    pageSize <= 65_536
  if (!wellFormed) return undefined
  const roots = [at.freeRoot, at.mainRoot].map(where => view.getBigUint64(where, little))
  return { pageSize, roots, txn: view.getBigUint64(at.txn, little) }
}
