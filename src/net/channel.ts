/**
 * Frames over one stream. Frames sent in one turn of the event loop leave in one write; when the
 * stream is full they wait here until it has room.
 *
 * Promised: `onEnd` is called exactly once, and nothing after it. A frame is `written` once it was
 * given to the stream: before that, it certainly never left this node.
 * Not promised: that what was written arrives.
 */
import type { Stream } from '@libp2p/interface'
import type { Meter } from '../ports.ts'
import { concat } from '../util/bytes.ts'
import { encodeFrame, FrameReader } from './frame.ts'
import type { Frame } from './frame.ts'
import { WRITE_BYTES_MAX } from './limits.ts'

export interface ChannelComponents {
  readonly stream: Stream
  readonly meter: Meter
}

export interface ChannelInit {
  readonly onFrame: (frame: Frame) => void
  readonly onEnd: (why: string) => void
  /** Stops reading while more than this waits to be written. @default never */
  readonly pauseBytes?: number
}

/** What became of one frame. The holder may drop it as long as it is not written. */
export interface Ticket {
  written: boolean
  dropped: boolean
}

interface Queued {
  readonly bytes: Uint8Array
  readonly ticket: Ticket
}

export class Channel {
  readonly #stream: Stream
  readonly #meter: Meter
  readonly #init: ChannelInit
  readonly #reader = new FrameReader()
  #queue: Queued[] = []
  #queuedBytes = 0
  #scheduled = false
  #full = false
  #paused = false
  #ended = false

  constructor(components: ChannelComponents, init: ChannelInit) {
    this.#stream = components.stream
    this.#meter = components.meter
    this.#init = init
    this.#stream.addEventListener('drain', () => {
      // The stream first sends what it holds itself, in a microtask queued before this one.
      queueMicrotask(() => this.#drained())
    })
    this.#stream.addEventListener('close', event => {
      this.#end(event.error?.message ?? 'the connection was closed')
    })
    this.#stream.addEventListener('remoteCloseWrite', () => this.end('the other side closed it'))
    this.#stream.addEventListener('message', event => {
      const { data } = event
      for (const part of data instanceof Uint8Array ? [data] : data) this.#receive(part)
    })
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Bytes that the stream has not taken yet. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** The body may be changed once this has returned. After the end, does nothing. */
  send(frame: Frame, ticket: Ticket = { written: false, dropped: false }): void {
    if (this.#ended) return
    const bytes = encodeFrame(frame)
    this.#queue.push({ bytes, ticket })
    this.#queuedBytes += bytes.length
    this.#schedule()
    if (this.#queuedBytes > (this.#init.pauseBytes ?? Infinity)) this.#pause(true)
  }

  /** Ends the stream at once, both ways. */
  end(why: string): void {
    if (this.#ended) return
    this.#end(why)
    this.#stream.abort(new Error(why))
  }

  #receive(part: Uint8Array): void {
    if (this.#ended) return
    const { frames, fault } = this.#reader.push(part)
    for (const frame of frames) {
      if (this.#ended) return
      this.#init.onFrame(frame)
    }
    if (fault !== undefined) this.refuse(fault)
  }

  /** Ends the stream for bytes that no correct node sends, and counts it by reason. */
  refuse(fault: string): void {
    if (this.#ended) return
    this.#meter.count(`network.${fault}`)
    this.end(`the other side sent a malformed frame (${fault})`)
  }

  #schedule(): void {
    if (this.#scheduled || this.#full) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    while (this.#queue.length > 0 && !this.#full && !this.#ended) this.#write(this.#take())
    if (this.#paused && this.#queuedBytes === 0) this.#pause(false)
  }

  /** One write's worth of frames. */
  #take(): Uint8Array[] {
    const parts: Uint8Array[] = []
    let count = 0
    let bytes = 0
    while (count < this.#queue.length && bytes < WRITE_BYTES_MAX) {
      const item = this.#queue[count++] as Queued
      this.#queuedBytes -= item.bytes.length
      if (item.ticket.dropped) continue
      item.ticket.written = true
      parts.push(item.bytes)
      bytes += item.bytes.length
    }
    this.#queue = this.#queue.slice(count)
    return parts
  }

  #write(parts: readonly Uint8Array[]): void {
    if (parts.length === 0) return
    try {
      this.#full = !this.#stream.send(concat(parts))
      this.#meter.count('network.writes')
      this.#meter.count('network.frames-sent', parts.length)
    } catch (error) {
      this.end(`the stream refused a write (${(error as Error).message})`)
    }
  }

  #drained(): void {
    if (this.#ended || this.#stream.writableNeedsDrain) return
    this.#full = false
    this.#flush()
  }

  #pause(paused: boolean): void {
    if (this.#paused === paused || this.#ended) return
    this.#paused = paused
    if (this.#stream.readStatus !== 'readable' && this.#stream.readStatus !== 'paused') return
    if (paused) this.#meter.count('network.reads-paused')
    if (paused) this.#stream.pause()
    else this.#stream.resume()
  }

  #end(why: string): void {
    if (this.#ended) return
    this.#ended = true
    if (this.#reader.buffered > 0) this.#meter.count('network.frames-truncated')
    this.#queue = []
    this.#queuedBytes = 0
    this.#init.onEnd(why)
  }
}
