/**
 * The admin server: HTTP on a Unix socket in the data directory, mode 0600 in a directory of mode
 * 0700, so that who may read the data may also command the node, and nobody else.
 *
 * A socket left behind by a killed process is replaced: whoever holds the lock of the directory,
 * as a running node does, is its only owner. Must therefore be called with the node running.
 */
import { chmod, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { HearsayError, type HearsayNode } from '../../index.ts'
import { readBody } from '../http/body.ts'
import { Calls } from './calls.ts'
import { AnswerLines } from './lines.ts'
import { methods, type AdminInput } from './methods.ts'
import { adminBodyBytesMax, adminMethods, encodeError, type AdminMethod } from './protocol.ts'
import { socketPath, type SocketPath } from './socket.ts'

export interface AdminInit {
  /** The data directory of the node. */
  readonly directory: string
  /** Begins the end of the process. Called once the answer to `stop` is on its way. */
  readonly onStop: () => void
}

export interface AdminServer {
  close(): Promise<void>
}

const closeGraceMs = 2_000

/** Rejects with `ERR_DIRECTORY`. The node stays the caller's. */
export async function serveAdmin(node: HearsayNode, init: AdminInit): Promise<AdminServer> {
  const socket = await socketPath(init.directory)
  const calls = new Calls()
  const parts = { ...init, node, calls }
  const server = createServer((request, response) => void answer(parts, request, response))
  // An idle client is never cut off: cutting would race with its next request.
  server.keepAliveTimeout = 0
  try {
    await rm(socket.path, { force: true })
    await bind(server, socket.path)
    await chmod(socket.path, 0o600)
  } catch (cause) {
    await socket.release()
    const why = cause instanceof Error ? cause.message : String(cause)
    const message = `The admin socket in ${init.directory} cannot be made (${why}); use a directory on a local disk.`
    throw new HearsayError('ERR_DIRECTORY', message, { cause })
  }
  return { close: () => close(server, socket) }
}

function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** Closing removes the socket file, through the same path, so the path is released last. */
async function close(server: Server, socket: SocketPath): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()))
  const late = setTimeout(() => server.closeAllConnections(), closeGraceMs)
  await closed
  clearTimeout(late)
  await socket.release()
}

interface Parts extends AdminInit {
  readonly node: HearsayNode
  readonly calls: Calls
}

async function answer(
  parts: Parts,
  request: IncomingMessage,
  response: ServerResponse
): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort(new HearsayError('ERR_ABORTED', 'The client left.')))
  // A socket that breaks has nobody left to be told; 'close' aborts the request.
  request.on('error', () => response.destroy())
  const method = request.url?.slice(1)
  const lines = new AnswerLines(response)
  const [status, body] = await outcome(parts, method, request, gone, lines.tell)
  const stopping = method === 'stop' && status === 200
  if (stopping) response.once('close', parts.onStop)
  if (response.destroyed) return
  if (lines.begun) return lines.end(status, body)
  const close = stopping || status !== 200 ? { connection: 'close' } : {}
  response.writeHead(status, { 'content-type': 'application/json', ...close })
  response.end(JSON.stringify(body))
}

async function outcome(
  { node, calls }: Parts,
  method: string | undefined,
  request: IncomingMessage,
  gone: AbortController,
  tell: (progress: object) => void
): Promise<[status: number, body: unknown]> {
  try {
    const input = await readInput(request)
    if (method === 'stop') return [200, { stopping: true }]
    if (method === 'end') return [200, { ended: calls.end(input.call) }]
    if (!isMethod(method)) throw new HearsayError('ERR_ARGUMENT', unknownMethod(method))
    const onProgress = input.progress === true ? tell : () => {}
    const end = () => gone.abort(new HearsayError('ERR_ABORTED', 'The request was given up.'))
    const run = async () => methods[method](node, input, gone.signal, onProgress)
    return [200, await calls.run(input.call, end, run)]
  } catch (cause) {
    return [500, encodeError(cause)]
  }
}

async function readInput(request: IncomingMessage): Promise<AdminInput> {
  const body = await readBody(request, adminBodyBytesMax)
  if (body === undefined) {
    throw new HearsayError('ERR_ROW_SIZE', 'The request is too large; a value may have 1 MiB.')
  }
  const input = parse(body)
  if (request.method === 'POST' && typeof input === 'object' && input !== null) {
    return input as AdminInput
  }
  throw new HearsayError('ERR_ARGUMENT', 'The request is not a POST of a JSON object.')
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString())
  } catch (cause) {
    throw new HearsayError('ERR_ARGUMENT', 'The request is not JSON.', { cause })
  }
}

function isMethod(method: string | undefined): method is Exclude<AdminMethod, 'stop' | 'end'> {
  return method !== undefined && Object.hasOwn(methods, method)
}

function unknownMethod(method: string | undefined): string {
  return `There is no admin method ${JSON.stringify(method)}; there are ${adminMethods.join(', ')}.`
}
