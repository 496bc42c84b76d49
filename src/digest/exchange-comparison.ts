/**
 * What both ends of an exchange do: hold hashes and lists of the other side against the own trees and
 * rows, and read from those what to answer.
 */
import { compare, nameOf } from '../util/bytes.ts'
import type { Page, RowBudget } from './exchange-budget.ts'
import {
  HASH_BYTES,
  LEVELS_A_MESSAGE,
  SLOT_TREE,
  type HashBlock,
  type LeafBlock,
  type RowItem,
  type RowSummary,
  type Want
} from './exchange-message.ts'
import type { Forest, SlotGroup } from './forest.ts'
import { DEPTH_MAX } from './limits.ts'

/** A leaf that is large for the other side is listed in parts this many levels above its own leaves. */
const PART_LEVELS = 6

export interface LeafRow extends RowSummary, RowItem {}

/** The rows behind the trees. */
export interface LeafReader {
  leaf(slot: number, depth: number, leaf: number): Iterable<LeafRow>
  byToken(slot: number, token: Uint8Array): Iterable<RowItem>
  /** Where the row of a key is, if it is. */
  locate(key: Uint8Array): { readonly slot: number; readonly token: Uint8Array }
}

export interface ExchangeComponents {
  readonly forest: Forest
  readonly group: SlotGroup
  readonly rows: LeafReader
}

export type Position = Omit<HashBlock, 'hashes'>
export type Leaf = Omit<LeafBlock, 'rows'>

export class Comparison {
  readonly differing: Position[] = []
  readonly leaves: Leaf[] = []
  /** Rows are read when there is a message with room for them. */
  readonly send: Want[] = []
  readonly wants: Want[] = []
  readonly #own: ExchangeComponents

  constructor(own: ExchangeComponents) {
    this.#own = own
  }

  /** Sorts the nodes of a block into what to walk further and what is a leaf. */
  hashes(block: HashBlock): void {
    const { tree, level } = block
    const depth = this.depth(tree)
    if (tree !== SLOT_TREE && block.depth > depth) return this.#open(tree)
    const count = block.hashes.length / HASH_BYTES
    const own = this.read(block, count)
    for (let i = 0; i < count; i++) {
      const at = i * HASH_BYTES
      const same = compare(
        own.subarray(at, at + HASH_BYTES),
        block.hashes.subarray(at, at + HASH_BYTES)
      )
      if (same !== 0) this.#descend(tree, block.depth, level, block.first + i)
    }
  }

  /**
   * Compares the rows of a leaf: what only they lack is sent, what only we lack is wanted. Returns how
   * many bytes were read.
   */
  rows({ tree, depth, leaf, rows }: LeafBlock): number {
    const theirs = new Map(rows.map(row => [nameOf(row.token), row]))
    let bytes = 0
    for (const own of this.#own.rows.leaf(this.slot(tree), depth, leaf)) {
      bytes += own.bytes.length
      const name = nameOf(own.token)
      const their = theirs.get(name)
      theirs.delete(name)
      const token = own.token.slice()
      if (their === undefined || this.#ahead(own, their)) this.send.push({ tree, token })
      else if (compare(own.check, their.check) !== 0) this.wants.push({ tree, token })
    }
    for (const { token } of theirs.values()) this.wants.push({ tree, token })
    return bytes
  }

  /** The own hashes at a position, cut to what travels. */
  read(at: Position, count: number): Uint8Array {
    const { forest, group } = this.#own
    const whole =
      at.tree === SLOT_TREE
        ? group.level(at.level, at.first, count)
        : forest.level(this.slot(at.tree), at.depth, at.level, at.first, count)
    return truncate(whole)
  }

  /** The own hash of a leaf. */
  hash({ tree, depth, leaf }: Leaf): HashBlock {
    const at = { tree, depth, level: depth, first: leaf }
    return { ...at, hashes: this.read(at, 1) }
  }

  /** Lists the own rows of a leaf, from a part on; returns the part at which the page was full. */
  list({ tree, depth, leaf }: Leaf, from: number, page: Page): number | undefined {
    const fine = Math.max(depth, this.depth(tree) - PART_LEVELS)
    const parts = 2 ** (fine - depth)
    const width = 2 ** (DEPTH_MAX - fine)
    for (let part = Math.floor(from / width); part < parts; part++) {
      if (!page.open) return part * width
      this.#listInto(page, { tree, depth: fine, leaf: leaf * parts + part })
    }
    return undefined
  }

  #listInto(page: Page, leaf: Leaf): void {
    const rows: RowSummary[] = []
    let bytes = 0
    const own = this.#own.rows.leaf(this.slot(leaf.tree), leaf.depth, leaf.leaf)
    for (const { token, check, newest, bytes: row } of own) {
      bytes += row.length
      rows.push({ token, check, newest })
    }
    page.add({ ...leaf, rows }, bytes)
  }

  /** Reads rows until a message has no room for more; returns how many wants that were. */
  fetchInto(budget: RowBudget, wants: readonly Want[]): number {
    const { rows } = this.#own
    const full = wants.findIndex(
      ({ tree, token }) => !budget.add([...rows.byToken(this.slot(tree), token)])
    )
    return full < 0 ? wants.length : full
  }

  /** Where a row is read again; `undefined` for one of no shared slot. */
  locate(key: Uint8Array): Want | undefined {
    const { slot, token } = this.#own.rows.locate(key)
    const tree = this.#own.group.slots.indexOf(slot)
    return tree < 0 ? undefined : { tree, token }
  }

  depth(tree: number): number {
    return tree === SLOT_TREE ? this.#own.group.depth : this.#own.forest.depth(this.slot(tree))
  }

  slot(tree: number): number {
    return this.#own.group.slots[tree] as number
  }

  /** The hashes below a differing node, a few levels further down. */
  below(at: Position): HashBlock {
    const level = Math.min(at.level + LEVELS_A_MESSAGE, at.depth)
    const count = 2 ** (level - at.level)
    const position = { ...at, level, first: at.first * count }
    return { ...position, hashes: this.read(position, count) }
  }

  #descend(tree: number, depth: number, level: number, index: number): void {
    if (level < depth) this.differing.push({ tree, depth, level, first: index })
    else if (tree === SLOT_TREE) this.#open(index)
    else this.leaves.push({ tree, depth, leaf: index })
  }

  /** Starts at the root of one slot. */
  #open(tree: number): void {
    if (tree >= this.#own.group.slots.length) return
    const depth = this.depth(tree)
    if (depth === 0) this.leaves.push({ tree, depth, leaf: 0 })
    else this.differing.push({ tree, depth, level: 0, first: 0 })
  }

  #ahead(own: LeafRow, their: RowSummary): boolean {
    return compare(own.check, their.check) !== 0 && own.newest >= their.newest
  }
}

function truncate(hashes: Uint8Array): Uint8Array {
  const count = hashes.length / 32
  const out = new Uint8Array(count * HASH_BYTES)
  for (let i = 0; i < count; i++) {
    out.set(hashes.subarray(i * 32, i * 32 + HASH_BYTES), i * HASH_BYTES)
  }
  return out
}
