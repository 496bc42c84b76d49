/**
 * Which nodes of a tree are out of date, the twin of assembly/marks.ts: one bit a node, and above
 * that one bit for every 32 of them, so that a lone mark is found at once. Node 0 is never marked.
 */
export class Marks {
  readonly #lower: Int32Array
  readonly #upper: Int32Array

  /** For nodes up to `last`; none is marked. */
  constructor(last: number) {
    this.#lower = new Int32Array((last >>> 5) + 1)
    this.#upper = new Int32Array((last >>> 10) + 1)
  }

  mark(index: number): void {
    const word = index >>> 5
    this.#lower[word] = (this.#lower[word] as number) | (1 << (index & 31))
    this.#upper[word >>> 5] = (this.#upper[word >>> 5] as number) | (1 << (word & 31))
  }

  /** Marks the nodes `from` to `last`. */
  markRange(from: number, last: number): void {
    for (let i = from; i <= last; i++) this.mark(i)
  }

  /** Takes the mark of a node that was brought up to date over to its parent. */
  pass(index: number): void {
    const word = index >>> 5
    const left = (this.#lower[word] as number) & ~(1 << (index & 31))
    this.#lower[word] = left
    if (left === 0) {
      this.#upper[word >>> 5] = (this.#upper[word >>> 5] as number) & ~(1 << (word & 31))
    }
    if (index > 1) this.mark(index >>> 1)
  }

  /** The highest marked node below `end` >= 1, or 0. */
  highest(end: number): number {
    const word = (end - 1) >>> 5
    const bits = (this.#lower[word] as number) & upTo(end - 1)
    if (bits !== 0) return word * 32 + highestBit(bits)
    const below = word === 0 ? -1 : this.#highestWord(word)
    return below < 0 ? 0 : below * 32 + highestBit(this.#lower[below] as number)
  }

  /** The highest word below `end` >= 1 that has marks, or -1. */
  #highestWord(end: number): number {
    let group = (end - 1) >>> 5
    let bits = (this.#upper[group] as number) & upTo(end - 1)
    while (bits === 0) {
      if (group === 0) return -1
      bits = this.#upper[--group] as number
    }
    return group * 32 + highestBit(bits)
  }
}

/** Ones from the lowest bit to that of `index` within its word. */
function upTo(index: number): number {
  return 0xffffffff >>> (31 - (index & 31))
}

function highestBit(bits: number): number {
  return 31 - Math.clz32(bits)
}
