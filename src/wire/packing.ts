/**
 * Numbers and bytes one after the other, without names or types: for lists of thousands. Reading takes
 * any bytes: what is not there reads as 0, and `ok` says so at the end.
 */

/** Seven bits a byte, the lowest first. As large as a number can be exactly. */
const NUMBER_BYTES_MAX = 8
const ROOM = 256

export class Packer {
  #bytes = new Uint8Array(ROOM)
  #length = 0

  byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
  }

  /** A whole number, not negative. */
  number(value: number): void {
    let rest = value
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.byte((rest % 128) | 128)
    this.byte(rest)
  }

  /** A whole number of either sign: small ones take little room. */
  signed(value: number): void {
    this.number(value < 0 ? -2 * value - 1 : 2 * value)
  }

  /** As they are: how many they are is for the reader to know. */
  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** 64 bits. */
  wide(value: bigint): void {
    this.#reserve(8)
    new DataView(this.#bytes.buffer).setBigUint64(this.#length, value)
    this.#length += 8
  }

  /** Owned by the caller. */
  done(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #reserve(more: number): void {
    const needed = this.#length + more
    if (needed <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length))
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = larger
  }
}

export class Unpacker {
  readonly #bytes: Uint8Array
  #at = 0
  #ok = true

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Whether all that was asked for was there. */
  get ok(): boolean {
    return this.#ok
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  byte(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) return this.#refuse()
    this.#at++
    return byte
  }

  number(): number {
    let value = 0
    for (let i = 0, unit = 1; i < NUMBER_BYTES_MAX; i++, unit *= 128) {
      const byte = this.byte()
      value += (byte & 127) * unit
      if (byte < 128) return Number.isSafeInteger(value) ? value : this.#refuse()
    }
    return this.#refuse()
  }

  signed(): number {
    const value = this.number()
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2
  }

  /** A view. */
  bytes(length: number): Uint8Array {
    if (length > this.left) this.#refuse()
    const from = this.#at
    this.#at = Math.min(this.#bytes.length, from + length)
    return this.#bytes.subarray(from, this.#at)
  }

  wide(): bigint {
    const bytes = this.bytes(8)
    if (bytes.length < 8) return 0n
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0)
  }

  #refuse(): number {
    this.#ok = false
    return 0
  }
}
