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
import { Page, READ_BYTES_AT_ONCE, RowBudget } from './exchange-budget.ts'
import { Comparison, type ExchangeComponents, type Leaf } from './exchange-comparison.ts'
import {
  HASH_BYTES,
  LEVELS_A_MESSAGE,
  POSITIONS_MAX,
  SLOT_TREE,
  WANTS_MAX,
  type ExchangeAnswer,
  type ExchangeRequest,
  type HashBlock,
  type LeafBlock,
  type RowItem,
  type Want
} from './exchange-message.ts'

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
