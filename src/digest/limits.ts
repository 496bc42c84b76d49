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

/** Bytes of a digest, a hash or a key. */
export const DIGEST_BYTES = 32

/** A leaf should not have more rows than this. */
const LEAF_ROWS = 8

/** The smallest depth at which `rows` rows are at most 8 a leaf on average, but at most 16. */
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
