/**
 * The gate: a Noise handshake into which a value made of the cluster key is mixed. A peer with
 * another key, or none, cannot complete it. The public id of the key is in the name of the
 * handshake, so that a wrong key is told apart before any cryptography is paid for.
 *
 * It is a gate and no second encryption: whoever holds the key is a member.
 */
import './shim.ts'
import { noise } from '@chainsafe/libp2p-noise'
import type { NoiseComponents } from '@chainsafe/libp2p-noise'
import type {
  ConnectionEncrypter,
  Logger,
  MessageStream,
  PrivateKey,
  SecureConnectionOptions,
  SecuredConnection
} from '@libp2p/interface'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { HearsayError } from '../errors.ts'
import type { Random } from '../ports.ts'
import type { ClusterKeys } from './keys.ts'
import { DIAL_MS_MAX } from './limits.ts'

export type EncrypterFactory = (components: NoiseComponents) => ConnectionEncrypter

/** A handshake that only peers with the same prologue complete. */
export type GateFactory = (prologue: Uint8Array) => EncrypterFactory

export const noiseGate: GateFactory = prologue => noise({ prologueBytes: prologue })

export interface AdmissionInit {
  readonly gate: GateFactory
  readonly keys: ClusterKeys
  /** Called when another process completed a handshake under this node's own identity. */
  readonly onDuplicate: () => void
}

/** The one encrypter of a node, under the name of the cluster key. */
export function admission(init: AdmissionInit): EncrypterFactory {
  return components => new Admission(components, init)
}

export function admissionProtocol(keyId: string): string {
  return `/hearsay/${keyId}/noise`
}

class Admission implements ConnectionEncrypter {
  readonly protocol: string
  readonly #inner: ConnectionEncrypter
  readonly #components: NoiseComponents
  readonly #onDuplicate: () => void

  constructor(components: NoiseComponents, { gate, keys, onDuplicate }: AdmissionInit) {
    this.protocol = admissionProtocol(keys.keyId)
    this.#inner = gate(keys.prologue)(components)
    this.#components = components
    this.#onDuplicate = onDuplicate
  }

  secureOutbound(
    connection: MessageStream,
    options?: SecureConnectionOptions
  ): Promise<SecuredConnection> {
    return this.#inner.secureOutbound(connection, options)
  }

  /** A node never dials itself to the end, so its own name here is another process. */
  async secureInbound(
    connection: MessageStream,
    options?: SecureConnectionOptions
  ): Promise<SecuredConnection> {
    const secured = await this.#inner.secureInbound(connection, options)
    if (secured.remotePeer.equals(this.#components.peerId)) this.#onDuplicate()
    return secured
  }
}

/**
 * Proves in memory, without sockets, that the gate lets equal prologues in and keeps others out.
 * Run before every start: a gate that stopped biting after an upgrade must not go unnoticed.
 * Rejects with `ERR_CLUSTER_KEY`.
 */
export async function proveGate(gate: GateFactory, random: Random): Promise<void> {
  const right = random.bytes(32)
  const wrong = random.bytes(32)
  const refusal = await handshake(gate(right), gate(right))
  if (refusal !== undefined) {
    throw gateBroken('two nodes with the same key cannot connect', refusal)
  }
  if ((await handshake(gate(right), gate(wrong))) === undefined) {
    throw gateBroken('a node with another key can connect')
  }
}

function gateBroken(what: string, cause?: unknown): HearsayError {
  return new HearsayError(
    'ERR_CLUSTER_KEY',
    `The self-test of the encryption failed (${what}), so this node does not start; reinstall the ` +
      'dependencies exactly as locked (npm ci).',
    { cause }
  )
}

/** Resolves with what went wrong; `undefined` means that both sides let the other in. */
async function handshake(dialler: EncrypterFactory, listener: EncrypterFactory): Promise<unknown> {
  const [outbound, inbound] = multiaddrConnectionPair({ outbound: { log }, inbound: { log } })
  const signal = AbortSignal.timeout(DIAL_MS_MAX)
  const [dial, listen] = [dialler(await components()), listener(await components())]
  try {
    await Promise.all([
      endBoth(dial.secureOutbound(outbound, { signal, skipStreamMuxerNegotiation: true })),
      endBoth(listen.secureInbound(inbound, { signal, skipStreamMuxerNegotiation: true }))
    ])
    return undefined
  } catch (error) {
    return error ?? new Error('refused without a reason')
  } finally {
    for (const end of [outbound, inbound]) end.abort(new Error('the self-test is over'))
  }

  async function endBoth(side: Promise<unknown>): Promise<void> {
    try {
      await side
    } catch (error) {
      for (const end of [outbound, inbound]) end.abort(error as Error)
      throw error
    }
  }
}

async function components(): Promise<NoiseComponents> {
  const privateKey: PrivateKey = await generateKeyPair('Ed25519')
  const upgrader = {
    getStreamMuxers: () => new Map(),
    getConnectionEncrypters: () => new Map()
  } as unknown as NoiseComponents['upgrader']
  const logger = { forComponent: () => log }
  return { privateKey, peerId: peerIdFromPrivateKey(privateKey), logger, upgrader }
}

const log: Logger = Object.assign(() => undefined, {
  enabled: false,
  trace: () => undefined,
  error: () => undefined,
  newScope: (): Logger => log
})
