/**
 * The calls of a client on its data: checks what was given, makes an operation or a read of it, and
 * makes a result of what comes back. What expires is judged by the clock of this node.
 */
import { checkFlag } from '../arguments.ts'
import type { Hasher } from '../digest/forest.ts'
import {
  fieldsOf,
  isRefusal,
  kindOf,
  readCounter,
  readMap,
  readSet,
  readValue,
  refusalFor,
  siblingsOf,
  type MapEntry,
  type Refusal
} from '../lattice/kinds.ts'
import { printDot } from '../lattice/dot.ts'
import { expiryOf, shownVersion } from '../lattice/expiry.ts'
import type { Operation } from '../lattice/operation.ts'
import type { Row } from '../lattice/row.ts'
import type {
  Bytes,
  ChangeResult,
  CountResult,
  DeleteOptions,
  Fields,
  PutOptions,
  ReadOptions,
  ReadResult,
  RequestDefaults,
  SiblingsResult,
  WriteOptions,
  WriteResult
} from '../options.ts'
import type { Clock } from '../ports.ts'
import { refusalError } from '../replica/refusals.ts'
import { nameOf } from '../util/bytes.ts'
import type { Written } from '../wire/forward.ts'
import { ContextTokens } from './context-tokens.ts'
import type { Coordinator } from './coordinator.ts'
import { checkBy, checkExpiry, checkFields, checkItem, checkItems, instantAfter } from './items.ts'
import type { Reader, RowRead } from './reader.ts'
import { checkKey, checkRequest, checkValue, requestOf } from './request.ts'

export interface DataComponents {
  readonly reader: Reader
  readonly coordinator: Coordinator
  readonly clock: Clock
  readonly forest: Pick<Hasher, 'digest'>
  /** Runs a request of a client, which background work gives way to. */
  readonly during: <T>(request: () => Promise<T>) => Promise<T>
}

export interface DataInit {
  readonly defaults: RequestDefaults
}

export class Data {
  readonly #components: DataComponents
  readonly #defaults: RequestDefaults
  readonly #tokens: ContextTokens

  constructor(components: DataComponents, { defaults }: DataInit) {
    this.#components = components
    this.#defaults = defaults
    this.#tokens = new ContextTokens(components.forest)
  }

  /** With siblings nothing is refused: whatever kind the row is, it tells what registers it holds. */
  async read(
    given: Bytes,
    options: ReadOptions & { readonly siblings?: boolean }
  ): Promise<ReadResult | SiblingsResult> {
    checkRequest('read', 'read', options, ['siblings'])
    const { siblings = false, ...rest } = options
    checkFlag('siblings', siblings)
    const key = checkKey(given)
    const read = await this.#read(key, rest)
    const nowMs = this.#nowMs
    const value = readValue(read.row, nowMs)
    if (!siblings) return resultOf(read, passed(key, value), nowMs)
    const context = this.#tokens.seal(key, read.row)
    const result = resultOf(read, isRefusal(value) ? undefined : value, nowMs)
    return { ...result, values: valuesOf(read.row, nowMs), context }
  }

  async put(given: Bytes, value: Bytes, options: PutOptions): Promise<WriteResult> {
    checkRequest('put', 'write', options, ['context', 'ttlMs', 'expiresAt'])
    const { context, ttlMs, expiresAt, ...rest } = options
    const key = checkKey(given)
    const expiry = checkExpiry({ ttlMs, expiresAt }, this.#nowMs)
    const operation = { value: checkValue(key, value), ...expiry, ...this.#seen(key, context) }
    return written(await this.#write(key, { do: 'put', ...operation }, rest))
  }

  async delete(given: Bytes, options: DeleteOptions): Promise<ChangeResult> {
    checkRequest('delete', 'write', options, ['context'])
    const { context, ...rest } = options
    const key = checkKey(given)
    return this.#change(key, { do: 'delete', ...this.#seen(key, context) }, rest)
  }

  async increment(given: Bytes, by: number | bigint, options: WriteOptions): Promise<CountResult> {
    const key = checkKey(given)
    const operation = { do: 'increment' as const, by: checkBy(key, by) }
    const result = await this.#write(key, operation, options)
    return { ...written(result), value: result.number }
  }

  async counter(key: Bytes, options: ReadOptions): Promise<bigint | undefined> {
    return this.#reading(key, options, readCounter)
  }

  async expire(
    key: Bytes,
    ttlMs: number | undefined,
    options: WriteOptions
  ): Promise<ChangeResult> {
    const expiry = ttlMs === undefined ? {} : { expiresAt: instantAfter(ttlMs, this.#nowMs) }
    return this.#change(checkKey(key), { do: 'expire', ...expiry }, options)
  }

  async setAdd(
    key: Bytes,
    members: Bytes | readonly Bytes[],
    options: WriteOptions
  ): Promise<ChangeResult> {
    return this.#changeSet('set-add', key, members, options)
  }

  async setRemove(
    key: Bytes,
    members: Bytes | readonly Bytes[],
    options: WriteOptions
  ): Promise<ChangeResult> {
    return this.#changeSet('set-remove', key, members, options)
  }

  async setMembers(key: Bytes, options: ReadOptions): Promise<Uint8Array[] | undefined> {
    const members = await this.#reading(key, options, readSet)
    return members.length === 0 ? undefined : members.map(copy)
  }

  async setHas(key: Bytes, given: Bytes, options: ReadOptions): Promise<boolean> {
    const member = checkItem(checkKey(key), 'member', given)
    return this.#reading(
      key,
      options,
      (row, nowMs) =>
        refusalFor(row, 'set', nowMs) ?? fieldsOf(row, 'set', nowMs).has(nameOf(member))
    )
  }

  async mapSet(given: Bytes, fields: Fields, options: WriteOptions): Promise<ChangeResult> {
    const key = checkKey(given)
    return this.#change(key, { do: 'map-set', pairs: checkFields(key, fields) }, options)
  }

  async mapDelete(
    given: Bytes,
    fields: Bytes | readonly Bytes[],
    options: WriteOptions
  ): Promise<ChangeResult> {
    const key = checkKey(given)
    const operation = { do: 'map-delete' as const, fields: checkItems(key, 'field', fields) }
    return this.#change(key, operation, options)
  }

  async mapGet(key: Bytes, given: Bytes, options: ReadOptions): Promise<Uint8Array | undefined> {
    const field = checkItem(checkKey(key), 'field', given)
    const value = await this.#reading(
      key,
      options,
      (row, nowMs) =>
        refusalFor(row, 'map', nowMs) ?? fieldsOf(row, 'map', nowMs).get(nameOf(field))?.value
    )
    return value && copy(value)
  }

  async mapEntries(
    key: Bytes,
    options: ReadOptions
  ): Promise<[field: Uint8Array, value: Uint8Array][] | undefined> {
    const entries = await this.#reading<readonly MapEntry[]>(key, options, readMap)
    if (entries.length === 0) return undefined
    return entries.map(({ field, value }) => [copy(field), copy(value)])
  }

  async #changeSet(
    what: 'set-add' | 'set-remove',
    given: Bytes,
    members: Bytes | readonly Bytes[],
    options: WriteOptions
  ): Promise<ChangeResult> {
    const key = checkKey(given)
    return this.#change(key, { do: what, fields: checkItems(key, 'member', members) }, options)
  }

  get #nowMs(): number {
    return this.#components.clock.wallMs()
  }

  #seen(key: Uint8Array, context: string | undefined) {
    return context === undefined ? {} : { seen: this.#tokens.open(key, context) }
  }

  async #reading<T>(
    given: Bytes,
    options: ReadOptions,
    reading: (row: Row, nowMs: number) => T | Refusal
  ): Promise<T> {
    const key = checkKey(given)
    const { row } = await this.#read(key, options)
    return passed(key, reading(row, this.#nowMs))
  }

  async #read(key: Uint8Array, options: ReadOptions): Promise<RowRead> {
    const { reader, during } = this.#components
    const request = { key, ...requestOf('read', options, this.#defaults) }
    return during(() => reader.read(request))
  }

  async #write(key: Uint8Array, operation: Operation, options: WriteOptions): Promise<Written> {
    const { coordinator, during } = this.#components
    const { signal, ...request } = requestOf('write', options, this.#defaults)
    return during(() => coordinator.write({ key, operation, ...request }, signal))
  }

  async #change(
    key: Uint8Array,
    operation: Operation,
    options: WriteOptions
  ): Promise<ChangeResult> {
    const result = await this.#write(key, operation, options)
    const { number } = result
    return { ...written(result), changed: number === undefined ? undefined : Number(number) }
  }
}

function passed<T>(key: Uint8Array, reading: T | Refusal): T {
  if (isRefusal(reading)) throw refusalError(key, reading)
  return reading
}

function written({ version, acknowledged, hinted }: Written): WriteResult {
  return { version, acknowledged, hinted }
}

function resultOf(read: RowRead, value: Uint8Array | undefined, nowMs: number): ReadResult {
  const { row, answers, repaired } = read
  const version = shownVersion(row, nowMs)
  return {
    value: value && copy(value),
    kind: kindOf(row, nowMs),
    version: version && printDot(version),
    expiresAt: expiryOf(row, nowMs)?.expiresAt,
    siblings: Math.max(0, siblingsOf(row, nowMs).length - 1),
    answers,
    repaired
  }
}

function valuesOf(row: Row, nowMs: number): SiblingsResult['values'] {
  return siblingsOf(row, nowMs).map(({ dot, value, expiresAt }) => ({
    value: copy(value as Uint8Array),
    version: printDot(dot),
    expiresAt
  }))
}

function copy(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes)
}
