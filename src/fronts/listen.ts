/**
 * Binding a loopback port, with sentences for what goes wrong. Fronts have no password, so nothing
 * here ever listens on an address that another machine can reach.
 */
import { createServer, type AddressInfo, type Server } from 'node:net'
import { HearsayError } from '../index.ts'

export const LOOPBACK = '127.0.0.1'

/** What the port is for and the option that moves it: `Redis` and `--redis`. */
export interface Purpose {
  readonly what: string
  readonly option: string
}

export const redisPurpose: Purpose = { what: 'Redis', option: '--redis' }
export const httpPurpose: Purpose = { what: 'HTTP', option: '--http' }

/**
 * Resolves with the port that was bound (`port` 0 picks a free one). Rejects with
 * `ERR_PORT_IN_USE`, or with `ERR_ARGUMENT` for a port that this user may not open.
 */
export async function listen(server: Server, port: number, purpose: Purpose): Promise<number> {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new HearsayError('ERR_ARGUMENT', `${port} is not a port; use a number from 0 to 65535.`)
  }
  await new Promise<void>((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => reject(explain(error, port, purpose))
    server.once('error', failed)
    server.listen({ port, host: LOOPBACK, backlog: 511 }, () => {
      server.off('error', failed)
      resolve()
    })
  })
  return (server.address() as AddressInfo).port
}

/**
 * Rejects as `listen` would. A node must not join a cluster and only then find that it cannot serve;
 * between this and `listen` somebody else may still take the port, which is rare enough.
 */
export async function assertFree(port: number, purpose: Purpose): Promise<void> {
  const server = createServer()
  await listen(server, port, purpose)
  await new Promise(resolve => server.close(resolve))
}

function explain(cause: NodeJS.ErrnoException, port: number, { what, option }: Purpose): Error {
  const remedy = `use ${option} PORT for another one (0 picks a free one) or ${option} off.`
  if (cause.code === 'EADDRINUSE') {
    const message = `The ${what} port ${port} on ${LOOPBACK} is taken by another program; ${remedy}`
    return new HearsayError('ERR_PORT_IN_USE', message, { cause })
  }
  const message = `The ${what} port ${port} cannot be opened (${cause.message}); ${remedy}`
  return new HearsayError('ERR_ARGUMENT', message, { cause })
}
