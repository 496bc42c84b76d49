/**
 * One read as a machine: whom to ask and for what, when there are enough answers, what they add up
 * to, and who was behind. It knows no sockets and no clock; coordinator/ drives it.
 *
 *   asking ──answers──▶ reached ──result()──▶ some cannot be repaired: withdraw, ask on
 *      └──nobody left to ask──▶ impossible ──▶ leaveOut, once
 *
 * Only a row or a proven absence counts. `unknown` (a replica that is being filled, or has lost the
 * row) and failures do not: the next candidate is asked instead.
 *
 * The first is asked for the whole row, the others for a digest if theirs is large. A digest counts
 * once it is that of a row somebody sent, or of their join; where it is not, the row is fetched.
 */
import { HearsayError } from '../errors.ts'
import type { NodeId } from '../util/node-id.ts'
import { equal } from '../util/bytes.ts'
import { encodeRow } from '../lattice/encode.ts'
import { join, ROW_EMPTY, type Row } from '../lattice/row.ts'
import { Digests } from './digests.ts'
import type { Level } from './level.ts'
import { Tally, type Outcome, type Progress, type Shortage, type Voters } from './tally.ts'

export type ReplicaAnswer =
  | {
      readonly answer: 'row'
      readonly row: Row
      /** As it is stored there, and its digest, where they are at hand. */
      readonly bytes?: Uint8Array
      readonly digest?: Uint8Array
    }
  | { readonly answer: 'absent' }
  | { readonly answer: 'digest'; readonly digest: Uint8Array }
  /** `isLost`: what was there is damaged, nobody had another copy, and nothing was put in its place. */
  | { readonly answer: 'unknown'; readonly isLost?: boolean }
  | { readonly answer: 'failed'; readonly error: Error }

/** An answer that says what the owner holds, or that it does not. */
export type HeldAnswer = Exclude<ReplicaAnswer, { readonly answer: 'digest' }>

export interface Ask {
  readonly node: NodeId
  /** Else a digest will do. */
  readonly whole: boolean
}

export interface ReadOutcome {
  /** The join of all answers; `ROW_EMPTY` when every answer was an absence. */
  readonly row: Row
  /** Whose answers are in `row`. Who answers later is in none of these. */
  readonly answered: readonly NodeId[]
  /** Those of them that answered with less than `row`. */
  readonly behind: readonly NodeId[]
}

export interface ReadInit {
  readonly voters: Voters
  readonly level: Level
  readonly candidates: readonly NodeId[]
}

export class Read {
  readonly answers = new Map<NodeId, HeldAnswer>()
  /** Too few of them are alive: nobody needs to be asked. */
  readonly shortage: Shortage | undefined
  readonly #tally: Tally
  readonly #candidates: NodeId[]
  readonly #digests: Digests
  /** Asked for the whole row and not late yet. */
  readonly #awaited = new Set<NodeId>()
  /** All that were sent, an absence as the empty row. */
  readonly #rows: Row[] = []
  readonly #withdrawn = new Set<NodeId>()
  #hasLeftOut = false

  /** `candidates`: those of the voters that are alive, in the order to ask them; none twice. */
  constructor(
    { voters, level, candidates }: ReadInit,
    digestOf: (row: Row) => Uint8Array = encodeRow
  ) {
    this.#candidates = [...candidates]
    this.#tally = new Tally(voters, level)
    this.shortage = this.#tally.shortage(node => candidates.includes(node))
    for (const node of voters.ranked) {
      if (!candidates.includes(node)) this.#tally.refuse(node, new Error('the node is down'))
    }
    this.#digests = new Digests(digestOf)
  }

  get outcome(): Outcome {
    return this.#tally.outcome
  }

  /** How far it is, for an error to report. */
  get progress(): Progress {
    return this.#tally.progress
  }

  get failures(): ReadonlyMap<NodeId, Error> {
    return this.#tally.failures
  }

  get voters(): Voters {
    return this.#tally.voters
  }

  /**
   * Whether somebody has lost the row for good, and all that have answered so far have lost or never had
   * it. One that is down, and so has failed without an answer, or is being filled, may have it.
   */
  get mayBeLost(): boolean {
    const answers = [...this.answers.values()]
    const hasLost = (each: HeldAnswer) => each.answer === 'unknown' && each.isLost === true
    const isWithout = (each: HeldAnswer) => each.answer === 'absent' || hasLost(each)
    const areAllThere = [...this.failures.keys()].every(node => this.answers.has(node))
    const mayBe = areAllThere && this.#digests.isEmpty
    return mayBe && answers.every(isWithout) && answers.some(hasLost)
  }

  /** The same once everybody has answered. */
  get isLost(): boolean {
    return this.mayBeLost && this.voters.ranked.every(node => this.answers.has(node))
  }

  /** Whom to ask at first. */
  start(): readonly Ask[] {
    return this.#candidates
      .splice(0, this.progress.needed)
      .map((node, i) => this.#ask(node, i === 0))
  }

  /** One more owner to ask: because an answer did not count, or because one is slow. */
  askNext(): Ask | undefined {
    const node = this.#candidates.shift()
    return node && this.#ask(node, this.#rows.length === 0)
  }

  /** Those of whom the whole row is needed now, because their digest is that of no known row. */
  fetch(): readonly Ask[] {
    const none = this.#rows.length === 0
    if (none && this.#awaited.size > 0) return []
    const max = none ? 1 : Infinity
    return this.#digests.fetch(max).map(node => this.#ask(node, true))
  }

  /** Its whole row is no longer waited for, should another be had. */
  late(node: NodeId): void {
    this.#awaited.delete(node)
  }

  answer(node: NodeId, answer: ReplicaAnswer): void {
    this.#awaited.delete(node)
    this.#digests.forget(node)
    if (answer.answer === 'digest') this.#digests.add(node, answer.digest)
    else this.#hear(node, answer)
    for (const [other, row] of this.#digests.take()) this.#count(other, { answer: 'row', row })
  }

  result(): ReadOutcome {
    const answered = [...this.#tally.acknowledged]
    const rows = answered.map(node => rowOf(this.answers.get(node)))
    const row = rows.reduce(join, ROW_EMPTY)
    const bytes = encodeRow(row)
    const isBehind = (_: NodeId, i: number) => !equal(encodeRow(rows[i] as Row), bytes)
    return { row, answered, behind: answered.filter(isBehind) }
  }

  /** Whether the answers of these alone decide the read. */
  isEnough(nodes: Iterable<NodeId>): boolean {
    const set = new Set(nodes)
    return this.#tally.shortage(node => set.has(node)) === undefined
  }

  /** They answered with less than the others and cannot be brought up to them: others are needed. */
  withdraw(refusals: ReadonlyMap<NodeId, Error>): void {
    for (const [node, error] of refusals) {
      this.#tally.withdraw(node, error)
      this.#withdrawn.add(node)
    }
  }

  /**
   * When nobody is left to ask: counts those that were withdrawn, and leaves out what they refuse. If
   * they are as many as the level needs, no write that was acknowledged at a level which meets this one
   * is on the others alone, and no earlier read of this level has answered with it. Once; returns
   * whether it will do.
   */
  leaveOut(): boolean {
    if (this.#hasLeftOut || !this.isEnough(this.#withdrawn)) return false
    this.#hasLeftOut = true
    const reason = new Error('what it holds is refused by the others')
    for (const node of this.#tally.acknowledged) this.#tally.withdraw(node, reason)
    for (const node of this.#withdrawn) this.#tally.acknowledge(node)
    return true
  }

  #ask(node: NodeId, whole: boolean): Ask {
    if (whole) this.#awaited.add(node)
    return { node, whole }
  }

  #hear(node: NodeId, answer: HeldAnswer): void {
    if (answer.answer === 'row' || answer.answer === 'absent') {
      this.#count(node, answer)
      this.#learn(rowOf(answer))
    } else if (!this.#tally.acknowledged.has(node)) {
      this.answers.set(node, answer)
      this.#tally.refuse(node, reasonOf(answer))
    }
  }

  #count(node: NodeId, answer: HeldAnswer): void {
    this.answers.set(node, answer)
    this.#tally.acknowledge(node)
  }

  /** An owner may hold this row, or already the join of all that were heard. */
  #learn(row: Row): void {
    const all = this.#rows
    all.push(row)
    this.#digests.learn(() => row)
    if (all.length > 1) this.#digests.learn(() => all.reduce(join))
  }
}

function rowOf(answer: HeldAnswer | undefined): Row {
  return answer?.answer === 'row' ? answer.row : ROW_EMPTY
}

function reasonOf(answer: HeldAnswer): Error {
  if (answer.answer === 'failed') return answer.error
  const message = 'the replica does not know: it is being filled or has lost the row'
  return new HearsayError('ERR_CORRUPT', message)
}
