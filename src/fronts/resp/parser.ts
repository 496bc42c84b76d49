/**
 * The request side of RESP as a machine: bytes in, commands out, however the bytes were cut.
 *
 * Promised: a length is checked before anything is allocated for it; work is linear in the bytes
 * pushed; whatever comes in, the only thing thrown is `RespProtocolError`, after which the
 * connection must be closed. Not promised: that a command exists or makes sense.
 */
import { splitInline } from './inline.ts'
import { argumentsMax, bulkBytesMax, commandBytesMax, lineBytesMax } from './limits.ts'

/** The bytes are not RESP. The message is what Redis says after `ERR Protocol error: `. */
export class RespProtocolError extends Error {}

const CR = 0x0d
const LF = 0x0a
const ARRAY = 0x2a
const BULK = 0x24
const empty = new Uint8Array(0)

export class RespParser {
  #buffer: Uint8Array = empty
  #at = 0
  #end = 0
  /** Where the search for a line end goes on; never before `#at`. */
  #scanned = 0
  /** The command being read: what it has so far and how many arguments are missing. */
  #args: Uint8Array[] = []
  #missing = 0
  #size = 0
  /** Length of the argument whose header has been read, or -1. */
  #bulk = -1

  /** Takes the bytes over: the caller must not change them afterwards. */
  push(chunk: Uint8Array): void {
    if (this.#at === this.#end) {
      this.#buffer = chunk
      this.#at = 0
      this.#end = chunk.length
      this.#scanned = 0
    } else {
      this.#append(chunk)
    }
  }

  /**
   * The next whole command, never empty, or `undefined` until more is pushed. The arguments are the
   * caller's. Throws `RespProtocolError`.
   */
  next(): Uint8Array[] | undefined {
    for (;;) {
      const command = this.#missing > 0 ? this.#readBulks() : this.#readStart()
      if (command === undefined) return undefined
      if (command.length > 0) return command
    }
  }

  /** An empty array stands for "nothing yet, but go on". */
  #readStart(): Uint8Array[] | undefined {
    if (this.#at === this.#end) return undefined
    const isArray = this.#buffer[this.#at] === ARRAY
    const line = this.#line(isArray ? 'too big mbulk count string' : 'too big inline request')
    if (line === undefined) return undefined
    if (!isArray) return inline(line)
    const count = integer(line.subarray(1))
    if (count === undefined || count > argumentsMax) fail('invalid multibulk length')
    this.#args = []
    this.#size = 0
    this.#missing = Math.max(count, 0)
    return []
  }

  #readBulks(): Uint8Array[] | undefined {
    while (this.#missing > 0) {
      if (this.#bulk < 0 && !this.#readHeader()) return undefined
      if (this.#end - this.#at < this.#bulk + 2) return undefined
      this.#takeBulk()
    }
    return this.#args
  }

  #readHeader(): boolean {
    const line = this.#line('too big bulk count string')
    if (line === undefined) return false
    if (line[0] !== BULK) fail(`expected '$', got '${printable(line[0])}'`)
    const length = integer(line.subarray(1))
    if (length === undefined || length < 0 || length > bulkBytesMax) fail('invalid bulk length')
    this.#size += length
    if (this.#size > commandBytesMax) fail('too big request')
    this.#bulk = length
    return true
  }

  #takeBulk(): void {
    const end = this.#at + this.#bulk
    if (this.#buffer[end] !== CR || this.#buffer[end + 1] !== LF) {
      fail('expected CRLF after the bulk')
    }
    this.#args.push(this.#buffer.slice(this.#at, end))
    this.#advance(end + 2)
    this.#bulk = -1
    this.#missing--
  }

  /** The line without its end, valid until the next push; `undefined` until it is whole. */
  #line(tooLong: string): Uint8Array | undefined {
    const found = this.#buffer.subarray(0, this.#end).indexOf(LF, this.#scanned)
    const length = (found < 0 ? this.#end : found) - this.#at
    if (length > lineBytesMax) fail(tooLong)
    if (found < 0) {
      this.#scanned = this.#end
      return undefined
    }
    const end = found > this.#at && this.#buffer[found - 1] === CR ? found - 1 : found
    const line = this.#buffer.subarray(this.#at, end)
    this.#advance(found + 1)
    return line
  }

  #advance(to: number): void {
    this.#at = to
    this.#scanned = to
  }

  /** Room that is grown is our own; a chunk that was taken over is never written to. */
  #append(chunk: Uint8Array): void {
    if (this.#end + chunk.length > this.#buffer.length) this.#makeRoom(chunk.length)
    this.#buffer.set(chunk, this.#end)
    this.#end += chunk.length
  }

  /** Twice what is needed, so that a value in many pieces is copied a few times only. */
  #makeRoom(bytes: number): void {
    const kept = this.#buffer.subarray(this.#at, this.#end)
    this.#buffer = new Uint8Array((kept.length + bytes) * 2)
    this.#buffer.set(kept)
    this.#scanned -= this.#at
    this.#at = 0
    this.#end = kept.length
  }
}

function inline(line: Uint8Array): Uint8Array[] {
  const words = splitInline(line)
  if (words === undefined) fail('unbalanced quotes in request')
  return words
}

/** A canonical decimal of at most ten digits. */
function integer(bytes: Uint8Array): number | undefined {
  if (bytes.length > 11) return undefined
  const digits = String.fromCharCode(...bytes)
  return /^(0|-?[1-9][0-9]{0,9})$/.test(digits) ? Number(digits) : undefined
}

function printable(byte: number | undefined): string {
  return byte !== undefined && byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '?'
}

function fail(message: string): never {
  throw new RespProtocolError(message)
}
