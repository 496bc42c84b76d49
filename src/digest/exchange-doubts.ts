/**
 * Slots in which the hashes of two sides differ, and yet no row does: one of the two trees does not say
 * what its rows are. Which of them, an exchange cannot tell.
 *
 * Not promised: that each is found in every walk. Where many rows come with one answer, all that
 * was listed in the question counts as explained; a later walk sees what is still left.
 */

import type { Listed } from './exchange-lists.ts'
import type { ExchangeAnswer, Want } from './exchange-message.ts'

/** Rows of one answer of which it is looked up where they belong: each costs a hash. */
const LOCATED_MAX = 256

export class Doubts {
  readonly #compared = new Set<number>()
  readonly #explained = new Set<number>()

  /** The rows of this slot are looked at, because its hashes differ. */
  compare(tree: number): void {
    this.#compared.add(tree)
  }

  /** A row of this slot differs. */
  explain(tree: number): void {
    this.#explained.add(tree)
  }

  /** Takes what an answer to lists says of their slots. */
  answered(
    { lists }: Listed,
    differences: readonly Want[],
    { rows }: ExchangeAnswer,
    locate: (key: Uint8Array) => Want | undefined
  ): void {
    for (const { tree } of differences) this.explain(tree)
    if (lists.length === 0) return
    const located = rows.length > LOCATED_MAX ? lists : rows.map(({ key }) => locate(key))
    for (const each of located) if (each !== undefined) this.explain(each.tree)
  }

  get trees(): number[] {
    return [...this.#compared].filter(tree => !this.#explained.has(tree))
  }
}
