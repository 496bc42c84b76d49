/**
 * The HTTP server: loopback only, one answer a request, no cookies, no CORS, nothing cached. A
 * client that goes away aborts what was asked for it.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { HearsayError, type HearsayNode } from '../../index.ts'
import { listen, httpPurpose } from '../listen.ts'
import { errorAnswer, type HttpAnswer } from './answer.ts'
import { checkOrigin } from './guard.ts'
import {
  closeGraceMs,
  connectionsMax,
  headerBytesMax,
  headersTimeoutMs,
  requestTimeoutMs
} from './limits.ts'
import { route } from './routes.ts'

export interface HttpInit {
  /** 0 picks a free port. */
  readonly port: number
}

export interface HttpServer {
  readonly port: number
  /** Lets running requests finish, ends idle connections. */
  close(): Promise<void>
}

/** Rejects with `ERR_PORT_IN_USE` or `ERR_ARGUMENT`. The node stays the caller's. */
export async function serveHttp(node: HearsayNode, init: HttpInit): Promise<HttpServer> {
  const state: State = { port: init.port, closing: false }
  const server = createServer(
    {
      maxHeaderSize: headerBytesMax,
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      noDelay: true
    },
    (request, response) => void answer(node, state, request, response)
  )
  server.maxConnections = connectionsMax
  state.port = await listen(server, init.port, httpPurpose)
  return { port: state.port, close: () => close(server, state) }
}

interface State {
  port: number
  closing: boolean
}

async function close(server: Server, state: State): Promise<void> {
  state.closing = true
  const closed = new Promise<void>(resolve => server.close(() => resolve()))
  const late = setTimeout(() => server.closeAllConnections(), closeGraceMs)
  await closed
  clearTimeout(late)
}

async function answer(
  node: HearsayNode,
  state: State,
  request: IncomingMessage,
  response: ServerResponse
): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort(new HearsayError('ERR_ABORTED', 'The client left.')))
  // A socket that breaks has nobody left to be told; 'close' aborts the request.
  request.on('error', () => response.destroy())
  const result = await outcome(node, state.port, request, gone.signal)
  if (state.closing) response.setHeader('connection', 'close')
  send(response, result)
}

async function outcome(
  node: HearsayNode,
  port: number,
  request: IncomingMessage,
  signal: AbortSignal
): Promise<HttpAnswer> {
  try {
    checkOrigin(request, port)
    return await route(node, request, signal)
  } catch (cause) {
    return errorAnswer(cause)
  }
}

/** Node leaves the body of an answer to HEAD out by itself. */
function send(response: ServerResponse, { status, type, body, headers }: HttpAnswer): void {
  if (response.destroyed) return
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  response.writeHead(status, {
    'content-type': type,
    'content-length': bytes.length,
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'",
    'x-content-type-options': 'nosniff',
    ...headers
  })
  response.end(bytes)
}
