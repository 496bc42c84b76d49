/**
 * The other end of the admin socket: what the CLI and the demo command a running node with.
 *
 * Promised: an error of the node comes out with its code, sentence and fields; a directory in which
 * no node runs gives `ERR_NOT_RUNNING`. Not promised: a deadline; give a signal.
 */
import { randomUUID } from 'node:crypto'
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import {
  HearsayError,
  type BackgroundTask,
  type Bytes,
  type ClusterSync,
  type Conflict,
  type ExchangeReport,
  type Explanation,
  type NodeId,
  type ReadResult,
  type ScrubProgress,
  type ScrubReport,
  type RepairOptions,
  type RequestOptions,
  type SlotMap,
  type SlotTree,
  type Status,
  type WriteOptions,
  type WriteResult
} from '../../index.ts'
import {
  adminBodyBytesMax,
  decodeBytes,
  decodeConflict,
  decodeError,
  decodeExplanation,
  encodeBytes,
  type AdminMethod,
  type WireConflict,
  type WireExplanation,
  type WireError
} from './protocol.ts'
import { hasLines, readLines } from './lines.ts'
import { socketPath, type SocketPath } from './socket.ts'

const socketsMax = 64

/** How long one that was ended may take to say what it has done. */
const endMs = 5_000

interface Signalled {
  readonly signal?: AbortSignal | undefined
}

interface Progressing<T = unknown> extends Signalled {
  readonly onProgress?: ((progress: T) => void) | undefined
}

export class AdminClient {
  readonly directory: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: socketsMax })
  #socket: Promise<SocketPath> | undefined

  /** Connects at the first call, and again after the node was started again. */
  constructor(directory: string) {
    this.directory = directory
  }

  status(options: Signalled = {}): Promise<Status> {
    return this.#call<Status>('status', {}, options)
  }

  async invite(options: Signalled = {}): Promise<string> {
    return (await this.#call<{ invite: string }>('invite', {}, options)).invite
  }

  async read(key: Bytes, options: RequestOptions = {}): Promise<ReadResult> {
    type Wire = Omit<ReadResult, 'value'> & { value?: string }
    const input = { key: encodeBytes(key), ...plain(options) }
    const { value, kind, version, expiresAt, siblings, answers, repaired } = await this.#call<Wire>(
      'read',
      input,
      options
    )
    return {
      value: value === undefined ? undefined : decodeBytes(value),
      kind,
      version,
      expiresAt,
      siblings,
      answers,
      repaired
    }
  }

  async explain(
    key: Bytes,
    options: Pick<RequestOptions, 'timeoutMs' | 'signal'> = {}
  ): Promise<Explanation> {
    const input = { key: encodeBytes(key), timeoutMs: options.timeoutMs }
    const wire = await this.#call<WireExplanation>('explain', input, options)
    return decodeExplanation(wire)
  }

  async conflicts(options: { limit?: number } = {}): Promise<Conflict[]> {
    return (await this.#call<WireConflict[]>('conflicts', options)).map(decodeConflict)
  }

  put(key: Bytes, value: Bytes, options: WriteOptions = {}): Promise<WriteResult> {
    const input = { key: encodeBytes(key), value: encodeBytes(value), ...plain(options) }
    return this.#call<WriteResult>('put', input, options)
  }

  delete(key: Bytes, options: WriteOptions = {}): Promise<WriteResult> {
    return this.#call<WriteResult>('delete', { key: encodeBytes(key), ...plain(options) }, options)
  }

  async pause(task: BackgroundTask): Promise<void> {
    await this.#call('pause', { task })
  }

  async resume(task: BackgroundTask): Promise<void> {
    await this.#call('resume', { task })
  }

  /** `onProgress` is called a few times a second, and once more when the signal has ended it. */
  async repair(options: RepairOptions = {}): Promise<ExchangeReport[]> {
    type Wire = Omit<ExchangeReport, 'keys'> & { keys: readonly string[] }
    const { signal, onProgress, ...input } = options
    const reports = await this.#long<Wire[]>('repair', input, {
      signal,
      onProgress: onProgress as Progressing['onProgress']
    })
    return reports.map(report => ({ ...report, keys: report.keys.map(decodeBytes) }))
  }

  /** `onProgress` is called a few times a second, and once more when the signal has ended it. */
  scrub({ signal, onProgress }: Progressing<ScrubProgress> = {}): Promise<ScrubReport> {
    return this.#long<ScrubReport>(
      'scrub',
      {},
      { signal, onProgress: onProgress as Progressing['onProgress'] }
    )
  }

  sync(options: Signalled = {}): Promise<ClusterSync> {
    return this.#call<ClusterSync>('sync', {}, options)
  }

  slots({ signal, ...input }: { peer?: NodeId; signal?: AbortSignal } = {}): Promise<SlotMap> {
    return this.#call<SlotMap>('slots', input, { signal })
  }

  tree(
    slot: number,
    { signal, ...input }: { peer?: NodeId; signal?: AbortSignal } = {}
  ): Promise<SlotTree> {
    return this.#call<SlotTree>('tree', { ...input, slot }, { signal })
  }

  async dropHints(): Promise<number> {
    return (await this.#call<{ dropped: number }>('drop-hints', {})).dropped
  }

  /** Asks the whole process to end; resolves when it has said that it will. */
  async stop(): Promise<void> {
    await this.#call('stop', {})
  }

  /** Lets go of the connections. A later call opens them again. */
  async close(): Promise<void> {
    this.#agent.destroy()
    const socket = this.#socket
    this.#socket = undefined
    if (socket !== undefined) await (await socket).release()
  }

  /** Of who wants progress, the signal asks the node to end it, and its last progress still comes. */
  async #long<T>(method: AdminMethod, input: object, options: Progressing): Promise<T> {
    const { signal, onProgress } = options
    if (signal === undefined || onProgress === undefined || signal.aborted) {
      return this.#call<T>(method, { ...input, progress: onProgress !== undefined }, options)
    }
    const [call, leave, over] = [randomUUID(), new AbortController(), new AbortController()]
    const end = () => void this.#end(call, leave, over.signal)
    signal.addEventListener('abort', end, { once: true })
    try {
      const named = { ...input, progress: true, call }
      return await this.#call<T>(method, named, { signal: leave.signal, onProgress })
    } finally {
      signal.removeEventListener('abort', end)
      over.abort()
    }
  }

  /** Leaves, where the node does not know of the call or does not end it in time. */
  async #end(call: string, leave: AbortController, over: AbortSignal): Promise<void> {
    const late = setTimeout(() => leave.abort(), endMs)
    over.addEventListener('abort', () => clearTimeout(late), { once: true })
    const ended = await this.#call<{ ended: boolean }>('end', { call }, { signal: over }).then(
      answer => answer.ended,
      () => false
    )
    if (!ended) leave.abort()
  }

  async #call<T = unknown>(
    method: AdminMethod,
    input: object,
    { signal, onProgress = () => {} }: Progressing = {}
  ): Promise<T> {
    try {
      const response = await this.#post(method, bodyOf(input), signal)
      if (hasLines(response)) return (await readLines(response, onProgress)) as T
      const body = JSON.parse(await readText(response)) as unknown
      if (response.statusCode === 200) return body as T
      throw decodeError(body as WireError)
    } catch (cause) {
      throw this.#explain(cause, signal)
    }
  }

  async #post(method: string, body: string, signal?: AbortSignal): Promise<IncomingMessage> {
    this.#socket ??= socketPath(this.directory)
    const path = await this.#socket.then(
      socket => socket.path,
      cause => {
        this.#socket = undefined
        throw cause
      }
    )
    return new Promise((resolve, reject) => {
      const length = Buffer.byteLength(body)
      const headers = { 'content-type': 'application/json', 'content-length': length }
      const request = httpRequest(
        {
          socketPath: path,
          path: `/${method}`,
          method: 'POST',
          headers,
          agent: this.#agent,
          ...(signal === undefined ? {} : { signal })
        },
        resolve
      )
      request.once('error', reject)
      request.end(body)
    })
  }

  #explain(cause: unknown, signal: AbortSignal | undefined): Error {
    if (cause instanceof HearsayError) return cause
    const { code, message } = cause as NodeJS.ErrnoException
    if (['ENOENT', 'ENOTDIR', 'ECONNREFUSED'].includes(code ?? '')) {
      const { directory } = this
      const text =
        `No node is running on ${directory}, or it is still starting; wait for it, or start it with ` +
        `hearsay start --data ${directory}`
      return new HearsayError('ERR_NOT_RUNNING', text, { cause })
    }
    if (code === 'EACCES' || code === 'EPERM') {
      const text = `${this.directory} belongs to another user; run this as the user of the node.`
      return new HearsayError('ERR_DIRECTORY', text, { cause })
    }
    // A stream that is aborted in its middle says no more than that it was reset.
    if (code === 'ABORT_ERR' || signal?.aborted) {
      return new HearsayError('ERR_ABORTED', 'The request was given up.', { cause })
    }
    const text =
      `The node on ${this.directory} went away before it answered (${message}); what was asked ` +
      'may or may not have been done.'
    return new HearsayError('ERR_NETWORK', text, { cause })
  }
}

/** Looked at here because a node that refuses a body does not read it to its end. */
function bodyOf(input: object): string {
  const body = JSON.stringify(input)
  if (Buffer.byteLength(body) <= adminBodyBytesMax) return body
  throw new HearsayError('ERR_ROW_SIZE', 'The request is too large; a value may have 1 MiB.')
}

/** Of the options, what can travel. */
function plain({ level, timeoutMs, ...rest }: WriteOptions): object {
  const { durability } = rest
  return { level, timeoutMs, durability }
}

async function readText(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of response) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}
