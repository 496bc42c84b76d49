/**
 * The digests of one read: owners that said "what I hold has this digest" instead of sending a large
 * row. Each is matched with the rows that others sent, and whoever matches none of them has to send
 * its own; of several with one digest, one.
 *
 * Pure, and lazy: nothing is hashed as long as nobody answers with a digest.
 */
import type { Row } from '../lattice/row.ts'
import { nameOf } from '../util/bytes.ts'
import type { NodeId } from '../util/node-id.ts'

export class Digests {
  readonly #digestOf: (row: Row) => Uint8Array
  readonly #unmatched = new Map<NodeId, string>()
  readonly #fetching = new Set<NodeId>()
  readonly #known = new Map<string, Row>()
  readonly #unhashed: (() => Row)[] = []

  /** `digestOf`: what an owner that holds the row would say. */
  constructor(digestOf: (row: Row) => Uint8Array) {
    this.#digestOf = digestOf
  }

  /** Whether nobody's digest waits for a row that has it. */
  get isEmpty(): boolean {
    return this.#unmatched.size === 0
  }

  add(node: NodeId, digest: Uint8Array): void {
    this.#unmatched.set(node, nameOf(digest))
  }

  /** A row that some owner holds, or the join of several; made when it is needed. */
  learn(row: () => Row): void {
    this.#unhashed.push(row)
  }

  /** The owner has said otherwise what it holds, or says nothing any more. */
  forget(node: NodeId): void {
    this.#unmatched.delete(node)
    this.#fetching.delete(node)
  }

  /** Those whose digest is that of a known row; each comes out once. */
  take(): [NodeId, Row][] {
    if (this.isEmpty) return []
    for (const make of this.#unhashed.splice(0)) {
      const row = make()
      this.#known.set(nameOf(this.#digestOf(row)), row)
    }
    const matched: [NodeId, Row][] = []
    for (const [node, digest] of this.#unmatched) {
      const row = this.#known.get(digest)
      if (row !== undefined) matched.push([node, row])
    }
    for (const [node] of matched) this.forget(node)
    return matched
  }

  /** Up to `max` owners that have to send what they hold; none twice, and one for each digest. */
  fetch(max: number): NodeId[] {
    const underWay = new Set([...this.#fetching].map(node => this.#unmatched.get(node)))
    const chosen: NodeId[] = []
    for (const [node, digest] of this.#unmatched) {
      if (chosen.length >= max) break
      if (underWay.has(digest)) continue
      underWay.add(digest)
      chosen.push(node)
    }
    for (const node of chosen) this.#fetching.add(node)
    return chosen
  }
}
