/**
 * What libp2p's failures mean to whoever asked: one sentence that names the address and says what
 * to do. Its errors carry names and English, so this file is where their wording is relied upon.
 */
import { HearsayError, NetworkError } from '../errors.ts'

/** Of a connection attempt: nothing of a request was sent. */
export function dialFailure(target: string, error: unknown): HearsayError {
  if (error instanceof HearsayError) return error
  const causes = leaves(error)
  if (causes.some(isOtherIdentity)) {
    return new NetworkError(
      `The node at ${target} has another identity than this address names; use its current address.`,
      true,
      { cause: error }
    )
  }
  if (causes.some(isOtherKey)) {
    return new HearsayError(
      'ERR_CLUSTER_KEY',
      `The node at ${target} belongs to another cluster or its key differs; use an invite of that ` +
        'cluster.',
      { cause: error }
    )
  }
  const why = [...new Set(causes.map(cause => cause.message || cause.name))].join('; ')
  return new NetworkError(`There is no connection to ${target}: ${why}.`, true, { cause: error })
}

/** Of the opening of a stream for requests. */
export function streamFailure(target: string, error: unknown): HearsayError {
  if (!(error instanceof Error) || error.name !== 'UnsupportedProtocolError') {
    return dialFailure(target, error)
  }
  return new HearsayError(
    'ERR_CLUSTER_MISMATCH',
    `The node at ${target} has the same key but belongs to another cluster; use an invite of the ` +
      'cluster you mean.',
    { cause: error }
  )
}

/** Of listening at `listen`. */
export function listenFailure(listen: readonly string[], error: unknown): HearsayError {
  const message = error instanceof Error ? error.message : String(error)
  const where = listen.find(address => message.includes(`${address}:`)) ?? listen.join(', ')
  if (/EADDRINUSE|already in use/.test(message)) {
    return new HearsayError(
      'ERR_PORT_IN_USE',
      `Another process listens at ${where} already; stop it, or listen at another port.`,
      { cause: error }
    )
  }
  const why = /\b(E[A-Z]{4,})\b/.exec(message)?.[1] ?? message.split('\n')[0]
  return new HearsayError(
    'ERR_ARGUMENT',
    `This node cannot listen at ${where} (${why}); give an address of this machine, as in ` +
      '/ip4/0.0.0.0/tcp/7373.',
    { cause: error }
  )
}

function leaves(error: unknown): Error[] {
  if (error instanceof AggregateError) return error.errors.flatMap(leaves)
  // Waits inside libp2p reject with the event that ended them.
  if (error instanceof Event) return [new Error('it was closed')]
  return [error instanceof Error ? error : new Error(String(error))]
}

/** No common handshake (the id of the key is in its name), or one that did not come out even. */
function isOtherKey(error: Error): boolean {
  if (error.name !== 'EncryptionFailedError') return false
  return /could not negotiate|validation fail|unable to authenticate/i.test(error.message)
}

function isOtherIdentity(error: Error): boolean {
  return /does not match expected remote|unexpected peer|can not dial self/i.test(error.message)
}
