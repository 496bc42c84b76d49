/** What ends an exchange, on either side. */
import { HearsayError } from '../errors.ts'
import type { Meter } from '../ports.ts'
import type { NodeId } from '../util/node-id.ts'

export function malformed(peer: NodeId): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `Hearsay could not read an exchange message of ${peer}.`)
}

export function membersChanged(): HearsayError {
  return new HearsayError('ERR_NETWORK', 'The members changed during the exchange; run it again.')
}

/** A peer that does not follow the protocol ends its exchange, and nothing else. */
export function countMalformed(meter: Meter, error: unknown): void {
  const isMalformed = error instanceof HearsayError && error.code === 'ERR_PROTOCOL'
  if (isMalformed) meter.count('exchange.malformed')
}
