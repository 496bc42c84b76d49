/**
 * The calls that wait for an answer, on the asking side of a stream: ids and what they stand for.
 * Pure: frames in, outcomes out. It knows no time and keeps whatever its owner gives it per call.
 */
import { text } from '../util/bytes.ts'
import type { Frame } from './frame.ts'

export type Outcome =
  { readonly body: Uint8Array } | { readonly code: string; readonly message: string }

export interface Settled<T> {
  readonly call: T
  readonly outcome: Outcome
}

const ID_END = 2 ** 32

export class CallTable<T> {
  readonly #calls = new Map<number, T>()
  #nextId = 0

  get size(): number {
    return this.#calls.size
  }

  /** An id that no other waiting call has. The caller bounds how many there are. */
  begin(call: T): number {
    while (this.#calls.has(this.#nextId)) this.#nextId = (this.#nextId + 1) % ID_END
    const id = this.#nextId
    this.#nextId = (id + 1) % ID_END
    this.#calls.set(id, call)
    return id
  }

  /** `undefined` if the call is not waited for any more. */
  settle(frame: Frame): Settled<T> | undefined {
    const call = this.take(frame.id)
    if (call === undefined) return undefined
    return {
      call,
      outcome: frame.kind === 'error' ? decodeError(frame.body) : { body: frame.body }
    }
  }

  /** Forgets a call: an answer that comes later finds nothing. */
  take(id: number): T | undefined {
    const call = this.#calls.get(id)
    this.#calls.delete(id)
    return call
  }

  takeAll(): readonly T[] {
    const calls = [...this.#calls.values()]
    this.#calls.clear()
    return calls
  }
}

/** `CODE message`. Whatever does not begin with a code of ours is an internal error. */
function decodeError(body: Uint8Array): { code: string; message: string } {
  const match = /^(ERR_[A-Z_]{1,40}) (.*)$/s.exec(text(body))
  if (match === null) return { code: 'ERR_INTERNAL', message: 'The other node gave no reason.' }
  return { code: match[1] as string, message: match[2] as string }
}
