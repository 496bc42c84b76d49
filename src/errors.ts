/**
 * What can go wrong, by name. Programs branch on `code` and the fields; people read the message,
 * which says what is wrong and what to do next. A bug is an assertion, never one of these.
 */
import type { NodeId } from './util/node-id.ts'

export type ErrorCode =
  | 'ERR_ARGUMENT'
  | 'ERR_KEY_SIZE'
  | 'ERR_ROW_SIZE'
  | 'ERR_KIND'
  | 'ERR_NUMBER'
  | 'ERR_CONTEXT'
  | 'ERR_SIBLINGS'
  | 'ERR_LEVEL'
  | 'ERR_UNAVAILABLE'
  | 'ERR_TIMEOUT'
  | 'ERR_QUORUM'
  | 'ERR_NOT_SETTLED'
  | 'ERR_ABORTED'
  | 'ERR_CLOSED'
  | 'ERR_OVERLOADED'
  | 'ERR_CORRUPT'
  | 'ERR_CLOCK_SKEW'
  | 'ERR_PROTOCOL'
  | 'ERR_NETWORK'
  | 'ERR_REMOTE'
  | 'ERR_STORE'
  | 'ERR_INTERNAL'
  | 'ERR_INVITE'
  | 'ERR_CLUSTER_KEY'
  | 'ERR_CLUSTER_MISMATCH'
  | 'ERR_DUPLICATE_IDENTITY'
  | 'ERR_DIRECTORY'
  | 'ERR_DIRECTORY_LOCKED'
  | 'ERR_PORT_IN_USE'
  | 'ERR_NOT_RUNNING'

export class HearsayError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
    this.code = code
  }
}

/** The number that a counter is or is changed by is not one of its numbers. Nothing happened. */
export class NumberError extends HearsayError {
  /** `text`: the key holds no integer. `overflow`: the sum has over 64 bits. `amount`: what is added. */
  readonly why: 'text' | 'overflow' | 'amount'

  constructor(why: NumberError['why'], message: string) {
    super('ERR_NUMBER', message)
    this.why = why
  }
}

/** The key has too few owners alive, or too few at all, for the level. Nothing was sent or stored. */
export class UnavailableError extends HearsayError {
  readonly verb: 'read' | 'write'
  readonly level: string
  readonly needed: number
  readonly alive: number
  /** How many owners the key has, alive or not. */
  readonly owners: number

  constructor(
    verb: 'read' | 'write',
    level: string,
    needed: number,
    alive: number,
    owners = Math.max(needed, alive)
  ) {
    const has = needed > owners ? `this key has ${plural(owners, 'owner')}` : `${are(alive)} alive`
    super(
      'ERR_UNAVAILABLE',
      `The ${verb} at level ${level} needs ${plural(needed, 'replica')} and ${has}; nothing was sent. ` +
        adviceFor(needed, alive, owners)
    )
    this.verb = verb
    this.level = level
    this.needed = needed
    this.alive = alive
    this.owners = owners
  }
}

function plural(count: number, what: string): string {
  return count === 1 ? `1 ${what}` : `${count} ${what}s`
}

function are(count: number): string {
  return count === 1 ? '1 is' : `${count} are`
}

/** No number of nodes that are started helps where the key has too few owners. */
function adviceFor(needed: number, alive: number, owners: number): string {
  if (owners === 0) return 'Try again when a node has become a member.'
  if (needed > owners) return 'Use a lower level.'
  return alive === 0 ? 'Start the missing nodes.' : 'Start the missing nodes, or use a lower level.'
}

/** The deadline passed with too few answers. A write may or may not take effect. */
export class TimeoutError extends HearsayError {
  readonly verb: 'read' | 'write'
  readonly needed: number
  readonly acknowledged: readonly NodeId[]
  readonly timeoutMs: number

  constructor(
    verb: 'read' | 'write',
    needed: number,
    acknowledged: readonly NodeId[],
    timeoutMs: number
  ) {
    super(
      'ERR_TIMEOUT',
      `The ${verb} got ${acknowledged.length} of ${needed} answers in ${timeoutMs} ms. ` +
        (verb === 'write'
          ? 'Its outcome is unknown: read the key to learn it, or write again.'
          : 'Try again, or use a lower level.')
    )
    this.verb = verb
    this.needed = needed
    this.acknowledged = acknowledged
    this.timeoutMs = timeoutMs
  }
}

/** So many replicas answered with a refusal that the level cannot be reached any more. */
export class QuorumFailedError extends HearsayError {
  readonly verb: 'read' | 'write'
  readonly needed: number
  readonly acknowledged: readonly NodeId[]
  readonly failures: ReadonlyMap<NodeId, Error>

  constructor(
    verb: 'read' | 'write',
    needed: number,
    acknowledged: readonly NodeId[],
    failures: ReadonlyMap<NodeId, Error>
  ) {
    const why = [...failures].map(([id, error]) => `${id}: ${error.message}`).join('; ')
    super(
      'ERR_QUORUM',
      `The ${verb} reached ${acknowledged.length} of ${needed} replicas; the others failed (${why}). ` +
        quorumAdvice(verb, acknowledged.length)
    )
    this.verb = verb
    this.needed = needed
    this.acknowledged = acknowledged
    this.failures = failures
  }
}

function quorumAdvice(verb: 'read' | 'write', acknowledged: number): string {
  if (verb === 'read') return 'Try again, or use a lower level.'
  return acknowledged > 0
    ? 'What was stored stays and will spread: read the key before you write again.'
    : 'Nobody has acknowledged it: read the key before you write again.'
}

/** The owners were not proven equal in time. Nothing is lost: anti-entropy goes on. */
export class SettleError extends HearsayError {
  /** Slots without a proof, of so many that were asked about. */
  readonly left: number
  readonly slots: number
  readonly timeoutMs: number

  constructor(left: number, slots: number, timeoutMs: number) {
    super(
      'ERR_NOT_SETTLED',
      `The owners of ${left} of ${slots} slots were not proven equal in ${timeoutMs} ms; see hearsay ` +
        'status for owners that are away, and wait longer.'
    )
    this.left = left
    this.slots = slots
    this.timeoutMs = timeoutMs
  }
}

/** A request did not complete: no connection, a broken one, a deadline, an abort. */
export class NetworkError extends HearsayError {
  /** True when the request certainly never left this node. */
  readonly unsent: boolean
  /** Names the start of the process that it was sent to, or would have been; if that is known. */
  readonly epoch: string | undefined

  constructor(
    message: string,
    unsent: boolean,
    options?: ErrorOptions & { epoch?: string | undefined }
  ) {
    super('ERR_NETWORK', message, options)
    this.unsent = unsent
    this.epoch = options?.epoch
  }
}

/** The handler on the other node threw; `remoteCode` is its code. */
export class RemoteError extends HearsayError {
  readonly remoteCode: string

  constructor(remoteCode: string, message: string) {
    super('ERR_REMOTE', message)
    this.remoteCode = remoteCode
  }
}

/** The disk refused: full, read-only, failing. Nothing was stored, unless the outcome is unknown. */
export class StoreError extends HearsayError {
  /** True when the last write may be stored or not, and the node has to be started again. */
  readonly isOutcomeUnknown: boolean

  constructor(message: string, options?: ErrorOptions & { isOutcomeUnknown?: boolean }) {
    super('ERR_STORE', message, options)
    this.isOutcomeUnknown = options?.isOutcomeUnknown ?? false
  }
}
