/**
 * An invite: one printable line with which another machine can join a cluster. Pure.
 *
 *     hearsay1-<base64url of: msgpack [cluster id, cluster key, n, addresses], then its CRC-32>
 *
 * It carries the cluster key: whoever has the line can join. The checksum tells a damaged or cut
 * line from a whole one; it protects from accidents, not from people.
 */
import { multiaddr } from '@multiformats/multiaddr'
import { Packr } from 'msgpackr'
import { HearsayError } from '../errors.ts'
import { concat } from '../util/bytes.ts'

export interface Invite {
  /** 1 to 64 letters, digits, `_` and `-`. */
  readonly clusterId: string
  /** 32 bytes, secret. */
  readonly clusterKey: Uint8Array
  readonly n: number
  /** Where nodes of the cluster can be reached, each ending in `/p2p/<node id>`. 1 to 16. */
  readonly addresses: readonly string[]
}

const PREFIX = 'hearsay1-'
const KEY_BYTES = 32
const CHECKSUM_BYTES = 4
const ADDRESSES_MAX = 16
const ADDRESS_LENGTH_MAX = 256
const TEXT_LENGTH_MAX = 16 * 1024
const COPY = 'copy the whole line printed by `hearsay invite`'

const packr = new Packr({ useRecords: false })

/** Throws `ERR_INVITE` if a field is not what an invite may hold. */
export function encodeInvite(invite: Invite): string {
  const fault = faultOf(invite)
  if (fault !== undefined) throw refuse(`An invite cannot be made: ${fault}.`)
  const { clusterId, clusterKey, n, addresses } = invite
  const body = Uint8Array.from(packr.pack([clusterId, clusterKey, n, addresses]))
  return PREFIX + toBase64(concat([body, checksum(body)]))
}

/** Throws `ERR_INVITE`. White space around and inside, as left by wrapped lines, is ignored. */
export function decodeInvite(text: string): Invite {
  const line = text.slice(0, TEXT_LENGTH_MAX + 1).replace(/\s+/g, '')
  refuseForeign(line)
  const bytes = fromBase64(line.slice(PREFIX.length))
  if (bytes === undefined || bytes.length <= CHECKSUM_BYTES) throw damaged()
  const body = bytes.subarray(0, -CHECKSUM_BYTES)
  const sum = bytes.subarray(-CHECKSUM_BYTES)
  if (checksum(body).some((byte, i) => byte !== sum[i])) throw damaged()
  const invite = unpack(body)
  const fault = faultOf(invite)
  if (fault !== undefined) throw refuse(`The invite cannot be used: ${fault}; make a new one.`)
  return invite
}

function refuseForeign(line: string): void {
  if (line.startsWith(PREFIX)) return
  const version = /^hearsay(\d{1,6})-/.exec(line)?.[1]
  if (version === undefined) {
    throw refuse(`This is not an invite, which begins with "${PREFIX}"; ${COPY}.`)
  }
  throw refuse(
    `The invite has version ${version} and this program reads version 1; use the same version of ` +
      'Hearsay on both machines.'
  )
}

function unpack(body: Uint8Array): Invite {
  try {
    const value: unknown = packr.unpack(body)
    const [clusterId, clusterKey, n, addresses] = value as [string, Uint8Array, number, string[]]
    return { clusterId, clusterKey: Uint8Array.from(clusterKey), n, addresses }
  } catch (cause) {
    throw new HearsayError('ERR_INVITE', damaged().message, { cause })
  }
}

function faultOf(invite: Invite): string | undefined {
  const { clusterId, clusterKey, n, addresses } = invite
  if (typeof clusterId !== 'string' || !/^[\w-]{1,64}$/.test(clusterId)) {
    return 'its cluster id is not 1 to 64 letters, digits, "_" and "-"'
  }
  if (clusterKey.length !== KEY_BYTES) return `its cluster key is not ${KEY_BYTES} bytes`
  if (!Number.isInteger(n) || n < 1 || n > 255) return 'its n is not a number from 1 to 255'
  if (!Array.isArray(addresses) || addresses.length === 0) return 'it names no address'
  if (addresses.length > ADDRESSES_MAX) return `it names more than ${ADDRESSES_MAX} addresses`
  const bad = (addresses as readonly unknown[]).find(address => !isAddress(address))
  return bad === undefined ? undefined : `"${String(bad)}" is not an address with a /p2p/ part`
}

function isAddress(address: unknown): boolean {
  if (typeof address !== 'string' || address.length > ADDRESS_LENGTH_MAX) return false
  try {
    const parts = multiaddr(address).getComponents()
    return parts.length > 1 && parts.at(-1)?.name === 'p2p'
  } catch {
    return false
  }
}

function refuse(message: string): HearsayError {
  return new HearsayError('ERR_INVITE', message)
}

function damaged(): HearsayError {
  return refuse(`The invite is damaged or cut short; ${COPY}.`)
}

/** CRC-32 as in zip and PNG, big-endian. */
function checksum(bytes: Uint8Array): Uint8Array {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  const out = new Uint8Array(CHECKSUM_BYTES)
  new DataView(out.buffer).setUint32(0, ~crc >>> 0)
  return out
}

function toBase64(bytes: Uint8Array): string {
  const plain = btoa(String.fromCharCode(...bytes))
  return plain.replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')
}

function fromBase64(text: string): Uint8Array | undefined {
  if (!/^[\w-]+$/.test(text)) return undefined
  try {
    const plain = atob(text.replace(/-/g, '+').replace(/_/g, '/'))
    const bytes = Uint8Array.from(plain, character => character.charCodeAt(0))
    // Spare bits of the last character must be zero, or a changed line would pass for whole.
    return toBase64(bytes) === text ? bytes : undefined
  } catch {
    return undefined
  }
}
