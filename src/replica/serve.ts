/** What other owners may ask of this replica: apply changes, and read a row. */
import { HearsayError } from '../errors.ts'
import type { Protocol, Handler } from '../ports.ts'
import { KEY_BYTES_MAX } from '../ring/row-key.ts'
import { decodeApply, encodeReadAnswer, encodeRefusals, type Refusal } from '../wire/rows.ts'
import type { Replica } from './replica.ts'

/** Answers `apply` and `read` through `serve`, which has settled the question of views before. */
export function serveReplica(
  replica: Replica,
  serve: (protocol: Protocol, handler: Handler) => void
): void {
  serve('apply', async (from, body) => {
    const request = decodeApply(body)
    if (request === undefined) throw malformed('changes', from)
    const { items, flush } = request
    const results = await Promise.allSettled(
      items.map(({ key, kind, bytes }) => replica.apply(key, kind, bytes, flush))
    )
    return encodeRefusals(results.flatMap((result, index) => refusal(index, result)))
  })
  serve('read', (from, key) => {
    if (key.length === 0 || key.length > KEY_BYTES_MAX) throw malformed('a read', from)
    return Promise.resolve(encodeReadAnswer(replica.read(key)))
  })
}

function refusal(index: number, result: PromiseSettledResult<unknown>): Refusal[] {
  if (result.status === 'fulfilled') return []
  const { reason } = result as { reason: Error }
  const code = reason instanceof HearsayError ? reason.code : 'ERR_INTERNAL'
  return [{ index, code, message: reason.message }]
}

function malformed(what: string, from: string): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `Hearsay could not read ${what} sent by ${from}.`)
}
