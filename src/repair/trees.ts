/**
 * Shows the Merkle trees of this node to people, and beside those of a peer: where do they differ?
 * Reads hashes and no rows, and moves nothing.
 */
import type { Membership } from '../cluster/membership.ts'
import type { Forest } from '../digest/forest.ts'
import { DIGEST_BYTES } from '../digest/limits.ts'
import { HearsayError } from '../errors.ts'
import type { SlotMap, SlotTree } from '../options.ts'
import { SLOTS } from '../ring/slot.ts'
import { equal, hex } from '../util/bytes.ts'
import type { NodeId } from '../util/node-id.ts'
import {
  decodeShownRoots,
  decodeShownTree,
  decodeTreeRequest,
  encodeShownRoots,
  encodeShownTree,
  encodeTreeRequest,
  SHOWN_BYTES,
  SHOWN_DEPTH_MAX,
  type ShownRoots,
  type ShownTree
} from '../wire/tree.ts'

export interface TreesComponents {
  readonly forest: Forest
  readonly membership: Membership
}

const DEADLINE_MS = 10_000

export class Trees {
  readonly #components: TreesComponents

  constructor(components: TreesComponents) {
    this.#components = components
    components.membership.serve('tree', (from, body) => Promise.resolve(this.#answer(from, body)))
  }

  /** The tree of one slot; beside a peer's, both folded to the shallower of the two. */
  async slot(slot: number, peer?: NodeId, signal?: AbortSignal): Promise<SlotTree> {
    signal?.throwIfAborted()
    const { forest } = this.#components
    const depth = Math.min(forest.depth(slot), SHOWN_DEPTH_MAX)
    if (peer === undefined) return treeOf(slot, this.#tree(slot, depth))
    const asked = encodeTreeRequest({ slot, depth })
    const theirs = decodeShownTree(await this.#ask(peer, asked, signal))
    if (theirs === undefined || theirs.depth > depth) throw malformed(peer)
    return treeOf(slot, this.#tree(slot, theirs.depth), theirs)
  }

  /** How many rows every slot has; beside a peer, which of the slots that both own differ. */
  async map(peer?: NodeId, signal?: AbortSignal): Promise<SlotMap> {
    signal?.throwIfAborted()
    const own = this.#roots()
    const rows = [...own.rows]
    if (peer === undefined) return { rows, differing: undefined }
    const asked = encodeTreeRequest({ slot: undefined, depth: 0 })
    const theirs = decodeShownRoots(await this.#ask(peer, asked, signal))
    if (theirs === undefined) throw malformed(peer)
    const differs = (slot: number) =>
      this.#isShared(slot, peer) && !equal(shown(own.hashes, slot), shown(theirs.hashes, slot))
    return { rows, differing: Array.from({ length: SLOTS }, (_, slot) => slot).filter(differs) }
  }

  async #ask(peer: NodeId, body: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    const options = { deadlineMs: DEADLINE_MS, signal }
    try {
      return await this.#components.membership.ask(peer, 'tree', body, options)
    } catch (error) {
      // The network says only that it was given up.
      signal?.throwIfAborted()
      throw error
    }
  }

  #answer(from: NodeId, body: Uint8Array): Uint8Array {
    const request = decodeTreeRequest(body)
    if (request === undefined) throw malformed(from)
    const { slot, depth } = request
    if (slot === undefined) return encodeShownRoots(this.#roots())
    return encodeShownTree(this.#tree(slot, Math.min(depth, this.#components.forest.depth(slot))))
  }

  #isShared(slot: number, peer: NodeId): boolean {
    const { view, id } = this.#components.membership
    const { all } = view.ownersOf(slot)
    return all.includes(peer) && all.includes(id)
  }

  #tree(slot: number, depth: number): ShownTree {
    const { forest } = this.#components
    const hashes = new Uint8Array((2 ** (depth + 1) - 1) * SHOWN_BYTES)
    for (let level = 0; level <= depth; level++) {
      const whole = forest.level(slot, depth, level, 0, 2 ** level)
      cutInto(whole, hashes, 2 ** level - 1)
    }
    return { rows: forest.rows(slot), depth, hashes }
  }

  #roots(): ShownRoots {
    const { forest } = this.#components
    const rows = new Uint32Array(SLOTS)
    const hashes = new Uint8Array(SLOTS * SHOWN_BYTES)
    for (let slot = 0; slot < SLOTS; slot++) {
      rows[slot] = forest.rows(slot)
      cutInto(forest.root(slot), hashes, slot)
    }
    return { rows, hashes }
  }
}

/** Writes whole hashes, cut, from position `first` on. */
function cutInto(whole: Uint8Array, out: Uint8Array, first: number): void {
  for (let i = 0; i * DIGEST_BYTES < whole.length; i++) {
    const from = i * DIGEST_BYTES
    out.set(whole.subarray(from, from + SHOWN_BYTES), (first + i) * SHOWN_BYTES)
  }
}

function shown(hashes: Uint8Array, i: number): Uint8Array {
  return hashes.subarray(i * SHOWN_BYTES, (i + 1) * SHOWN_BYTES)
}

function treeOf(slot: number, own: ShownTree, peer?: ShownTree): SlotTree {
  const tree = { slot, rows: own.rows, depth: own.depth, hashes: texts(own) }
  return peer === undefined ? tree : { ...tree, peer: { rows: peer.rows, hashes: texts(peer) } }
}

function texts({ hashes }: ShownTree): string[] {
  return Array.from({ length: hashes.length / SHOWN_BYTES }, (_, i) => hex(shown(hashes, i)))
}

function malformed(peer: NodeId): HearsayError {
  return new HearsayError('ERR_PROTOCOL', `Hearsay could not read a tree shown by ${peer}.`)
}
