/**
 * Copies of many short runs of bytes in few pieces of memory: a piece for each takes longer to be had,
 * and to be given back, than what is copied.
 *
 * Whoever keeps one of them keeps its page; long ones have a page of their own.
 */

export const PAGE_BYTES = 16 * 1024
/** Longer ones would leave much of a page unused. */
const LONG_BYTES = 1_024
/** Up to so many, copying one by one is faster than having them copied. */
const FEW_BYTES = 192

export class Pages {
  #page = new Uint8Array(PAGE_BYTES)
  #used = 0

  /** A copy of the bytes from `start` to `end`, owned by the caller. */
  copy(from: Uint8Array, start: number, end: number): Uint8Array {
    const length = end - start
    if (length > LONG_BYTES) return viewOf(from, start, end).slice()
    if (this.#used + length > PAGE_BYTES) this.#turn()
    const at = this.#used
    this.#used += length
    const page = this.#page
    if (length > FEW_BYTES) page.set(viewOf(from, start, end), at)
    else for (let i = 0; i < length; i++) page[at + i] = from[start + i] as number
    return page.subarray(at, at + length)
  }

  #turn(): void {
    this.#page = new Uint8Array(PAGE_BYTES)
    this.#used = 0
  }
}

/** Not of the class of `from`, which may be a Buffer. */
function viewOf(from: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(from.buffer, from.byteOffset + start, end - start)
}
