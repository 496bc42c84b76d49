/**
 * Compares what lies on disk with the forest: does every row pass its check, and has every leaf the
 * count and the sum of its rows? The sums are made with big integers from the rows alone, so nothing
 * is shared with what made those of the forest. Goes in parts, leaf by leaf; changes nothing.
 *
 * Must run while no change is under way: between a commit and its change of the forest they differ.
 */
import type { Forest } from '../digest/forest.ts'
import { DIGEST_BYTES, SLOTS } from '../digest/limits.ts'
import { leafRange, slotRange, tokenHigh } from '../ring/row-key.ts'
import type { Inspected, Rows } from './rows.ts'

export interface VerifyComponents {
  readonly forest: Forest
  readonly rows: Rows
}

/** Every row before it is verified: those of lower slots, and those of lower tokens in its slot. */
export interface Position {
  readonly slot: number
  /** The upper 32 bits of a token. */
  readonly tokenHigh: number
}

/** Where to stop: at the next leaf after one of these is reached. */
export interface VerifyBudget {
  readonly slots: number
  readonly rows: number
  readonly bytes: number
}

export interface Verified {
  /** Where to go on; `undefined` after the last slot. */
  readonly next: Position | undefined
  /** Slots that were come to the end of. */
  readonly slots: number
  readonly rows: number
  /** Of keys and values. */
  readonly bytes: number
  /** Of rows that are damaged or lie elsewhere: the ids under which they belong. */
  readonly damaged: readonly Uint8Array[]
  /** Slots whose tree disagrees with rows that are all sound. */
  readonly wrong: readonly number[]
  /** Rows that the trees of those slots have and that are not on disk: at least so many. */
  readonly lost: ReadonlyMap<number, number>
}

export const START: Position = { slot: 0, tokenHigh: 0 }

interface LeafSum {
  rows: number
  sum: bigint
  damaged: boolean
}

interface Part {
  readonly leaves: ReadonlyMap<number, LeafSum>
  readonly rows: number
  readonly bytes: number
  readonly damaged: readonly Uint8Array[]
  /** The first leaf that was not read. */
  readonly end: number
}

export function verify(
  components: VerifyComponents,
  from: Position,
  budget: VerifyBudget
): Verified {
  const sums = { slots: 0, rows: 0, bytes: 0 }
  const damaged: Uint8Array[] = []
  const wrong = new Set<number>()
  const lost = new Map<number, number>()
  let next: Position | undefined = from
  while (next !== undefined && isWithin(sums, budget)) {
    const slot: number = next.slot
    const depth = components.forest.depth(slot)
    const first = leafAt(next.tokenHigh, depth)
    const left = { rows: budget.rows - sums.rows, bytes: budget.bytes - sums.bytes }
    const part = readPart(components.rows, slot, depth, first, left)
    const found = holdAgainst(components.forest, slot, first, part)
    if (found.disagree) wrong.add(slot)
    if (found.lost > 0) lost.set(slot, (lost.get(slot) ?? 0) + found.lost)
    sums.rows += part.rows
    sums.bytes += part.bytes
    damaged.push(...part.damaged)
    next = after(slot, depth, part.end)
    if (next?.slot !== slot) sums.slots++
  }
  return { next, ...sums, damaged, wrong: [...wrong], lost }
}

function isWithin(sums: VerifyBudget, budget: VerifyBudget): boolean {
  return sums.slots < budget.slots && sums.rows < budget.rows && sums.bytes < budget.bytes
}

function after(slot: number, depth: number, end: number): Position | undefined {
  if (end < 2 ** depth) return { slot, tokenHigh: end * 2 ** (32 - depth) }
  return slot + 1 < SLOTS ? { slot: slot + 1, tokenHigh: 0 } : undefined
}

/** Reads whole leaves from leaf `first` on, until the slot ends or the budget is used up. */
function readPart(
  rows: Rows,
  slot: number,
  depth: number,
  first: number,
  budget: { readonly rows: number; readonly bytes: number }
): Part {
  const leaves = new Map<number, LeafSum>()
  const damaged: Uint8Array[] = []
  const sums = { rows: 0, bytes: 0 }
  const range = { from: leafRange(slot, depth, first).from, to: slotRange(slot).to }
  for (const row of rows.inspect(range)) {
    const leaf = leafAt(tokenHigh(row.token), depth)
    const isSpent = sums.rows >= budget.rows || sums.bytes >= budget.bytes
    if (isSpent && !leaves.has(leaf)) return { leaves, ...sums, damaged, end: leaf }
    addTo(leaves, leaf, row)
    sums.rows++
    sums.bytes += row.bytes
    if (row.digest === undefined) damaged.push(row.home)
  }
  return { leaves, ...sums, damaged, end: 2 ** depth }
}

function addTo(leaves: Map<number, LeafSum>, leaf: number, { digest }: Inspected): void {
  const sum = leaves.get(leaf) ?? { rows: 0, sum: 0n, damaged: false }
  leaves.set(leaf, sum)
  sum.rows++
  if (digest === undefined) sum.damaged = true
  else sum.sum += numberAt(digest, 0)
}

/** A leaf with a damaged row cannot be judged: its tree is laid out anew without that row anyway. */
function holdAgainst(
  forest: Forest,
  slot: number,
  first: number,
  part: Part
): { disagree: boolean; lost: number } {
  const { counts, sums } = forest.leaves(slot, first, part.end - first)
  let [disagree, lost] = [false, 0]
  for (const [i, count] of counts.entries()) {
    const { rows, sum, damaged } = part.leaves.get(first + i) ?? NO_ROWS
    if (damaged) continue
    lost += Math.max(0, count - rows)
    const differs = numberAt(sums, DIGEST_BYTES * i) !== BigInt.asUintN(256, sum)
    if (count !== rows || differs) disagree = true
  }
  return { disagree, lost }
}

const NO_ROWS: LeafSum = { rows: 0, sum: 0n, damaged: false }

/** 32 bytes, little endian. */
function numberAt(bytes: Uint8Array, at: number): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, DIGEST_BYTES)
  const word = (i: number) => view.getBigUint64(8 * i, true) << BigInt(64 * i)
  return word(0) | word(1) | word(2) | word(3)
}

/** Shifting by 32 would shift by nothing. */
function leafAt(high: number, depth: number): number {
  return depth === 0 ? 0 : high >>> (32 - depth)
}
