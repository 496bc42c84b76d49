/** What other owners may ask of this replica: apply changes, and read a row. */
import { HearsayError } from '../errors.ts'
import type { Protocol, Handler } from '../ports.ts'
import type { ReplicaAnswer } from '../quorum/read.ts'
import {
  decodeApply,
  decodeReadRequest,
  encodeReadAnswer,
  encodeRefusals,
  type ReadRequest,
  type Refusal
} from '../wire/rows.ts'
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
    // Whoever gives something up asks for this of what was taken before.
    if (flush && items.length === 0) await replica.flush()
    const results = await Promise.allSettled(
      items.map(({ key, kind, bytes }) => replica.apply(key, kind, bytes, flush))
    )
    return encodeRefusals(results.flatMap((result, index) => refusal(index, result)))
  })
  serve('read', (from, body) => {
    const request = decodeReadRequest(body)
    if (request === undefined) throw malformed('a read', from)
    return Promise.resolve(encodeReadAnswer(answerTo(request, replica.read(request.key))))
  })
}

/** A row that is larger than was asked for is answered with its digest alone. */
function answerTo({ digestAboveBytes }: ReadRequest, held: ReplicaAnswer): ReplicaAnswer {
  if (held.answer !== 'row' || digestAboveBytes === undefined) return held
  const { bytes, digest } = held
  const isLarge = bytes !== undefined && bytes.length > digestAboveBytes
  return isLarge && digest !== undefined ? { answer: 'digest', digest } : held
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
