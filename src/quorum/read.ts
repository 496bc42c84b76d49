/**
 * One read as a machine: whom to ask, when there are enough answers, what they add up to, and who
 * was behind. It knows no sockets and no clock; coordinator/ drives it.
 *
 *   asking ──answers──▶ reached ──result()
 *      └──nobody left to ask──▶ impossible
 *
 * Only a row or a proven absence counts. `unknown` (a replica that is being filled, or has lost the
 * row) and failures do not: the next candidate is asked instead.
 */
import type { NodeId } from '../util/node-id.ts'
import { equal } from '../util/bytes.ts'
import { encodeRow } from '../lattice/encode.ts'
import { join, ROW_EMPTY, type Row } from '../lattice/row.ts'
import { Tally, type Outcome } from './tally.ts'

export type ReplicaAnswer =
  | { readonly answer: 'row'; readonly row: Row }
  | { readonly answer: 'absent' }
  | { readonly answer: 'unknown' }
  | { readonly answer: 'failed'; readonly error: Error }

export interface ReadOutcome {
  /** The join of all answers; `ROW_EMPTY` when every answer was an absence. */
  readonly row: Row
  /** Whose answers are in `row`. Who answers later is in none of these. */
  readonly answered: readonly NodeId[]
  /** Those of them that answered with less than `row`. */
  readonly behind: readonly NodeId[]
}

export class Read {
  readonly answers = new Map<NodeId, ReplicaAnswer>()
  readonly needed: number
  readonly #tally: Tally
  readonly #candidates: NodeId[]

  /** `candidates`: the owners that are alive, in the order to ask them; none twice. */
  constructor(candidates: readonly NodeId[], needed: number) {
    this.needed = needed
    this.#candidates = [...candidates]
    this.#tally = new Tally([{ owners: candidates, needed }])
  }

  get outcome(): Outcome {
    return this.#tally.outcome
  }

  get acknowledged(): readonly NodeId[] {
    return [...this.#tally.acknowledged]
  }

  get failures(): ReadonlyMap<NodeId, Error> {
    return this.#tally.failures
  }

  /** Whom to ask at first. */
  start(): readonly NodeId[] {
    return this.#candidates.splice(0, this.needed)
  }

  /** One more owner to ask: because an answer did not count, or because one is slow. */
  askNext(): NodeId | undefined {
    return this.#candidates.shift()
  }

  answer(node: NodeId, answer: ReplicaAnswer): void {
    this.answers.set(node, answer)
    if (answer.answer === 'row' || answer.answer === 'absent') this.#tally.acknowledge(node)
    else this.#tally.refuse(node, reasonOf(answer))
  }

  result(): ReadOutcome {
    const answered = this.acknowledged
    const rows = answered.map(node => rowOf(this.answers.get(node)))
    const row = rows.reduce(join, ROW_EMPTY)
    const bytes = encodeRow(row)
    const isBehind = (_: NodeId, i: number) => !equal(encodeRow(rows[i] as Row), bytes)
    return { row, answered, behind: answered.filter(isBehind) }
  }
}

function rowOf(answer: ReplicaAnswer | undefined): Row {
  return answer?.answer === 'row' ? answer.row : ROW_EMPTY
}

function reasonOf(answer: ReplicaAnswer): Error {
  if (answer.answer === 'failed') return answer.error
  return new Error('the replica does not know: it is being filled or has lost the row')
}
