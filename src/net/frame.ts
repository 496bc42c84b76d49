/**
 * The frames between two nodes: bytes in, frames out, and the other way round. Pure.
 *
 *     length u32 | kind u8 | id u32 | code u8 | body        all integers big-endian
 *
 * `length` counts what follows it. It is checked against the bound of its kind before anything of
 * the body is kept. `code` is the protocol of a request and 0 elsewhere.
 *
 * Promised: whatever the bytes, `push` never throws; it gives the frames before the first fault
 * and the name of the fault. Memory held is what has arrived of one frame, never what is announced.
 */
import { FRAME_BYTES_MAX, HELLO_BYTES_MAX } from './limits.ts'
import { concat } from '../util/bytes.ts'

export type FrameKind = 'hello' | 'request' | 'response' | 'error' | 'cancel'

export interface Frame {
  readonly kind: FrameKind
  /** Chosen by the side that asks; answers carry the same. */
  readonly id: number
  readonly code: number
  /** From a reader: a copy, owned by the receiver. */
  readonly body: Uint8Array
}

export type FrameFault = 'frame-too-short' | 'frame-too-long' | 'frame-unknown-kind'

export interface FrameBatch {
  readonly frames: readonly Frame[]
  /** Set once the bytes make no sense. Nothing after it is read. */
  readonly fault: FrameFault | undefined
}

/** Bytes before the body. */
export const HEADER_BYTES = 10
const LENGTH_BYTES = 4
/** What a frame adds to its body, as counted by `length`. */
const OVERHEAD_BYTES = HEADER_BYTES - LENGTH_BYTES

export const BODY_BYTES_MAX = FRAME_BYTES_MAX - OVERHEAD_BYTES

/** The byte of a kind is its place in this list. */
const kinds: readonly FrameKind[] = ['hello', 'request', 'response', 'error', 'cancel']

const empty = new Uint8Array()

export function encodeFrame(frame: Frame): Uint8Array {
  const out = new Uint8Array(HEADER_BYTES + frame.body.length)
  const view = new DataView(out.buffer)
  view.setUint32(0, OVERHEAD_BYTES + frame.body.length)
  view.setUint8(4, kinds.indexOf(frame.kind))
  view.setUint32(5, frame.id)
  view.setUint8(9, frame.code)
  out.set(frame.body, HEADER_BYTES)
  return out
}

export class FrameReader {
  #parts: Uint8Array[] = []
  #buffered = 0
  /** Bytes needed before the next step: a header, or a header and its body. */
  #wanted = HEADER_BYTES
  #fault: FrameFault | undefined

  /** Bytes of a frame that is not complete. */
  get buffered(): number {
    return this.#buffered
  }

  /** Keeps no reference to `chunk` beyond the frame that it ends in. */
  push(chunk: Uint8Array): FrameBatch {
    const frames: Frame[] = []
    this.#parts.push(chunk)
    this.#buffered += chunk.length
    if (this.#buffered >= this.#wanted && this.#fault === undefined) this.#read(frames)
    if (this.#fault !== undefined) this.#clear()
    return { frames, fault: this.#fault }
  }

  #read(frames: Frame[]): void {
    const bytes = this.#parts.length === 1 ? (this.#parts[0] as Uint8Array) : concat(this.#parts)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    let at = 0
    this.#wanted = HEADER_BYTES
    while (bytes.length - at >= HEADER_BYTES) {
      const length = view.getUint32(at)
      const kind = kinds[view.getUint8(at + 4)]
      this.#fault = faultOf(length, kind)
      if (this.#fault !== undefined) return
      const end = at + LENGTH_BYTES + length
      if (end > bytes.length) {
        this.#wanted = end - at
        break
      }
      frames.push(frameAt(view, bytes, at, end, kind as FrameKind))
      at = end
    }
    this.#buffered = bytes.length - at
    this.#parts = this.#buffered === 0 ? [] : [bytes.slice(at)]
  }

  #clear(): void {
    this.#parts = []
    this.#buffered = 0
  }
}

function frameAt(view: DataView, bytes: Uint8Array, at: number, end: number, kind: FrameKind) {
  const start = at + HEADER_BYTES
  const body = start === end ? empty : bytes.slice(start, end)
  return { kind, id: view.getUint32(at + 5), code: view.getUint8(at + 9), body }
}

function faultOf(length: number, kind: FrameKind | undefined): FrameFault | undefined {
  if (kind === undefined) return 'frame-unknown-kind'
  if (length < OVERHEAD_BYTES) return 'frame-too-short'
  if (length > lengthMax(kind)) return 'frame-too-long'
  return undefined
}

function lengthMax(kind: FrameKind): number {
  if (kind === 'hello') return HELLO_BYTES_MAX
  if (kind === 'cancel') return OVERHEAD_BYTES
  return FRAME_BYTES_MAX
}
