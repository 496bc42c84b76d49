/**
 * Which cluster a data directory belongs to: its id, its key and its settings, in one file that only
 * this user can read. Written once, when the directory creates a cluster or joins one.
 */
import { join } from 'node:path'
import { HearsayError } from '../errors.ts'
import type { Random } from '../ports.ts'
import { hex } from '../util/bytes.ts'
import { isBytes, isCount, isTuple, pack, unpack } from '../util/msgpack.ts'
import { decodeInvite } from '../wire/invite.ts'
import { CLUSTER_KEY_BYTES, createClusterKey } from './keys.ts'
import { readPrivate, writePrivate } from './private-file.ts'

export const CLUSTER_FILE = 'cluster.key'
export const N_MAX = 16

export interface Cluster {
  readonly id: string
  /** 32 bytes, secret. */
  readonly key: Uint8Array
  readonly n: number
}

export interface OpenedCluster extends Cluster {
  /** Addresses from the invite it joins by; none where it founded the cluster. */
  readonly bootstrap: readonly string[]
  /** Whether a node of this directory has been a member, by founding the cluster or by joining it. */
  readonly entered: boolean
}

export interface ClusterInit {
  readonly invite: string | undefined
  readonly n: number | undefined
  /**
   * Whether the directory was ever in touch with its cluster. One that was not, because an invite
   * was wrong, is still free to take another invite.
   */
  readonly hasMet: boolean
}

/**
 * The cluster of the directory `path`; for a new directory that of the invite, or a new one. Rejects
 * with `ERR_INVITE`, `ERR_ARGUMENT`, `ERR_CLUSTER_MISMATCH` or `ERR_DIRECTORY`.
 */
export async function loadCluster(
  path: string,
  random: Random,
  init: ClusterInit
): Promise<OpenedCluster> {
  const invite = init.invite === undefined ? undefined : decodeInvite(init.invite)
  if (init.n !== undefined) refuseN(init.n)
  const file = join(path, CLUSTER_FILE)
  const bytes = await readPrivate(file, 'the secret key of the cluster')
  const saved = bytes && parse(file, bytes)
  if (saved !== undefined && (saved.entered || init.hasMet || invite === undefined)) {
    if (invite !== undefined && invite.clusterId !== saved.id) throw otherCluster(path)
    refuseOtherN(saved.n, init.n)
    const bootstrap = invite?.addresses ?? saved.bootstrap
    if (saved.entered && !init.hasMet && bootstrap.length === 0) throw lostData(path)
    return { ...saved, bootstrap }
  }
  if (invite !== undefined) refuseOtherN(invite.n, init.n)
  const cluster = invite
    ? { id: invite.clusterId, key: invite.clusterKey, n: invite.n, bootstrap: invite.addresses }
    : { id: hex(random.bytes(8)), key: createClusterKey(random), n: init.n ?? 3, bootstrap: [] }
  return save(path, { ...cluster, entered: false })
}

/**
 * Notes that the node of this directory has become a member: should its data be lost, it must not
 * found the cluster once more.
 */
export async function markEntered(path: string, cluster: OpenedCluster): Promise<void> {
  if (!cluster.entered) await save(path, { ...cluster, entered: true })
}

async function save(path: string, cluster: OpenedCluster): Promise<OpenedCluster> {
  const { id, key, n, bootstrap, entered } = cluster
  await writePrivate(path, join(path, CLUSTER_FILE), pack([1, id, key, n, bootstrap, entered]))
  return cluster
}

function parse(file: string, bytes: Uint8Array): OpenedCluster {
  const fields = unpack(bytes)
  if (isTuple(fields, 6) && fields[0] === 1) {
    const [, id, key, n, bootstrap, entered] = fields
    const whole = isBytes(key) && key.length === CLUSTER_KEY_BYTES && isCount(n, N_MAX)
    if (typeof id === 'string' && whole && Array.isArray(bootstrap)) {
      const addresses = bootstrap.map(String)
      return { id, key: new Uint8Array(key), n, bootstrap: addresses, entered: entered === true }
    }
  }
  throw new HearsayError(
    'ERR_DIRECTORY',
    `The file ${file} is damaged; restore it from a backup, or join again with an invite and a new ` +
      'data directory.'
  )
}

function refuseN(n: number): void {
  if (Number.isInteger(n) && n >= 1 && n <= N_MAX) return
  throw new HearsayError(
    'ERR_ARGUMENT',
    `The replication factor n is a whole number from 1 to ${N_MAX}, not ${n}.`
  )
}

function refuseOtherN(saved: number, wanted: number | undefined): void {
  if (wanted === undefined || wanted === saved) return
  throw new HearsayError(
    'ERR_CLUSTER_MISMATCH',
    `The cluster was created with n = ${saved}, which cannot be changed to ${wanted}; leave n out.`
  )
}

function lostData(path: string): HearsayError {
  return new HearsayError(
    'ERR_DIRECTORY',
    `The data in ${path} is gone, and only the keys are left; give an invite of another node with ` +
      '--join, so that the others send this one its rows, or remove the directory if there was no ' +
      'other node.'
  )
}

function otherCluster(path: string): HearsayError {
  return new HearsayError(
    'ERR_CLUSTER_MISMATCH',
    `The data directory ${path} belongs to another cluster than the invite; use a new directory.`
  )
}
