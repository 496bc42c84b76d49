/**
 * Which nodes of a tree are out of date, the twin of assembly/marks.ts: one bit a node, above that
 * one bit for every 32 of them, and so on, so that a lone mark is found at once. Node 0 is never
 * marked.
 */
export class Marks {
  /** A bit of the next level stands for a word of this one that is not 0. */
  readonly #levels: readonly Int32Array[]

  /** For nodes up to `last`; none is marked. */
  constructor(last: number) {
    const levels = [new Int32Array((last >>> 5) + 1)]
    for (let words = last >>> 5; words > 0; words >>>= 5) {
      levels.push(new Int32Array((words >>> 5) + 1))
    }
    this.#levels = levels
  }

  mark(index: number): void {
    for (let level = 0; level < this.#levels.length; level++, index >>>= 5) {
      const words = this.#levels[level] as Int32Array
      const before = words[index >>> 5] as number
      words[index >>> 5] = before | (1 << (index & 31))
      if (before !== 0) return
    }
  }

  /** Marks the nodes `from` to `last`. */
  markRange(from: number, last: number): void {
    for (let i = from; i <= last; i++) this.mark(i)
  }

  /** Takes the mark of a node that was brought up to date over to its parent. */
  pass(index: number): void {
    this.#unmark(index)
    if (index > 1) this.mark(index >>> 1)
  }

  #unmark(index: number): void {
    for (let level = 0; level < this.#levels.length; level++, index >>>= 5) {
      const words = this.#levels[level] as Int32Array
      const left = (words[index >>> 5] as number) & ~(1 << (index & 31))
      words[index >>> 5] = left
      if (left !== 0) return
    }
  }

  /** The highest marked node below `end`, or 0. */
  highest(end: number): number {
    for (let level = 0; end > 0 && level < this.#levels.length; level++) {
      const word = (end - 1) >>> 5
      const bits = (this.#levels[level]?.[word] as number) & upTo(end - 1)
      if (bits !== 0) return this.#descend(level, word * 32 + highestBit(bits))
      end = word
    }
    return 0
  }

  /** The highest marked node below bit `index` of a level. */
  #descend(level: number, index: number): number {
    while (level-- > 0) index = index * 32 + highestBit(this.#levels[level]?.[index] as number)
    return index
  }
}

/** Ones from the lowest bit to that of `index` within its word. */
function upTo(index: number): number {
  return 0xffffffff >>> (31 - (index & 31))
}

function highestBit(bits: number): number {
  return 31 - Math.clz32(bits)
}
