/**
 * The member table and what follows from it: who owns a slot, and whose answers decide a request.
 *
 * No two nodes hear of a newcomer at the same moment, and one that stands still or is cut off hears of
 * it late: for a while some count it and others do not. So it comes in two steps (repair/handoff.ts),
 * and whoever goes by one line still meets whoever goes by the line before or behind it:
 *
 *   a newcomer is   reads are decided by          writes are decided by
 *   joining         the owners without it         the owners with it, and those without
 *   filled          those with it, and without    the same
 *   up              the owners with it            the owners with it
 *
 * "With it, and those without" is said of each newcomer alone and in any company: of two newcomers a
 * node may have heard of either one, both, or none. It is how joint consensus changes its members
 * (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", 2014, section 6),
 * without a leader who says when.
 */
import type { NodeId } from '../util/node-id.ts'
import { fingerprint, type Member, type MemberState, type MemberTable } from './members.ts'
import { flagsOf, placement, type Placement } from './placement.ts'

/** The member table and what follows from it. */
export interface View {
  readonly fingerprint: string
  readonly table: MemberTable
  /** Members that everybody counts, `up` or `leaving`. Empty lists while there are none. */
  readonly current: Placement
  /** As it will be: members that are `up`, `filled` or `joining`. `current` itself when nobody comes or goes. */
  readonly next: Placement
  /** Everybody who owns a slot for some node that has not heard all, or will. */
  readonly all: Placement
  ownersOf(slot: number): Owners
}

export interface Owners {
  readonly current: readonly NodeId[]
  readonly next: readonly NodeId[]
  readonly all: readonly NodeId[]
  readonly reads: Voters
  readonly writes: Voters
}

/** Whose answers decide a request; quorum/tally.ts counts them. */
export interface Voters {
  /** Whoever may own the slot, best first. */
  readonly ranked: readonly NodeId[]
  /** Who of them is an owner to some nodes and to others not. */
  readonly unsettled: ReadonlySet<NodeId>
  /** How many own a slot where there are so many. */
  readonly n: number
}

interface Electorate {
  readonly ranked: Placement
  readonly unsettled: ReadonlySet<NodeId>
}

const NOBODY: ReadonlySet<NodeId> = new Set()

export function viewOf(table: MemberTable, n: number): View {
  const members = [...table]
  const current = within(members, ['up', 'leaving'], n)
  const next = within(members, ['up', 'filled', 'joining'], n)
  const reads = electorate(members, ['up', 'leaving'], ['filled'], n)
  const writes = electorate(members, ['up'], ['joining', 'filled', 'leaving'], n)
  const votersOf = ({ ranked, unsettled }: Electorate, slot: number): Voters => {
    return { ranked: ranked.owners(slot), unsettled, n }
  }
  return {
    fingerprint: fingerprint(table),
    table,
    current,
    next,
    all: writes.ranked,
    ownersOf: slot => ({
      current: current.owners(slot),
      next: next.owners(slot),
      all: writes.ranked.owners(slot),
      reads: votersOf(reads, slot),
      writes: votersOf(writes, slot)
    })
  }
}

/** Whether the same answers decide. */
export function sameVoters(a: Voters, b: Voters): boolean {
  const isSame = (node: NodeId, i: number) =>
    node === b.ranked[i] && a.unsettled.has(node) === b.unsettled.has(node)
  return a.ranked.length === b.ranked.length && a.ranked.every(isSame)
}

function within(members: readonly Member[], states: readonly MemberState[], n: number): Placement {
  return placement(
    members.filter(({ state }) => states.includes(state)),
    n
  )
}

function electorate(
  members: readonly Member[],
  settled: readonly MemberState[],
  unsettled: readonly MemberState[],
  n: number
): Electorate {
  const unsure = members.filter(({ state }) => unsettled.includes(state)).map(({ id }) => id)
  if (unsure.length === 0) return { ranked: within(members, settled, n), unsettled: NOBODY }
  const wide = within(members, [...settled, ...unsettled], n + unsure.length)
  return { ranked: throughSettled(wide, unsure, n), unsettled: new Set(unsure) }
}

interface Trimmed {
  readonly wide: Placement
  readonly name: string
  readonly placement: Placement
}

/** The last few: members say new things of themselves far more often than they come and go. */
const trimmed: Trimmed[] = []
const TRIMMED_MAX = 8

/** Of each list as much as ends with the `n`-th that is not unsettled. */
function throughSettled(wide: Placement, unsettled: readonly NodeId[], n: number): Placement {
  const name = [n, ...unsettled].join(' ')
  const known = trimmed.find(each => each.wide === wide && each.name === name)
  if (known !== undefined) return known.placement
  const isUnsettled = new Set(unsettled)
  const lists = new Map<readonly NodeId[], readonly NodeId[]>()
  const flags = new Map<NodeId, Uint8Array>()
  const owners = (slot: number) => {
    const whole = wide.owners(slot)
    const list = lists.get(whole) ?? trim(whole, isUnsettled, n)
    lists.set(whole, list)
    return list
  }
  const owned = (node: NodeId) => {
    const known = flags.get(node) ?? flagsOf(owners, node)
    if (wide.nodes.includes(node)) flags.set(node, known)
    return known
  }
  const placement = { nodes: wide.nodes, owners, owned }
  trimmed.push({ wide, name, placement })
  if (trimmed.length > TRIMMED_MAX) trimmed.shift()
  return placement
}

function trim(
  whole: readonly NodeId[],
  unsettled: ReadonlySet<NodeId>,
  n: number
): readonly NodeId[] {
  let settled = 0
  const end = whole.findIndex(node => !unsettled.has(node) && ++settled === n)
  return end < 0 ? whole : whole.slice(0, end + 1)
}
