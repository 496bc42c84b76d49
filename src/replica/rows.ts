/**
 * Rows as they lie in the store: `check (8 bytes) | encoded row` under `slot | token | key`. The
 * check is the beginning of the row digest, the keyed BLAKE3 of key and row that also feeds the
 * Merkle forest: LMDB has no page checksums, so every read of a row proves it.
 */
import { windowsInto, type LeafReader, type LeafRow } from '../digest/exchange-rows.ts'
import type { Hasher } from '../digest/forest.ts'
import { DIGEST_BYTES } from '../digest/limits.ts'
import { HEAD_BYTES, writeRow } from '../digest/row-bytes.ts'
import { readPlainRow, type PlainRow } from '../lattice/encode-plain.ts'
import { decodeRow, encodeRowAfter, newestTimeIn } from '../lattice/encode.ts'
import type { Row } from '../lattice/row.ts'
import type { Range, Store } from '../ports.ts'
import {
  isRowKey,
  keyIn,
  leafRange,
  parseRowKey,
  rowKey,
  slotIn,
  SLOT_BYTES,
  tokenIn,
  tokenRange,
  TOKEN_BYTES
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

/** A row that was read and proven, and is decoded only where its bytes do not tell that it is plain. */
export interface Held {
  readonly bytes: Uint8Array
  readonly digest: Uint8Array
  readonly plain: PlainRow | undefined
  readonly row: Row | undefined
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

/** A row as it was found, and its digest among those of others. */
interface Checked {
  readonly id: Uint8Array
  readonly value: Uint8Array
  readonly digests: Uint8Array
  readonly at: number
  /** Whether its check holds. */
  readonly isSound: boolean
}

/** A row as it lies on disk, proven or not. */
export interface Inspected {
  /** The id under which it belongs, as far as that can be told. */
  readonly home: Uint8Array
  readonly token: Uint8Array
  /** Of key and value. */
  readonly bytes: number
  /** `undefined` where the check fails or the key belongs elsewhere. */
  readonly digest: Uint8Array | undefined
}

export interface Damaged {
  /** Under which it was found. */
  readonly id: Uint8Array
  readonly value: Uint8Array
  /** Under which it belongs: another one where only its place is wrong. */
  readonly home: Uint8Array
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
const SCRATCH_BYTES = 64 * 1024
/** What is read of a range and hashed together. */
const READ_ROWS = 64
const READ_BYTES = 256 * 1024

/** Rows are compared by the thousand and few are sent: views are made of those that need them. */
class ListedRow implements LeafRow {
  readonly #row: Checked
  #key: Uint8Array | undefined
  #bytes: Uint8Array | undefined

  constructor(row: Checked) {
    this.#row = row
  }

  get key(): Uint8Array {
    return (this.#key ??= keyIn(this.#row.id))
  }

  get token(): Uint8Array {
    return tokenIn(this.#row.id)
  }

  get bytes(): Uint8Array {
    return (this.#bytes ??= this.#row.value.subarray(CHECK_BYTES))
  }

  get byteLength(): number {
    return this.#row.value.length - CHECK_BYTES
  }

  get newest(): bigint {
    return newestTimeIn(this.bytes) ?? 0n
  }

  summarizeInto(out: Uint8Array, at: number, salt: number): void {
    const { id, digests, at: from } = this.#row
    windowsInto(out, at, salt, { bytes: id, from: SLOT_BYTES }, { bytes: digests, from })
  }
}

export class Rows implements LeafReader {
  readonly #store: Store
  readonly #hasher: Hasher
  readonly #onDamage: (damaged: Damaged) => void
  /** Where the rows of a batch are put together to be hashed, unless they are large. */
  readonly #scratch = new Uint8Array(SCRATCH_BYTES)
  /** The digest of the last key. */
  readonly #ofKey = new Uint8Array(DIGEST_BYTES)

  constructor({ store, hasher, onDamage }: RowsComponents) {
    this.#store = store
    this.#hasher = hasher
    this.#onDamage = onDamage
  }

  locate(key: Uint8Array): Place {
    const slot = slotOf(key)
    this.#hasher.digestInto(key, this.#ofKey)
    const token = this.#ofKey.slice(0, TOKEN_BYTES)
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

  /** As `read`, in a part of the time where the row is plain. */
  hold(place: Place): Held | undefined {
    const value = this.#store.get('rows', place.id)
    const digest = value && this.#check(place.key, place.id, value)
    if (!value || !digest) return undefined
    const bytes = value.subarray(CHECK_BYTES)
    const plain = readPlainRow(bytes)
    const row = plain === undefined ? decodeRow(bytes) : undefined
    if (plain !== undefined || row !== undefined) return { bytes, digest, plain, row }
    this.#onDamage({ id: place.id, value, home: place.id })
    return undefined
  }

  encode(key: Uint8Array, row: Row): Encoded {
    const value = encodeRowAfter(CHECK_BYTES, row)
    const bytes = value.subarray(CHECK_BYTES)
    const digest = this.#digest(key, bytes)
    value.set(digest.subarray(0, CHECK_BYTES))
    return { value, bytes, digest }
  }

  /** Whether a damaged value was that of this row: its check or all of the rest is still the same. */
  isOf(damaged: Uint8Array, key: Uint8Array, bytes: Uint8Array): boolean {
    const check = this.#digest(key, bytes).subarray(0, CHECK_BYTES)
    const isChecked = equal(damaged.subarray(0, CHECK_BYTES), check)
    return isChecked || equal(damaged.subarray(CHECK_BYTES), bytes)
  }

  /** What to store for rows that are encoded already: copies, in one piece of memory for all. */
  seal(rows: readonly Keyed[]): Sealed[] {
    const digests = this.#digestAll(rows)
    const length = rows.reduce((sum, { bytes }) => sum + CHECK_BYTES + bytes.length, 0)
    const values = new Uint8Array(length)
    let end = 0
    return rows.map(({ bytes }, i) => {
      const digest = digests.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES)
      const from = end
      for (let k = 0; k < CHECK_BYTES; k++) values[from + k] = digest[k] as number
      values.set(bytes, from + CHECK_BYTES)
      end = from + CHECK_BYTES + bytes.length
      return { value: values.subarray(from, end), digest }
    })
  }

  /** Every proven row of a range, with its place. */
  *scan(range: Range): Iterable<{ place: Place; stored: Stored }> {
    for (const [id, value] of this.#store.range('rows', range)) {
      const parsed = parseRowKey(id)
      if (parsed === undefined) this.#onDamage({ id, value, home: id })
      const stored = parsed && this.#prove(parsed.key, id, value)
      if (parsed && stored) yield { place: { ...parsed, id }, stored }
    }
  }

  /** As `scan`, without decoding: what the trees need. */
  *digests(range: Range): Iterable<{ slot: number; token: Uint8Array; digest: Uint8Array }> {
    for (const row of this.#checked(range)) {
      if (row.isSound) yield { slot: slotIn(row.id), token: tokenIn(row.id), digest: digestOf(row) }
    }
  }

  /**
   * Every row of a range, damaged ones included. Unlike the others it also looks whether a row lies
   * where its key belongs: one that does not is never found by its key, so it is as good as lost.
   */
  *inspect(range: Range): Iterable<Inspected> {
    for (const row of this.#checked(range)) {
      const { id, value, isSound } = row
      const home = isSound ? this.locate(keyIn(id)).id : id
      const isHome = isSound && equal(home, id)
      if (isSound && !isHome) this.#onDamage({ id, value, home })
      const digest = isHome ? digestOf(row) : undefined
      yield { home, token: tokenIn(id), bytes: id.length + value.length, digest }
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
    for (const row of this.#checked(range)) if (row.isSound) yield new ListedRow(row)
  }

  /** Every row of a range: a few are read ahead and hashed together. */
  *#checked(range: Range): Iterable<Checked> {
    let read: (readonly [id: Uint8Array, value: Uint8Array])[] = []
    let bytes = 0
    for (const pair of this.#store.range('rows', range)) {
      read.push(pair)
      bytes += pair[1].length
      if (read.length < READ_ROWS && bytes < READ_BYTES) continue
      yield* this.#checkAll(read)
      read = []
      bytes = 0
    }
    if (read.length > 0) yield* this.#checkAll(read)
  }

  #checkAll(read: readonly (readonly [id: Uint8Array, value: Uint8Array])[]): Checked[] {
    const digests = this.#digestAll(
      read.map(([id, value]) => ({ key: keyIn(id), bytes: value.subarray(CHECK_BYTES) }))
    )
    return read.map(([id, value], i) => {
      const at = i * DIGEST_BYTES
      // Under an id that no row has, nothing is sound.
      const isSound = isRowKey(id) && isHeadOf(digests, at, value)
      if (!isSound) this.#onDamage({ id, value, home: id })
      return { id, value, digests, at, isSound }
    })
  }

  #prove(key: Uint8Array, id: Uint8Array, value: Uint8Array): Stored | undefined {
    const digest = this.#check(key, id, value)
    if (digest === undefined) return undefined
    const bytes = value.subarray(CHECK_BYTES)
    const row = decodeRow(bytes)
    if (row !== undefined) return { row, bytes, digest }
    this.#onDamage({ id, value, home: id })
    return undefined
  }

  /** The digest of a row whose check holds. */
  #check(key: Uint8Array, id: Uint8Array, value: Uint8Array): Uint8Array | undefined {
    const digest = this.#digest(key, value.subarray(CHECK_BYTES))
    if (isHeadOf(digest, 0, value)) return digest
    this.#onDamage({ id, value, home: id })
    return undefined
  }

  #digest(key: Uint8Array, bytes: Uint8Array): Uint8Array {
    const digest = new Uint8Array(DIGEST_BYTES)
    this.#hasher.digestRow(key, bytes, digest)
    return digest
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
    rows.forEach(({ key, bytes }, i) => writeRow(whole, offsets[i] as number, key, bytes))
    this.#hasher.digestPacked(whole, offsets, out)
    return out
  }

  #room(length: number): Uint8Array {
    return length <= this.#scratch.length ? this.#scratch : new Uint8Array(length)
  }
}

/** Whether a stored row begins with the check of the digest at `at`. */
function isHeadOf(digests: Uint8Array, at: number, value: Uint8Array): boolean {
  for (let i = 0; i < CHECK_BYTES; i++) if (digests[at + i] !== value[i]) return false
  return true
}

/** A view. */
function digestOf({ digests, at }: Checked): Uint8Array {
  return digests.subarray(at, at + DIGEST_BYTES)
}
