/**
 * Which slots an exchange is not done with, out of all that it has under way: for progress only, and
 * only when it is asked for, since it looks at everything that is left.
 */
import type { Position } from './exchange-comparison.ts'
import { HASH_BYTES, SLOT_TREE, type HashBlock } from './exchange-message.ts'

/** Hashes of which something differs below. */
export function blockOf(position: Position): HashBlock {
  return { ...position, hashes: new Uint8Array(HASH_BYTES) }
}

/** How many slots these are together, of `slots` that are shared. */
export function openSlots(
  trees: Iterable<number>,
  blocks: readonly HashBlock[],
  slots: number
): number {
  const open = new Set(trees)
  for (const block of blocks) for (const tree of slotsUnder(block, slots)) open.add(tree)
  return open.size
}

/** The slots under the nodes of a block, by index: below `slots`. */
function* slotsUnder(block: HashBlock, slots: number): Iterable<number> {
  const { tree, depth, level, first, hashes } = block
  if (tree !== SLOT_TREE) return yield tree
  const width = 2 ** (depth - level)
  const end = Math.min(slots, (first + hashes.length / HASH_BYTES) * width)
  for (let slot = first * width; slot < end; slot++) yield slot
}
