/**
 * The exchange: how two owners find the rows in which they differ, and move just those. Both ends run
 * it over their own trees; it reads hashes and rows, and does no I/O.
 *
 *        root of the shared slots           one hash: equal, and it is over
 *            ╱        ╲
 *      ...  tree over slots  ...            four levels a message, only below what differs
 *            ╱        ╲
 *        slot root   slot root
 *         ╱    ╲
 *      leaves of the slot's tree            still different after a pause? then its rows are
 *                                           listed: a window of token and of digest of each
 *
 * The initiator lists; the responder (exchange-respond.ts) says which of the rows it has otherwise or
 * not at all, and sends those that the list lacks. So a side that holds nothing of a slot lists
 * nothing and is sent all of it; and where it is the responder that holds nothing, it says so and is
 * sent all without a list. Only the side that is behind is sent a row. Of rows with the same newest
 * time, or concurrent ones, one travels, is joined there, and the join travels back.
 *
 * A write in flight looks like divergence, so leaves are listed only after a pause, unless they have
 * become the same meanwhile.
 *
 * Whatever a peer answers, a walk ends: it looks at no more nodes than the own trees can have, takes
 * only what it asked for, sends no more joins back than it was sent rows, and asks only so often.
 *
 * A gift goes one way: what this side holds and the other has otherwise or not at all is sent, whoever is
 * ahead, and nothing comes back. It is for rows that are no longer this side's to keep up to date.
 *
 * Not promised: that the roots are equal at the end. Writes go on meanwhile, and what is compared is cut
 * short; the next run sees, and compares other parts of the same hashes when it is given another salt.
 */
import type { Sliced } from '../util/sliced.ts'
import { bytesOf, LARGE_MESSAGES, type MessageSize } from './exchange-budget.ts'
import { Comparison, freshRoot } from './exchange-comparison.ts'
import { Doubts } from './exchange-doubts.ts'
import { foundIn, Lists, type Listed } from './exchange-lists.ts'
import {
  SALTS,
  type ExchangeAnswer,
  type ExchangeRequest,
  type HashBlock,
  type Leaf,
  type RowItem,
  type Want
} from './exchange-message.ts'
import { Moves, type Moved } from './exchange-moves.ts'
import { openSlots } from './exchange-open.ts'
import {
  isEmptyGroup,
  PartReader,
  unexpected,
  whole,
  type ExchangeComponents
} from './exchange-rows.ts'
import { Walk } from './exchange-walk.ts'

/** Requests that have no answer yet: while one is on its way, the other side works on the next. */
export const IN_FLIGHT_MAX = 2
/** Each moves or compares something, so that this is far more than any two sides need. */
export const MESSAGES_MAX = 1 << 17
/** Leaves that are looked at once more in one turn. */
const LEAVES_A_TURN = 512
/**
 * Of the tree over slots: if something differs below so many, a side that holds nothing lists all slots
 * for less than it would take to look where the rows are.
 */
const MANY_NODES = 1_024
/** As many rows cost less to list than to ask once more whether the peer still has none. */
const FEW_ROWS = 32

export interface InitiatorInit {
  /** Which parts of hashes are compared; a number that changes from run to run. @default 0 */
  readonly salt?: number
  /** @default MESSAGES_MAX */
  readonly messagesMax?: number
  /** Asked before each message. @default LARGE_MESSAGES */
  readonly size?: () => MessageSize
  /** A gift; the requests have to name their slots, which is how the responder knows. @default false */
  readonly isGift?: boolean
}

/** What the initiator does next. */
export type ExchangeStep =
  | { readonly do: 'send'; readonly id: number; readonly message: ExchangeRequest }
  /** Wait a moment: what is different now may be a write in flight. */
  | { readonly do: 'settle' }
  /** Wait for an answer. */
  | { readonly do: 'wait' }
  | { readonly do: 'done' }

/** What was asked, until the answer is there. */
interface Asked {
  /** Of the tree over slots: answers lie below. */
  readonly level: number
  readonly blocks: readonly HashBlock[]
  readonly listed: Listed
  readonly moved: Moved
}

const NOTHING: ExchangeRequest = {
  salt: 0,
  root: undefined,
  hashes: [],
  lists: [],
  wants: [],
  rows: []
}
const NOTHING_ASKED: Asked = {
  level: Infinity,
  blocks: [],
  listed: { lists: [], rows: [], trees: [] },
  moved: { rows: [], wants: [], streamed: 0, bytesDiffered: 0, trees: new Set() }
}

/**
 * Its calls are made one after the other, each to its end; what a call gives in between is time for
 * others.
 */
export class Initiator {
  readonly #own: ExchangeComponents
  readonly #salt: number
  readonly #messagesMax: number
  readonly #size: () => MessageSize
  readonly #isGift: boolean
  readonly #comparison: Comparison
  readonly #reader: PartReader
  readonly #walk: Walk
  readonly #lists: Lists
  readonly #moves: Moves
  readonly #doubts = new Doubts()
  readonly #asked = new Map<number, Asked>()
  #messages = 0
  #settled = false
  /** Rows that were asked for and that may come out of the join as something to send back. */
  #owed = 0
  #differed = 0
  #bytesDiffered = 0
  /** Rows that the peer did not take. */
  #refused = 0
  #equal = false
  #complete = true
  /** Whether all is asked for without a look at where it is: only who holds nothing does that. */
  #blind: 'not' | 'to list' | 'listed' | 'tried' = 'not'

  constructor(own: ExchangeComponents, init: InitiatorInit = {}) {
    this.#own = own
    this.#salt = (init.salt ?? 0) % SALTS
    this.#messagesMax = init.messagesMax ?? MESSAGES_MAX
    this.#size = init.size ?? (() => LARGE_MESSAGES)
    this.#isGift = init.isGift ?? false
    this.#comparison = new Comparison(own, this.#salt)
    this.#reader = new PartReader(own)
    this.#walk = new Walk(this.#comparison)
    this.#lists = new Lists(this.#reader, this.#salt)
    this.#moves = new Moves(this.#reader)
  }

  /** True when the roots were equal at the first look. */
  get equal(): boolean {
    return this.#equal
  }

  /** Once done: true when every row that was found missing here has been sent. */
  get complete(): boolean {
    return this.#complete
  }

  /** Once done: the slots whose hashes were the same on both sides since the walk began. */
  get same(): Uint16Array {
    const { slots } = this.#own.group
    const { opened } = this.#comparison
    return opened.size === 0 ? slots : slots.filter((_, tree) => !opened.has(tree))
  }

  /** Once done: the slots whose hashes still differed after the pause, and in which no row did. */
  get unexplained(): Uint16Array {
    return Uint16Array.from(this.#doubts.trees, tree => this.#own.group.slots[tree] as number)
  }

  /** How many slots were found to differ. */
  get opened(): number {
    return this.#comparison.opened.size
  }

  /** In how many slots something may still have to be compared or moved. Takes long where much has. */
  get left(): number {
    const { length } = this.#own.group.slots
    if (this.#messages === 0 || this.#asked.has(0) || this.#blind === 'to list') return length
    const trees = [...this.#lists.trees, ...this.#moves.trees]
    const blocks = this.#blind === 'listed' ? [] : [...this.#walk.blocks]
    for (const { listed, moved, ...asked } of this.#asked.values()) {
      blocks.push(...asked.blocks)
      trees.push(...[...listed.lists, ...moved.wants].map(({ tree }) => tree), ...moved.trees)
    }
    return openSlots(trees, blocks, length)
  }

  /** Rows in which the sides were found to differ. */
  get rowsDiffered(): number {
    return this.#differed
  }

  /** Of rows that differed, keys and rows: as the side that was ahead had them, or the join. */
  get bytesDiffered(): number {
    return this.#bytesDiffered
  }

  /** How many of the rows that were sent the peer did not take: they differ still. */
  get refused(): number {
    return this.#refused
  }

  /** Rows read here to compare and to send. */
  get rowsRead(): number {
    return this.#reader.rowsRead
  }

  *next(): Sliced<ExchangeStep> {
    if (this.#messages === 0) {
      return this.#send({ root: yield* freshRoot(this.#own.group) }, { level: 0 })
    }
    if (this.#asked.size >= IN_FLIGHT_MAX) return { do: 'wait' }
    if (this.#moves.open) {
      const moved = yield* this.#moves.move(this.#size().rows)
      this.#differed += moved.streamed
      this.#bytesDiffered += moved.bytesDiffered
      for (const tree of moved.trees) this.#doubts.explain(tree)
      const { rows, wants } = moved
      if (rows.length + wants.length > 0) return this.#send({ rows, wants }, { moved })
    }
    if (this.#walk.open && !this.#isBlind) {
      const { blocks, level } = yield* this.#walk.ask(this.#size().hashes)
      return this.#send({ hashes: blocks }, { level, blocks })
    }
    return yield* this.#list()
  }

  /**
   * Takes the answer to the request of that id; returns the rows of it to apply. Throws `ERR_PROTOCOL`
   * for an answer that no peer that follows the protocol gives.
   */
  *receive(id: number, answer: ExchangeAnswer): Sliced<readonly RowItem[]> {
    const asked = this.#asked.get(id)
    if (asked === undefined) throw unexpected('answers what it was not asked')
    this.#asked.delete(id)
    const { hashes } = answer
    if (id === 0) this.#equal = hashes.length === 0
    yield* this.#walk.take(hashes, asked.level)
    if (this.#blind === 'not' && this.#walk.isWide(MANY_NODES) && isEmptyGroup(this.#own)) {
      this.#blind = 'to list'
    }
    this.#noteEmpties()
    this.#found(asked, answer)
    this.#again(asked.moved, answer)
    this.#bytesDiffered += bytesOf(answer.rows.slice(answer.joins))
    this.#refused += answer.refused
    if (answer.partial || answer.refused > answer.aside) this.#complete = false
    return answer.rows
  }

  /** Rows of the answer that came out of the join as something else: the peer needs the join. */
  joined(rows: readonly RowItem[]): void {
    for (const { key } of rows.slice(0, this.#owed)) {
      const place = this.#locate(key)
      if (place !== undefined) this.#moves.send(place)
    }
    this.#owed -= Math.min(this.#owed, rows.length)
  }

  /** Lists the leaves that differ, after a pause since they were found. */
  *#list(): Sliced<ExchangeStep> {
    const waits = this.#asked.size > 0
    const open = this.#walk.suspects.length > 0 || this.#blind === 'to list'
    if (!this.#settled && open) {
      if (waits) return { do: 'wait' }
      this.#settled = true
      return { do: 'settle' }
    }
    this.#listAll()
    for (const [i, suspect] of this.#walk.suspects.splice(0).entries()) {
      if (i % LEAVES_A_TURN === 0) yield
      if (this.#comparison.isSettled(suspect)) continue
      this.#lists.add(whole(suspect))
      this.#doubts.compare(suspect.tree)
    }
    if (!this.#lists.open) return waits ? { do: 'wait' } : yield* this.#end()
    const listed = yield* this.#lists.list(this.#size().listed)
    return this.#send({ lists: listed.lists }, { listed })
  }

  get #isBlind(): boolean {
    return this.#blind === 'to list' || this.#blind === 'listed'
  }

  /**
   * Who holds nothing at all, of a peer that has rows all over, need not look where it differs: whatever
   * there is, is to be sent.
   */
  #listAll(): void {
    if (this.#blind !== 'to list') return
    this.#blind = isEmptyGroup(this.#own) ? 'listed' : 'tried'
    if (this.#blind === 'tried') return
    this.#own.group.slots.forEach((_, tree) => {
      this.#comparison.opened.add(tree)
      this.#lists.add(whole({ tree, depth: 0, leaf: 0 }))
    })
  }

  /** Where hashes differ and nothing was sent, it is looked in which slots that is. */
  *#end(): Sliced<ExchangeStep> {
    const isOver = !this.#walk.open || (this.#blind === 'listed' && this.#differed > 0)
    if (isOver) return { do: 'done' }
    this.#blind = 'tried'
    this.#settled = false
    return yield* this.next()
  }

  /** What the peer has nothing of is sent whole, if it still has nothing after the pause. */
  #noteEmpties(): void {
    for (const tree of this.#walk.empties.splice(0)) {
      const leaf = { tree, depth: 0, leaf: 0, theirs: undefined }
      const few = this.#comparison.rows(tree) <= FEW_ROWS
      if (few || !this.#settled) this.#walk.suspects.push(leaf)
      else this.#stream(leaf)
    }
  }

  #stream(leaf: Leaf): void {
    this.#moves.stream(whole(leaf))
    this.#doubts.compare(leaf.tree)
  }

  #found({ listed }: Asked, answer: ExchangeAnswer): void {
    const differences = foundIn(listed, answer)
    // That of the other side may be newer and yet not have seen what this one has.
    const gifts = differences.map(each => ({ ...each, theirs: undefined }))
    this.#moves.add(this.#isGift ? gifts : differences)
    this.#differed += differences.length
    this.#doubts.answered(listed, differences, answer, key => this.#locate(key))
    if (listed.lists.length === 0) return
    this.#differed += answer.rows.length
    this.#owed += answer.rows.length
    if (!this.#lists.answered(listed, answer)) this.#complete = false
  }

  /**
   * A peer that answers none of what was asked is not asked again, or this might never end; unless
   * the joins of rows it was sent took all the room.
   */
  #again({ wants, rows }: Moved, answer: ExchangeAnswer): void {
    const further = answer.wantsDone > 0 || (rows.length > 0 && answer.rows.length > 0)
    if (further) this.#moves.want(wants.slice(answer.wantsDone))
    else if (wants.length > 0) this.#complete = false
    this.#owed += Math.min(answer.wantsDone, wants.length)
  }

  #locate(key: Uint8Array): Want | undefined {
    const { slot, token } = this.#own.rows.locate(key)
    const tree = this.#own.group.slots.indexOf(slot)
    return tree < 0 ? undefined : { tree, token }
  }

  #send(parts: Partial<ExchangeRequest>, asked: Partial<Asked>): ExchangeStep {
    const id = this.#messages++
    if (id >= this.#messagesMax) throw unexpected('never comes to an end')
    this.#asked.set(id, { ...NOTHING_ASKED, ...asked })
    return { do: 'send', id, message: { ...NOTHING, salt: this.#salt, ...parts } }
  }
}
