/**
 * The packed parts of exchange messages: hashes, lists, wants, findings, rows. Each position is written as
 * the step from the one before, and a shape only where it differs from the one before, since
 * thousands of them follow each other. Everything is checked against the sizes that there are: what is
 * malformed or absurd reads as `undefined`.
 */
import {
  HASH_BYTES,
  SLOT_TREE,
  SUMMARY_BYTES,
  type Found,
  type HashBlock,
  type RowItem,
  type RowList,
  type Want
} from '../digest/exchange-message.ts'
import { KEY_BYTES_MAX, TOKEN_BYTES } from '../ring/row-key.ts'
import { SLOTS } from '../ring/slot.ts'
import { Packer, Unpacker } from './packing.ts'

const DEPTH_MAX = 16
const FROM = 1
const TO = 2

/** Shapes of a block: its depth, its level and how many hashes it has. */
type Shape = readonly [number, number, number]

export function packBlocks(blocks: readonly HashBlock[]): Uint8Array {
  const out = new Packer()
  let [tree, first, shape]: [number, number, Shape] = [SLOT_TREE, 0, [0, 0, 0]]
  for (const block of blocks) {
    const count = block.hashes.length / HASH_BYTES
    const same = shape[0] === block.depth && shape[1] === block.level && shape[2] === count
    out.signed((block.tree - tree) * 2 + (same ? 0 : 1))
    if (block.tree !== tree) first = 0
    ;[tree, shape] = [block.tree, [block.depth, block.level, count]]
    if (!same) for (const part of shape) out.number(part)
    out.signed(block.first - first)
    first = block.first + count
    out.bytes(block.hashes)
  }
  return out.done()
}

export function unpackBlocks(bytes: Uint8Array, hashesMax: number): HashBlock[] | undefined {
  const from = new Unpacker(bytes)
  const blocks: HashBlock[] = []
  let [tree, end, hashes] = [SLOT_TREE, 0, 0]
  let shape: Shape = [0, 0, 0]
  while (from.left > 0 && from.ok) {
    const step = from.signed()
    const same = step % 2 === 0
    const before = tree
    tree += (same ? step : step - 1) / 2
    if (!same) shape = [from.number(), from.number(), from.number()]
    const [depth, level, count] = shape
    const first = from.signed() + (tree === before ? end : 0)
    end = first + count
    hashes += Math.max(1, count)
    const block = { tree, depth, level, first, hashes: from.bytes(count * HASH_BYTES) }
    if (!isBlock(block, count) || hashes > hashesMax) return undefined
    blocks.push(block)
  }
  return from.ok ? blocks : undefined
}

/** No hashes at all say something only of a whole slot. */
function isBlock({ tree, depth, level, first }: HashBlock, count: number): boolean {
  if (tree < SLOT_TREE || tree >= SLOTS || depth > DEPTH_MAX || level > depth) return false
  if (count === 0 && (tree === SLOT_TREE || level > 0)) return false
  return first >= 0 && first + count <= 2 ** level
}

export function packLists(lists: readonly RowList[]): Uint8Array {
  const out = new Packer()
  let [tree, depth, next] = [0, 0, 0]
  for (const list of lists) {
    const cut = (list.from ? FROM : 0) + (list.to ? TO : 0)
    const plain = list.depth === depth && cut === 0
    out.signed((list.tree - tree) * 2 + (plain ? 0 : 1))
    if (list.tree !== tree) next = 0
    ;[tree, depth] = [list.tree, list.depth]
    if (!plain) out.number(depth * 4 + cut)
    out.signed(list.leaf - next)
    next = list.leaf
    if (list.from) out.bytes(list.from)
    if (list.to) out.bytes(list.to)
    out.number(list.rows.length / SUMMARY_BYTES)
    out.bytes(list.rows)
  }
  return out.done()
}

export function unpackLists(bytes: Uint8Array, listsMax: number): RowList[] | undefined {
  const from = new Unpacker(bytes)
  const lists: RowList[] = []
  let [tree, depth, next] = [0, 0, 0]
  while (from.left > 0 && from.ok) {
    const step = from.signed()
    const plain = step % 2 === 0
    const before = tree
    tree += (plain ? step : step - 1) / 2
    const shape = plain ? depth * 4 : from.number()
    depth = Math.floor(shape / 4)
    const leaf = from.signed() + (tree === before ? next : 0)
    next = leaf
    const start = shape & FROM ? from.bytes(TOKEN_BYTES) : undefined
    const to = shape & TO ? from.bytes(TOKEN_BYTES) : undefined
    const rows = from.bytes(from.number() * SUMMARY_BYTES)
    if (!isTree(tree) || depth > DEPTH_MAX || leaf < 0 || leaf >= 2 ** depth) return undefined
    if (lists.length >= listsMax) return undefined
    lists.push({ tree, depth, leaf, from: start, to, rows })
  }
  return from.ok ? lists : undefined
}

export function packWants(wants: readonly Want[]): Uint8Array {
  const out = new Packer()
  let before = 0
  for (const { tree, token } of wants) {
    out.signed(tree - before)
    out.bytes(token)
    before = tree
  }
  return out.done()
}

export function unpackWants(bytes: Uint8Array, wantsMax: number): Want[] | undefined {
  const from = new Unpacker(bytes)
  const wants: Want[] = []
  let tree = 0
  while (from.left > 0 && from.ok) {
    tree += from.signed()
    const token = from.bytes(TOKEN_BYTES)
    if (!isTree(tree) || wants.length >= wantsMax) return undefined
    wants.push({ tree, token })
  }
  return from.ok ? wants : undefined
}

export function packFound(found: readonly Found[]): Uint8Array {
  const out = new Packer()
  let before = 0
  for (const { index, newest } of found) {
    out.signed((index - before) * 2 + (newest === undefined ? 1 : 0))
    if (newest !== undefined) out.wide(newest)
    before = index
  }
  return out.done()
}

export function unpackFound(bytes: Uint8Array, indexMax: number): Found[] | undefined {
  const from = new Unpacker(bytes)
  const found: Found[] = []
  let index = 0
  while (from.left > 0 && from.ok) {
    const step = from.signed()
    const missing = step % 2 !== 0
    index += (missing ? step - 1 : step) / 2
    if (index < 0 || index > indexMax || found.length > indexMax) return undefined
    found.push({ index, newest: missing ? undefined : from.wide() })
  }
  return from.ok ? found : undefined
}

/** Each key and its row, behind their lengths. */
export function packRows(rows: readonly RowItem[]): Uint8Array {
  const out = new Packer()
  for (const { key, bytes } of rows) {
    out.number(key.length)
    out.number(bytes.length)
    out.bytes(key)
    out.bytes(bytes)
  }
  return out.done()
}

export function unpackRows(bytes: Uint8Array, rowsMax: number): RowItem[] | undefined {
  const from = new Unpacker(bytes)
  const rows: RowItem[] = []
  while (from.left > 0 && from.ok) {
    const [keyLength, length] = [from.number(), from.number()]
    const key = from.bytes(keyLength)
    const row = { key, bytes: from.bytes(length) }
    if (keyLength === 0 || keyLength > KEY_BYTES_MAX || rows.length >= rowsMax) return undefined
    rows.push(row)
  }
  return from.ok ? rows : undefined
}

function isTree(tree: number): boolean {
  return tree >= 0 && tree < SLOTS
}
