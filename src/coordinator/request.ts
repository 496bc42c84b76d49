/** What a caller gave, checked and completed with defaults. Bad input throws and nothing happens. */
import { checkDurability, checkNames, checkReadRepair, checkSignal } from '../arguments.ts'
import { HearsayError } from '../errors.ts'
import type {
  Bytes,
  ReadOptions,
  ReadRepairMode,
  RequestDefaults,
  RequestOptions,
  SettleOptions,
  WriteOptions
} from '../options.ts'
import { parseLevel, type Level } from '../quorum/level.ts'
import { ROW_BYTES_MAX, rowSizeError } from '../replica/refusals.ts'
import { KEY_BYTES_MAX } from '../ring/row-key.ts'
import { slotOf, SLOTS } from '../ring/slot.ts'
import { utf8 } from '../util/bytes.ts'
import { shown } from '../util/shown.ts'
import type { SettleRequest } from '../wire/settle.ts'

const requestOptions = ['level', 'timeoutMs', 'signal']
const verbOptions = { read: ['readRepair'], write: ['durability'] }

/** What a node goes by that was told nothing else: each read meets each write. */
export const DEFAULTS: RequestDefaults = {
  readLevel: 'quorum',
  writeLevel: 'quorum',
  durability: 'commit',
  readRepair: 'blocking'
}

const TIMEOUT_MS = 5_000
const TIMEOUT_MS_MAX = 86_400_000

export interface Request {
  readonly level: Level
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  readonly flush: boolean
  readonly readRepair: ReadRepairMode
}

export function checkKey(key: Bytes): Uint8Array {
  const bytes = bytesOf('key', key)
  if (bytes.length >= 1 && bytes.length <= KEY_BYTES_MAX) return bytes
  throw new HearsayError(
    'ERR_KEY_SIZE',
    `A key has 1 to ${KEY_BYTES_MAX} bytes and this one has ${bytes.length}; use another key.`
  )
}

/** The row around the value counts too, and is measured where it is written. */
export function checkValue(key: Uint8Array, value: Bytes): Uint8Array {
  const bytes = bytesOf('value', value)
  if (bytes.length > ROW_BYTES_MAX) throw rowSizeError(bytes.length, key)
  return bytes
}

/** A copy: what was given stays the caller's. */
export function bytesOf(what: string, bytes: Bytes): Uint8Array {
  if (typeof bytes === 'string') return utf8(bytes)
  if (bytes instanceof Uint8Array) return new Uint8Array(bytes)
  throw new HearsayError(
    'ERR_ARGUMENT',
    `A ${what} is a string or a Uint8Array, not ${typeof bytes}.`
  )
}

/** Throws unless `options` is an object with nothing but what such a request takes, and `own` besides. */
export function checkRequest(
  call: string,
  verb: 'read' | 'write',
  options: unknown,
  own: readonly string[] = []
): void {
  checkNames(call, options, [...requestOptions, ...verbOptions[verb], ...own])
}

/** Reads what every request may say, and a write besides. */
export function requestOf(
  verb: 'read' | 'write',
  options: ReadOptions & WriteOptions,
  defaults: RequestDefaults = DEFAULTS
): Request {
  checkRequest(`A ${verb}`, verb, options)
  const { durability = defaults.durability, readRepair = defaults.readRepair } = options
  const { timeoutMs = TIMEOUT_MS, signal } = options
  const { level = verb === 'read' ? defaults.readLevel : defaults.writeLevel } = options
  checkSignal(signal)
  checkDurability(durability)
  checkReadRepair(readRepair)
  checkTimeout(timeoutMs)
  return {
    level: parseLevel(level),
    timeoutMs: Math.ceil(timeoutMs),
    signal,
    flush: durability === 'flush',
    readRepair
  }
}

/** As any request, but it has no level: every owner is asked. */
export function explainRequestOf(
  options: Pick<RequestOptions, 'timeoutMs' | 'signal'>
): Pick<Request, 'timeoutMs' | 'signal'> {
  checkNames('explain', options, ['timeoutMs', 'signal'])
  const { timeoutMs, signal } = requestOf('read', options)
  return { timeoutMs, signal }
}

const settleOptions = ['keys', 'level', 'timeoutMs', 'signal']
const SETTLE_TIMEOUT_MS = 60_000

/** The slots of the keys, or all of them; each once. */
export function settleRequestOf(options: SettleOptions): SettleRequest {
  checkNames('settled', options, settleOptions)
  const { keys, level = 'all', timeoutMs = SETTLE_TIMEOUT_MS, signal } = options
  checkSignal(signal)
  checkTimeout(timeoutMs)
  if (keys !== undefined && !Array.isArray(keys)) {
    throw new HearsayError('ERR_ARGUMENT', 'keys has to be a list of keys.')
  }
  const every = Array.from({ length: SLOTS }, (_, slot) => slot)
  const slots =
    keys === undefined ? every : [...new Set(Array.from(keys, key => slotOf(checkKey(key))))]
  return { slots, level: parseLevel(level), timeoutMs: Math.ceil(timeoutMs) }
}

function checkTimeout(timeoutMs: number): void {
  if (Number.isFinite(timeoutMs) && timeoutMs > 0 && timeoutMs <= TIMEOUT_MS_MAX) return
  throw new HearsayError(
    'ERR_ARGUMENT',
    `timeoutMs is a number of milliseconds up to 86,400,000, not ${shown(timeoutMs)}.`
  )
}
