/**
 * The hello: the first frame each way on a stream of requests. It names the cluster, the settings
 * that must agree and the start of the process, so that two nodes that cannot work together part
 * with a sentence that says why. Pure.
 *
 * JSON, because it is small, rare and read from whoever holds the key: a parser that allocates
 * only what it is sent.
 */
import { hex, text, utf8 } from '../util/bytes.ts'

/** The versions of the request protocol that this code speaks, both ends included. */
export const PROTOCOL_RANGE: readonly [low: number, high: number] = [1, 1]

export interface Hello {
  readonly clusterId: string
  readonly protocols: readonly [low: number, high: number]
  readonly n: number
  /** Names this start, in 16 hexadecimal digits; see `epochOf`. */
  readonly epoch: string
  /**
   * The epoch of another process that has the identity of whom this is said to, and was proven to be
   * alive just now.
   */
  readonly rival?: string
}

/**
 * Tells two processes with one identity apart, and which was started first: milliseconds, then
 * chance. Two machines' clocks may disagree about that; then both still agree on the same one.
 */
export function epochOf(wallMs: number, chance: Uint8Array): string {
  const ms = BigInt(Math.max(0, Math.floor(wallMs)))
  return (BigInt.asUintN(48, ms).toString(16) + hex(chance.subarray(0, 2))).padStart(16, '0')
}

/** Of two processes with one identity the one that was started later has to give way. */
export function givesWay(epoch: string, rival: string): boolean {
  return epoch > rival
}

export function encodeHello(hello: Hello): Uint8Array {
  const { clusterId, protocols, n, epoch, rival } = hello
  return utf8(JSON.stringify({ clusterId, protocols, n, epoch, rival }))
}

/** `undefined` for anything that is not a hello. */
export function decodeHello(body: Uint8Array): Hello | undefined {
  const value = parse(body)
  if (typeof value !== 'object' || value === null) return undefined
  const { clusterId, protocols, n, epoch, rival } = value as Record<string, unknown>
  if (typeof clusterId !== 'string' || typeof epoch !== 'string') return undefined
  if (!isEpoch(epoch) || !isCount(n) || !Array.isArray(protocols)) return undefined
  if (rival !== undefined && !isEpoch(rival)) return undefined
  const [low, high] = protocols as unknown[]
  if (protocols.length !== 2 || !isCount(low) || !isCount(high) || low > high) return undefined
  return { clusterId, protocols: [low, high], n, epoch, ...(rival !== undefined && { rival }) }
}

/** What keeps two nodes apart, as the end of a sentence that begins with the other node. */
export function disagreement(ours: Hello, theirs: Hello): string | undefined {
  if (ours.clusterId !== theirs.clusterId) {
    return `belongs to cluster ${theirs.clusterId} and this node to ${ours.clusterId}; use an invite of the cluster you mean`
  }
  if (ours.n !== theirs.n) {
    return `keeps ${theirs.n} copies (n) and this node ${ours.n}; n is fixed when a cluster is created, so start this node with an invite of that cluster`
  }
  const [low, high] = theirs.protocols
  if (high < ours.protocols[0]) return `speaks only older protocols (up to ${high}); upgrade it`
  if (low > ours.protocols[1]) {
    return `speaks only newer protocols (from ${low}); upgrade this node`
  }
  return undefined
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(text(body))
  } catch {
    return undefined
  }
}

function isEpoch(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{16}$/.test(value)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0
}
