/** Reading a request body with a bound that holds before the bytes are kept. */
import type { IncomingMessage } from 'node:http'

/** The whole body, or `undefined` as soon as it is known to be larger than `bytesMax`. */
export async function readBody(
  request: IncomingMessage,
  bytesMax: number
): Promise<Uint8Array | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) return undefined
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request.iterator({ destroyOnReturn: false })) {
    length += (part as Buffer).length
    if (length > bytesMax) return undefined
    parts.push(part as Buffer)
  }
  return Buffer.concat(parts)
}
