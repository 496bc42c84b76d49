/**
 * The exchange: how two owners find the rows in which they differ, and move just those. Both ends run
 * this same machine over their own trees; it reads hashes and rows, and does no I/O.
 *
 *        root of the shared slots           one hash: equal, and it is over
 *            ╱        ╲
 *      ...  tree over slots  ...            four levels a message, only below what differs
 *            ╱        ╲
 *        slot root   slot root
 *         ╱    ╲
 *      leaves of the slot's tree            still different after a pause? then its rows:
 *                                           token, check and newest time of each
 *
 * What to answer follows from the request and the own trees alone: the responder keeps nothing
 * between two messages, so that a broken exchange leaves nothing behind. The initiator keeps what is
 * left to walk, so that no message grows with the difference.
 *
 * A write in flight looks like divergence, so leaves are listed only when the initiator asks with
 * `confirmed`, a moment later. Only the side that is behind is sent a row. Of rows with the same
 * newest time, or concurrent ones, one travels, is joined there, and the join travels back.
 *
 * Whatever a peer answers, a walk ends: it looks at no more nodes than the own trees can have, takes
 * lists only of leaves it asked about, and sends no more joins back than it asked for rows.
 *
 * Not promised: that the roots are equal at the end. Writes go on meanwhile; the next run sees.
 */
import { HearsayError } from '../errors.ts'
import { compare, nameOf } from '../util/bytes.ts'
import type { Forest, SlotGroup } from './forest.ts'
import { Page, READ_BYTES_AT_ONCE, RowBudget } from './exchange-budget.ts'
import { DEPTH_MAX } from './limits.ts'

/** Of every hash, this much travels. Two runs with differing keys of a collision would be needed. */
export const HASH_BYTES = 8
export const CHECK_BYTES = 8
export const LEVELS_A_MESSAGE = 4
/** Positions asked about in one message; each may be answered with 2^LEVELS_A_MESSAGE hashes. */
export const POSITIONS_MAX = 256
export const WANTS_MAX = 512
/** A leaf that is large for the other side is listed in parts this many levels above its own leaves. */
const PART_LEVELS = 6
/** What `HashBlock.tree` says for the tree over the slots. */
export const SLOT_TREE = -1

/** Hashes of the nodes `first …` at `level` of a tree of `depth`. */
export interface HashBlock {
  /** Index into the shared slots, or `SLOT_TREE`. */
  readonly tree: number
  readonly depth: number
  readonly level: number
  readonly first: number
  readonly hashes: Uint8Array
}

export interface RowSummary {
  readonly token: Uint8Array
  readonly check: Uint8Array
  readonly newest: bigint
}

export interface LeafBlock {
  readonly tree: number
  readonly depth: number
  readonly leaf: number
  readonly rows: readonly RowSummary[]
}

export interface Want {
  readonly tree: number
  readonly token: Uint8Array
}

export interface RowItem {
  readonly key: Uint8Array
  readonly bytes: Uint8Array
}

export interface ExchangeRequest {
  /** Whether the hashes were compared before, long enough ago: then differing leaves are listed. */
  readonly confirmed: boolean
  /** One hash each when confirmed. */
  readonly hashes: readonly HashBlock[]
  /** How much of the first leaf was listed before, in leaves of the deepest tree there can be. */
  readonly from: number
  readonly wants: readonly Want[]
  /** Rows in which the initiator is ahead. */
  readonly rows: readonly RowItem[]
}

export interface ExchangeAnswer {
  readonly hashes: readonly HashBlock[]
  readonly leaves: readonly LeafBlock[]
  readonly rows: readonly RowItem[]
  /** How many of the wants are answered; the others did not fit and are to be asked for again. */
  readonly wantsDone: number
  /** As many of the hashes are answered, and of the next one everything before `from`. */
  readonly hashesDone: number
  readonly from: number
  /** That rows of the request came out of the join as more than would fit here. */
  readonly partial: boolean
}

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

type Position = Omit<HashBlock, 'hashes'>
type Leaf = Omit<LeafBlock, 'rows'>

/** What both ends share: how to compare a message with the own trees. */
class Comparison {
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

/**
 * The answer to one request, in two steps: this compares; then the caller applies the rows of the
 * request and gives the function that is returned those that came out of the join as something else
 * than was sent, and gets the answer.
 */
export function respond(
  own: ExchangeComponents,
  request: ExchangeRequest
): (joined: readonly RowItem[]) => ExchangeAnswer {
  const found = new Comparison(own)
  const listed = request.confirmed ? listInto(found, request) : compareInto(found, request)
  const hashes = found.differing.map(at => found.below(at))
  for (const leaf of found.leaves) hashes.push(found.hash(leaf))
  return joined => {
    const budget = new RowBudget()
    const partial = !joined.every(row => budget.add([row]))
    const wantsDone = found.fetchInto(budget, request.wants)
    return { hashes, ...listed, rows: budget.rows, wantsDone, partial }
  }
}

type Listed = Pick<ExchangeAnswer, 'leaves' | 'hashesDone' | 'from'>

function compareInto(found: Comparison, { hashes }: ExchangeRequest): Listed {
  for (const block of hashes) found.hashes(block)
  return { leaves: [], hashesDone: hashes.length, from: 0 }
}

/** Lists leaves that still differ, until the page is full. */
function listInto(found: Comparison, { hashes, from }: ExchangeRequest): Listed {
  const page = new Page()
  for (const [i, block] of hashes.entries()) {
    if (block.hashes.length !== HASH_BYTES)
      throw unexpected('asks for lists of many leaves at once')
    found.hashes(block)
    for (const leaf of found.leaves.splice(0)) {
      const next = found.list(leaf, i === 0 ? from : 0, page)
      if (next !== undefined) return { leaves: page.blocks, hashesDone: i, from: next }
    }
  }
  return { leaves: page.blocks, hashesDone: hashes.length, from: 0 }
}

/** What the initiator does next. */
export type ExchangeStep =
  | { readonly do: 'send'; readonly message: ExchangeRequest }
  /** Wait a moment: what is different now may be a write in flight. */
  | { readonly do: 'settle' }
  | { readonly do: 'done' }

export class Initiator {
  readonly #found: Comparison
  readonly #suspects: Leaf[] = []
  /** Lists of the peer that are still to be compared. */
  readonly #listed: LeafBlock[] = []
  /** How many nodes of each tree the peer has shown. */
  readonly #shown = new Map<number, number>()
  /** The highest level of the tree over slots that was asked about: answers lie below. */
  #level = Infinity
  #asked: readonly Want[] = []
  #rowsSent = 0
  #confirming: readonly Leaf[] = []
  #from = 0
  /** Rows that were asked for and that may come out of the join as something to send back. */
  #owed = 0
  #phase: 'new' | 'root' | 'walk' | 'settled' = 'new'
  #equal = false
  #complete = true

  constructor(own: ExchangeComponents) {
    this.#found = new Comparison(own)
  }

  /** True when the roots were equal at the first look. */
  get equal(): boolean {
    return this.#equal
  }

  /** Once done: true when every row that was found missing here has been sent. */
  get complete(): boolean {
    return this.#complete
  }

  /** Throws `ERR_ARGUMENT` when the own trees have changed under it; then run another. */
  next(): ExchangeStep {
    const found = this.#found
    if (this.#phase === 'new') return this.#begin()
    this.#look()
    if (found.send.length + found.wants.length > 0) return this.#moveRows()
    if (found.differing.length > 0) {
      const positions = found.differing.splice(0, POSITIONS_MAX)
      const over = positions.filter(({ tree }) => tree === SLOT_TREE)
      this.#level = Math.min(...over.map(({ level }) => level))
      return send({ hashes: positions.map(at => found.below(at)) })
    }
    for (const leaf of found.leaves.splice(0)) this.#suspects.push(leaf)
    return this.#suspects.length === 0 ? { do: 'done' } : this.#confirm()
  }

  /**
   * Takes the answer to the request sent last; returns the rows of it to apply. Throws `ERR_PROTOCOL`
   * for an answer that no peer that follows the protocol gives.
   */
  receive(answer: ExchangeAnswer): readonly RowItem[] {
    if (this.#phase === 'root') {
      this.#equal = answer.hashes.length === 0
      this.#phase = 'walk'
    }
    for (const block of answer.hashes) this.#compare(block)
    this.#list(answer)
    this.#again(answer)
    this.#level = Infinity
    if (answer.partial) this.#complete = false
    return answer.rows
  }

  /** Rows of the answer that came out of the join as something else: they need the join. */
  joined(rows: readonly RowItem[]): void {
    const taken = rows.slice(0, this.#owed)
    this.#owed -= taken.length
    this.#found.send.push(...taken.flatMap(({ key }) => this.#found.locate(key) ?? []))
  }

  #compare(block: HashBlock): void {
    const { tree, hashes } = block
    if (tree === SLOT_TREE && block.level <= this.#level) throw unexpected('goes in circles')
    const shown = (this.#shown.get(tree) ?? 0) + Math.max(1, hashes.length / HASH_BYTES)
    this.#shown.set(tree, shown)
    // All levels, the leaves once more, and the first look into a deeper tree.
    if (shown > 3 * 2 ** this.#found.depth(tree) + 2 ** LEVELS_A_MESSAGE) {
      throw unexpected('shows more hashes than there are')
    }
    this.#found.hashes(block)
  }

  /** Compares lists until there is something to move, and then no more than a turn may take. */
  #look(): void {
    const { send, wants } = this.#found
    if (send.length + wants.length > 0) return
    for (let bytes = 0; bytes < READ_BYTES_AT_ONCE || send.length + wants.length === 0;) {
      const block = this.#listed.shift()
      if (block === undefined) return
      bytes += this.#found.rows(block)
    }
  }

  /** Keeps what is listed, and the leaves that were not listed to their end. */
  #list({ leaves, hashesDone, from }: ExchangeAnswer): void {
    const asked = new Set(this.#confirming.map(nameOfLeaf))
    for (const block of leaves) {
      if (!isWithin(block, asked)) throw unexpected('lists rows that were not asked about')
      this.#listed.push(block)
    }
    const left = this.#confirming.slice(hashesDone)
    const further = hashesDone > 0 || from > this.#from
    if (further) this.#suspects.unshift(...left)
    else if (left.length > 0) this.#complete = false
    this.#from = further && left.length > 0 ? from : 0
    this.#confirming = []
  }

  /**
   * A peer that answers none of what was asked is not asked again, or this might never end; unless
   * the joins of rows it was sent took all the room.
   */
  #again({ wantsDone, rows }: ExchangeAnswer): void {
    const further = wantsDone > 0 || (this.#rowsSent > 0 && rows.length > 0)
    if (further) this.#found.wants.push(...this.#asked.slice(wantsDone))
    else if (this.#asked.length > 0) this.#complete = false
    this.#owed += Math.min(wantsDone, this.#asked.length)
    this.#asked = []
    this.#rowsSent = 0
  }

  #begin(): ExchangeStep {
    this.#phase = 'root'
    this.#level = 0
    const root = { tree: SLOT_TREE, depth: this.#found.depth(SLOT_TREE), level: 0, first: 0 }
    return send({ hashes: [{ ...root, hashes: this.#found.read(root, 1) }] })
  }

  #confirm(): ExchangeStep {
    if (this.#phase !== 'settled') {
      this.#phase = 'settled'
      return { do: 'settle' }
    }
    this.#confirming = this.#suspects.splice(0, POSITIONS_MAX)
    const hashes = this.#confirming.map(leaf => this.#found.hash(leaf))
    return send({ confirmed: true, hashes, from: this.#from })
  }

  #moveRows(): ExchangeStep {
    const budget = new RowBudget()
    const { send: outgoing, wants } = this.#found
    outgoing.splice(0, this.#found.fetchInto(budget, outgoing))
    this.#rowsSent = budget.rows.length
    this.#asked = wants.splice(0, WANTS_MAX)
    return send({ rows: budget.rows, wants: this.#asked })
  }
}

const EMPTY: ExchangeRequest = { confirmed: false, hashes: [], from: 0, wants: [], rows: [] }

function nameOfLeaf({ tree, depth, leaf }: Leaf): string {
  return `${tree}/${depth}/${leaf}`
}

/** Whether a leaf, or part of one, belongs to those. */
function isWithin({ tree, depth, leaf }: Leaf, leaves: ReadonlySet<string>): boolean {
  for (let up = 0; up <= depth; up++) {
    const name = nameOfLeaf({ tree, depth: depth - up, leaf: Math.floor(leaf / 2 ** up) })
    if (leaves.has(name)) return true
  }
  return false
}

function unexpected(what: string): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `The peer of an exchange ${what}; it is given up.`)
}

function send(parts: Partial<ExchangeRequest>): ExchangeStep {
  return { do: 'send', message: { ...EMPTY, ...parts } }
}

function truncate(hashes: Uint8Array): Uint8Array {
  const count = hashes.length / 32
  const out = new Uint8Array(count * HASH_BYTES)
  for (let i = 0; i < count; i++) {
    out.set(hashes.subarray(i * 32, i * 32 + HASH_BYTES), i * HASH_BYTES)
  }
  return out
}
