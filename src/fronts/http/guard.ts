/**
 * Who may ask. The port has no password, so a page in a browser on this machine must not be able to
 * use it: a name that was made to point here (DNS rebinding) fails the Host check, and a page of
 * another site fails the Origin check.
 */
import type { IncomingMessage } from 'node:http'
import { HttpError } from './answer.ts'

const names = ['localhost', '127.0.0.1', '[::1]']

/** Throws `HttpError` 403. */
export function checkOrigin(request: IncomingMessage, port: number): void {
  const hosts = names.flatMap(name => (port === 80 ? [name, `${name}:80`] : [`${name}:${port}`]))
  const host = request.headers.host?.toLowerCase() ?? ''
  if (!hosts.includes(host)) {
    throw new HttpError(
      403,
      'FORBIDDEN',
      `Use this port as localhost:${port}; the Host is another.`
    )
  }
  const { origin } = request.headers
  if (origin !== undefined && !hosts.includes(origin.replace(/^http:\/\//, ''))) {
    throw new HttpError(403, 'FORBIDDEN', 'Pages of other sites may not use this port.')
  }
}
