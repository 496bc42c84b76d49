/**
 * Who owns a slot: weighted rendezvous hashing. Every member draws a score for every slot from its id
 * alone, and the highest scores own it, in that order. So the same members give the same owners on
 * every node, without talking, and a member that comes or goes moves no slot between two others.
 * Expected shares are proportional to weights. Zones are not looked at.
 */
import type { NodeId } from '../util/node-id.ts'
import { utf8 } from '../util/bytes.ts'
import type { Member } from './members.ts'
import { combine, hash64, type Hash64 } from './mix.ts'
import { SLOTS } from './slot.ts'

export interface Placement {
  /** Every member that could own a slot, in ascending order of ids. */
  readonly nodes: readonly NodeId[]
  /** The preference list of a slot: the smaller of `n` and the number of members, best first. */
  owners(slot: number): readonly NodeId[]
  /** One byte a slot, 1 where the node owns it. Worked out once and kept: not to be changed. */
  owned(node: NodeId): Uint8Array
}

interface Candidate {
  readonly id: NodeId
  readonly weight: number
  readonly hash: Hash64
}

/**
 * The placements asked for last. Members say new things of themselves far more often than they come
 * and go, and working through every slot again takes tens of milliseconds.
 */
const recent = new Map<string, Placement>()
/** So many at least, and more while they have so few members in all. */
const RECENT_MIN = 8
const RECENT_MEMBERS_MAX = 512

export function placement(members: Iterable<Pick<Member, 'id' | 'weight'>>, n: number): Placement {
  const list = Array.from(members, ({ id, weight }) => ({ id, weight }))
  const name = JSON.stringify([n, list.map(({ id, weight }) => [id, weight])])
  const placed = recent.get(name) ?? place(list, n)
  recent.delete(name)
  recent.set(name, placed)
  forgetOld()
  return placed
}

function forgetOld(): void {
  let members = 0
  for (const { nodes } of recent.values()) members += nodes.length
  for (const [name, { nodes }] of recent) {
    if (recent.size <= RECENT_MIN || members <= RECENT_MEMBERS_MAX) return
    recent.delete(name)
    members -= nodes.length
  }
}

function place(members: readonly Pick<Member, 'id' | 'weight'>[], n: number): Placement {
  const candidates = members.map(({ id, weight }) => ({
    id,
    weight,
    hash: hash64(utf8(id))
  }))
  candidates.sort((a, b) => (a.id < b.id ? -1 : 1))
  const lists = new Array<readonly NodeId[] | undefined>(SLOTS)
  const flags = new Map<NodeId, Uint8Array>()
  const best = ranking(candidates, n)
  const listOf = keeping(candidates, n)
  const owners = (slot: number) => (lists[slot] ??= listOf(best(slot)))
  const owned = (node: NodeId) => {
    const known = flags.get(node) ?? flagsOf(owners, node)
    // Only of members, of which there are few.
    if (candidates.some(({ id }) => id === node)) flags.set(node, known)
    return known
  }
  return { nodes: candidates.map(candidate => candidate.id), owners, owned }
}

/** One byte a slot. Works through every slot: keep the answer. */
export function flagsOf(owners: Placement['owners'], node: NodeId): Uint8Array {
  const flags = new Uint8Array(SLOTS)
  for (let slot = 0; slot < SLOTS; slot++) flags[slot] = Number(owners(slot).includes(node))
  return flags
}

/** The slots that all of `nodes` own, ascending. Works through every slot: keep the answer. */
export function sharedSlots(placement: Placement, ...nodes: readonly NodeId[]): Uint16Array {
  const owned = nodes.map(node => placement.owned(node))
  const slots: number[] = []
  for (let slot = 0; slot < SLOTS; slot++) {
    if (owned.every(flags => flags[slot] === 1)) slots.push(slot)
  }
  return Uint16Array.from(slots)
}

/** Turns positions of candidates into ids. Equal lists are one list: of few members there are few. */
function keeping(candidates: readonly Candidate[], n: number) {
  const kept = new Map<number | string, readonly NodeId[]>()
  const base = candidates.length
  const isExact = base ** Math.min(n, base) <= Number.MAX_SAFE_INTEGER
  return (positions: Uint16Array): readonly NodeId[] => {
    const name = isExact ? positions.reduce((sum, at) => sum * base + at, 0) : positions.join()
    let list = kept.get(name)
    if (list === undefined) {
      list = Array.from(positions, at => (candidates[at] as Candidate).id)
      kept.set(name, list)
    }
    return list
  }
}

/**
 * The positions of the best, best first; what is returned is valid until the next call, because this
 * is asked for every slot at each change of the members. The candidates come in ascending order of ids,
 * which settles equal scores.
 */
function ranking(candidates: readonly Candidate[], n: number): (slot: number) => Uint16Array {
  const count = Math.min(n, candidates.length)
  const best = new Uint16Array(count)
  const scores = new Float64Array(count)
  return slot => {
    scores.fill(-1)
    candidates.forEach(({ hash, weight }, i) => {
      const own = score(hash, weight, slot)
      let at = count
      for (; at > 0 && own > (scores[at - 1] as number); at--) {
        if (at === count) continue
        scores[at] = scores[at - 1] as number
        best[at] = best[at - 1] as number
      }
      if (at === count) return
      scores[at] = own
      best[at] = i
    })
    return best
  }
}

/**
 * weight / -ln(u) for a u drawn evenly from (0, 1): the highest of several such scores is each one's
 * with a probability proportional to its weight.
 */
function score(hash: Hash64, weight: number, slot: number): number {
  // Not taken apart as lists: that would be most of the work.
  const mixed = combine(hash[0], hash[1], slot)
  const u = ((mixed[0] >>> 0) * 2 ** 20 + (mixed[1] >>> 12) + 0.5) / 2 ** 52
  return weight / minusLn(u)
}

/**
 * -ln(u) for 0 < u < 1 by additions, multiplications and divisions alone. These are exact to the bit
 * in every JavaScript engine; `Math.log` is not, and nodes must agree to the bit.
 */
function minusLn(u: number): number {
  let mantissa = u
  let exponent = 0
  for (; mantissa < 0.75; exponent++) mantissa *= 2
  const s = (mantissa - 1) / (mantissa + 1)
  const square = s * s
  let power = s
  let sum = 0
  for (let k = 1; k <= 21; k += 2) {
    sum += power / k
    power *= square
  }
  return exponent * LN_2 - 2 * sum
}

const LN_2 = 0.6931471805599453
