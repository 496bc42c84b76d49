/** TTL, EXPIRE and the expiry of SET. Instants are judged by the clock of the node that is asked. */
import type { PutOptions } from '../../index.ts'
import type { RespCommand, RespContext, RespSession } from './commands.ts'
import { error, integer } from './reply.ts'
import { latin1, NOT_AN_INTEGER, readInteger } from './words.ts'

/** The last instant that a date knows. */
const INSTANT_MS_MAX = 8_640_000_000_000_000n
const NOT_THERE = -2
const NO_EXPIRY = -1

export const expiringCommands: readonly (readonly [string, RespCommand])[] = [
  ['ttl', { arguments: [1, 1], run: left(1_000) }],
  ['pttl', { arguments: [1, 1], run: left(1) }],
  ['expire', { arguments: [2, 2], run: expiring('expire', 1_000n) }],
  ['pexpire', { arguments: [2, 2], run: expiring('pexpire', 1n) }],
  ['persist', { arguments: [1, 1], run: persist }]
]

const units: Readonly<Record<string, readonly [unitMs: bigint, isInstant: boolean]>> = {
  ex: [1_000n, false],
  px: [1n, false],
  exat: [1_000n, true],
  pxat: [1n, true]
}

/** The options after SET key value; bytes are the reply of a refusal. */
export function readSetOptions(given: readonly Uint8Array[]): PutOptions | Uint8Array {
  if (given.length === 0) return {}
  const [name, amount, ...more] = given
  const option = latin1(name as Uint8Array)
  if (['nx', 'xx', 'get', 'keepttl'].includes(option.toLowerCase())) return unsupported(option)
  const unit = Object.hasOwn(units, option.toLowerCase()) ? units[option.toLowerCase()] : undefined
  if (unit === undefined || amount === undefined || more.length > 0) return syntaxError(more)
  const count = readInteger(amount)
  if (count === undefined) return NOT_AN_INTEGER
  const ms = count * unit[0]
  if (ms <= 0n || ms > INSTANT_MS_MAX) return invalidExpiry('set')
  return unit[1] ? { expiresAt: Number(ms) } : { ttlMs: Number(ms) }
}

function syntaxError(more: readonly Uint8Array[]): Uint8Array {
  const [option] = more.map(latin1)
  const isKnown = ['nx', 'xx', 'get', 'keepttl'].includes(option?.toLowerCase() ?? '')
  return isKnown ? unsupported(option as string) : error('ERR syntax error')
}

function unsupported(option: string): Uint8Array {
  return error(
    `ERR SET with ${option.toUpperCase()} is not supported; use SET key value [EX s | PX ms | EXAT s | PXAT ms]`
  )
}

function invalidExpiry(command: string): Uint8Array {
  return error(`ERR invalid expire time in '${command}' command`)
}

function left(unitMs: number): RespCommand['run'] {
  return async ([key], _session, { node }) => {
    const { kind, expiresAt } = await node.read(key as Uint8Array, { siblings: true })
    if (kind === undefined) return integer(NOT_THERE)
    if (expiresAt === undefined) return integer(NO_EXPIRY)
    return integer(Math.max(0, Math.round((expiresAt - Date.now()) / unitMs)))
  }
}

/** As in Redis, a time that is over deletes. */
function expiring(name: string, unitMs: bigint): RespCommand['run'] {
  return async ([key, amount], _session, { node }) => {
    const count = readInteger(amount as Uint8Array)
    if (count === undefined) return NOT_AN_INTEGER
    const ms = count * unitMs
    if (ms > INSTANT_MS_MAX / 2n || ms < -INSTANT_MS_MAX) return invalidExpiry(name)
    const before = await node.read(key as Uint8Array, { siblings: true })
    if (before.kind === undefined) return integer(0)
    const change =
      ms > 0n ? node.expire(key as Uint8Array, Number(ms)) : node.delete(key as Uint8Array)
    return integer((await change).changed ?? 1)
  }
}

async function persist(
  [key]: readonly Uint8Array[],
  _session: RespSession,
  { node }: RespContext
): Promise<Uint8Array> {
  const { kind, expiresAt } = await node.read(key as Uint8Array, { siblings: true })
  if (kind === undefined || expiresAt === undefined) return integer(0)
  return integer((await node.expire(key as Uint8Array, undefined)).changed ?? 1)
}
