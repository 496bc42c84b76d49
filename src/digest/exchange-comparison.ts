/**
 * Holds hashes of the other side against the own trees: what differs is to be walked further, or is a
 * leaf. The same on both ends.
 */
import {
  HASH_BYTES,
  LEVELS_A_MESSAGE,
  SLOT_TREE,
  type HashBlock,
  type Leaf
} from './exchange-message.ts'
import { slotAt, unexpected, type ExchangeComponents } from './exchange-rows.ts'
import type { SlotGroup } from './forest.ts'
import { DIGEST_BYTES } from './limits.ts'
import type { Sliced } from '../util/sliced.ts'

export type Position = Omit<HashBlock, 'hashes'>

/** A leaf that differs. */
export interface Suspect extends Leaf {
  /** What the other side said it was; `undefined` where it was not said for this leaf alone. */
  readonly theirs: Uint8Array | undefined
}

const NO_HASHES = new Uint8Array()
/** Slots whose trees are hashed in one turn. */
const SLOTS_A_TURN = 512

export class Comparison {
  readonly differing: Position[] = []
  readonly leaves: Suspect[] = []
  /** Every slot that was found to differ, by its index. */
  readonly opened = new Set<number>()
  readonly #own: ExchangeComponents
  readonly #salt: number

  constructor(own: ExchangeComponents, salt: number) {
    this.#own = own
    this.#salt = salt
  }

  /** Sorts the nodes of a block into what to walk further and what is a leaf. */
  compare(block: HashBlock): void {
    const { tree, level, hashes } = block
    if (tree !== SLOT_TREE && (block.depth > this.depth(tree) || this.isEmpty(tree))) {
      return this.open(tree, block.depth === 0 ? hashes : undefined)
    }
    if (tree === SLOT_TREE && block.depth !== this.depth(tree))
      throw unexpected('counts other slots')
    const own = this.read(block, hashes.length / HASH_BYTES)
    for (let at = 0; at < hashes.length; at += HASH_BYTES) {
      if (isSame(own, hashes, at)) continue
      const index = block.first + at / HASH_BYTES
      const theirs = hashes.slice(at, at + HASH_BYTES)
      this.#descend(tree, block.depth, level, index, theirs)
    }
  }

  /** Starts at the root over all slots. */
  openAll(): void {
    this.#descend(SLOT_TREE, this.depth(SLOT_TREE), 0, 0, NO_HASHES)
  }

  /** Starts at the root of one slot, which the other side may have said. */
  open(tree: number, theirs?: Uint8Array): void {
    if (tree >= this.#own.group.slots.length) return
    this.opened.add(tree)
    const depth = this.isEmpty(tree) ? 0 : this.depth(tree)
    if (depth === 0) this.leaves.push({ tree, depth, leaf: 0, theirs })
    else this.differing.push({ tree, depth, level: 0, first: 0 })
  }

  /** The own hashes at a position, cut to what travels. */
  read(at: Position, count: number): Uint8Array {
    const { forest, group } = this.#own
    const hashes =
      at.tree === SLOT_TREE
        ? group.level(at.level, at.first, count)
        : forest.level(this.#slot(at.tree), at.depth, at.level, at.first, count)
    return this.#cut(hashes)
  }

  /** The hashes below a differing node, a few levels further down; from the root of a tree laid anew. */
  below(node: Position): HashBlock {
    const at = node.depth > this.depth(node.tree) ? this.#root(node.tree) : node
    const level = Math.min(at.level + LEVELS_A_MESSAGE, at.depth)
    const count = 2 ** (level - at.level)
    const position = { ...at, level, first: at.first * count }
    return { ...position, hashes: this.read(position, count) }
  }

  /** What is said of a leaf that differs: its hash, or that there is nothing in the whole slot. */
  leaf({ tree, depth, leaf }: Leaf): HashBlock {
    if (this.isEmpty(tree)) return { tree, depth: 0, level: 0, first: 0, hashes: NO_HASHES }
    const fits = depth <= this.depth(tree)
    const at = fits ? { tree, depth, level: depth, first: leaf } : this.#root(tree)
    return { ...at, hashes: this.read(at, 1) }
  }

  /** Whether a leaf is by now what the other side said. */
  isSettled({ tree, depth, leaf, theirs }: Suspect): boolean {
    if (theirs === undefined || depth > this.depth(tree)) return false
    return isSame(this.read({ tree, depth, level: depth, first: leaf }, 1), theirs, 0)
  }

  rows(tree: number): number {
    return this.#own.forest.rows(this.#slot(tree))
  }

  isEmpty(tree: number): boolean {
    return this.rows(tree) === 0
  }

  depth(tree: number): number {
    return tree === SLOT_TREE ? this.#own.group.depth : this.#own.forest.depth(this.#slot(tree))
  }

  #root(tree: number): Position {
    return { tree, depth: this.depth(tree), level: 0, first: 0 }
  }

  #slot(tree: number): number {
    return slotAt(this.#own, tree)
  }

  #descend(tree: number, depth: number, level: number, index: number, theirs: Uint8Array): void {
    if (level < depth) this.differing.push({ tree, depth, level, first: index })
    else if (tree === SLOT_TREE) this.open(index, theirs)
    else this.leaves.push({ tree, depth, leaf: index, theirs })
  }

  #cut(hashes: Uint8Array): Uint8Array {
    const out = new Uint8Array((hashes.length / DIGEST_BYTES) * HASH_BYTES)
    for (let at = 0, from = this.#salt * HASH_BYTES; at < out.length; at += HASH_BYTES) {
      for (let i = 0; i < HASH_BYTES; i++) out[at + i] = hashes[from + i] as number
      from += DIGEST_BYTES
    }
    return out
  }
}

/**
 * The root over all slots. After many changes all their trees have to be hashed first: a few in a turn,
 * and what changes meanwhile at the end.
 */
export function* freshRoot(group: SlotGroup): Sliced<Uint8Array> {
  for (let slots = 0; slots < group.slots.length; slots += SLOTS_A_TURN) {
    if (group.refresh(SLOTS_A_TURN)) break
    yield
  }
  return group.root()
}

/** `theirs` holds the hash at `at`; `own` too, or only that one. */
function isSame(own: Uint8Array, theirs: Uint8Array, at: number): boolean {
  for (let i = at; i < at + HASH_BYTES; i++) if (own[i] !== theirs[i]) return false
  return true
}
