/**
 * Who this node is: an Ed25519 key in the file `identity.key` of the data directory, mode 0600.
 *
 * Made on the first start in one atomic step (a crash leaves either no key or the whole key) and
 * read ever after. A file that is damaged or that others can read is refused and never replaced: a
 * new identity would be a new node, and that is for the operator to decide.
 */
import './shim.ts'
import { constants } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  generateKeyPair,
  generateKeyPairFromSeed,
  privateKeyFromProtobuf,
  privateKeyToProtobuf
} from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { HearsayError } from '../errors.ts'
import { equal } from '../util/bytes.ts'
import type { NodeId } from '../util/node-id.ts'

export const IDENTITY_FILE = 'identity.key'

const MODE = 0o600
/** A key file is 68 bytes; more than this is not one and is not read further. */
const FILE_BYTES_MAX = 1024

export interface Identity {
  readonly nodeId: NodeId
  /** Secret. */
  readonly privateKey: Ed25519PrivateKey
}

export async function createIdentity(): Promise<Identity> {
  return identityOf(await generateKeyPair('Ed25519'))
}

/**
 * The identity kept in the data directory `path`, made if there is none. Only one process may do
 * this at a time: take the lock of the directory first. Rejects with `ERR_DIRECTORY`.
 */
export async function loadIdentity(path: string): Promise<Identity> {
  const file = join(path, IDENTITY_FILE)
  try {
    const bytes = await readPrivate(file)
    if (bytes !== undefined) return await parse(file, bytes)
    const identity = await createIdentity()
    await writePrivate(path, file, privateKeyToProtobuf(identity.privateKey))
    return identity
  } catch (error) {
    if (error instanceof HearsayError) throw error
    throw new HearsayError(
      'ERR_DIRECTORY',
      `The identity of this node cannot be kept in ${file} (${(error as Error).message}); make the ` +
        'data directory readable and writable for this user.',
      { cause: error }
    )
  }
}

function identityOf(privateKey: Ed25519PrivateKey): Identity {
  return { nodeId: peerIdFromPrivateKey(privateKey).toString() as NodeId, privateKey }
}

async function readPrivate(file: string): Promise<Uint8Array | undefined> {
  const handle = await open(file, constants.O_RDONLY).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (handle === undefined) return undefined
  try {
    const { mode, size } = await handle.stat()
    refuseMode(file, mode)
    const bytes = new Uint8Array(Math.min(size, FILE_BYTES_MAX))
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0)
    return bytes.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

/** Windows has no such bits: there the directory's own protection has to do. */
function refuseMode(file: string, mode: number): void {
  if (process.platform === 'win32' || (mode & 0o077) === 0) return
  throw new HearsayError(
    'ERR_DIRECTORY',
    `Other users can access ${file} (mode ${(mode & 0o777).toString(8)}), which holds this node's ` +
      `secret key; run chmod 600 on it, or remove it for a new identity.`
  )
}

async function parse(file: string, bytes: Uint8Array): Promise<Identity> {
  try {
    const key = privateKeyFromProtobuf(bytes)
    if (key.type !== 'Ed25519') throw new Error(`a key of type ${key.type}`)
    // The file holds the seed and the public key: each tells when the other is damaged.
    const again = await generateKeyPairFromSeed('Ed25519', key.raw.subarray(0, 32))
    if (!equal(again.publicKey.raw, key.publicKey.raw)) throw new Error('its halves do not match')
    if (!equal(privateKeyToProtobuf(key), bytes)) throw new Error('it has trailing bytes')
    return identityOf(key)
  } catch (error) {
    throw new HearsayError(
      'ERR_DIRECTORY',
      `The identity file ${file} is damaged; restore it from a backup, or remove it and let this ` +
        'machine join again as a new node.',
      { cause: error }
    )
  }
}

async function writePrivate(path: string, file: string, bytes: Uint8Array): Promise<void> {
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
