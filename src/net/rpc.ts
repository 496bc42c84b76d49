/**
 * Requests over one long-lived stream, asking side. The side that opened the stream asks on it and
 * the other answers, many requests at a time; the first frame each way is the hello.
 *
 * Every request ends exactly once: with the answer, or with an error that says whether it ever
 * left this node. When the stream breaks, all of them end in the same turn.
 */
import type { Stream } from '@libp2p/interface'
import { HearsayError, NetworkError, RemoteError } from '../errors.ts'
import type { Cancel, Meter, Protocol, RequestOptions, Timers } from '../ports.ts'
import type { NodeId } from '../util/node-id.ts'
import { CallTable } from './calls.ts'
import type { Outcome } from './calls.ts'
import { Channel } from './channel.ts'
import type { Ticket } from './channel.ts'
import { BODY_BYTES_MAX } from './frame.ts'
import type { Frame } from './frame.ts'
import { decodeHello, encodeHello } from './hello.ts'
import type { Hello } from './hello.ts'
import { HELLO_MS_MAX, REQUEST_QUEUE_BYTES_MAX, REQUESTS_MAX } from './limits.ts'

/** The byte of a protocol is its place in this list: entries are added, never moved. */
const protocols: readonly (Protocol | undefined)[] = [
  undefined,
  'apply',
  'read',
  'forward',
  'exchange',
  'members',
  'probe',
  'explain',
  'tree',
  'settle',
  'sync',
  'recover'
]

export function protocolOf(code: number): Protocol | undefined {
  return protocols[code]
}

const none = new Uint8Array()

export interface RpcClientComponents {
  readonly stream: Stream
  readonly timers: Timers
  readonly meter: Meter
}

export interface RpcClientInit {
  readonly peer: NodeId
  /** Called once when the stream is gone. */
  readonly onEnd: (client: RpcClient) => void
}

interface Call {
  readonly resolve: (body: Uint8Array) => void
  readonly reject: (error: Error) => void
  readonly ticket: Ticket
  readonly release: () => void
}

export class RpcClient {
  readonly #channel: Channel
  readonly #timers: Timers
  readonly #meter: Meter
  readonly #peer: NodeId
  readonly #calls = new CallTable<Call>()
  #hello: { resolve: (hello: Hello) => void; reject: (error: Error) => void } | undefined
  /** Which start of the peer is at the other end, once it has said hello. */
  #epoch: string | undefined
  #why = 'it was closed'

  constructor(components: RpcClientComponents, init: RpcClientInit) {
    this.#timers = components.timers
    this.#meter = components.meter
    this.#peer = init.peer
    this.#channel = new Channel(components, {
      onFrame: frame => this.#onFrame(frame),
      onEnd: why => {
        this.#onEnd(why)
        init.onEnd(this)
      }
    })
  }

  get ended(): boolean {
    return this.#channel.ended
  }

  end(why: string): void {
    this.#channel.end(why)
  }

  /** Sends ours, resolves with theirs. Comparing them is the caller's part. */
  async hello(ours: Hello): Promise<Hello> {
    const late = this.#timers.after(HELLO_MS_MAX, () => this.end('no hello came back in time'))
    try {
      return await new Promise((resolve, reject) => {
        this.#hello = { resolve, reject }
        if (this.ended) return reject(this.#broken(true))
        this.#channel.send({ kind: 'hello', id: 0, code: 0, body: encodeHello(ours) })
      })
    } finally {
      late()
      this.#hello = undefined
    }
  }

  /** The body may be changed once this has returned. The answer belongs to the caller. */
  request(protocol: Protocol, body: Uint8Array, options: RequestOptions): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const refusal = this.#refusal(body, options)
      if (refusal !== undefined) return reject(refusal)
      this.#begin(protocol, body, options, resolve, reject)
    })
  }

  #refusal(body: Uint8Array, { epoch }: RequestOptions): Error | undefined {
    if (this.ended) return this.#broken(true)
    if (epoch !== undefined && epoch !== this.#epoch) {
      return this.#failure('another process has taken the place of the one that is meant', true)
    }
    if (body.length > BODY_BYTES_MAX) {
      return new HearsayError(
        'ERR_ARGUMENT',
        `A request of ${body.length} bytes is over the limit of ${BODY_BYTES_MAX}; send it in parts.`
      )
    }
    const full =
      this.#calls.size >= REQUESTS_MAX || this.#channel.queuedBytes > REQUEST_QUEUE_BYTES_MAX
    if (!full) return undefined
    this.#meter.count('network.requests-refused')
    return new HearsayError(
      'ERR_OVERLOADED',
      `${this.#calls.size} requests to ${this.#peer} have no answer yet and nothing more was sent; ` +
        'slow down and try again.'
    )
  }

  #begin(
    protocol: Protocol,
    body: Uint8Array,
    { deadlineMs, signal }: RequestOptions,
    resolve: (body: Uint8Array) => void,
    reject: (error: Error) => void
  ): void {
    const ticket: Ticket = { written: false, dropped: false }
    const onAbort = () => this.#giveUp(id, 'the request was aborted', signal?.reason)
    const cancel: Cancel = this.#timers.after(deadlineMs, () => {
      this.#meter.count('network.deadlines')
      this.#giveUp(id, `no answer within ${Math.ceil(deadlineMs)} ms`)
    })
    const release = () => {
      cancel()
      signal?.removeEventListener('abort', onAbort)
    }
    const id = this.#calls.begin({ resolve, reject, ticket, release })
    signal?.addEventListener('abort', onAbort, { once: true })
    const frame: Frame = { kind: 'request', id, code: protocols.indexOf(protocol), body }
    this.#channel.send(frame, ticket)
  }

  /** The other side is told, so that its handler can stop. */
  #giveUp(id: number, why: string, cause?: unknown): void {
    const call = this.#calls.take(id)
    if (call === undefined) return
    call.release()
    if (call.ticket.written) this.#channel.send({ kind: 'cancel', id, code: 0, body: none })
    else call.ticket.dropped = true
    call.reject(this.#failure(why, !call.ticket.written, cause))
  }

  #onFrame(frame: Frame): void {
    if (frame.kind === 'response' || frame.kind === 'error') return this.#onAnswer(frame)
    if (frame.kind !== 'hello') return this.#channel.refuse('frame-unexpected')
    const hello = decodeHello(frame.body)
    if (hello === undefined || this.#hello === undefined) {
      return this.#channel.refuse('frame-bad-hello')
    }
    this.#epoch = hello.epoch
    this.#hello.resolve(hello)
  }

  #onAnswer(frame: Frame): void {
    const settled = this.#calls.settle(frame)
    if (settled === undefined) return this.#meter.count('network.answers-too-late')
    settled.call.release()
    finish(settled.call, settled.outcome)
  }

  #onEnd(why: string): void {
    this.#why = why
    this.#hello?.reject(this.#broken(false))
    for (const call of this.#calls.takeAll()) {
      call.release()
      call.reject(this.#broken(!call.ticket.written))
    }
  }

  #broken(unsent: boolean): NetworkError {
    return this.#failure(`the connection is gone, ${this.#why}`, unsent)
  }

  #failure(why: string, unsent: boolean, cause?: unknown): NetworkError {
    const epoch = this.#epoch
    return new NetworkError(`Asking ${this.#peer}: ${why}.`, unsent, { cause, epoch })
  }
}

function finish(call: Call, outcome: Outcome): void {
  if ('body' in outcome) call.resolve(outcome.body)
  else call.reject(new RemoteError(outcome.code, outcome.message))
}
