/**
 * The sizes of the forest and the checks of its arguments, shared by both implementations so that
 * they refuse the same calls with the same words. The WebAssembly module exports its own sizes; it
 * is refused at start if they are not these.
 */
import { HearsayError } from '../errors.ts'

/** The key space has this many slots. */
export const SLOTS = 16_384

/** A tree has at most 2^16 leaves. */
export const DEPTH_MAX = 16

/** A tree over given hashes has at most 2^24 leaves. */
export const LEAVES_MAX = 2 ** 24

/** Bytes of a digest, a hash or a key. */
export const DIGEST_BYTES = 32

/**
 * A leaf should not have more rows than this. Leaves then have 6 to 12, about 8 where slots differ
 * in size, which takes no more than 16 bytes a row.
 */
const LEAF_ROWS = 12

/** The smallest depth at which `rows` rows are at most 12 a leaf on average, but at most 16. */
export function depthFor(rows: number): number {
  const leaves = Math.ceil(rows / LEAF_ROWS)
  if (leaves <= 1) return 0
  return leaves > 2 ** DEPTH_MAX ? DEPTH_MAX : 32 - Math.clz32(leaves - 1)
}

/** The depth of a group of `count` slots: levels above the leaves. */
export function groupDepthFor(count: number): number {
  return count < 2 ? 0 : 32 - Math.clz32(count - 1)
}

export function refuse(message: string): never {
  throw new HearsayError('ERR_ARGUMENT', message)
}

export function checkKey(key: Uint8Array): void {
  if (key.length !== DIGEST_BYTES) {
    refuse(`The key has ${key.length} bytes; pass a key of ${DIGEST_BYTES} bytes.`)
  }
}

export function checkSlot(slot: number): void {
  if (!isBelow(slot, SLOTS)) {
    refuse(`There is no slot ${slot}; pass a whole number from 0 to ${SLOTS - 1}.`)
  }
}

export function checkRow(slot: number, tokenHigh: number, digest: Uint8Array): void {
  checkSlot(slot)
  if (!isBelow(tokenHigh, 2 ** 32)) {
    refuse(`${tokenHigh} is not half a token; pass a whole number from 0 to ${2 ** 32 - 1}.`)
  }
  if (digest.length !== DIGEST_BYTES) {
    refuse(`The digest has ${digest.length} bytes; pass one of ${DIGEST_BYTES} bytes.`)
  }
}

export function checkDepth(depth: number, max: number): void {
  if (!isBelow(depth, max + 1)) {
    refuse(`A depth of ${depth} cannot be had here; pass a whole number from 0 to ${max}.`)
  }
}

/** That nodes `first` to `first + count` lie within `level` of a tree of `depth`. */
export function checkLevel(depth: number, level: number, first: number, count: number): void {
  if (!isBelow(level, depth + 1)) {
    refuse(`The tree has no level ${level}; pass a whole number from 0 to ${depth}.`)
  }
  const width = 2 ** level
  if (!isBelow(first, width + 1) || !isBelow(count, width - first + 1)) {
    refuse(`Level ${level} has ${width} nodes; ${count} nodes from node ${first} on are not in it.`)
  }
}

/** That each of 2^depth leaves has a count and a sum, and no more rows than can be counted. */
export function checkLeafValues(depth: number, counts: Uint32Array, sums: Uint8Array): void {
  const leaves = 2 ** depth
  if (counts.length !== leaves || sums.length !== leaves * DIGEST_BYTES) {
    const given = `${counts.length} counts and ${sums.length} bytes of sums`
    refuse(`${given} are not those of ${leaves} leaves; pass one of each, a sum of 32 bytes.`)
  }
  const rows = counts.reduce((sum, count) => sum + count, 0)
  if (rows >= 2 ** 32) refuse(`A slot cannot have ${rows} rows; pass the counts it was saved with.`)
}

export function checkGroup(slots: Uint16Array): void {
  if (slots.length > SLOTS) {
    refuse(`A group of ${slots.length} slots is too large; pass each of the ${SLOTS} at most once.`)
  }
  slots.forEach(checkSlot)
}

export function checkPair(a: Uint8Array, b: Uint8Array): void {
  if (a.length !== b.length || a.length % DIGEST_BYTES !== 0) {
    refuse(
      `Hashes of ${a.length} and ${b.length} bytes cannot be compared; pass equally many hashes ` +
        `of ${DIGEST_BYTES} bytes on both sides.`
    )
  }
}

/** That row i is the bytes `offsets[i]` to `offsets[i + 1]` of `rows`. Returns how many rows. */
export function checkPacked(rows: Uint8Array, offsets: Uint32Array): number {
  const count = offsets.length - 1
  if (count < 1) {
    refuse(`${offsets.length} offsets make no row; pass one for each row and one for the end.`)
  }
  for (let i = 0; i < count; i++) {
    if ((offsets[i] as number) > (offsets[i + 1] as number)) {
      refuse(`Row ${i} ends before it begins; pass offsets in ascending order.`)
    }
  }
  if ((offsets[count] as number) > rows.length) {
    refuse(`The last row ends at byte ${offsets[count]} of ${rows.length}; pass all the bytes.`)
  }
  return count
}

/** That `count` hashes fit into `out` from byte `at` on. */
export function checkOut(out: Uint8Array, at: number, count: number): void {
  if (!isBelow(at, out.length + 1) || out.length - at < count * DIGEST_BYTES) {
    const room = `${out.length} bytes have no room for ${count} hashes from byte ${at} on`
    refuse(`${room}; pass ${DIGEST_BYTES} bytes for each.`)
  }
}

export function checkLeaves(leaves: number): void {
  if (!isBelow(leaves - 1, LEAVES_MAX)) {
    refuse(`A tree cannot have ${leaves} leaves; pass a whole number from 1 to ${LEAVES_MAX}.`)
  }
}

/** That leaves `first` to `first + count` are in a tree of `leaves`. */
export function checkRange(leaves: number, first: number, count: number): void {
  if (!isBelow(first, leaves + 1) || !isBelow(count, leaves - first + 1)) {
    refuse(`The tree has ${leaves} leaves; ${count} leaves from leaf ${first} on are not in it.`)
  }
}

/** That `hashes` are as many hashes as there are positions, which are all below `leaves`. */
export function checkPositions(leaves: number, positions: Uint32Array, hashes: Uint8Array): void {
  if (hashes.length !== positions.length * DIGEST_BYTES) {
    const given = `${positions.length} positions and ${hashes.length} bytes of hashes`
    refuse(`${given} do not match; pass ${DIGEST_BYTES} bytes for each position.`)
  }
  for (let i = 0; i < positions.length; i++) {
    const position = positions[i] as number
    if (position >= leaves) checkRange(leaves, position, 1)
  }
}

/** That `bytes` are whole hashes. Returns how many. */
export function checkHashes(bytes: Uint8Array): number {
  const count = bytes.length / DIGEST_BYTES
  if (Number.isInteger(count)) return count
  return refuse(`${bytes.length} bytes are not hashes; pass ${DIGEST_BYTES} bytes for each.`)
}

export function freedTree(): HearsayError {
  return new HearsayError('ERR_CLOSED', 'This tree was freed; make a new one from its hashes.')
}

export function missingRow(slot: number): HearsayError {
  return new HearsayError(
    'ERR_ARGUMENT',
    `Slot ${slot} has no row in the leaf of this token; remove only rows that were added.`
  )
}

export function freedGroup(): HearsayError {
  return new HearsayError('ERR_CLOSED', 'This group was freed; make a new one from its slots.')
}

function isBelow(value: number, end: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < end
}
