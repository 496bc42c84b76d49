/**
 * What is made of a cluster key. The raw key goes into the derivation below and into invites, and
 * is used for nothing else: each purpose has its own label, so that no derived value says anything
 * about another or about the key.
 *
 * Only 32 uniformly random bytes are accepted. A passphrase in their place could be guessed offline
 * by whoever records one handshake.
 */
import { hkdfSync } from 'node:crypto'
import { HearsayError } from '../errors.ts'
import type { Random } from '../ports.ts'
import { hex } from '../util/bytes.ts'

export const CLUSTER_KEY_BYTES = 32

export interface ClusterKeys {
  /** Mixed into the Noise handshake: whoever lacks it cannot complete one. 32 bytes, secret. */
  readonly prologue: Uint8Array
  /** Key of the row digests. 32 bytes, secret. */
  readonly digestKey: Uint8Array
  /** Names the key in public: 16 hex digits. */
  readonly keyId: string
}

const labels = {
  prologue: 'hearsay/1/noise-prologue',
  digestKey: 'hearsay/1/row-digest',
  keyId: 'hearsay/1/key-id'
}

/** The bytes returned belong to the caller. */
export function createClusterKey(random: Random): Uint8Array {
  return random.bytes(CLUSTER_KEY_BYTES)
}

/** Throws `ERR_CLUSTER_KEY` unless the key is 32 bytes. Does not keep the key. */
export function deriveKeys(clusterKey: Uint8Array): ClusterKeys {
  if (!(clusterKey instanceof Uint8Array) || clusterKey.length !== CLUSTER_KEY_BYTES) {
    throw new HearsayError(
      'ERR_CLUSTER_KEY',
      `A cluster key is ${CLUSTER_KEY_BYTES} random bytes; use the one generated when the cluster ` +
        'was created, which every invite carries.'
    )
  }
  return {
    prologue: derive(clusterKey, labels.prologue, 32),
    digestKey: derive(clusterKey, labels.digestKey, 32),
    keyId: hex(derive(clusterKey, labels.keyId, 8))
  }
}

/**
 * Throws if the environment asks the Noise implementation to log session keys. Looked at before
 * every start, because such a log would open everything to whoever can read it.
 */
export function refuseKeyDump(env: Readonly<Record<string, string | undefined>>): void {
  if (env['DUMP_SESSION_KEYS'] === undefined) return
  throw new HearsayError(
    'ERR_CLUSTER_KEY',
    'The environment variable DUMP_SESSION_KEYS is set, which would write secret keys to the log; ' +
      'unset it and start again.'
  )
}

function derive(clusterKey: Uint8Array, label: string, length: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', clusterKey, new Uint8Array(), label, length))
}
