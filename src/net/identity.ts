/**
 * Who this node is: an Ed25519 key in the file `identity.key` of the data directory, mode 0600.
 *
 * Made on the first start in one atomic step (a crash leaves either no key or the whole key) and
 * read ever after. A file that is damaged or that others can read is refused and never replaced: a
 * new identity would be a new node, and that is for the operator to decide.
 */
import './shim.ts'
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
import { readPrivate, writePrivate } from './private-file.ts'

export const IDENTITY_FILE = 'identity.key'

export interface Identity {
  readonly nodeId: NodeId
  /** Secret. */
  readonly privateKey: Ed25519PrivateKey
}

export async function createIdentity(): Promise<Identity> {
  return identityOf(await generateKeyPair('Ed25519'))
}

/**
 * The identity kept in the data directory `path`, made if there is none and `isNew`: a member that
 * lost its identity would be another node to the others. Only one process may do this at a time:
 * take the lock of the directory first. Rejects with `ERR_DIRECTORY`.
 */
export async function loadIdentity(path: string, { isNew = true } = {}): Promise<Identity> {
  const file = join(path, IDENTITY_FILE)
  try {
    const bytes = await readPrivate(file, "this node's secret key")
    if (bytes !== undefined) return await parse(file, bytes)
    if (!isNew) throw missing(file)
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

function missing(file: string): HearsayError {
  return new HearsayError(
    'ERR_DIRECTORY',
    `The identity file ${file} is missing although this node has been a member; restore it from a ` +
      'backup, or start with a new directory and an invite.'
  )
}

function identityOf(privateKey: Ed25519PrivateKey): Identity {
  return { nodeId: peerIdFromPrivateKey(privateKey).toString() as NodeId, privateKey }
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
