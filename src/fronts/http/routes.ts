/**
 * The routes: a request in, an answer out, over the public API only.
 *
 *   GET PUT DELETE /kv/<key>[?level=LEVEL]    the value as it is; version in `Hearsay-Version`
 *   GET /health                               200 while this node is up and serving, else 503
 *   GET /metrics                              Prometheus text
 */
import type { IncomingMessage } from 'node:http'
import { parseLevel, type HearsayNode, type RequestOptions } from '../../index.ts'
import { HttpError, json, type HttpAnswer } from './answer.ts'
import { readBody } from './body.ts'
import { decodeKey } from './key.ts'
import { bodyBytesMax } from './limits.ts'
import { metricsText } from './metrics.ts'

type Method = (
  node: HearsayNode,
  request: IncomingMessage,
  key: Uint8Array,
  options: RequestOptions
) => Promise<HttpAnswer>

const keyMethods: Readonly<Record<string, Method>> = {
  GET: read,
  HEAD: read,
  PUT: write,
  DELETE: remove
}

/** Rejects with `HttpError` or what the node rejects with. */
export async function route(
  node: HearsayNode,
  request: IncomingMessage,
  signal: AbortSignal
): Promise<HttpAnswer> {
  const [path, query] = split(request.url ?? '/')
  if (path.startsWith('/kv/')) return kv(node, request, path.slice(4), query, signal)
  if (path === '/health') return onlyGet(request, () => health(node))
  if (path === '/metrics') return onlyGet(request, () => metrics(node))
  throw new HttpError(404, 'NOT_FOUND', 'Nothing is here; try /kv/<key>, /health or /metrics.')
}

function split(url: string): [path: string, query: URLSearchParams] {
  const mark = url.indexOf('?')
  return mark < 0
    ? [url, new URLSearchParams()]
    : [url.slice(0, mark), new URLSearchParams(url.slice(mark + 1))]
}

async function kv(
  node: HearsayNode,
  request: IncomingMessage,
  encoded: string,
  query: URLSearchParams,
  signal: AbortSignal
): Promise<HttpAnswer> {
  const method = keyMethods[request.method ?? '']
  if (method === undefined) throw notAllowed('GET, HEAD, PUT, DELETE')
  const key = decodeKey(encoded)
  if (key === undefined) {
    const message = 'The key is not percent-encoded; write % as %25, and other bytes as %XX.'
    throw new HttpError(400, 'BAD_REQUEST', message)
  }
  return method(node, request, key, readOptions(query, signal))
}

function readOptions(query: URLSearchParams, signal: AbortSignal): RequestOptions {
  for (const name of query.keys()) {
    if (name !== 'level') {
      throw new HttpError(400, 'BAD_REQUEST', `There is no parameter ${name}; there is level.`)
    }
  }
  const [level, ...more] = query.getAll('level')
  if (more.length > 0) {
    throw new HttpError(400, 'BAD_REQUEST', 'The parameter level is given twice; give it once.')
  }
  return level === undefined ? { signal } : { signal, level: parseLevel(level) }
}

async function read(
  node: HearsayNode,
  _request: IncomingMessage,
  key: Uint8Array,
  options: RequestOptions
): Promise<HttpAnswer> {
  const { value, version } = await node.read(key, options)
  const headers = version === undefined ? {} : { 'hearsay-version': version }
  if (value === undefined) {
    return json({ code: 'NOT_FOUND', message: 'No value is stored under this key.' }, 404, headers)
  }
  return { status: 200, type: 'application/octet-stream', body: value, headers }
}

async function write(
  node: HearsayNode,
  request: IncomingMessage,
  key: Uint8Array,
  options: RequestOptions
): Promise<HttpAnswer> {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    throw new HttpError(415, 'UNSUPPORTED', 'A compressed body is not accepted; send it plain.')
  }
  const value = await readBody(request, bodyBytesMax)
  if (value === undefined) {
    const name = request.url?.split('?')[0] ?? ''
    const message = `A value may have ${bodyBytesMax} bytes; this body, for ${name}, has more. Store it in parts.`
    throw new HttpError(413, 'ERR_ROW_SIZE', message, { connection: 'close' })
  }
  return json(await node.put(key, value, options))
}

async function remove(
  node: HearsayNode,
  _request: IncomingMessage,
  key: Uint8Array,
  options: RequestOptions
): Promise<HttpAnswer> {
  return json(await node.delete(key, options))
}

function onlyGet(request: IncomingMessage, answer: () => HttpAnswer): HttpAnswer {
  if (request.method !== 'GET' && request.method !== 'HEAD') throw notAllowed('GET, HEAD')
  return answer()
}

function health(node: HearsayNode): HttpAnswer {
  const { id, state, members, fillingSlots } = node.status()
  const alive = members.filter(member => member.liveness === 'alive').length
  const ok = state === 'up' || state === 'filled'
  const body = { ok, id, state, members: members.length, alive, fillingSlots }
  return json(body, ok ? 200 : 503)
}

function metrics(node: HearsayNode): HttpAnswer {
  const type = 'text/plain; version=0.0.4; charset=utf-8'
  return { status: 200, type, body: metricsText(node.status()) }
}

function notAllowed(allow: string): HttpError {
  return new HttpError(405, 'METHOD_NOT_ALLOWED', `Use one of ${allow} here.`, { allow })
}
