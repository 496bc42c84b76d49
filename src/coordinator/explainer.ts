/**
 * Tells all there is to know of one key: who owns it, what each owner holds, and who wins and why.
 * Asks every owner, changes nothing, and repairs nothing; an owner that cannot be asked is told as
 * such. Of other members those that are alive are asked too, and told where they keep a hint of the key:
 * at level `any` that may be all there is of a write. It also answers the questions of others.
 */
import type { Liveness } from '../cluster/liveness.ts'
import type { Membership } from '../cluster/membership.ts'
import { HearsayError } from '../errors.ts'
import { printActor, printDot } from '../lattice/dot.ts'
import { shownVersion } from '../lattice/expiry.ts'
import type { Row } from '../lattice/row.ts'
import { join, ROW_EMPTY } from '../lattice/row.ts'
import { flooredAt, isCounting } from '../lattice/totals.ts'
import type { ExplainedCopy, ExplainedEntry, Explanation } from '../options.ts'
import type { Clock } from '../ports.ts'
import { judge } from '../quorum/explain.ts'
import type { Replica } from '../replica/replica.ts'
import { KEY_BYTES_MAX } from '../ring/row-key.ts'
import { slotOf } from '../ring/slot.ts'
import { hex } from '../util/bytes.ts'
import type { NodeId } from '../util/node-id.ts'
import { decodeHolding, encodeHolding, type Holding, type Matched } from '../wire/explain.ts'

export interface ExplainerComponents {
  readonly replica: Replica
  readonly membership: Membership
  readonly liveness: Liveness
  readonly clock: Clock
  /** Owners for which this node keeps a hint of the key. */
  readonly hintedFor: (key: Uint8Array) => readonly NodeId[]
  /** The row that such hints carry, where nobody else may have it. */
  readonly carried: (key: Uint8Array) => Row | undefined
  /** When this node was last proven equal with each of its peers, as far as the slot goes. */
  readonly matched: (slot: number) => readonly Matched[]
}

/** How one copy stands to the others. */
interface Standing {
  readonly isOwner: boolean
  readonly isBehind: boolean
  /** The versions that readers see. */
  readonly shown: ReadonlySet<string>
}

export interface ExplainRequest {
  readonly key: Uint8Array
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

export class Explainer {
  readonly #components: ExplainerComponents

  constructor(components: ExplainerComponents) {
    this.#components = components
    components.membership.serve('explain', (_, key) => this.#answer(key))
  }

  async explain(request: ExplainRequest): Promise<Explanation> {
    request.signal?.throwIfAborted()
    const { membership, replica, clock } = this.#components
    const place = replica.rows.locate(request.key)
    const { current, next, all: owners } = membership.view.ownersOf(place.slot)
    const asked = [...owners, ...this.#keepers(owners)]
    const answers = await Promise.all(asked.map(node => this.#ask(node, request)))
    request.signal?.throwIfAborted()
    const isTold = (_: unknown, i: number) => i < owners.length || isKept(answers[i])
    const [nodes, holdings] = [asked.filter(isTold), answers.filter(isTold)]
    const unknown = holdings.filter(isUnknown).length
    const verdict = judge(holdings.map(rowOf), clock.wallMs(), unknown)
    return {
      key: request.key,
      slot: place.slot,
      token: hex(place.token),
      owners: current,
      nextOwners: next,
      version: verdict.version,
      kind: verdict.kind,
      why: verdict.why,
      copies: nodes.map((node, i) =>
        this.#copy(request.key, node, holdings[i] as Holding | Error, {
          isOwner: owners.includes(node),
          isBehind: verdict.behind[i] as boolean,
          shown: verdict.shown
        })
      )
    }
  }

  /** Those that may keep hints for the owners: a member that is not alive could not say. */
  #keepers(owners: readonly NodeId[]): readonly NodeId[] {
    const { membership, liveness } = this.#components
    return [membership.id, ...membership.peers].filter(
      node => !owners.includes(node) && liveness.opinion(node) === 'alive'
    )
  }

  /** What the node holds, or why that is not known. */
  async #ask(node: NodeId, { key, timeoutMs, signal }: ExplainRequest): Promise<Holding | Error> {
    const { membership } = this.#components
    if (node === membership.id) return this.#holding(key)
    try {
      const options = { deadlineMs: timeoutMs, signal }
      const answer = decodeHolding(await membership.ask(node, 'explain', key, options))
      return answer ?? malformed(node)
    } catch (error) {
      if (error instanceof HearsayError) return error
      throw error
    }
  }

  #answer(key: Uint8Array): Promise<Uint8Array> {
    if (key.length === 0 || key.length > KEY_BYTES_MAX) throw malformed('a peer')
    return Promise.resolve(encodeHolding(this.#holding(key)))
  }

  #holding(key: Uint8Array): Holding {
    const { membership, replica, hintedFor, carried, matched } = this.#components
    const place = replica.rows.locate(key)
    const isOwner = membership.view.ownersOf(place.slot).all.includes(membership.id)
    const held = replica.rows.read(place)?.row
    const kept = carried(key)
    return {
      counts: replica.read(key).answer !== 'unknown',
      // What one that owned it once still holds, and what it keeps for the owners, are both handed over.
      row: held && kept && !isOwner ? join(held, kept) : (held ?? kept),
      hintedFor: hintedFor(key),
      aside: replica.quarantine.reasonFor(place.id),
      matched: matched(slotOf(key))
    }
  }

  #copy(
    key: Uint8Array,
    node: NodeId,
    holding: Holding | Error,
    { isOwner, isBehind, shown }: Standing
  ): ExplainedCopy {
    const { membership, liveness, replica } = this.#components
    const self = node === membership.id
    const base = { node, owner: isOwner, self, liveness: liveness.opinion(node) }
    if (holding instanceof Error) return { ...base, answer: 'failed', error: holding.message }
    const { row, counts, hintedFor, aside, matched } = holding
    const behind = !counts || isBehind
    const told = { ...base, answer: answerOf(holding), hintedFor, aside, matched, behind }
    if (row === undefined) return told
    const version = shownVersion(row, this.#components.clock.wallMs())
    const digest = hex(replica.rows.encode(key, row).digest)
    return {
      ...told,
      version: version && printDot(version),
      digest,
      ...this.#describe(row, shown)
    }
  }

  #describe({ context, entries, totals }: Row, shown: ReadonlySet<string>): Described {
    const nowMs = this.#components.clock.wallMs()
    const vector = [...context.vector].map(([actor, time]) => printDot({ actor, time }))
    const adding = totals.filter(total => isCounting(total, nowMs))
    return {
      context: { vector: vector.sort(), loose: context.loose.map(printDot) },
      totals: adding.map(total => ({
        actor: printActor(total.actor),
        adds: String(total.total.amount - flooredAt(total, nowMs).amount)
      })),
      entries: entries.map(({ dot, field, value, expiresAt }): ExplainedEntry => {
        const version = printDot(dot)
        const actor = printActor(dot.actor)
        return { version, actor, field, value, expiresAt, wins: shown.has(version) }
      })
    }
  }
}

type Described = Pick<ExplainedCopy, 'context' | 'totals' | 'entries'>

function rowOf(holding: Holding | Error): Row {
  return holding instanceof Error ? ROW_EMPTY : (holding.row ?? ROW_EMPTY)
}

/** What one that owned it once holds without a hint counts for nothing. */
function isKept(holding: Holding | Error | undefined): boolean {
  return holding !== undefined && !(holding instanceof Error) && holding.hintedFor.length > 0
}

function isUnknown(holding: Holding | Error): boolean {
  return !(holding instanceof Error) && !holding.counts
}

function answerOf({ counts, row }: Holding): 'row' | 'absent' | 'unknown' {
  if (!counts) return 'unknown'
  return row === undefined ? 'absent' : 'row'
}

function malformed(node: string): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `Hearsay could not read what ${node} says of a key.`)
}
