/**
 * The WebAssembly module and one instance of it: loading, memory, copying in and out. The only file
 * that knows how the module is reached; what its exports mean is written in assembly/index.ts.
 *
 * A module is compiled once for each process, on first use and synchronously. Every forest has an
 * instance of its own. Not promised: anything after a failed assertion of a debug build.
 */
import { readFileSync } from 'node:fs'
import { HearsayError } from '../errors.ts'
import { checkKey, DEPTH_MAX, DIGEST_BYTES, LEAVES_MAX, refuse, SLOTS } from './limits.ts'

/**
 * `release` uses SIMD; `scalar` is the same source without it, for machines that have none; `debug`
 * asserts what the host owes, and is slow. All give the same hashes.
 */
export type Build = 'release' | 'scalar' | 'debug'

/** How many rows the kernels hash at once, at most. */
export type Lanes = 8 | 4 | 1

/** What is the fastest where; the hashes are the same. `calibrate` finds it out. */
export interface Kernels {
  /** Rows, chunks and parents that are hashed at once. The scalar build has one lane. */
  readonly lanes: Lanes
  /** Whether a row alone is hashed with vectors, where there are any. */
  readonly vector: boolean
}

export interface CoreInit extends Partial<Kernels> {
  /** @default 'release', or 'scalar' where there is no SIMD */
  readonly build?: Build
  /**
   * Eight keep a processor busy whose vector instructions take two cycles; where they take one,
   * four do, with fewer loads and stores. `calibrate` measures which it is.
   *
   * @default 8
   */
  readonly lanes?: Lanes
  /**
   * Whether vectors or words are the faster for a row alone depends on the processor, and either
   * wins clearly where it does. `calibrate` measures it.
   *
   * @default false
   */
  readonly vector?: boolean
  /**
   * How many bytes trees and staged rows may take together. About 13 bytes a row are needed where
   * leaves are full.
   *
   * @default 1_073_741_824, which is also the most
   */
  readonly arenaBytesMax?: number
}

interface Constant {
  readonly value: number
}

interface CoreExports {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly ABI: Constant
  readonly SLOTS: Constant
  readonly DEPTH_MAX: Constant
  readonly DIGEST_BYTES: Constant
  readonly PADDING_BYTES: Constant
  readonly ARENA_BYTES_MAX: Constant
  readonly LEAVES_MAX: Constant
  readonly SIMD: Constant
  readonly PLAIN: Constant
  readonly KEYED: Constant
  open(arenaBytes: number): number
  setLanes(lanes: number): void
  setVector(wanted: number): void
  runsOf(lanes: number): number
  setKey(key: number): void
  allocate(bytes: number): number
  release(block: number, bytes: number): void
  usedBytes(): number
  hashRow(mode: number, row: number, length: number, out: number): void
  hashRows(mode: number, rows: number, offsets: number, count: number, out: number): void
  addRows(slot: number, tokens: number, digests: number, count: number): number
  removeRows(slot: number, tokens: number, digests: number, count: number): number
  rowsOf(slot: number): number
  depthOf(slot: number): number
  reset(slot: number, depth: number): number
  sumsOf(slot: number): number
  countsOf(slot: number): number
  restore(slot: number, depth: number): number
  restored(slot: number): void
  levelOf(slot: number, depth: number, level: number, first: number): number
  openGroup(slots: number, count: number): number
  groupDepth(group: number): number
  groupRefresh(group: number, most: number): number
  groupLevel(group: number, level: number, first: number): number
  freeGroup(group: number): void
  openTree(leaves: number): number
  freeTree(tree: number): void
  treeDepthOf(tree: number): number
  leavesOf(tree: number, first: number): number
  leavesChanged(tree: number, first: number, count: number): void
  setLeaves(tree: number, positions: number, hashes: number, count: number): void
  treeLevel(tree: number, level: number, first: number): number
  difference(a: number, b: number, count: number, out: number): number
}

/** The little of the WebAssembly API that is used here; its types otherwise come with a browser. */
declare const WebAssembly: {
  validate(bytes: Uint8Array): boolean
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown }
}

/** The meaning of the exports that this code was written for. */
const ABI = 4

/**
 * Bytes of the block through which arguments and short rows go in. At its end the queues are
 * emptied, however few rows wait in each: with half as many bytes, mixed lengths cost 4 % more.
 */
export const STAGE_BYTES = 262_144

/** A module of one function, which returns a vector. */
const SIMD_PROBE = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0],
  ...[10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11]
)

/** The fastest build that runs on this machine. It has SIMD if `probe` is valid here. */
export function fastestBuild(probe: Uint8Array = SIMD_PROBE): Build {
  return WebAssembly.validate(probe) ? 'release' : 'scalar'
}

const modules = new Map<Build, object>()

function moduleOf(build: Build): object {
  const known = modules.get(build)
  if (known !== undefined) return known
  const module = new WebAssembly.Module(read(new URL(`../../build/${build}.wasm`, import.meta.url)))
  modules.set(build, module)
  return module
}

function read(url: URL): Uint8Array {
  try {
    return readFileSync(url)
  } catch (cause) {
    const message = `The WebAssembly module ${url.pathname} cannot be read; run \`npm run build\`.`
    throw new HearsayError('ERR_INTERNAL', message, { cause })
  }
}

/** A build that is older or newer than this code must not be run: it would hash differently. */
function checkBuild(exports: CoreExports): void {
  const same =
    exports.ABI?.value === ABI &&
    exports.SLOTS.value === SLOTS &&
    exports.DEPTH_MAX.value === DEPTH_MAX &&
    exports.LEAVES_MAX.value === LEAVES_MAX &&
    exports.DIGEST_BYTES.value === DIGEST_BYTES
  if (!same) {
    const message = 'The WebAssembly module is of another version; run `npm run build` again.'
    throw new HearsayError('ERR_INTERNAL', message)
  }
}

function checkArena(bytes: number | undefined, most: number): number {
  if (bytes === undefined) return most
  if (Number.isInteger(bytes) && bytes > 0 && bytes <= most) return bytes
  return refuse(`An arena of ${bytes} bytes cannot be had; pass a whole number from 1 to ${most}.`)
}

function checkLanes(lanes: number): number {
  if (lanes === 8 || lanes === 4 || lanes === 1) return lanes
  return refuse(`There is no kernel of ${lanes} lanes; pass 8, 4 or 1.`)
}

/** Whether this host stores numbers the way linear memory does. */
const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/** Up to so many, storing numbers one by one is faster than making a view of memory. */
const FEW_WORDS = 32

/** One instance with its memory. Addresses are below 2^31, so they need no care for the sign. */
export class Core {
  readonly exports: CoreExports
  /** A block of STAGE_BYTES for the arguments of one call, whoever makes it. */
  readonly stage: number
  readonly #arenaBytesMax: number
  #bytes: Uint8Array
  #data: DataView

  constructor(key: Uint8Array, init: CoreInit = {}) {
    checkKey(key)
    const instance = new WebAssembly.Instance(moduleOf(init.build ?? fastestBuild()), {
      env: { abort: failAssertion }
    })
    this.exports = instance.exports as CoreExports
    checkBuild(this.exports)
    this.#arenaBytesMax = checkArena(init.arenaBytesMax, this.exports.ARENA_BYTES_MAX.value)
    const open = this.exports.open(this.#arenaBytesMax) !== 0
    this.#bytes = new Uint8Array(this.exports.memory.buffer)
    this.#data = new DataView(this.exports.memory.buffer)
    this.exports.setLanes(checkLanes(init.lanes ?? 8))
    this.exports.setVector(init.vector === true ? 1 : 0)
    if (!open) throw this.outOfMemory()
    this.stage = this.allocate(STAGE_BYTES)
    this.bytes().set(key, this.stage)
    this.exports.setKey(this.stage)
  }

  /** All of linear memory. Valid until the next call of an export: growing moves it. */
  bytes(): Uint8Array {
    if (this.#bytes.length === 0) this.#bytes = new Uint8Array(this.exports.memory.buffer)
    return this.#bytes
  }

  /** As `bytes`. Numbers in linear memory are little endian, whatever the host is. */
  data(): DataView {
    if (this.#data.buffer.byteLength === 0) this.#data = new DataView(this.exports.memory.buffer)
    return this.#data
  }

  /** Stores numbers of 32 bits from `at` on, which is a multiple of 4. */
  storeWords(words: Uint32Array, at: number): void {
    if (LITTLE_ENDIAN && words.length > FEW_WORDS) {
      new Uint32Array(this.bytes().buffer, at, words.length).set(words)
    } else {
      const data = this.data()
      for (let i = 0; i < words.length; i++) data.setUint32(at + 4 * i, words[i] as number, true)
    }
  }

  /** A copy, owned by the caller. */
  copy(from: number, length: number): Uint8Array {
    return this.bytes().slice(from, from + length)
  }

  /** The caller's until it gives it back with `release` and the same length. */
  allocate(bytes: number): number {
    const block = bytes > this.#arenaBytesMax ? 0 : this.exports.allocate(bytes)
    if (block === 0) throw this.outOfMemory()
    return block
  }

  outOfMemory(): HearsayError {
    return new HearsayError(
      'ERR_OVERLOADED',
      `The Merkle forest has used up its ${this.#arenaBytesMax} bytes; spread the rows over more ` +
        'nodes, or allow it more memory.'
    )
  }
}

function failAssertion(_message: number, _file: number, line: number, column: number): never {
  throw new Error(`assertion failed in the WebAssembly module, line ${line}, column ${column}`)
}
