/**
 * The WebAssembly module and one instance of it: loading, memory, copying in and out. The only file
 * that knows how the module is reached; what its exports mean is written in assembly/index.ts.
 *
 * A module is compiled once for each process, on first use and synchronously. Every forest has an
 * instance of its own. Not promised: anything after a failed assertion of a debug build.
 */
import { readFileSync } from 'node:fs'
import { HearsayError } from '../errors.ts'
import { checkKey, DEPTH_MAX, DIGEST_BYTES, refuse, SLOTS } from './limits.ts'

/** `debug` asserts what the host owes, and is slow. */
export type Build = 'release' | 'debug'

export interface CoreInit {
  /** @default 'release' */
  readonly build?: Build
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
  readonly PLAIN: Constant
  readonly KEYED: Constant
  open(arenaBytes: number): number
  setKey(key: number): void
  allocate(bytes: number): number
  release(block: number, bytes: number): void
  usedBytes(): number
  hashRows(mode: number, rows: number, offsets: number, count: number, out: number): void
  addRows(slot: number, tokens: number, digests: number, count: number): number
  removeRows(slot: number, tokens: number, digests: number, count: number): number
  rowsOf(slot: number): number
  depthOf(slot: number): number
  reset(slot: number, depth: number): number
  levelOf(slot: number, depth: number, level: number, first: number): number
  openGroup(slots: number, count: number): number
  groupDepth(group: number): number
  groupLevel(group: number, level: number, first: number): number
  freeGroup(group: number): void
  difference(a: number, b: number, count: number, out: number): number
}

/** The little of the WebAssembly API that is used here; its types otherwise come with a browser. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown }
}

/** The meaning of the exports that this code was written for. */
const ABI = 1

/** Bytes of the block through which arguments and short rows go in. */
export const STAGE_BYTES = 65_536

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
    const instance = new WebAssembly.Instance(moduleOf(init.build ?? 'release'), {
      env: { abort: failAssertion }
    })
    this.exports = instance.exports as CoreExports
    checkBuild(this.exports)
    this.#arenaBytesMax = checkArena(init.arenaBytesMax, this.exports.ARENA_BYTES_MAX.value)
    const open = this.exports.open(this.#arenaBytesMax) !== 0
    this.#bytes = new Uint8Array(this.exports.memory.buffer)
    this.#data = new DataView(this.exports.memory.buffer)
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
