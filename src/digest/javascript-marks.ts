/**
 * Which nodes of a tree are out of date, the twin of assembly/marks.ts: one bit a node, above that
 * one bit for every 32 of them, and once more, so that a lone mark in a large tree is found without
 * looking at all the others. Node 0 is never marked.
 *
 * A word are the marks of 32 nodes: bit i of word w is node 32 w + i.
 */
export class Marks {
  readonly #lower: Int32Array
  /** A bit for every word of the lower ones that is not 0. */
  readonly #upper: Int32Array
  /** A bit for every word of the upper ones that is not 0. */
  readonly #top: Int32Array

  /** For nodes up to `last`; none is marked. */
  constructor(last: number) {
    this.#lower = new Int32Array((last >>> 5) + 1)
    this.#upper = new Int32Array((last >>> 10) + 1)
    this.#top = new Int32Array((last >>> 15) + 1)
  }

  mark(index: number): void {
    this.#markBits(index >>> 5, 1 << (index & 31))
  }

  /** Marks the nodes `from` to `last`. */
  markRange(from: number, last: number): void {
    for (let word = from >>> 5; word <= last >>> 5; word++) {
      const above = word === from >>> 5 ? -1 << (from & 31) : -1
      this.#markBits(word, word === last >>> 5 ? above & upTo(last) : above)
    }
  }

  #markBits(word: number, bits: number): void {
    this.#lower[word] = (this.#lower[word] as number) | bits
    const group = word >>> 5
    const before = this.#upper[group] as number
    this.#upper[group] = before | (1 << (word & 31))
    if (before === 0)
      this.#top[group >>> 5] = (this.#top[group >>> 5] as number) | (1 << (group & 31))
  }

  /**
   * Takes the marks of those nodes of a word away that are not above the level which begins with
   * node `first`, and marks their parents.
   */
  takeOfLevel(word: number, first: number): number {
    const bits = this.#take(word, first >>> 5 === word ? -1 << (first & 31) : -1)
    const parents = (halve(bits) << ((word & 1) << 4)) & (word === 0 ? ~1 : -1)
    if (parents !== 0) this.#markBits(word >>> 1, parents)
    return bits
  }

  #take(word: number, wanted: number): number {
    const before = this.#lower[word] as number
    const left = before & ~wanted
    this.#lower[word] = left
    if (left === 0) this.#empty(word)
    return before & wanted
  }

  /** Says above that this word has no marks. */
  #empty(word: number): void {
    const group = word >>> 5
    const left = (this.#upper[group] as number) & ~(1 << (word & 31))
    this.#upper[group] = left
    if (left === 0) {
      this.#top[group >>> 5] = (this.#top[group >>> 5] as number) & ~(1 << (group & 31))
    }
  }

  /** The lowest word from `from` to `last` that has marks; above `last` when there is none. */
  nextWord(from: number, last: number): number {
    if (from > last) return from
    const group = from >>> 5
    const bits = (this.#upper[group] as number) & (-1 << (from & 31))
    if (bits !== 0) return group * 32 + lowestBit(bits)
    const next = nextBit(this.#top, group + 1, last >>> 5)
    return next > last >>> 5 ? last + 1 : next * 32 + lowestBit(this.#upper[next] as number)
  }

  /** The highest word from `last` down to `from` that has marks; below `from` if there is none. */
  previousWord(from: number, last: number): number {
    if (last < from) return last
    const group = last >>> 5
    const bits = (this.#upper[group] as number) & upTo(last)
    if (bits !== 0) return group * 32 + highestBit(bits)
    const before = previousBit(this.#top, from >>> 5, group - 1)
    return before < from >>> 5 ? from - 1 : before * 32 + highestBit(this.#upper[before] as number)
  }
}

/** The lowest bit from `from` to `last` that is set; above `last` when there is none. */
function nextBit(words: Int32Array, from: number, last: number): number {
  if (from > last) return from
  let word = from >>> 5
  let bits = (words[word] as number) & (-1 << (from & 31))
  while (bits === 0) {
    if (++word > last >>> 5) return last + 1
    bits = words[word] as number
  }
  return word * 32 + lowestBit(bits)
}

/** The highest bit from `last` down to `from` that is set; below `from` when there is none. */
function previousBit(words: Int32Array, from: number, last: number): number {
  if (last < from) return last
  let word = last >>> 5
  let bits = (words[word] as number) & upTo(last)
  while (bits === 0) {
    if (--word < from >>> 5) return from - 1
    bits = words[word] as number
  }
  return word * 32 + highestBit(bits)
}

export function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits)
}

function highestBit(bits: number): number {
  return 31 - Math.clz32(bits)
}

/** Ones from the lowest bit to that of `index` within its word. */
function upTo(index: number): number {
  return -1 >>> (31 - (index & 31))
}

/** Bit i of what is returned is set where bit 2i or 2i + 1 is: the parents of 32 nodes. */
function halve(bits: number): number {
  bits = (bits | (bits >>> 1)) & 0x55555555
  bits = (bits | (bits >>> 1)) & 0x33333333
  bits = (bits | (bits >>> 2)) & 0x0f0f0f0f
  bits = (bits | (bits >>> 4)) & 0x00ff00ff
  return (bits | (bits >>> 8)) & 0xffff
}
