/**
 * The way of an initiator down the trees: which nodes are still to be looked below, and which leaves
 * were found to differ. It looks at no more nodes than the own trees can have, whatever a peer says.
 */
import type { Sliced } from '../util/sliced.ts'
import type { Comparison, Position, Suspect } from './exchange-comparison.ts'
import { HASH_BYTES, LEVELS_A_MESSAGE, SLOT_TREE, type HashBlock } from './exchange-message.ts'
import { blockOf } from './exchange-open.ts'
import { unexpected } from './exchange-rows.ts'

const BLOCKS_A_TURN = 128

/** Hashes to ask about, and the level of the tree over slots below which their answers lie. */
export interface Asked {
  readonly blocks: readonly HashBlock[]
  readonly level: number
}

export class Walk {
  readonly suspects: Suspect[] = []
  /** Slots in which the peer has nothing at all. */
  readonly empties: number[] = []
  readonly #found: Comparison
  /** How many nodes of each tree the peer has shown. */
  readonly #shown = new Map<number, number>()

  constructor(found: Comparison) {
    this.#found = found
  }

  get open(): boolean {
    return this.#found.differing.length > 0
  }

  /** Whether so many nodes are still to be looked below, and all of them are of the tree over slots. */
  isWide(nodes: number): boolean {
    const { differing } = this.#found
    return differing.length >= nodes && differing.every(({ tree }) => tree === SLOT_TREE)
  }

  /** Of what is still to be looked at, where. */
  get blocks(): readonly HashBlock[] {
    const leaves = [...this.#found.leaves, ...this.suspects].map(({ tree }) => tree)
    const trees = [...leaves, ...this.empties]
    const slots = trees.map(tree => blockOf({ tree, depth: 0, level: 0, first: 0 }))
    return [...this.#found.differing.map(blockOf), ...slots]
  }

  /** The hashes below as many differing nodes as fit a message of at most so many. */
  *ask(hashesMax: number): Sliced<Asked> {
    const { differing } = this.#found
    const blocks: HashBlock[] = []
    let [level, hashes, taken] = [Infinity, 0, 0]
    while (taken < differing.length && hashes <= hashesMax - 2 ** LEVELS_A_MESSAGE) {
      const block = this.#found.below(differing[taken++] as Position)
      if (block.tree === SLOT_TREE) level = Math.min(level, block.level)
      hashes += block.hashes.length / HASH_BYTES
      blocks.push(block)
      if (blocks.length % BLOCKS_A_TURN === 0) yield
    }
    differing.splice(0, taken)
    return { blocks, level }
  }

  /** Takes what the peer answered to hashes of the tree over slots at `level`. */
  *take(blocks: readonly HashBlock[], level: number): Sliced<void> {
    for (const [i, block] of blocks.entries()) {
      this.#take(block, level)
      if (i % BLOCKS_A_TURN === 0) yield
    }
    for (const leaf of this.#found.leaves.splice(0)) this.suspects.push(leaf)
  }

  #take(block: HashBlock, level: number): void {
    const { tree, hashes } = block
    if (tree === SLOT_TREE && block.level <= level) throw unexpected('goes in circles')
    const shown = (this.#shown.get(tree) ?? 0) + Math.max(1, hashes.length / HASH_BYTES)
    this.#shown.set(tree, shown)
    // All levels, the leaves once more, and the first look into a deeper tree.
    if (shown > 3 * 2 ** this.#found.depth(tree) + 2 ** LEVELS_A_MESSAGE) {
      throw unexpected('shows more hashes than there are')
    }
    if (tree !== SLOT_TREE) this.#found.opened.add(tree)
    if (tree !== SLOT_TREE && hashes.length === 0) this.empties.push(tree)
    else this.#found.compare(block)
  }
}
