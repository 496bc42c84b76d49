/**
 * Rows as they lie in the store: `check (8 bytes) | encoded row` under `slot | token | key`. The
 * check is the beginning of the row digest, the keyed BLAKE3 of key and row that also feeds the
 * Merkle forest: LMDB has no page checksums, so every read of a row proves it.
 */
import type { LeafReader, LeafRow } from '../digest/exchange-rows.ts'
import type { Hasher } from '../digest/forest.ts'
import { decodeRow, encodeRowAfter, newestTimeIn } from '../lattice/encode.ts'
import type { Row } from '../lattice/row.ts'
import type { Range, Store } from '../ports.ts'
import { DIGEST_BYTES } from '../digest/limits.ts'
import {
  leafRange,
  parseRowKey,
  rowKey,
  tokenRange,
  TOKEN_BYTES,
  type RowKey
} from '../ring/row-key.ts'
import { slotOf } from '../ring/slot.ts'
import { compare, equal } from '../util/bytes.ts'

/** Where the row of a key lies. */
export interface Place {
  readonly key: Uint8Array
  readonly slot: number
  readonly token: Uint8Array
  readonly id: Uint8Array
}

/** A row that was read and proven. */
export interface Stored {
  readonly row: Row
  readonly bytes: Uint8Array
  readonly digest: Uint8Array
}

/** What is stored of a row, and its digest. */
export interface Sealed {
  readonly value: Uint8Array
  readonly digest: Uint8Array
}

export interface Encoded extends Sealed {
  /** The row alone: a view of the value. */
  readonly bytes: Uint8Array
}

/** A row under its key. */
interface Keyed {
  readonly key: Uint8Array
  readonly bytes: Uint8Array
}

/** A row as it was found, with its digest if its check holds. */
interface Checked {
  readonly parsed: RowKey
  readonly id: Uint8Array
  readonly value: Uint8Array
  readonly digest: Uint8Array | undefined
}

/** A row as it lies on disk, proven or not. */
export interface Inspected {
  readonly id: Uint8Array
  readonly token: Uint8Array
  /** Of key and value. */
  readonly bytes: number
  /** `undefined` where the check fails or the key belongs elsewhere. */
  readonly digest: Uint8Array | undefined
}

export interface Damaged {
  readonly id: Uint8Array
  readonly value: Uint8Array
}

export interface RowsComponents {
  readonly store: Store
  readonly hasher: Hasher
  /** Told of every row that fails its check; the row is left out of the answer. */
  readonly onDamage: (damaged: Damaged) => void
}

/** Of every row, this much of its digest is stored with it. */
const CHECK_BYTES = 8
const EMPTY = new Uint8Array()
/** Of the length of a key. */
const HEAD_BYTES = 2
const SCRATCH_BYTES = 64 * 1024
/** What is read of a range and hashed together. */
const READ_ROWS = 64
const READ_BYTES = 256 * 1024

class ListedRow implements LeafRow {
  readonly key: Uint8Array
  readonly token: Uint8Array
  readonly bytes: Uint8Array
  readonly digest: Uint8Array

  constructor({ key, token }: RowKey, bytes: Uint8Array, digest: Uint8Array) {
    this.key = key
    this.token = token
    this.bytes = bytes
    this.digest = digest
  }

  get newest(): bigint {
    return newestTimeIn(this.bytes) ?? 0n
  }
}

export class Rows implements LeafReader {
  readonly #store: Store
  readonly #hasher: Hasher
  readonly #onDamage: (damaged: Damaged) => void
  /** Where key and row are put together to be hashed, unless they are large. */
  readonly #scratch = new Uint8Array(SCRATCH_BYTES)

  constructor({ store, hasher, onDamage }: RowsComponents) {
    this.#store = store
    this.#hasher = hasher
    this.#onDamage = onDamage
  }

  locate(key: Uint8Array): Place {
    const slot = slotOf(key)
    const token = this.#hasher.digest(key).subarray(0, TOKEN_BYTES)
    return { key, slot, token, id: rowKey(slot, token, key) }
  }

  /** As `locate`, of many keys, which are hashed together. */
  locateAll(keys: readonly Uint8Array[]): Place[] {
    const digests = this.#hasher.digestMany(keys)
    return keys.map((key, i) => {
      const slot = slotOf(key)
      const token = digests.subarray(i * DIGEST_BYTES, i * DIGEST_BYTES + TOKEN_BYTES)
      return { key, slot, token, id: rowKey(slot, token, key) }
    })
  }

  read(place: Place): Stored | undefined {
    const value = this.#store.get('rows', place.id)
    return value && this.#prove(place.key, place.id, value)
  }

  encode(key: Uint8Array, row: Row): Encoded {
    const value = encodeRowAfter(CHECK_BYTES, row)
    const bytes = value.subarray(CHECK_BYTES)
    const digest = this.#digest(key, bytes)
    value.set(digest.subarray(0, CHECK_BYTES))
    return { value, bytes, digest }
  }

  /** What to store for rows that are encoded already; their bytes are copied. */
  seal(rows: readonly Keyed[]): Sealed[] {
    const digests = this.#digestAll(rows)
    return rows.map(({ bytes }, i) => {
      const digest = digests.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES)
      const value = new Uint8Array(CHECK_BYTES + bytes.length)
      value.set(digest.subarray(0, CHECK_BYTES))
      value.set(bytes, CHECK_BYTES)
      return { value, digest }
    })
  }

  /** Every proven row of a range, with its place. */
  *scan(range: Range): Iterable<{ place: Place; stored: Stored }> {
    for (const [id, value] of this.#store.range('rows', range)) {
      const parsed = parseRowKey(id)
      const stored = parsed && this.#prove(parsed.key, id, value)
      if (parsed && stored) yield { place: { ...parsed, id }, stored }
    }
  }

  /** As `scan`, without decoding: what the trees need. */
  *digests(range: Range): Iterable<{ slot: number; token: Uint8Array; digest: Uint8Array }> {
    for (const { parsed, digest } of this.#checked(range)) {
      if (digest) yield { slot: parsed.slot, token: parsed.token, digest }
    }
  }

  /**
   * Every row of a range, damaged ones included. Unlike the others it also looks whether a row lies
   * where its key belongs: one that does not is never found by its key, so it is as good as lost.
   */
  *inspect(range: Range): Iterable<Inspected> {
    for (const { parsed, id, value, digest } of this.#checked(range)) {
      const { token, key } = parsed
      const isHome = digest !== undefined && equal(this.locate(key).id, id)
      if (digest !== undefined && !isHome) this.#onDamage({ id, value })
      yield { id, token, bytes: id.length + value.length, digest: isHome ? digest : undefined }
    }
  }

  *leaf(slot: number, depth: number, leaf: number, from?: Uint8Array): Iterable<LeafRow> {
    const range = leafRange(slot, depth, leaf)
    const start = from === undefined ? range.from : rowKey(slot, from, EMPTY)
    yield* this.#listed({ from: compare(start, range.from) > 0 ? start : range.from, to: range.to })
  }

  *byToken(slot: number, token: Uint8Array): Iterable<LeafRow> {
    yield* this.#listed(tokenRange(slot, token))
  }

  /** Proven rows. Decoding one takes longer than all the rest, so it is left until it is needed. */
  *#listed(range: Range): Iterable<LeafRow> {
    for (const { parsed, value, digest } of this.#checked(range)) {
      if (digest) yield new ListedRow(parsed, value.subarray(CHECK_BYTES), digest)
    }
  }

  /** Every row of a range: a few are read ahead and hashed together. */
  *#checked(range: Range): Iterable<Checked> {
    let read: Omit<Checked, 'digest'>[] = []
    let bytes = 0
    for (const [id, value] of this.#store.range('rows', range)) {
      const parsed = parseRowKey(id)
      if (parsed === undefined) continue
      read.push({ parsed, id, value })
      bytes += value.length
      if (read.length < READ_ROWS && bytes < READ_BYTES) continue
      yield* this.#checkAll(read)
      read = []
      bytes = 0
    }
    if (read.length > 0) yield* this.#checkAll(read)
  }

  #checkAll(read: readonly Omit<Checked, 'digest'>[]): Checked[] {
    const digests = this.#digestAll(
      read.map(({ parsed, value }) => ({ key: parsed.key, bytes: value.subarray(CHECK_BYTES) }))
    )
    return read.map((row, i) => {
      const digest = digests.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES)
      if (isHeadOf(digest, row.value)) return { ...row, digest }
      this.#onDamage({ id: row.id, value: row.value })
      return { ...row, digest: undefined }
    })
  }

  #prove(key: Uint8Array, id: Uint8Array, value: Uint8Array): Stored | undefined {
    const digest = this.#check(key, id, value)
    if (digest === undefined) return undefined
    const bytes = value.subarray(CHECK_BYTES)
    const row = decodeRow(bytes)
    if (row !== undefined) return { row, bytes, digest }
    this.#onDamage({ id, value })
    return undefined
  }

  /** The digest of a row whose check holds. */
  #check(key: Uint8Array, id: Uint8Array, value: Uint8Array): Uint8Array | undefined {
    const digest = this.#digest(key, value.subarray(CHECK_BYTES))
    if (isHeadOf(digest, value)) return digest
    this.#onDamage({ id, value })
    return undefined
  }

  #digest(key: Uint8Array, bytes: Uint8Array): Uint8Array {
    const length = HEAD_BYTES + key.length + bytes.length
    const whole = this.#room(length)
    writeHashed(whole, 0, key, bytes)
    return this.#hasher.digest(whole.subarray(0, length))
  }

  /** 32 bytes each, fresh. */
  #digestAll(rows: readonly Keyed[]): Uint8Array {
    const out = new Uint8Array(rows.length * DIGEST_BYTES)
    if (rows.length === 0) return out
    const offsets = new Uint32Array(rows.length + 1)
    rows.forEach(({ key, bytes }, i) => {
      offsets[i + 1] = (offsets[i] as number) + HEAD_BYTES + key.length + bytes.length
    })
    const whole = this.#room(offsets[rows.length] as number)
    rows.forEach(({ key, bytes }, i) => writeHashed(whole, offsets[i] as number, key, bytes))
    this.#hasher.digestPacked(whole, offsets, out)
    return out
  }

  #room(length: number): Uint8Array {
    return length <= this.#scratch.length ? this.#scratch : new Uint8Array(length)
  }
}

/** What a row digest is of: the length of the key in two bytes, the key, the row. */
function writeHashed(out: Uint8Array, at: number, key: Uint8Array, bytes: Uint8Array): void {
  out[at] = key.length >>> 8
  out[at + 1] = key.length
  out.set(key, at + HEAD_BYTES)
  out.set(bytes, at + HEAD_BYTES + key.length)
}

/** Whether a stored row begins with the check of its digest. */
function isHeadOf(digest: Uint8Array, value: Uint8Array): boolean {
  for (let i = 0; i < CHECK_BYTES; i++) if (digest[i] !== value[i]) return false
  return true
}
