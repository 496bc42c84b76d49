/**
 * The allocator of linear memory: a buddy system. A block is 32 bytes times a power of two and
 * aligned to its own size; its buddy is the other half of the block twice as large, and two free
 * buddies become one block again. Trees grow by doubling, so what a growing tree leaves behind is
 * what the next ones need.
 *
 * Whoever allocates remembers how many bytes it asked for and says so when it gives them back;
 * blocks carry no header. Fresh blocks are not zeroed. Memory grows by about a sixteenth at a time,
 * never beyond the limit, and is never returned to the system.
 */

const UNIT_BITS: u32 = 5
const PAGE_BITS: u32 = 16
const PAGE_ORDER: u32 = PAGE_BITS - UNIT_BITS

/** Orders 0 to 25: blocks of 32 bytes to 1 GiB. */
const ORDERS: u32 = 26

/** No forest may have more than this many bytes of blocks. */
export const ARENA_BYTES_MAX: u32 = 1 << 30

/** First free block of each order, 0 for none. A free block holds: next, previous, order. */
const HEADS: usize = memory.data(26 * 4, 16)

/** One bit a unit: set where a free block begins. */
let bitmap: usize = 0
let base: usize = 0
let end: usize = 0
let limit: usize = 0
let used: usize = 0

/** Bytes in blocks that are handed out. */
export function arenaUsed(): usize {
  return used
}

/** Must come before anything else, once. False when the memory for the bitmap is refused. */
export function openArena(bytesMax: u32): bool {
  const bytes = min(bytesMax, ARENA_BYTES_MAX)
  bitmap = (__heap_base + 15) & ~15
  base = alignPage(bitmap + (bytes >> (UNIT_BITS + 3)) + 1)
  end = base
  limit = base + (bytes & ~((1 << PAGE_BITS) - 1))
  return ensure(base)
}

/** At least `bytes` bytes, aligned to 16, or 0 when the limit is reached. Owned by the caller. */
export function allocate(bytes: usize): usize {
  const order = orderFor(bytes)
  if (order >= ORDERS) return 0
  let found = firstAtLeast(order)
  while (found === ORDERS) {
    if (!grow()) return 0
    found = firstAtLeast(order)
  }
  const at = load<usize>(HEADS + (found << 2))
  unlink(at, found)
  while (found > order) link(at + blockBytes(--found), found)
  used += blockBytes(order)
  return at
}

/** `bytes` is what was asked for. Giving back 0 does nothing. */
export function release(at: usize, bytes: usize): void {
  if (at === 0) return
  const order = orderFor(bytes)
  used -= blockBytes(order)
  free(at, order)
}

function free(at: usize, order: u32): void {
  assert(at >= base && at + blockBytes(order) <= end && !isFree(at))
  for (; order < ORDERS - 1; order++) {
    const buddy = base + ((at - base) ^ blockBytes(order))
    if (buddy >= end || !isFree(buddy) || load<u32>(buddy, 8) !== order) break
    unlink(buddy, order)
    at = min(at, buddy)
  }
  link(at, order)
}

/** Adds free pages: a sixteenth of what there is, or one if so much is refused. */
function grow(): bool {
  const room = (limit - end) >> PAGE_BITS
  if (room === 0) return false
  let pages = min(room, max<usize>(1, (end - base) >> (PAGE_BITS + 4)))
  if (!ensure(end + (pages << PAGE_BITS))) {
    pages = 1
    if (!ensure(end + (pages << PAGE_BITS))) return false
  }
  for (; pages > 0; pages--) {
    end += 1 << PAGE_BITS
    free(end - (1 << PAGE_BITS), PAGE_ORDER)
  }
  return true
}

/** Sees to it that linear memory reaches up to `to`. */
function ensure(to: usize): bool {
  const pages = <i32>(alignPage(to) >> PAGE_BITS) - memory.size()
  return pages <= 0 || memory.grow(pages) >= 0
}

function alignPage(at: usize): usize {
  return (at + (1 << PAGE_BITS) - 1) & ~((1 << PAGE_BITS) - 1)
}

function blockBytes(order: u32): usize {
  return (<usize>1) << (UNIT_BITS + order)
}

function orderFor(bytes: usize): u32 {
  if (bytes <= 1 << UNIT_BITS) return 0
  return 32 - clz<u32>(u32(bytes - 1)) - UNIT_BITS
}

/** The smallest order from `order` on that has a free block, or ORDERS. */
function firstAtLeast(order: u32): u32 {
  while (order < ORDERS && load<usize>(HEADS + (order << 2)) === 0) order++
  return order
}

function isFree(at: usize): bool {
  const unit = u32((at - base) >> UNIT_BITS)
  return ((u32(load<u8>(bitmap + (unit >> 3))) >> (unit & 7)) & 1) !== 0
}

function flip(at: usize): void {
  const unit = u32((at - base) >> UNIT_BITS)
  const byte = bitmap + (unit >> 3)
  store<u8>(byte, u32(load<u8>(byte)) ^ (1 << (unit & 7)))
}

function link(at: usize, order: u32): void {
  const head = HEADS + (order << 2)
  const next = load<usize>(head)
  store<usize>(at, next)
  store<usize>(at, 0, 4)
  store<u32>(at, order, 8)
  if (next !== 0) store<usize>(next, at, 4)
  store<usize>(head, at)
  flip(at)
}

function unlink(at: usize, order: u32): void {
  const next = load<usize>(at)
  const previous = load<usize>(at, 4)
  if (next !== 0) store<usize>(next, previous, 4)
  store<usize>(previous !== 0 ? previous : HEADS + (order << 2), next)
  flip(at)
}
