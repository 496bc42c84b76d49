/**
 * Requests over one long-lived stream, answering side. Reads the hello, then runs the handler of
 * each request, many at a time, and sends the answers in the order in which they are ready.
 *
 * Bounded: a request over the limit is refused with a reason, and while the other side does not
 * take its answers no more of its requests are read. When the stream ends or the other side gives
 * up, the signal of the handler fires and its answer goes nowhere.
 */
import type { Stream } from '@libp2p/interface'
import { HearsayError } from '../errors.ts'
import type { Cancel, Handler, Log, Meter, Protocol, Timers } from '../ports.ts'
import { utf8 } from '../util/bytes.ts'
import type { NodeId } from '../util/node-id.ts'
import { Channel } from './channel.ts'
import { BODY_BYTES_MAX } from './frame.ts'
import type { Frame } from './frame.ts'
import { decodeHello, encodeHello } from './hello.ts'
import type { Hello } from './hello.ts'
import type { Greeting } from './presence.ts'
import { ANSWER_QUEUE_BYTES_MAX, ERROR_BYTES_MAX, HELLO_MS_MAX, REQUESTS_MAX } from './limits.ts'
import { protocolOf } from './rpc.ts'

export interface RpcServerComponents {
  readonly stream: Stream
  readonly timers: Timers
  readonly meter: Meter
  readonly log: Log
  readonly handlers: ReadonlyMap<Protocol, Handler>
}

export interface RpcServerInit {
  readonly peer: NodeId
  readonly hello: Hello
  /** Their hello. What comes of it decides whether requests are read. Never rejects. */
  readonly onHello: (theirs: Hello) => Greeting | Promise<Greeting>
  /** Called once when the stream is gone. */
  readonly onEnd: (server: RpcServer) => void
}

export class RpcServer {
  readonly #components: RpcServerComponents
  readonly #init: RpcServerInit
  readonly #channel: Channel
  readonly #running = new Map<number, AbortController>()
  readonly #late: Cancel
  #hello: 'awaited' | 'weighed' | 'fits' | 'refused' = 'awaited'

  constructor(components: RpcServerComponents, init: RpcServerInit) {
    this.#components = components
    this.#init = init
    this.#late = components.timers.after(HELLO_MS_MAX, () => this.end('no hello came in time'))
    this.#channel = new Channel(components, {
      onFrame: frame => this.#onFrame(frame),
      onEnd: why => this.#onEnd(why),
      pauseBytes: ANSWER_QUEUE_BYTES_MAX
    })
  }

  end(why: string): void {
    this.#channel.end(why)
  }

  #onFrame(frame: Frame): void {
    if (frame.kind === 'hello' && this.#hello === 'awaited') return this.#onHello(frame)
    if (this.#hello !== 'fits') return this.#channel.refuse('frame-before-hello')
    if (frame.kind === 'cancel') return this.#running.get(frame.id)?.abort()
    if (frame.kind !== 'request') return this.#channel.refuse('frame-unexpected')
    if (this.#running.has(frame.id)) return this.#channel.refuse('frame-repeated-id')
    this.#onRequest(frame)
  }

  #onHello(frame: Frame): void {
    const theirs = decodeHello(frame.body)
    if (theirs === undefined) return this.#channel.refuse('frame-bad-hello')
    this.#late()
    this.#hello = 'weighed'
    const greeting = this.#init.onHello(theirs)
    if (greeting instanceof Promise) void greeting.then(each => this.#answerHello(each))
    else this.#answerHello(greeting)
  }

  /** Ours goes out even if theirs does not fit: the asking side then knows what is wrong. */
  #answerHello({ fault, rival }: Greeting): void {
    const hello = { ...this.#init.hello, ...(rival !== undefined && { rival }) }
    this.#channel.send({ kind: 'hello', id: 0, code: 0, body: encodeHello(hello) })
    this.#hello = fault === undefined ? 'fits' : 'refused'
  }

  #onRequest(frame: Frame): void {
    const { meter, handlers } = this.#components
    meter.count('network.requests-received')
    if (this.#running.size >= REQUESTS_MAX) {
      meter.count('network.requests-refused')
      return this.#sendError(frame.id, overloaded)
    }
    const protocol = protocolOf(frame.code)
    const handler = protocol === undefined ? undefined : handlers.get(protocol)
    if (handler === undefined) return this.#sendError(frame.id, unknownProtocol)
    void this.#run(frame, handler)
  }

  async #run({ id, body }: Frame, handler: Handler): Promise<void> {
    const controller = new AbortController()
    this.#running.set(id, controller)
    try {
      const answer = await handler(this.#init.peer, body, controller.signal)
      if (answer.length > BODY_BYTES_MAX) throw tooLong(answer.length)
      if (!controller.signal.aborted) this.#send('response', id, answer)
    } catch (error) {
      if (!controller.signal.aborted) this.#sendError(id, error)
    } finally {
      this.#running.delete(id)
    }
  }

  #send(kind: 'response' | 'error', id: number, body: Uint8Array): void {
    this.#channel.send({ kind, id, code: 0, body })
  }

  /** Only errors of ours travel; others may hold what the other side has no business to know. */
  #sendError(id: number, error: unknown): void {
    const known = error instanceof HearsayError ? error : internal
    if (known === internal) {
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
      this.#components.log.warn('handler-failed', { peer: this.#init.peer, reason })
    }
    const body = utf8(`${known.code} ${known.message}`).subarray(0, ERROR_BYTES_MAX)
    this.#send('error', id, body)
  }

  #onEnd(why: string): void {
    this.#late()
    for (const controller of this.#running.values()) controller.abort(new Error(why))
    this.#running.clear()
    this.#init.onEnd(this)
  }
}

const internal = new HearsayError(
  'ERR_INTERNAL',
  'The other node failed to answer; its log says why.'
)

const overloaded = new HearsayError(
  'ERR_OVERLOADED',
  'The other node has too many requests of this node to answer; slow down and try again.'
)

const unknownProtocol = new HearsayError(
  'ERR_PROTOCOL',
  'The other node does not answer requests of this kind; run the same version on all nodes.'
)

function tooLong(length: number): HearsayError {
  return new HearsayError(
    'ERR_INTERNAL',
    `The answer of ${length} bytes is over the limit of ${BODY_BYTES_MAX}; ask for less at a time.`
  )
}
